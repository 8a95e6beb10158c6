"""What a trigger may query while it decides, and what it remembers, all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Cursor, Run, RunDecision
from dynamo.times import CLOCK_TOLERANCE

T = TypeVar("T")

#: Most values in one query.
_CHUNK = 500
#: Most files from a clock that is ahead to name in a decision.
_MOST_AHEAD = 10


@dataclass(frozen=True)
class TriggerNote:
    """What a trigger remembers under one key, and when it was kept; None if never."""

    data: Mapping[str, Any]
    at: datetime | None


class Book:
    """The book of one trigger, open for one decision.

    Parameters
    ----------
    session
        A transaction.
    kind, name
        The trigger's.
    now
        The caller's clock.
    """

    def __init__(self, session: Session, kind: str, name: str, now: datetime) -> None:
        self.name = name
        self.now = now
        self._session = session
        self._prefix = prefix_of(kind, name)
        self._kept: dict[str, tuple[dict[str, Any], datetime]] = {}

    def recall(self, key: str = "") -> TriggerNote:
        """Return what was kept; lock it until the transaction ends."""
        name = f"{self._prefix} {key}".rstrip()
        query = select(Cursor).where(Cursor.name == name).with_for_update()
        cursor = self._session.scalar(query)
        if cursor is None:
            if insert_new(self._session, Cursor, name=name, data={}, updated_at=self.now):
                return TriggerNote({}, None)
            cursor = self._session.scalars(query).one()
        return TriggerNote(cursor.data, cursor.updated_at)

    def keep(self, data: Mapping[str, Any], *, key: str = "", at: datetime | None = None) -> None:
        """Keep JSON data, as of a time, replacing what was kept; raise `TypeError` if it is not JSON."""
        orjson.dumps(data)
        self._kept[f"{self._prefix} {key}".rstrip()] = (dict(data), at or self.now)

    def newest(self, feed: str) -> Arrival | None:
        """Return a feed's accepted arrival with the latest valid time; those of `ahead` do not count."""
        return self._session.scalar(
            select(Arrival)
            .where(Arrival.feed == feed, Arrival.state == "accepted", Arrival.valid_at <= self.now + CLOCK_TOLERANCE)
            .order_by(Arrival.valid_at.desc())
            .limit(1)
        )

    def ahead(self, feed: str) -> Sequence[str]:
        """Return the paths of a feed's accepted arrivals from a clock that is ahead, a few at most."""
        return self._session.scalars(
            select(Arrival.path)
            .where(Arrival.feed == feed, Arrival.state == "accepted", Arrival.valid_at > self.now + CLOCK_TOLERANCE)
            .order_by(Arrival.id.desc())
            .limit(_MOST_AHEAD)
        ).all()

    def arrivals(self, feed: str, since: datetime) -> Sequence[Arrival]:
        """Return a feed's accepted arrivals detected since a time, in order."""
        return self._session.scalars(
            select(Arrival)
            .where(Arrival.feed == feed, Arrival.state == "accepted", Arrival.detected_at >= since)
            .order_by(Arrival.id)
        ).all()

    def valid_in(self, feed: str, since: datetime, until: datetime) -> Sequence[Arrival]:
        """Return a feed's accepted arrivals valid from ``since`` to before ``until``, in order."""
        return self._session.scalars(
            select(Arrival)
            .where(
                Arrival.feed == feed, Arrival.state == "accepted", Arrival.valid_at >= since, Arrival.valid_at < until
            )
            .order_by(Arrival.valid_at, Arrival.id)
        ).all()

    def run_states(self, arrivals: Iterable[int], workflow: str | None = None) -> dict[int, str]:
        """Return the state of each arrival's newest run, if any, of one workflow or of any."""
        states: dict[int, str] = {}
        for ids in _chunks(arrivals):
            query = select(Run.arrival_id, Run.state).where(Run.arrival_id.in_(ids)).order_by(Run.created_at)
            if workflow is not None:
                query = query.where(Run.workflow == workflow)
            states.update((number, state) for number, state in self._session.execute(query) if number is not None)
        return states

    def decisions(self, subjects: Iterable[str]) -> Iterator[RunDecision]:
        """Yield every decision on these subjects."""
        for some in _chunks(subjects):
            yield from self._session.scalars(select(RunDecision).where(RunDecision.subject.in_(some)))

    def write(self) -> None:
        """Write what was kept to the transaction; until then the store is untouched."""
        for name, (data, at) in self._kept.items():
            if not insert_new(self._session, Cursor, name=name, data=data, updated_at=at):
                cursor = self._session.get_one(Cursor, name)
                cursor.data, cursor.updated_at = data, at
        self._kept.clear()


def prefix_of(kind: str, name: str) -> str:
    """Return the prefix of the names of a trigger's notes."""
    return f"{kind} {name}"


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
