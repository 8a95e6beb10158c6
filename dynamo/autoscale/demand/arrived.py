"""What feeds have delivered: a light cache of arrivals that queries only new ones and never opens a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import PurePath
from statistics import median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.inspection.facts import InputFacts, facts_from_json
from dynamo.store.models import Arrival
from dynamo.times import ahead_of
from dynamo.triggers.outlook.cadence import Cadence, learn_cadence
from dynamo.triggers.outlook.streams import Arrived, Stream

#: Arrivals to remember of each feed, and of each radar.
_KEPT = 4000
_KEPT_EACH = 40
#: Data and clock count as equally fast if they differ by less than this.
_SAME_PACE = 0.1


#: Which files of a feed count, by feed and name.
Takes = Callable[[str, PurePath], bool]


@dataclass
class _Feed:
    rows: list[Arrived] = field(default_factory=list)
    last_id: int = 0


class ArrivalMemory:
    """The arrivals of feeds, remembered between queries."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = defaultdict(_Feed)
        self._facts: dict[int, InputFacts] = {}
        self._streams: dict[tuple[str, str], tuple[int, list[Stream]]] = {}

    def refresh(self, session: Session, feed: str) -> None:
        """Load what is new in a feed."""
        known = self._feeds[feed]
        closed = func.coalesce(Arrival.closed_at, Arrival.detected_at)
        found = session.execute(
            select(
                Arrival.id,
                Arrival.path,
                closed,
                Arrival.detected_at,
                Arrival.valid_at,
                Arrival.facts["radar"].as_string(),
            )
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
            for id_, path, time, detected_at, valid_at, radar in reversed(found)
            # No trigger takes files from a clock that is ahead, and they would stay the newest for good.
            if not ahead_of(valid_at, detected_at)
        ]
        del known.rows[:-_KEPT]

    def came_between(self, feed: str, begin: datetime, end: datetime) -> bool:
        """Whether any file of a feed was closed in ``[begin, end)``."""
        return any(begin <= row.time < end for row in reversed(self._feeds[feed].rows))

    def newest(self, feed: str) -> Arrived | None:
        """Return the newest arrival of a feed by valid time."""
        rows = self._feeds[feed].rows
        return max(rows, key=lambda row: (row.valid_at, row.id)) if rows else None

    def streams(self, feed: str, takes: Takes | None = None, *, known_as: str = "") -> list[Stream]:
        """Return the streams of a feed, one per radar.

        Parameters
        ----------
        feed
            The feed.
        takes
            Selects files; None for all.
        known_as
            A cache key for ``takes``; the answer is kept until the feed delivers something new.
        """
        known = self._streams.get((feed, known_as))
        if known is None or known[0] != self._feeds[feed].last_id:
            known = (self._feeds[feed].last_id, self._find_streams(feed, takes))
            self._streams[feed, known_as] = known
        return known[1]

    def _find_streams(self, feed: str, takes: Takes | None) -> list[Stream]:
        by_radar: dict[str, list[Arrived]] = defaultdict(list)
        for row in self._feeds[feed].rows:
            if takes is None or takes(feed, row.name):
                by_radar[row.radar].append(row)
        streams = []
        for radar, rows in by_radar.items():
            recent = rows[-_KEPT_EACH:]
            newest = max(recent, key=lambda row: (row.valid_at, row.id))
            cadence = learn_cadence([row.time for row in recent])
            streams.append(Stream(radar, newest, cadence, _pace(recent)))
        return _like_the_others(streams)

    def facts(self, session: Session, ids: Sequence[int]) -> dict[int, InputFacts]:
        """Return the facts of arrivals that determine their work; unknown ones are left out."""
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
    """Give streams too young to have a rhythm the usual one of their feed."""
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
    """Return how many times faster than the clock the data advance."""
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
