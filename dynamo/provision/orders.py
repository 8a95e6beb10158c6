"""Operators' orders to a fleet, shared by the command line and the API: draining, ending, extending leases.

Orders are stored; the process that manages the fleet carries them out. Only leases are extended at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.documents.problems import near_hint
from dynamo.errors import BusyError, InputError, NotFoundError, UsageError
from dynamo.provision import ledger
from dynamo.provision.deciding.lifecycle import SERVING
from dynamo.provision.fleets import OPERATOR, drain_site, drain_worker, set_fleet_state, stored_spec
from dynamo.provision.keeping.opening import open_sites
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.base import SiteDriver
from dynamo.provision.sites.errors import SiteError
from dynamo.provision.sites.extras import LeasingSite
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.states import ACTIVE, ENDING, ENDING_NOW, FORGETTING
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet, FleetEvent, FleetWish, Worker
from dynamo.times import to_iso, utc_now

_AT_ONCE = 8


@dataclass(frozen=True)
class Drained:
    """What is being drained: one worker, or a site with all its groups.

    Attributes
    ----------
    workers
        Each affected worker and its current state.
    """

    target: str
    site: bool
    groups: tuple[str, ...]
    workers: dict[str, str]


@dataclass(frozen=True)
class Prolonged:
    """The lease of one worker, or of a group in the spec (``worker`` is then empty).

    ``until`` is its current end; ``error`` is why it was not extended, empty if it was.
    """

    group: str
    site: str
    worker: str
    until: str | None
    error: str = ""


def refuse_ended_leases(spec: FleetSpec, now: datetime) -> None:
    """Refuse a spec in which a group's lease ends before it could start.

    Raises
    ------
    InputError
        If so; it names all such groups.
    """
    ends = {group.name: group.lease(now)[1] for group in spec.compute}
    over = [f"{name} at {to_iso(end)}" for name, end in ends.items() if end is not None and end <= now]
    if over:
        raise InputError(
            f"the lease ended: {', '.join(over)}", where=f"{spec.name}: leaseEnd", expected="a future time, or e.g. +1d"
        )


def refuse_superseded(store: Store, spec: FleetSpec) -> None:
    """Refuse to judge a fleet by ``spec`` if another spec was applied in the meantime.

    Raises
    ------
    BusyError
        If so.
    """
    with store.reading() as session:
        document = ledger.fleet_named(session, spec.name).document
    if document != spec.to_json():
        raise BusyError("another spec was applied in the meantime", where=spec.name, hint="dynamo-provision status")


def refuse_other_number(store: Store, name: str, group: str, wanted: int) -> None:
    """Refuse to wait for a number of workers if a later order changed or undid it.

    Raises
    ------
    BusyError
        If so; waiting for the earlier number would never end.
    """
    with store.reading() as session:
        now_wanted = session.scalar(
            select(FleetWish.wanted).where(
                FleetWish.fleet == name, FleetWish.group == group, FleetWish.source == OPERATOR
            )
        )
    if now_wanted != wanted:
        later = "the order was undone" if now_wanted is None else f"{now_wanted} workers were ordered"
        raise BusyError(f"{later} in the meantime", where=f"{name}: {group}", hint="dynamo-provision events")


def drain(session: Session, name: str, target: str, now: datetime, *, deadline_s: float | None = None) -> Drained:
    """Drain a worker, or all workers of a site, which then gets no new ones.

    Parameters
    ----------
    target
        A worker or a site.
    deadline_s
        Time limit for jobs to finish; by default the spec's ``policy.drain_deadline_s``. If given, all workers of a
        site start draining at once, else a share of the fleet per cycle.

    Raises
    ------
    NotFoundError
        If the fleet has neither a living worker nor a site of that name.
    """
    spec = stored_spec(ledger.fleet_named(session, name))
    deadline = now + timedelta(seconds=spec.policy.drain_deadline_s if deadline_s is None else deadline_s)
    if target not in spec.sites:
        state = drain_worker(session, name, target, deadline, now)
        return Drained(target, False, (), {target: state})
    groups = tuple(drain_site(session, name, target, now))
    rows = session.execute(
        select(Worker.name, Worker.state)
        .where(Worker.fleet == name, Worker.site == target, Worker.state.in_([state.value for state in SERVING]))
        .order_by(Worker.id)
    ).all()
    states = {row.name: row.state for row in rows}
    if deadline_s is not None:
        # Otherwise the fleet's loop chooses them, a share of the fleet at a time.
        states = {worker: drain_worker(session, name, worker, deadline, now) for worker in states}
    return Drained(target, True, groups, states)


def end_fleet(session: Session, name: str, now: datetime, *, at_once: bool = False, forget: bool = False) -> Fleet:
    """End a fleet: its workers finish their jobs first, or are removed at once.

    Ending can be sped up, but not slowed down. With ``forget``, sites that cannot be asked any more are given up.
    """
    fleet = ledger.fleet_named(session, name)
    order = (ACTIVE, ENDING, ENDING_NOW, FORGETTING)
    wanted = FORGETTING if forget else ENDING_NOW if at_once else ENDING
    if fleet.state in order and order.index(fleet.state) >= order.index(wanted):
        return fleet
    return set_fleet_state(session, name, wanted, now)


def forgotten_since(store: Store, name: str, since: datetime) -> list[FleetEvent]:
    """Return the events that tell what was not looked at when a fleet ended by force."""
    with store.reading() as session:
        found = ledger.events(session, name, action="forgot", limit=1000)
    return [event for event in found if event.time >= since]


def extend_leases(
    store: Store, name: str, target: str, *, until: datetime | None = None, by: timedelta | None = None
) -> list[Prolonged]:
    """Extend the leases of a worker, a group or a site, at the sites and in the spec.

    If the spec ends a group's lease, that end moves along; otherwise its workers would still be drained then.

    Parameters
    ----------
    target
        A worker, group or site.
    until, by
        The new end; or how much later than the current end.

    Raises
    ------
    NotFoundError
        If the fleet has no such worker, group or site.
    UsageError
        If neither the site nor the spec sets an end for the workers, or the new end is not in the future.
    """
    now = utc_now()
    if (until is None) == (by is None):
        raise UsageError("a new end is required", expected="either a time or a duration")
    if (until is not None and until <= now) or (by is not None and by <= timedelta()):
        raise UsageError("a lease can only be extended", expected="a future time")
    with store.reading() as session:
        fleet = ledger.fleet_named(session, name)
        rows = ledger.living_workers(session, name)
    if fleet.state != ACTIVE:
        raise UsageError(f"the fleet is {fleet.state}", where=name, expected="an active one")
    spec = stored_spec(fleet)
    workers = [row for row in rows if target in (row.name, row.group, row.site) and row.server_id]
    groups = [group for group in spec.compute if target in (group.name, group.site)]
    groups = groups or [group for group in spec.compute if group.name in {row.group for row in workers}]
    if not groups:
        known = [*spec.sites, *(group.name for group in spec.compute), *(row.name for row in rows)]
        raise NotFoundError(
            f"worker, group or site {target!r:.80} not found",
            where=name,
            expected=", ".join(known[:20]),
            hint=near_hint(target, known),
        )
    sites = {group.site for group in groups}
    narrow = spec.model_copy(update={"sites": {site: spec.sites[site] for site in spec.sites if site in sites}})
    drivers = open_sites(narrow, Path(fleet.base))
    try:
        leased = [row for row in workers if isinstance(drivers[row.site], LeasingSite)]
        ending = [group.name for group in groups if group.lease_end is not None]
        if not leased and not ending:
            raise UsageError("its workers have no lease", where=target, expected="a site with leases, e.g. Chameleon")
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            done = list(threads.map(lambda row: _extend(drivers[row.site], row, until, by, now), leased))
    finally:
        for driver in drivers.values():
            driver.close()
    with store.transaction() as session:
        return [*_store_workers(session, name, leased, done, now), *_store_spec(session, name, ending, until, by, now)]


def _extend(
    site: SiteDriver, row: Any, until: datetime | None, by: timedelta | None, now: datetime
) -> datetime | SiteError:
    end = until or max(now, row.lease_end or now) + (by or timedelta())
    if not isinstance(site, LeasingSite):
        raise TypeError("only leases can be extended")
    try:
        return site.extend(row.server_id, end)
    except SiteError as error:
        return error


def _store_workers(
    session: Session, name: str, rows: Sequence[Any], done: Sequence[datetime | SiteError], now: datetime
) -> list[Prolonged]:
    orders = []
    for row, result in zip(rows, done, strict=True):
        if isinstance(result, SiteError):
            ledger.note(session, name, [FleetNote("extend-refused", str(result), row.site, row.name)], now)
            orders.append(Prolonged(row.group, row.site, row.name, _iso(row.lease_end), str(result)))
            continue
        ledger.set_worker(session, row.id, lease_end=result)
        reason = f"lease extended to {to_iso(result)} by the operator"
        ledger.note(session, name, [FleetNote("extend", reason, row.site, row.name)], now)
        orders.append(Prolonged(row.group, row.site, row.name, to_iso(result)))
    return orders


def _store_spec(
    session: Session, name: str, groups: Sequence[str], until: datetime | None, by: timedelta | None, now: datetime
) -> list[Prolonged]:
    fleet = session.get(Fleet, name, with_for_update=True)
    if fleet is None or not groups:
        return []
    orders, compute = [], []
    for group in stored_spec(fleet).compute:
        part = next(part for part in fleet.spec["compute"] if part["name"] == group.name)
        end = group.lease(fleet.applied_at)[1]
        if group.name in groups and end is not None:
            later = max(end, until or max(now, end) + (by or timedelta()))
            part = {**part, "leaseEnd": to_iso(later)}
            reason = f"lease of {group.name} extended to {to_iso(later)} by the operator"
            ledger.note(session, name, [FleetNote("extend", reason, group.site, data={"group": group.name})], now)
            orders.append(Prolonged(group.name, group.site, "", to_iso(later)))
        compute.append(part)
    fleet.spec, fleet.updated_at = {**fleet.spec, "compute": compute}, now
    return orders


def serving(session: Session, name: str) -> dict[str, int]:
    """Return how many workers of each group serve or are starting; empty if the fleet does not exist."""
    states = [state.value for state in SERVING]
    rows = session.execute(
        select(Worker.group, func.count()).where(Worker.fleet == name, Worker.state.in_(states)).group_by(Worker.group)
    )
    return {row[0]: row[1] for row in rows}


def drain_deadline_s(store: Store, name: str) -> float:
    """Return how long jobs may run on when a worker of the fleet is drained, in seconds."""
    with store.reading() as session:
        return stored_spec(ledger.fleet_named(session, name)).policy.drain_deadline_s


def _iso(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)
