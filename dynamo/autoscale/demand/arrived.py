"""What feeds have brought: a light memory of arrivals that asks the store for new ones only and never opens a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import PurePath
from statistics import median
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.autoscale.demand.cadence import Cadence, learn_cadence
from dynamo.inspection.facts import InputFacts, facts_from_json
from dynamo.store.models import Arrival

#: So many arrivals of each feed are remembered, and so many of each radar.
_KEPT = 4000
_KEPT_EACH = 40
#: Data and clock go at the same pace where they differ by less.
_SAME_PACE = 0.1


@dataclass(frozen=True)
class Arrived:
    """One arrival: when its file was closed and valid, and the radar that it is of (empty for none)."""

    id: int
    name: PurePath
    time: datetime
    valid_at: datetime
    radar: str


@dataclass(frozen=True)
class Stream:
    """The files of one radar, or of none, as they come.

    Attributes
    ----------
    newest
        The newest of them.
    cadence
        None where they are too few to tell.
    pace
        How fast their valid times go by, against the clock: 1 in life, more in a replay.
    """

    radar: str
    newest: Arrived
    cadence: Cadence | None
    pace: float = 1.0

    def data_time(self, time: datetime) -> datetime:
        """Return the valid time of a file that is closed at a time."""
        return self.newest.valid_at + (time - self.newest.time) * self.pace

    def minutes_to(self, time: datetime) -> float:
        """Return by how many minutes of data a file that is closed at a time is later than the newest one."""
        return (self.data_time(time) - self.newest.valid_at).total_seconds() / 60.0


class Concerned(Hashable, Protocol):
    """A trigger that takes some files of a feed."""

    def concerns(self, feed: str, path: PurePath) -> bool:
        """Whether it has to do with this file."""
        ...


@dataclass
class _Feed:
    rows: list[Arrived] = field(default_factory=list)
    last_id: int = 0


class ArrivalMemory:
    """The arrivals of feeds, remembered between looks."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = defaultdict(_Feed)
        self._facts: dict[int, InputFacts] = {}
        self._streams: dict[tuple[str, Concerned | None], tuple[int, list[Stream]]] = {}

    def refresh(self, session: Session, feed: str) -> None:
        """Ask for what is new in a feed."""
        known = self._feeds[feed]
        closed = func.coalesce(Arrival.closed_at, Arrival.detected_at)
        found = session.execute(
            select(Arrival.id, Arrival.path, closed, Arrival.valid_at, Arrival.facts["radar"].as_string())
            .where(
                Arrival.feed == feed,
                Arrival.state == "accepted",
                Arrival.id > known.last_id,
                Arrival.valid_at.is_not(None),
            )
            .order_by(Arrival.id.desc())
            .limit(_KEPT)
        ).all()
        if not found:
            return
        known.last_id = found[0][0]
        known.rows += [
            Arrived(id_, PurePath(path), _aware(time), valid_at, radar or "")
            for id_, path, time, valid_at, radar in reversed(found)
        ]
        del known.rows[:-_KEPT]

    def came_between(self, feed: str, begin: datetime, end: datetime) -> bool:
        """Whether any file of a feed was closed then."""
        return any(begin <= row.time < end for row in reversed(self._feeds[feed].rows))

    def newest(self, feed: str) -> Arrived | None:
        """Return the newest arrival of a feed by its valid time."""
        rows = self._feeds[feed].rows
        return max(rows, key=lambda row: (row.valid_at, row.id)) if rows else None

    def streams(self, feed: str, trigger: Concerned | None = None) -> list[Stream]:
        """Return the streams of a feed, one for each radar; only of the files that a trigger takes."""
        known = self._streams.get((feed, trigger))
        if known is None or known[0] != self._feeds[feed].last_id:
            known = (self._feeds[feed].last_id, self._find_streams(feed, trigger))
            self._streams[feed, trigger] = known
        return known[1]

    def _find_streams(self, feed: str, trigger: Concerned | None) -> list[Stream]:
        by_radar: dict[str, list[Arrived]] = defaultdict(list)
        for row in self._feeds[feed].rows:
            if trigger is None or trigger.concerns(feed, row.name):
                by_radar[row.radar].append(row)
        streams = []
        for radar, rows in by_radar.items():
            recent = rows[-_KEPT_EACH:]
            newest = max(recent, key=lambda row: (row.valid_at, row.id))
            cadence = learn_cadence([row.time for row in recent])
            streams.append(Stream(radar, newest, cadence, _pace(recent)))
        return _like_the_others(streams)

    def facts(self, session: Session, ids: Sequence[int]) -> dict[int, InputFacts]:
        """Return what the arrivals say of the work that they cause; those of which nothing is known are left out."""
        missing = [id_ for id_ in ids if id_ not in self._facts]
        if len(self._facts) > _KEPT:
            self._facts = {}
            missing = list(ids)
        for begin in range(0, len(missing), 500):
            part = missing[begin : begin + 500]
            for id_, data in session.execute(select(Arrival.id, Arrival.facts).where(Arrival.id.in_(part))):
                if data is not None:
                    self._facts[id_] = facts_from_json(data)
        return {id_: self._facts[id_] for id_ in ids if id_ in self._facts}


def _like_the_others(streams: list[Stream]) -> list[Stream]:
    """Give streams that are too young to have a rhythm the usual one of their feed."""
    known = [stream.cadence for stream in streams if stream.cadence is not None]
    if not known:
        return streams
    interval, longest = median(one.interval_s for one in known), median(one.longest_s for one in known)
    return [
        stream
        if stream.cadence is not None
        else Stream(stream.radar, stream.newest, Cadence(interval, longest, stream.newest.time), stream.pace)
        for stream in streams
    ]


def _pace(rows: Sequence[Arrived]) -> float:
    """Return by how much the data go faster than the clock."""
    steps = [
        ((later.valid_at - earlier.valid_at).total_seconds(), (later.time - earlier.time).total_seconds())
        for earlier, later in pairwise(rows)
    ]
    ratios = [data / clock for data, clock in steps if data > 0 and clock > 0]
    if len(ratios) < len(steps) / 2 or not ratios:
        return 1.0
    pace = median(ratios)
    return 1.0 if abs(pace - 1.0) <= _SAME_PACE else pace


def _aware(time: Any) -> datetime:
    found: datetime = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
