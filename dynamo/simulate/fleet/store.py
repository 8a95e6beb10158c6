"""A real day from a store: arrivals, actual job times, and the handling time around jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from sqlalchemy import ColumnElement, select

from dynamo.errors import NotFoundError
from dynamo.simulate.fleet.forecast import ExpectedWork
from dynamo.simulate.fleet.network import OVERHEAD_S, SimulatedFeed
from dynamo.simulate.fleet.trace import FileArrival, Trace
from dynamo.store.engine import Store
from dynamo.store.fleets import WorkerUse
from dynamo.store.models import Arrival as ArrivalRow
from dynamo.store.models import Run

#: Deadline for runs without one, s.
NO_DEADLINE_S = 86400.0
#: Past interval used to forecast a stored day, s, and the ratio of the 0.9 quantile to the mean.
_MEMORY_S, _BAND = 900.0, 2.0
#: Runs for files from one radar within this interval do not replace each other, s.
_ONE_SCAN_S = 60.0
_EDGES_MIN = (0, 1, 2, 5, 10, 20, 40, 60)
_LEFT_OUT = ("cancelled", "failed")


class PersistenceForecaster:
    """Expects the next hour to be like the last 15 minutes, fading with lead time.

    Parameters
    ----------
    arrivals
        The day; only arrivals before the query time are used.
    """

    def __init__(self, arrivals: Sequence[FileArrival]) -> None:
        self._by_feed: dict[str, list[FileArrival]] = defaultdict(list)
        for item in arrivals:
            self._by_feed[item.feed].append(item)
        self._times = {feed: np.array([item.at_s for item in items]) for feed, items in self._by_feed.items()}
        self._sums = {
            feed: np.concatenate([[0.0], np.cumsum([item.planned_s * item.tasks for item in items])])
            for feed, items in self._by_feed.items()
        }

    def expect(self, now_s: float) -> Sequence[ExpectedWork]:
        """Return the work expected after ``now_s``."""
        found = []
        for name, times in self._times.items():
            memory_s = min(_MEMORY_S, max(now_s, 60.0))
            first, last = np.searchsorted(times, (now_s - memory_s, now_s), side="right")
            if last == first:
                continue
            like = self._by_feed[name][last - 1]
            feed = SimulatedFeed(
                name,
                like.workflow,
                60.0,
                "always",
                0.0,
                0.0,
                1.0,
                deadline_s=like.deadline_s,
                priority=like.priority,
                tasks=like.tasks,
            )
            core_s = float(self._sums[name][last] - self._sums[name][first]) / memory_s
            runs = float(last - first) / memory_s
            for low, high in pairwise(_EDGES_MIN):
                span_s = 60.0 * (high - low)
                fading = 0.5 ** (low / 30.0)
                expected = core_s * span_s * fading
                found.append(
                    ExpectedWork(
                        feed,
                        now_s + 60.0 * low,
                        now_s + 60.0 * high,
                        expected,
                        core_s * span_s * _BAND,
                        runs * span_s * fading,
                    )
                )
        return found


@dataclass(frozen=True)
class Timing:
    """Time a run's jobs took on workers.

    Attributes
    ----------
    jobs
        Number of jobs.
    wall_s
        Total slot time.
    begun_at, ended_at
        Start of the first and end of the last job.
    """

    jobs: int
    wall_s: float
    begun_at: datetime
    ended_at: datetime


def timings(store: Store, runs: Sequence[Run], fleet: str = "") -> dict[str, Timing]:
    """Return job timings by run, on the workers of one fleet (default: all fleets).

    Single-job runs, which are most, use the start and end seen by the engine: that equals slot time, while the pool's
    record has whole seconds only. Multi-job runs use the pool's record.
    """
    condition = [WorkerUse.run != ""] + ([WorkerUse.fleet == fleet] if fleet else [])
    with store.reading() as session:
        rows = session.scalars(select(WorkerUse).where(*condition)).all()
    by_run: dict[str, list[WorkerUse]] = defaultdict(list)
    for row in rows:
        by_run[row.run].append(row)
    found = {}
    for run in runs:
        uses = by_run.get(run.id, [])
        if run.started_at is not None and run.finished_at is not None and len(uses) <= 1:
            wall_s = (run.finished_at - run.started_at).total_seconds()
            found[run.id] = Timing(1, max(0.0, wall_s), run.started_at, run.finished_at)
        elif uses:
            found[run.id] = Timing(
                jobs=len(uses),
                wall_s=sum(use.wall_s for use in uses),
                begun_at=min(use.ended_at - timedelta(seconds=use.wall_s) for use in uses),
                ended_at=max(use.ended_at for use in uses),
            )
    return found


def trace_from_store(
    store: Store,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    fleet: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Trace:
    """Return the day recorded in a store.

    Slot times come from `timings`; for skipped runs, from the prediction plus a typical overhead.

    Parameters
    ----------
    since, until
        Only arrivals in this period.
    fleet
        Fleet whose workers ran the jobs; empty for any.
    start, end
        Start and end of the day, if before the first arrival or after the last run.

    Raises
    ------
    NotFoundError
        If the store has no runs in that period.
    """
    conditions: list[ColumnElement[bool]] = [Run.state.not_in(_LEFT_OUT)]
    if since is not None:
        conditions.append(Run.created_at >= since)
    if until is not None:
        conditions.append(Run.created_at < until)
    with store.reading() as session:
        rows = session.execute(
            select(Run, ArrivalRow.feed, ArrivalRow.facts)
            .outerjoin(ArrivalRow, ArrivalRow.id == Run.arrival_id)
            .where(*conditions)
            .order_by(Run.created_at)
        ).all()
    if not rows:
        raise NotFoundError("no runs in that period", where=store.url, hint="give --since and --until")
    measured = timings(store, [row.Run for row in rows], fleet)
    overhead_s = job_overhead_s([row.Run for row in rows], measured)
    begin = min(arrived(row.Run) for row in rows)
    if start is not None:
        begin = min(begin, start)
    arrivals = tuple(
        sorted(
            (_arrival(row.Run, row.feed or "", row.facts or {}, measured, overhead_s, begin) for row in rows),
            key=lambda item: item.at_s,
        )
    )
    last = max(row.Run.finished_at or arrived(row.Run) for row in rows)
    if end is not None:
        last = max(last, end)
    return Trace(
        name=f"stored day {begin:%Y-%m-%d}",
        start=begin,
        span_s=max((last - begin).total_seconds(), arrivals[-1].at_s) + 1.0,
        arrivals=arrivals,
        forecaster=PersistenceForecaster(arrivals),
        handling_s=start_delay_s([row.Run for row in rows], measured),
    )


def arrived(run: Run) -> datetime:
    """Return the time from which a run's latency is counted."""
    return run.detected_at or run.created_at


