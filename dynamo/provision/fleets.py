"""Whole-fleet operations in the store: apply a spec, end a fleet, and an operator's orders."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.documents.problems import near_hint
from dynamo.errors import BusyError, NotFoundError, UsageError
from dynamo.provision import ledger
from dynamo.provision.deciding.lifecycle import LIVING, SERVING, WorkerState
from dynamo.provision.notes import FleetNote
from dynamo.provision.remaking import remake
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ACTIVE, ENDED, ENDING, ENDING_NOW, FORGETTING, ON_THE_WAY_OUT
from dynamo.store.fleets import Fleet, FleetWish, Worker

OPERATOR = "operator"


def apply_fleet(session: Session, spec: FleetSpec, *, base: Path, now: datetime) -> tuple[Fleet, bool]:
    """Store a spec as the requested state; it overrides any earlier `scale` by an operator.

    Parameters
    ----------
    base
        The folder of the fleet's files on this machine.

    Returns
    -------
    tuple
        The fleet, and whether it is new or changed.

    Raises
    ------
    BusyError
        If the fleet of that name is ending.
    UsageError
        If the spec lacks a site that still has workers, whose servers could then not be deleted.
    """
    document, body = spec.to_json(), spec.settled(now).to_json()
    fleet = session.get(Fleet, spec.name, with_for_update=True)
    if fleet is not None and fleet.state in ON_THE_WAY_OUT:
        raise BusyError("this fleet is ending", where=spec.name, hint="wait for `dynamo-provision destroy`")
    _strand_nobody(session, spec)
    overrides = session.scalars(select(FleetWish.group).where(FleetWish.fleet == spec.name)).all()
    if fleet is None or fleet.state == ENDED:
        if fleet is None:
            fleet = Fleet(name=spec.name, next_number=1, id=ledger.new_fleet_id())
            session.add(fleet)
        fleet.state, fleet.spec, fleet.document, fleet.base = ACTIVE, body, document, str(base)
        fleet.applied_at = fleet.updated_at = now
        ledger.note(session, spec.name, [FleetNote("apply", "new fleet")], now)
        changed = True
    else:
        # Lease times relative to the start do not move when the same document is applied again.
        same = fleet.document == document
        changed = not same or bool(overrides)
        if changed:
            reason = "same spec; manual scaling undone" if same else "changed spec"
            ledger.note(session, spec.name, [FleetNote("apply", reason, data={"undone": list(overrides)})], now)
        # Even with the same spec: something was corrected at a site, so that earlier failures do not count.
        fleet.updated_at = now
        if not same:
            remake(session, stored_spec(fleet), spec, now)
            fleet.spec, fleet.document, fleet.applied_at = body, document, now
    session.execute(delete(FleetWish).where(FleetWish.fleet == spec.name))
    ledger.forget_health(session, spec.name)
    session.flush()
    return fleet, changed


def stored_spec(fleet: Fleet) -> FleetSpec:
    """Return the spec of a fleet as applied."""
    return load_spec(fleet.spec, name=fleet.name, check_options=False)


def set_fleet_state(session: Session, name: str, state: str, now: datetime) -> Fleet:
    """Start ending a fleet, or record that it has ended."""
    fleet = ledger.fleet_named(session, name)
    if fleet.state != state and not (fleet.state == ENDED and state in ON_THE_WAY_OUT):
        fleet.state, fleet.updated_at = state, now
        words = {
            ENDING: "its workers finish their jobs and are removed",
            ENDING_NOW: "its workers are removed at once",
            FORGETTING: "its workers are removed at once; sites that cannot be asked are given up",
            ENDED: "ended",
        }
        ledger.note(session, name, [FleetNote(state, words.get(state, state))], now)
    return fleet


def scale(session: Session, name: str, target: str, wanted: int, now: datetime, *, source: str = OPERATOR) -> str:
    """Store how many workers are requested of a group, or of a site's only group; return the group.

    Raises
    ------
    NotFoundError
        If the fleet has no such group or site.
    UsageError
        If the spec does not allow the number, or the site has several groups.
    """
    spec = stored_spec(_active(session, name))
    group = spec.group(target)
    if group is None:
        at = spec.groups_at(target)
        if not at:
            known = sorted({*spec.sites, *(group.name for group in spec.compute)})
            raise NotFoundError(
                f"site or group {target!r:.80} not found",
                where=name,
                expected=", ".join(known),
                hint=near_hint(target, known),
            )
        if len(at) > 1:
            raise UsageError(
                f"{target} has several groups", where=name, expected=" or ".join(group.name for group in at)
            )
        group = at[0]
    most = min((cap for cap in (group.max, spec.sites[group.site].max_workers) if cap is not None), default=None)
    if wanted < group.min or (most is not None and wanted > most):
        limits = f"{group.min} to {most}" if most is not None else f"{group.min} or more"
        raise UsageError(
            f"the spec does not allow {wanted} workers", where=group.name, expected=limits, hint="change the spec"
        )
    reason = f"the operator requested {wanted}"
    ledger.wish(session, name, group.name, site=group.site, wanted=wanted, source=source, reason=reason, now=now)
    ledger.note(
        session, name, [FleetNote("scale", reason, group.site, data={"group": group.name, "wanted": wanted})], now
    )
    return group.name


def drain_worker(session: Session, name: str, worker: str, deadline: datetime, now: datetime) -> str:
    """Drain one worker; return its state. It is replaced if the group still needs it.

    Raises
    ------
    NotFoundError
        If the fleet has no such living worker.
    """
    fleet = ledger.fleet_named(session, name)
    found = session.scalars(select(Worker).where(Worker.fleet == fleet.name, Worker.name == worker)).first()
    if found is None or found.ended_at is not None:
        known = [row.name for row in ledger.living_workers(session, name)]
        raise NotFoundError(
            f"living worker {worker!r:.70} not found",
            where=name,
            hint=near_hint(worker, known) or "dynamo-provision status",
        )
    state = WorkerState(found.state)
    if state not in SERVING:
        return state.value
    reason = "drained by the operator"
    to = WorkerState.DRAINING if state is WorkerState.READY else WorkerState.RELEASING
    values = {"drain_at": now, "drain_deadline": deadline} if to is WorkerState.DRAINING else {}
    if to is WorkerState.RELEASING and not found.server_id and not found.unsure:
        to = WorkerState.RELEASED
    if ledger.move_worker(session, found.id, to, reason, now, drained_by=OPERATOR, **values):
        ledger.note(session, name, [FleetNote(to.value, reason, found.site, worker)], now)
    return to.value


def drain_site(session: Session, name: str, site: str, now: datetime) -> list[str]:
    """Request no more workers from a site; return its groups.

    Raises
    ------
    NotFoundError
        If the fleet has no such site.
    """
    spec = stored_spec(_active(session, name))
    groups = spec.groups_at(site)
    if not groups:
        known = list(spec.sites)
        raise NotFoundError(
            f"site {site!r:.80} not found", where=name, expected=", ".join(known), hint=near_hint(site, known)
        )
    reason = "site drained by the operator"
    for group in groups:
        ledger.wish(session, name, group.name, site=site, wanted=0, source=OPERATOR, reason=reason, now=now)
    ledger.note(session, name, [FleetNote("drain-site", reason, site)], now)
    return [group.name for group in groups]


def _strand_nobody(session: Session, spec: FleetSpec) -> None:
    left = session.scalars(
        select(Worker.site)
        .where(Worker.fleet == spec.name, Worker.state.in_([state.value for state in LIVING]))
        .where(Worker.site.not_in(list(spec.sites)))
        .distinct()
    ).all()
    if left:
        raise UsageError(
            f"there are still workers at {', '.join(sorted(left))}",
            where=spec.name,
            expected="these sites in `sites`, without groups, until their workers are gone",
        )


def _active(session: Session, name: str) -> Fleet:
    # Concurrent orders run one after the other.
    session.scalars(select(Fleet.name).where(Fleet.name == name).with_for_update()).first()
    fleet = ledger.fleet_named(session, name)
    if fleet.state != ACTIVE:
        raise UsageError(f"the fleet is {fleet.state}", where=name, hint="dynamo-provision apply SPEC.json")
    return fleet
