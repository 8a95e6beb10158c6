"""How partitions were made: arrivals and publications of a series, newest valid time first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.store.models import Arrival, Run, Series


@dataclass(frozen=True)
class Materialisation:
    """One making of a partition: an arrival of a file, or a published run.

    Attributes
    ----------
    standing
        ``current``, or ``superseded`` by a later making of the same partition.
    origin
        What caused it: ``feed``, or ``live``, ``submit``, ``backfill`` for runs.
    name
        The run's id, or the arrival's file name.
    """

    valid_at: datetime | None
    radar: str
    standing: str
    origin: str
    name: str
    made_at: datetime | None
    bytes: int | None


def history_of(
    session: Session, series: Sequence[Series], *, since: datetime | None = None, limit: int
) -> list[Materialisation]:
    """Return the newest makings of several series, by valid time, with those that were superseded."""
    several = [_makings(session, one, since, limit) for one in series]
    merged = heapq.merge(*several, key=lambda item: -item.valid_at.timestamp() if item.valid_at else 0.0)
    return list(islice(merged, limit))


def _makings(session: Session, series: Series, since: datetime | None, limit: int) -> Iterator[Materialisation]:
    if series.kind == "feed":
        accepted = (Arrival.feed == series.name, Arrival.radar == series.radar, Arrival.state == "accepted")
        recent = () if since is None else (Arrival.valid_at >= since,)
        statement = select(Arrival).where(*accepted, *recent, Arrival.valid_at.is_not(None))
        newest = None
        for one in session.scalars(statement.order_by(Arrival.valid_at.desc(), Arrival.id.desc()).limit(limit)):
            standing = "superseded" if one.valid_at == newest else "current"
            newest = one.valid_at
            name = Path(one.path).name
            yield Materialisation(one.valid_at, one.radar, standing, "feed", name, one.recorded_at, one.size)
        return
    runs = (
        Run.workflow == series.name,
        Run.trigger == series.trigger,
        Run.radar == series.radar,
        Run.variant == series.variant,
        Run.standing != "",
        Run.valid_at.is_not(None),
    )
    recent_runs = () if since is None else (Run.valid_at >= since,)
    order = (Run.valid_at.desc(), Run.published_at.desc())
    for run in session.scalars(select(Run).where(*runs, *recent_runs).order_by(*order).limit(limit)):
        yield Materialisation(run.valid_at, run.radar, run.standing, run.origin, run.id, run.published_at, None)
