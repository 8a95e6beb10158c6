"""Demand on a simulated day, as policies see it: open runs, and work expected from the newest nowcast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from dynamo.autoscale.model import Demand, Work
from dynamo.simulate.fleet.dispatch import SimulatedRun
from dynamo.simulate.fleet.forecast import ExpectedWork

HORIZON_S = 3600.0
#: Runs due within this many seconds of each other are grouped.
_STEP_S = 5.0
#: 0.9 quantile of a run's actual cost relative to its predicted cost.
_PLAN_BAND = 1.22


def demand_of(
    start: datetime,
    now_s: float,
    runs: Iterable[SimulatedRun],
    expected: Sequence[ExpectedWork],
    horizon_s: float = HORIZON_S,
) -> Demand:
    """Return all work at ``now_s`` seconds after ``start``."""
    now = start + timedelta(seconds=now_s)
    work = _open_work(start, now, runs)
    for item in expected:
        if item.from_s > now_s + horizon_s:
            continue
        # Work that already arrived in the current interval is among the runs.
        left = min(1.0, (item.to_s - now_s) / (item.to_s - item.from_s))
        begin_s = max(item.from_s, now_s)
        # Files arrive throughout the interval, each with its own deadline: use the middle one for all.
        due_s = (begin_s + item.to_s) / 2.0 + item.feed.deadline_s
        work.append(
            Work(
                source="forecast",
                label=item.feed.workflow,
                ready_at=start + timedelta(seconds=begin_s),
                due_at=start + timedelta(seconds=due_s),
                core_s=item.slot_s * left,
                core_s_high=item.slot_s_high * left,
                cores=max(1, math.ceil(item.runs * left * item.feed.tasks)),
                priority=item.feed.priority,
            )
        )
    return Demand(taken_at=now, work=tuple(work), horizon_s=horizon_s)


def _open_work(start: datetime, now: datetime, runs: Iterable[SimulatedRun]) -> list[Work]:
    sums: dict[tuple[str, int, int], list[float]] = {}
    for run in runs:
        arrival = run.arrival
        key = (arrival.workflow, arrival.priority, math.floor(run.due_s / _STEP_S))
        found = sums.setdefault(key, [0.0, 0.0, math.inf])
        found[0] += arrival.planned_s * run.left
        found[1] += run.left
        found[2] = min(found[2], run.due_s)
    return [
        Work(
            source="runs",
            label=workflow,
            ready_at=now,
            due_at=start + timedelta(seconds=due_s),
            core_s=core_s,
            core_s_high=core_s * _PLAN_BAND,
            cores=int(jobs),
            priority=priority,
        )
        for (workflow, priority, _), (core_s, jobs, due_s) in sums.items()
    ]
