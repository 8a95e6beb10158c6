"""Pausing of triggers: kept in the store, so that it outlives the daemon and reaches one that runs.

A paused trigger goes on judging, and what it remembers stays current; only the runs it would start are not made. Each
is stored as a decision `paused` instead. Nothing is made up for when it resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.runs.ledger import decide
from dynamo.store.inserts import insert_new
from dynamo.store.models import Cursor
from dynamo.times import to_iso

_PREFIX = "paused trigger "


@dataclass(frozen=True)
class Pause:
    """Since when a trigger is paused, and why."""

    since: datetime
    reason: str

    def __str__(self) -> str:
        return f"paused since {to_iso(self.since)}" + (f": {self.reason}" if self.reason else "")


def pauses(session: Session) -> dict[str, Pause]:
    """Return the paused triggers by name."""
    query = select(Cursor).where(Cursor.name.startswith(_PREFIX, autoescape=True))
    found = {cursor.name.removeprefix(_PREFIX): _pause(cursor) for cursor in session.scalars(query)}
    return dict(sorted(found.items()))


def pause_of(session: Session, trigger: str) -> Pause | None:
    """Return the pause of a trigger; None if it runs."""
    cursor = session.get(Cursor, _PREFIX + trigger)
    return None if cursor is None else _pause(cursor)


def pause(session: Session, trigger: str, reason: str, now: datetime) -> bool:
    """Pause a trigger; return whether it was not paused before."""
    new = insert_new(session, Cursor, name=_PREFIX + trigger, data={"reason": reason}, updated_at=now)
    if new:
        decide(session, trigger_subject(trigger), "pause", reason or "requested")
    return new


def resume(session: Session, trigger: str) -> bool:
    """Let a paused trigger start runs again; return whether it was paused."""
    found = session.execute(delete(Cursor).where(Cursor.name == _PREFIX + trigger).returning(Cursor.name)).all()
    if found:
        decide(session, trigger_subject(trigger), "resume", "requested")
    return bool(found)


def trigger_subject(trigger: str) -> str:
    """Return the subject of decisions about a trigger itself."""
    return f"trigger {trigger}"


def _pause(cursor: Cursor) -> Pause:
    return Pause(cursor.updated_at, str(cursor.data.get("reason", "")))
