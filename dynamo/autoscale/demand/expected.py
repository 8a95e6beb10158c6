"""Expected runs, and the work they amount to; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dynamo.autoscale.demand.bands import BIN_S, Band, bin_of
from dynamo.autoscale.demand.costing import RunCost
from dynamo.autoscale.model import Work
from dynamo.times import from_epoch
from dynamo.triggers.rules import Rule

FORECAST = "forecast"
#: Smallest unforeseen work to report, core-seconds.
_LEAST_UNFORESEEN = 1.0


@dataclass(frozen=True)
class Expected:
    """A run that may be started: when, how likely, and what it would occupy."""

    at: datetime
    chance: float
    cost: RunCost

    @property
    def core_s(self) -> float:
        """Core-seconds times probability."""
        return self.chance * self.cost.core_s


def loads_of(runs: Sequence[Expected]) -> dict[int, float]:
    """Return the core-seconds expected in each bin."""
    loads: dict[int, float] = defaultdict(float)
    for run in runs:
        loads[bin_of(run.at)] += run.core_s
    return dict(loads)


def as_work(
    rule: Rule, site: str, runs: Sequence[Expected], loads: Mapping[int, float], bands: Mapping[int, Band]
) -> Iterable[Work]:
    """Yield the work expected from a trigger, corrected by how well such predictions have done.

    Parameters
    ----------
    rule, site
        The trigger, and the site its runs are pinned to (empty for any).
    runs, loads
        The runs it is expected to start, and their sums by bin.
    bands
        The band of each bin's load, including bins for which nothing is expected.
    """
    deadline_s = rule.deadline_s or None

    def due(time: datetime) -> datetime | None:
        return None if deadline_s is None else time + timedelta(seconds=deadline_s)

    for run in runs:
        start = bin_of(run.at)
        load, band = loads[start], bands[start]
        share = run.core_s / load
        yield Work(
            source=FORECAST,
            label=rule.name,
            ready_at=run.at,
            due_at=due(run.at),
            core_s=share * band.expected,
            core_s_high=share * band.high,
            cores=run.cost.cores,
            cores_each=run.cost.cores_each,
            memory_mb_each=run.cost.memory_mb,
            disk_mb_each=run.cost.disk_mb,
            site=site,
            priority=rule.priority,
        )
    for start, band in sorted(bands.items()):
        if start not in loads and band.high >= _LEAST_UNFORESEEN:
            time = from_epoch(start)
            yield Work(
                source=FORECAST,
                label=f"{rule.name}, unforeseen",
                ready_at=time,
                due_at=due(time + timedelta(seconds=BIN_S)),
                core_s=0.0,
                core_s_high=band.high,
                site=site,
                priority=rule.priority,
            )
