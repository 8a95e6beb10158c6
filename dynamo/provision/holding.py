"""A person's hold: groups keep their number of workers, whatever the autoscaler wants, until they are released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

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
#: The source of a wish that the autoscaler may change again, though a person made it.
RELEASED = "autoscaler"


def hold(session: Session, name: str, target: str, now: datetime) -> dict[str, int]:
    """Keep groups at the number that is wanted of them now; return it by group.

    Parameters
    ----------
    target
        A group, a site, or ``all``.

    Raises
    ------
    NotFoundError
        If the fleet has nothing of that name.
    UsageError
        If the fleet is about to end.
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
            reason = f"a person holds it at {wanted}"
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
    """Let what a person has set by `scale`, `drain` or `hold` no longer count; return the groups that were released.

    Parameters
    ----------
    target
        A group, a site, or ``all``.
    autoscaled
        Whether the autoscaler decides from now on: then the number stays until it does. Else the spec's counts again,
        which is told as None.

    Raises
    ------
    NotFoundError
        If the fleet has nothing of that name.
    """
    spec = stored_spec(ledger.fleet_named(session, name))
    wishes = ledger.wishes(session, name)
    released: dict[str, int | None] = {}
    for group in _targets(spec, name, target):
        wish = wishes.get(group.name)
        if wish is None or wish.source != OPERATOR:
            continue
        if autoscaled:
            reason = f"released by a person at {wish.wanted}"
            ledger.wish(
                session, name, group.name, site=group.site, wanted=wish.wanted, source=RELEASED, reason=reason, now=now
            )
            released[group.name] = wish.wanted
        else:
            reason = "released by a person; the spec counts"
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
        known = ", ".join(sorted({*spec.sites, *(group.name for group in spec.compute), ALL}))
        raise NotFoundError(f"no site or group {target!r:.80}", where=name, expected=known)
    return found


def _serving(session: Session, name: str, group: str) -> int:
    states = [state.value for state in SERVING]
    counted = select(func.count()).where(Worker.fleet == name, Worker.group == group, Worker.state.in_(states))
    return session.scalar(counted) or 0
