"""Runs that are expected, and the work that they are; pure."""

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
#: Work that nothing foretells is told of from so many core-seconds on.
_LEAST_UNFORESEEN = 1.0


@dataclass(frozen=True)
class Expected:
    """One run that may be started: when, how likely, and what it would occupy."""

    at: datetime
    chance: float
    cost: RunCost

    @property
    def core_s(self) -> float:
        """Core-seconds times their likelihood."""
        return self.chance * self.cost.core_s


def loads_of(runs: Sequence[Expected]) -> dict[int, float]:
    """Return the core-seconds that are expected in each bin."""
    loads: dict[int, float] = defaultdict(float)
    for run in runs:
        loads[bin_of(run.at)] += run.core_s
    return dict(loads)


def as_work(
    rule: Rule, site: str, runs: Sequence[Expected], loads: Mapping[int, float], bands: Mapping[int, Band]
) -> Iterable[Work]:
    """Give the work that is expected of a trigger, corrected by what such predictions were worth.

    Parameters
    ----------
    rule, site
        The trigger, and the site that its runs must be at (empty for any).
    runs, loads
        What it is expected to start, and the sums by bin.
    bands
        What to make of each bin's load, those of bins for which nothing is expected too.
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
