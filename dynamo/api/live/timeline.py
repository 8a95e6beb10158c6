"""Runs by workflow and workers by site, counted in parts of a range."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, case, cast, extract, func, or_, select
from sqlalchemy.orm import Session

from dynamo.api.live.models import Timeline, TimelineBucket, WorkerBucket
from dynamo.errors import InputError
from dynamo.runs.states import FINAL
from dynamo.store.fleets import Worker
from dynamo.store.models import Run
from dynamo.times import from_epoch

_MOST_BUCKETS = 300
_WIDTHS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
#: Durations are read to a tenth of a second, longer ones to a second: so few rows leave the database.
_EXACT_S = 20


def read_timeline(session: Session, since: datetime, until: datetime) -> Timeline:
    """Return the counts of a range in at most 300 buckets of a round length.

    Raises
    ------
    InputError
        If the range ends before it begins, or is too long.
    """
    if until <= since:
        raise InputError("the range ends before it begins", where="since", expected="a time before `until`")
    length_s = (until - since).total_seconds()
    # The first and the last bucket may be in the range only in part.
    width = next((width for width in _WIDTHS_S if length_s / width <= _MOST_BUCKETS - 1), None)
    if width is None:
        raise InputError("too long a range", where="since", expected="at most 24 years")
    return Timeline(
        since=since,
        until=until,
        bucket_s=width,
        runs=_runs(session, since, until, width),
        workers=_workers(session, since, until, width),
    )


def _runs(session: Session, since: datetime, until: datetime, width: int) -> list[TimelineBucket]:
    sqlite = session.get_bind().dialect.name == "sqlite"
    end = func.coalesce(Run.published_at, Run.finished_at, Run.updated_at)
    # Julian days are exact to some 10 microseconds.
    lasted: ColumnElement[Any] = (
        (func.julianday(end) - func.julianday(Run.created_at)) * 86_400.0
        if sqlite
        else cast(extract("epoch", end) - extract("epoch", Run.created_at), Float)
    )
    made = cast(func.strftime("%s", Run.created_at), Integer) if sqlite else extract("epoch", Run.created_at)
    bucket = cast(func.floor(made / width), Integer) if not sqlite else made / width
    tenths = cast(func.round(lasted * 10), Integer)
    rough = case(
        (Run.state.not_in(FINAL), None), (lasted < _EXACT_S, tenths), else_=cast(func.round(lasted), Integer) * 10
    )
    part = select(bucket.label("bucket"), Run.workflow, Run.state, rough.label("tenths")).where(
        Run.created_at >= since, Run.created_at < until
    )
    inner = part.subquery()
    columns = (inner.c.bucket, inner.c.workflow, inner.c.state, inner.c.tenths)
    durations: dict[tuple[int, str, str], Counter[float]] = defaultdict(Counter)
    for place, workflow, state, lasted_tenths, count in session.execute(
        select(*columns, func.count()).group_by(*columns)
    ):
        key = (int(place), workflow, state)
        durations[key][-1.0 if lasted_tenths is None else max(0, lasted_tenths) / 10] += count
    return [
        TimelineBucket(
            at=from_epoch(place * width),
            workflow=workflow,
            state=state,
            count=found.total(),
            p50_s=_quantile(found, 0.5),
            p95_s=_quantile(found, 0.95),
        )
        for (place, workflow, state), found in sorted(durations.items())
    ]


def _quantile(found: Counter[float], share: float) -> float | None:
    known = sorted((value, count) for value, count in found.items() if value >= 0)
    left = share * sum(count for _, count in known)
    for value, count in known:
        left -= count
        if left <= 0:
            return value
    return None


def _workers(session: Session, since: datetime, until: datetime, width: int) -> list[WorkerBucket]:
    there = or_(Worker.ended_at.is_(None), Worker.ended_at >= since)
    query = select(Worker.site, Worker.ready_at, Worker.ended_at).where(Worker.ready_at < until, there)
    counts: Counter[tuple[int, str]] = Counter()
    first, last = int(since.timestamp()) // width, int((until - timedelta(microseconds=1)).timestamp()) // width
    for site, ready, ended in session.execute(query):
        if ready is None:
            continue
        begin = max(first, int(ready.timestamp()) // width)
        end = last if ended is None else min(last, int(ended.timestamp()) // width)
        for place in range(begin, end + 1):
            counts[place, site] += 1
    return [
        WorkerBucket(at=from_epoch(place * width), site=site, workers=count)
        for (place, site), count in sorted(counts.items())
    ]
