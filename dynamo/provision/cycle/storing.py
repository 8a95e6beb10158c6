"""Store what a cycle found and decided, before acting on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from dynamo.provision import ledger
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.live import Live, Move
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.runner import SiteRunner

#: A worker's last-seen time is stored this often, or four times within the time after which it counts as missing; the
#: store need not be exact to the second.
_SEEN_STEP = timedelta(seconds=20)


def store_moves(session: Session, fleet: str, moves: Iterable[Move], notes: Iterable[FleetNote], now: datetime) -> None:
    """Store state changes, each with its event, and further events."""
    told = list(notes)
    for item in moves:
        row = item.live.row
        if ledger.move_worker(session, row.id, item.to, item.reason, now, **item.values):
            told.append(FleetNote(item.action, item.reason, row.site, row.name, item.data))
    ledger.note(session, fleet, told, now)


def store_sights(session: Session, lives: Sequence[Live], missing_s: float, now: datetime) -> None:
    """Store when the pool last showed each worker, and how busy it is, if that has changed."""
    step = min(_SEEN_STEP, timedelta(seconds=missing_s / 4))
    changed: list[dict[str, Any]] = []
    for live in lives:
        slots, row = live.sight.slots, live.row
        if slots is None:
            continue
        jobs = len(slots.jobs)
        stale = row.seen_at is None or now - row.seen_at >= step
        if stale or row.busy_cpus != slots.busy_cpus or row.jobs != jobs:
            changed.append({"id": row.id, "seen_at": now, "busy_cpus": slots.busy_cpus, "jobs": jobs})
    ledger.set_many(session, ("seen_at", "busy_cpus", "jobs"), changed)


def store_health(
    session: Session, fleet: str, health: HealthBook, runners: Mapping[str, SiteRunner], now: datetime
) -> None:
    """Store which sites gained or lost trust, and why."""
    changed, told = health.take_changes()
    for site, trust in changed.items():
        runner = runners.get(site)
        listed = runner.listing.began_at if runner is not None and runner.listing is not None else None
        ledger.store_health(session, fleet, site, trust, listed)
    ledger.note(session, fleet, told, now)
