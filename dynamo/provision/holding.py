"""An operator's hold: groups keep their number of workers, regardless of the autoscaler, until released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.documents.problems import near_hint
from dynamo.errors import NotFoundError, UsageError
from dynamo.provision import ledger
from dynamo.provision.deciding.groups import Override, plan_groups
from dynamo.provision.deciding.lifecycle import SERVING
from dynamo.provision.fleets import OPERATOR, stored_spec
from dynamo.provision.notes import FleetNote
from dynamo.provision.site_facts import read_site_facts
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec
from dynamo.provision.states import ACTIVE
from dynamo.store.fleets import Worker

ALL = "all"
#: Source of a request that the autoscaler may change again, although an operator made it.
RELEASED = "autoscaler"


def hold(session: Session, name: str, target: str, now: datetime) -> dict[str, int]:
    """Keep groups at their currently requested number; return it by group.

    Parameters
    ----------
    target
        A group, a site, or ``all``.

    Raises
    ------
    NotFoundError
        If the fleet has no such group or site.
    UsageError
        If the fleet is ending.
    """
    fleet = ledger.fleet_named(session, name)
    if fleet.state != ACTIVE:
        raise UsageError(f"the fleet is {fleet.state}", where=name, hint="dynamo-provision apply SPEC.json")
    spec = stored_spec(fleet)
    wishes = ledger.wishes(session, name)
    plans = plan_groups(
        spec,
        read_site_facts(session, name).flavors,
        {group: Override(wish.wanted, wish.source, wish.reason) for group, wish in wishes.items()},
        applied_at=fleet.applied_at,
        now=now,
        ending=False,
    )
    held = {}
    for group in _targets(spec, name, target):
        plan = plans[group.name]
        wanted = plan.wanted if plan.certain else _serving(session, name, group.name)
        if wishes.get(group.name) is None or wishes[group.name].source != OPERATOR:
            reason = f"held at {wanted} by the operator"
            ledger.wish(
                session, name, group.name, site=group.site, wanted=wanted, source=OPERATOR, reason=reason, now=now
            )
            ledger.note(
                session,
                name,
                [FleetNote("keep", reason, group.site, data={"group": group.name, "wanted": wanted})],
                now,
            )
        held[group.name] = wanted
    return held


def release(session: Session, name: str, target: str, now: datetime, *, autoscaled: bool) -> dict[str, int | None]:
    """Release what an operator set by `scale`, `drain` or `hold`; return the released groups.

    Parameters
    ----------
    target
        A group, a site, or ``all``.
    autoscaled
        Whether the autoscaler decides from now on: the number then stays until it does. Else the spec's number applies
        again, returned as None.

    Raises
    ------
    NotFoundError
        If the fleet has no such group or site.
    """
    spec = stored_spec(ledger.fleet_named(session, name))
    wishes = ledger.wishes(session, name)
    released: dict[str, int | None] = {}
    for group in _targets(spec, name, target):
        wish = wishes.get(group.name)
        if wish is None or wish.source != OPERATOR:
            continue
        if autoscaled:
            reason = f"released by the operator at {wish.wanted}"
            ledger.wish(
                session, name, group.name, site=group.site, wanted=wish.wanted, source=RELEASED, reason=reason, now=now
            )
            released[group.name] = wish.wanted
        else:
            reason = "released by the operator; the spec applies"
            session.delete(wish)
            released[group.name] = None
        ledger.note(session, name, [FleetNote("release-keep", reason, group.site, data={"group": group.name})], now)
    session.flush()
    return released


def _targets(spec: FleetSpec, name: str, target: str) -> Sequence[ComputeSpec]:
    if target == ALL:
        return spec.compute
    group = spec.group(target)
    found = (group,) if group is not None else spec.groups_at(target)
    if not found:
        known = sorted({*spec.sites, *(group.name for group in spec.compute), ALL})
        raise NotFoundError(
            f"site or group {target!r:.80} not found",
            where=name,
            expected=", ".join(known),
            hint=near_hint(target, known),
        )
    return found


def _serving(session: Session, name: str, group: str) -> int:
    states = [state.value for state in SERVING]
    counted = select(func.count()).where(Worker.fleet == name, Worker.group == group, Worker.state.in_(states))
    return session.scalar(counted) or 0
