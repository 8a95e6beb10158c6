"""Outcome of a simulated day: lateness, latency, hours paid and used, decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamo.simulate.fleet.dispatch import SimulatedRun
from dynamo.simulate.fleet.trace import Trace

if TYPE_CHECKING:
    from dynamo.simulate.fleet.world import World

#: Columns of the table: field, heading.
COLUMNS = (
    ("policy", "policy"),
    ("late_percent", "late %"),
    ("skipped", "skipped"),
    ("p50_s", "p50 s"),
    ("p95_s", "p95 s"),
    ("p99_s", "p99 s"),
    ("paid_core_hours", "core-h paid"),
    ("used_core_hours", "core-h used"),
    ("cost", "cost"),
    ("killed_jobs", "killed"),
    ("decisions", "decisions"),
    ("turns", "turns"),
    ("workers", "workers"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one decision; cores by group.

    Attributes
    ----------
    open_core_s
        Planned slot time of open runs.
    expected_core_s, expected_high_core_s
        Slot time expected in the next ten minutes, mean and upper band.
    used_core_s
        Slot time of all jobs finished since the start of the day.
    """

    at_s: float
    open_core_s: float
    expected_core_s: float
    expected_high_core_s: float
    busy: int
    used_core_s: float
    ready: Mapping[str, int]
    coming: Mapping[str, int]
    wanted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A decision that changed something."""

    at_s: float
    wanted: Mapping[str, int]
    changes: Mapping[str, int]
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class DayOutcome:
    """The outcome of one policy on one day.

    Attributes
    ----------
    late_percent
        Share of runs whose products missed their deadline or never came (skipped).
    turns
        Number of scaling reversals (up then down, or down then up) of any group.
    arrived_s, latency_s, late
        For each run: arrival time, latency (NaN if skipped), and whether it missed its deadline.
    """

    policy: str
    runs: int
    late_percent: float
    skipped: int
    unfinished: int
    p50_s: float
    p95_s: float
    p99_s: float
    paid_core_hours: float
    used_core_hours: float
    wasted_core_hours: float
    cost: float
    killed_jobs: int
    decisions: int
    turns: int
    workers: int
    failed_workers: int
    cycles: int
    decide_ms: float
    took_s: float
    paid_by_group: Mapping[str, float]
    paid_by_group_s: Mapping[str, float]
    samples: Sequence[Sample]
    made: Sequence[DecisionMade]
    arrived_s: Sequence[float]
    latency_s: Sequence[float]
    late: Sequence[bool]

    def row(self) -> dict[str, Any]:
        """Return the numbers without the series."""
        left_out = ("paid_by_group_s", "samples", "made", "arrived_s", "latency_s", "late")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def to_json(self) -> dict[str, Any]:
        """Return everything except individual runs."""
        return {
            **self.row(),
            "series": [
                {
                    "at_s": item.at_s,
                    "open_core_s": round(item.open_core_s, 1),
                    "expected_core_s": round(item.expected_core_s, 1),
                    "expected_high_core_s": round(item.expected_high_core_s, 1),
                    "busy": item.busy,
                    "used_core_s": round(item.used_core_s, 1),
                    "ready": dict(item.ready),
                    "coming": dict(item.coming),
                    "wanted": dict(item.wanted),
                }
                for item in self.samples
            ],
            "made": [
                {"at_s": item.at_s, "wanted": dict(item.wanted), "reasons": dict(item.reasons)} for item in self.made
            ],
            "late_at_s": [at for at, late in zip(self.arrived_s, self.late, strict=True) if late],
        }


def make_outcome(
    name: str,
    trace: Trace,
    world: World,
    runs: Sequence[SimulatedRun],
    samples: Sequence[Sample],
    made: Sequence[DecisionMade],
    *,
    deciding_s: float,
    asked: int,
    took_s: float,
) -> DayOutcome:
    """Summarize a simulated day."""
    end = world.clock.now()
    paid = world.paid_core_s(end)
    workers = world.workers()
    done = [run for run in runs if run.fate == "done"]
    p50, p95, p99 = quantiles([run.ended_s - run.arrival.at_s for run in done])
    late = [run.late for run in runs]
    return DayOutcome(
        policy=name,
        runs=len(runs),
        late_percent=round(100.0 * sum(late) / max(1, len(runs)), 3),
        skipped=sum(run.fate == "skipped" for run in runs),
        unfinished=sum(run.fate in ("waiting", "running") for run in runs),
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        paid_core_hours=round(sum(paid.values()) / 3600.0, 2),
        used_core_hours=round(world.pool.used_cpu_s / 3600.0, 3),
        wasted_core_hours=round(world.pool.wasted_cpu_s / 3600.0, 3),
        cost=round(sum(seconds / 3600.0 * world.clouds[group].price for group, seconds in paid.items()), 3),
        killed_jobs=world.pool.jobs_killed,
        decisions=len(made),
        turns=turns(made),
        workers=len(workers),
        failed_workers=sum(worker.ready_at is None and worker.ended_at is not None for worker in workers),
        cycles=world.cycles,
        decide_ms=round(1e3 * deciding_s / max(1, asked), 2),
        took_s=round(took_s, 2),
        paid_by_group={group: round(seconds / 3600.0, 2) for group, seconds in paid.items()},
        paid_by_group_s=paid,
        samples=samples,
        made=made,
        arrived_s=[run.arrival.at_s for run in runs],
        latency_s=[run.ended_s - run.arrival.at_s if run.fate == "done" else float("nan") for run in runs],
        late=late,
    )


def quantiles(latencies_s: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95% and 99% quantiles, seconds; NaN if empty."""
    if not latencies_s:
        return (float("nan"),) * 3
    p50, p95, p99 = (round(float(value), 2) for value in np.quantile(latencies_s, (0.5, 0.95, 0.99)))
    return p50, p95, p99


def turns(made: Sequence[DecisionMade]) -> int:
    """Return the number of scaling reversals of all groups."""
    direction: dict[str, bool] = {}
    count = 0
    for decision in made:
        for group, change in decision.changes.items():
            up = change > 0
            count += direction.get(group, up) != up
            direction[group] = up
    return count
