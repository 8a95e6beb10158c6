"""Arrivals in the store: find the one for a file's current state, and record it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, shown
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival
from dynamo.times import from_epoch, utc_now
from dynamo.watch.quarantined import AGAIN


def arrival_of(session: Session, candidate: Candidate, seen: FileLook) -> Arrival | None:
    """Return the arrival for this state of the file, if stored."""
    return session.scalar(select(Arrival).where(*_is(candidate, seen)))


def first_with(session: Session, feed: str, sha256: str) -> Arrival | None:
    """Return the feed's accepted arrival with this content."""
    return session.scalar(
        select(Arrival).where(Arrival.feed == feed, Arrival.sha256 == sha256, Arrival.state == "accepted")
    )


def record(session: Session, candidate: Candidate, seen: FileLook, **values: Any) -> Arrival | None:
    """Store an arrival with ``state``, ``reason`` and more; replace a bad one for the same state of the file.

    Returns
    -------
    Arrival or None
        None if already stored, unless as a bad one.
    """
    values |= {
        "closed_at": _closed_at(candidate, seen),
        "detected_at": candidate.seen_at,
        "recorded_at": utc_now(),
    }
    new = insert_new(
        session,
        Arrival,
        feed=candidate.feed,
        path=shown(candidate.path),
        size=seen.size,
        mtime_ns=seen.mtime_ns,
        **values,
    )
    arrival = session.scalars(select(Arrival).where(*_is(candidate, seen))).one()
    if not new:
        if arrival.state not in AGAIN:
            return None
        for name, value in {**values, "moved_to": None}.items():
            setattr(arrival, name, value)
        session.flush()
    return arrival


def _is(candidate: Candidate, seen: FileLook) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that select the arrival for this state of the file."""
    return (
        Arrival.feed == candidate.feed,
        Arrival.path == shown(candidate.path),
        Arrival.size == seen.size,
        Arrival.mtime_ns == seen.mtime_ns,
    )


def _closed_at(candidate: Candidate, seen: FileLook) -> datetime:
    """Return when the file's content or name last changed; for a file moved in, the time of the move."""
    return min(from_epoch(seen.changed_s), candidate.seen_at)
