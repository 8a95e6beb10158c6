"""Fleets and workers in the store; the only module that writes them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Row, Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from dynamo.documents.problems import near_hint
from dynamo.errors import NotFoundError
from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.deciding.lifecycle import FINAL, LIVING, WorkerState, sources
from dynamo.provision.notes import FleetNote
from dynamo.store.fleets import Fleet, FleetEvent, FleetWish, SiteHealth, Worker
from dynamo.times import utc_now

_WORKERS = cast("Table", Worker.__table__)
_EVENTS = cast("Table", FleetEvent.__table__)
#: Holds are repeated within this time; older ones no longer apply.
LOOK_BACK = timedelta(hours=1)


def fleet_named(session: Session, name: str) -> Fleet:
    """Return a fleet.

    Raises
    ------
    NotFoundError
        If there is no fleet of that name.
    """
    fleet = session.get(Fleet, name)
    if fleet is None:
        known = session.scalars(select(Fleet.name).order_by(Fleet.name)).all()
        raise NotFoundError(
            f"fleet {name!r:.70} not found",
            expected=", ".join(known) or None,
            hint=near_hint(name, known) or "dynamo-provision apply SPEC.json",
        )
    return fleet


def new_fleet_id() -> str:
    """Return a new id, under which no servers can exist yet."""
    return secrets.token_hex(6)


def living_workers(session: Session, fleet: str) -> list[Row[Any]]:
    """Return the living workers of a fleet as plain rows, oldest first."""
    return list(
        session.execute(
            select(_WORKERS)
            .where(_WORKERS.c.fleet == fleet, _WORKERS.c.state.in_([state.value for state in LIVING]))
            .order_by(_WORKERS.c.id)
        )
    )


def workers_named(session: Session, fleet: str, names: Collection[str]) -> dict[str, Row[Any]]:
    """Return the workers with these names, including ended ones."""
    if not names:
        return {}
    rows = session.execute(select(_WORKERS).where(_WORKERS.c.fleet == fleet, _WORKERS.c.name.in_(list(names))))
    return {row.name: row for row in rows}


def recent_workers(session: Session, fleet: str, since: datetime) -> Sequence[Worker]:
    """Return the workers of a fleet that are living or ended after ``since``, oldest first."""
    return session.scalars(
        select(Worker)
        .where(Worker.fleet == fleet, (Worker.state.not_in([s.value for s in FINAL])) | (Worker.ended_at >= since))
        .order_by(Worker.id)
    ).all()


def add_workers(session: Session, fleet: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store new workers, before any site is asked to create them."""
    now = utc_now()
    defaults = {
        "fleet": fleet,
        "state": WorkerState.REQUESTED.value,
        "since": now,
        "server_id": "",
        "attempts": 0,
        "attempted_at": None,
        "unsure": False,
        "addresses": [],
        "requested_at": now,
        "started_at": None,
        "active_at": None,
        "ready_at": None,
        "seen_at": None,
        "busy_cpus": 0,
        "jobs": 0,
        "drain_at": None,
        "drain_deadline": None,
        "drained_by": "",
        "lease_end": None,
        "ended_at": None,
        "jobs_killed": 0,
        "revoked": False,
        "billed_until": None,
    }
    complete = [{**defaults, **row} for row in rows]
    if complete:
        session.execute(insert(_WORKERS), complete)


def take_numbers(session: Session, fleet: str, count: int) -> int:
    """Reserve ``count`` worker numbers, never to be reused; return the first."""
    row = session.scalars(select(Fleet).where(Fleet.name == fleet).with_for_update()).one()
    first = row.next_number
    row.next_number = first + count
    session.flush()
    return first


def skip_numbers(session: Session, fleet: str, used: int) -> None:
    """Give new workers only numbers above ``used``: a restored store may not know of them."""
    row = session.scalars(select(Fleet).where(Fleet.name == fleet).with_for_update()).one()
    row.next_number = max(row.next_number, used + 1)
    session.flush()


def move_worker(session: Session, worker_id: int, to: WorkerState, reason: str, now: datetime, **values: Any) -> bool:
    """Move a worker to a state if its current state allows it; return whether it was moved."""
    if to in FINAL:
        values = {"ended_at": now, **values}
    statement = (
        update(_WORKERS)
        .where(_WORKERS.c.id == worker_id, _WORKERS.c.state.in_([state.value for state in sources(to)]))
        .values(state=to.value, reason=reason, since=now, **values)
    )
    return _count(session.execute(statement)) == 1


