"""A day for the fleet simulator: arrivals, their true costs, and the forecaster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dynamo.simulate.fleet.forecast import Forecaster, StormForecaster
from dynamo.simulate.fleet.network import NOWCAST_DELAY_S, Network, SimulatedFeed
from dynamo.simulate.fleet.truth import MINUTES, SeenWeather, find_truth
from dynamo.simulate.fleet.weather import DAY_S, make_storms

#: Start of simulated days: morning in the United States.
START = datetime(2019, 6, 10, 12, tzinfo=UTC)
#: Error of the planner's prediction for one run: standard deviation of the log of its payload.
PLAN_ERROR = 0.15
#: Jitter of arrivals, relative to their interval and at most in seconds.
_PACE_ERROR, _MOST_PACE_ERROR_S = 0.12, 2.0


@dataclass(frozen=True, slots=True)
class FileArrival:
    """A file that starts a run.

    Attributes
    ----------
    at_s
        Arrival time, seconds after the start of the trace.
    kind
        Runs of the same kind replace each other: the feed, and the radar if any.
    task_s
        True slot time of each of its ``tasks`` jobs.
    planned_s
        Predicted slot time of each job.
    scan_s
        Runs of its kind within this interval do not replace each other.
    handling_s
        Time from arrival to products, excluding its jobs and waiting.
    """

    at_s: float
    feed: str
    workflow: str
    kind: str
    task_s: float
    planned_s: float
    deadline_s: float
    tasks: int = 1
    priority: int = 0
    scan_s: float = 0.0
    handling_s: float = 0.0

    @property
    def slot_s(self) -> float:
        """True total slot time of its jobs."""
        return self.task_s * self.tasks


@dataclass(frozen=True)
class TraceOutage:
    """Loss of a site (by index) with everything on it; times in seconds after the start of the trace."""

    site: int
    from_s: float
    to_s: float


@dataclass(frozen=True, eq=False)
class Trace:
    """A day.

    Attributes
    ----------
    arrivals
        Arrivals in time order.
    span_s
        Length of the day; runs still open at its end are finished.
    forecaster
        Source of expected work.
    cpus
        CPUs of suitable workers.
    handling_s
        Delay of every run from submission to first job if a worker is free.
    """

    name: str
    start: datetime
    span_s: float
    arrivals: tuple[FileArrival, ...]
    forecaster: Forecaster
    cpus: int = 1
    handling_s: float = 0.0
    outages: tuple[TraceOutage, ...] = ()

    @property
    def core_hours(self) -> float:
        """Total slot time of all arrivals, in core-hours."""
        return sum(item.slot_s for item in self.arrivals) / 3600.0

    def peak_cores(self) -> float:
        """Return the number of cores below which some deadline is missed whatever the schedule: a fluid bound.

        The maximum over all time intervals of the work that arrives and is due within it, divided by its length.
        """
        peak = 0.0
        for window_s in sorted({item.deadline_s for item in self.arrivals}):
            times = np.array([item.at_s for item in self.arrivals if item.deadline_s <= window_s])
            sums = np.concatenate([[0.0], np.cumsum([i.slot_s for i in self.arrivals if i.deadline_s <= window_s])])
            # An interval longer than the deadline includes arrivals up to one deadline before its end.
            for stretch in (0.0, window_s, 4 * window_s, 10 * window_s):
                last = np.searchsorted(times, times + stretch, side="right")
                peak = max(peak, float((sums[last] - sums[:-1]).max(initial=0.0)) / (stretch + window_s))
        return peak

    def summary(self) -> dict[str, Any]:
        """Return a summary for JSON."""
        return {
            "name": self.name,
            "start": self.start,
            "hours": round(self.span_s / 3600.0, 3),
            "arrivals": len(self.arrivals),
            "core_hours": round(self.core_hours, 3),
            "peak_cores": round(self.peak_cores(), 2),
        }


def weather_trace(day: str, network: Network, seed: int = 1) -> Trace:
    """Return a simulated weather day on a network; the same seed gives the same day.

    Raises
    ------
    UsageError
        If the day is unknown.
    """
    if day == "two-lines" and network.name.startswith("casa"):
        network = network.doubled()
    storms = make_storms(day, network, seed)
    truth = find_truth(network, storms)
    rng = np.random.default_rng([seed, 11])
    arrivals: list[FileArrival] = []
    for feed in network.feeds:
        for column in range(len(network.radars_km) if feed.per_radar else network.parts):
            arrivals += _arrivals(feed, column, truth, network.overhead_s, rng)
    arrivals.sort(key=lambda item: (item.at_s, item.kind))
    outages = (TraceOutage(0, 11.5 * 3600.0, 13.5 * 3600.0),) if day == "outage" else ()
    forecaster = StormForecaster(network, storms, truth, seed)
    return Trace(f"{network.name}, {day}", START, DAY_S, tuple(arrivals), forecaster, network.cpus, outages=outages)


def _arrivals(
    feed: SimulatedFeed, column: int, truth: SeenWeather, overhead_s: float, rng: np.random.Generator
) -> list[FileArrival]:
    # Radars are not synchronized; nowcasts come some seconds after the minute.
    offset = float(rng.uniform(0.0, feed.every_s)) if feed.per_radar else NOWCAST_DELAY_S
    times = np.arange(offset, DAY_S, feed.every_s)
    # No radar is punctual to the second.
    times = np.clip(
        times + rng.normal(0.0, min(_PACE_ERROR * feed.every_s, _MOST_PACE_ERROR_S), len(times)), 0.0, DAY_S - 1.0
    )
    jitter = np.exp(rng.normal(0.0, 0.08, len(times)))
    guess = np.exp(rng.normal(0.0, PLAN_ERROR, len(times)))
    found = []
    for index, at_s in enumerate(times):
        minute = min(int(at_s // 60.0), MINUTES - 1)
        if not truth.due(feed, column, minute):
            continue
        payload = float(feed.payload_s(np.asarray(truth.area_km2(feed, column, minute)))) / feed.tasks
        found.append(
            FileArrival(
                at_s=round(float(at_s), 3),
                feed=feed.name,
                workflow=feed.workflow,
                kind=f"{feed.name}/{column}",
                task_s=round(payload * float(jitter[index]) + overhead_s, 3),
                planned_s=round(payload * float(guess[index]) + overhead_s, 3),
                deadline_s=feed.deadline_s,
                tasks=feed.tasks,
                priority=feed.priority,
                scan_s=feed.scan_s,
            )
        )
    return found