def job_overhead_s(runs: Sequence[Run], measured: Mapping[str, Timing]) -> float:
    """Return a job's slot time besides its payload's CPU seconds: the median of the runs, or the default."""
    found = [
        max(0.0, (measured[run.id].wall_s - run.cpu_s) / measured[run.id].jobs) for run in runs if run.id in measured
    ]
    return float(np.median(found)) if found else OVERHEAD_S


def start_delay_s(runs: Sequence[Run], measured: Mapping[str, Timing]) -> float:
    """Return the delay from a run's submission to its first job if a worker is free.

    Uses the lower quartile, since some runs waited for a worker.
    """
    found = [
        max(0.0, (measured[run.id].begun_at - (run.submitted_at or arrived(run))).total_seconds())
        for run in runs
        if run.id in measured
    ]
    return float(np.quantile(found, 0.25)) if found else 0.0


def handling_s(run: Run, timing: Timing | None) -> float:
    """Return the time from a run's arrival to its submission, plus from its last job to its products.

    Includes no waiting for workers, as long as fewer than ``runs.max_runs`` runs were in the pool.
    """
    before = (run.submitted_at - arrived(run)).total_seconds() if run.submitted_at is not None else 0.0
    after = 0.0
    if timing is not None and run.published_at is not None:
        after = (run.published_at - timing.ended_at).total_seconds()
    return max(0.0, before) + max(0.0, after)


def _arrival(
    run: Run,
    feed: str,
    facts: Mapping[str, object],
    measured: Mapping[str, Timing],
    overhead_s: float,
    start: datetime,
) -> FileArrival:
    timing = measured.get(run.id)
    radar = str(facts.get("radar") or "")
    deadline_s = NO_DEADLINE_S
    if run.deadline_at is not None:
        deadline_s = max(0.0, (run.deadline_at - arrived(run)).total_seconds())
    tasks = max(1, timing.jobs if timing is not None else 1)
    # The actual time of a skipped run is unknown.
    payload_s = run.cpu_s or run.predicted_s
    slot_s = timing.wall_s if timing is not None else payload_s + overhead_s * tasks
    return FileArrival(
        at_s=(arrived(run) - start).total_seconds(),
        feed=feed or run.workflow,
        workflow=run.workflow,
        kind=f"{run.workflow}/{run.trigger}/{radar}",
        task_s=max(0.001, slot_s / tasks),
        planned_s=max(0.001, run.predicted_s / tasks + overhead_s),
        deadline_s=deadline_s,
        tasks=tasks,
        priority=run.priority,
        scan_s=_ONE_SCAN_S if radar else 0.0,
        handling_s=handling_s(run, timing),
    )