def set_worker(session: Session, worker_id: int, **values: Any) -> None:
    """Set columns of a worker unrelated to its state."""
    session.execute(update(_WORKERS).where(_WORKERS.c.id == worker_id).values(**values))


def set_many(session: Session, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the same columns of many workers; each row includes the worker's ``id``."""
    if not rows:
        return
    statement = (
        update(_WORKERS)
        .where(_WORKERS.c.id == bindparam("_id"))
        .values({name: bindparam(f"_{name}") for name in columns})
    )
    session.connection().execute(
        statement, [{"_id": row["id"], **{f"_{name}": row[name] for name in columns}} for row in rows]
    )


def note(session: Session, fleet: str, notes: Iterable[FleetNote], now: datetime) -> None:
    """Store events."""
    rows = [
        {
            "time": now,
            "fleet": fleet,
            "site": item.site,
            "worker": item.worker,
            "action": item.action,
            "reason": item.reason,
            "data": dict(item.data or {}),
        }
        for item in notes
    ]
    if rows:
        session.execute(insert(_EVENTS), rows)


def events(
    session: Session,
    fleet: str,
    *,
    about: str = "",
    after_id: int = 0,
    limit: int = 100,
    action: str = "",
    since: datetime | None = None,
) -> list[FleetEvent]:
    """Return the newest events of a fleet, in order of time; ``about`` is a worker or a site."""
    conditions: list[ColumnElement[bool]] = [FleetEvent.fleet == fleet, FleetEvent.id > after_id]
    if about:
        conditions.append((FleetEvent.worker == about) | (FleetEvent.site == about))
    if action:
        conditions.append(FleetEvent.action == action)
    if since is not None:
        conditions.append(FleetEvent.time > since)
    newest = session.scalars(select(FleetEvent).where(*conditions).order_by(FleetEvent.id.desc()).limit(limit)).all()
    return list(reversed(newest))


def open_holds(session: Session, fleet: str, now: datetime) -> dict[str, str]:
    """Return current holds by subject; lasting ones are repeated within `LOOK_BACK`."""
    rows = session.scalars(
        select(FleetEvent)
        .where(FleetEvent.fleet == fleet, FleetEvent.action.in_(("hold", "released-hold")))
        .where(FleetEvent.time > now - LOOK_BACK)
        .order_by(FleetEvent.id)
    )
    last = {str(row.data.get("about", "")): row for row in rows}
    return {about: row.reason for about, row in last.items() if row.action == "hold"}


def wishes(session: Session, fleet: str) -> dict[str, FleetWish]:
    """Return what is requested of each group."""
    return {wish.group: wish for wish in session.scalars(select(FleetWish).where(FleetWish.fleet == fleet))}


def wish(
    session: Session, fleet: str, group: str, *, site: str, wanted: int, source: str, reason: str, now: datetime
) -> None:
    """Store how many workers a group should have; ``source`` is ``spec``, ``operator`` or ``autoscaler``."""
    found = session.get(FleetWish, (fleet, group))
    if found is None:
        found = FleetWish(fleet=fleet, group=group)
        session.add(found)
    found.site, found.wanted, found.source, found.reason, found.updated_at = site, wanted, source, reason, now


def site_health(session: Session, fleet: str) -> dict[str, SiteTrust]:
    """Return the health of a fleet's sites."""
    rows = session.scalars(select(SiteHealth).where(SiteHealth.fleet == fleet))
    return {row.site: SiteTrust(row.failures, row.retry_at, row.kind, row.error) for row in rows}


def forget_health(session: Session, fleet: str) -> None:
    """Forget the failures of a fleet's sites."""
    session.execute(delete(SiteHealth).where(SiteHealth.fleet == fleet))


def store_health(session: Session, fleet: str, site: str, health: SiteTrust, listed_at: datetime | None) -> None:
    """Store a site's health."""
    session.merge(
        SiteHealth(
            fleet=fleet,
            site=site,
            failures=health.failures,
            retry_at=health.retry_at,
            kind=health.kind,
            error=health.error,
            listed_at=listed_at,
            updated_at=utc_now(),
        )
    )


def _count(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
