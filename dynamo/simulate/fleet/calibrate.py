"""Validation of the simulator: replay a real run with measured values, and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select

from dynamo.autoscale.model import Decision, Demand, FleetView, Policy
from dynamo.errors import NotFoundError
from dynamo.provision.fleets import stored_spec
from dynamo.simulate.fleet.engine import Setting, simulate
from dynamo.simulate.fleet.outcome import quantiles
from dynamo.simulate.fleet.sites import Cloud
from dynamo.simulate.fleet.store import arrived, timings, trace_from_store
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet, Worker
from dynamo.store.models import Run

#: Allowed relative difference in core-hours and p95 latency.
TOLERANCE = 0.20
#: Boot time for a group whose workers never became ready, s.
_UNKNOWN_BOOT_S = 60.0
#: A real provisioner is woken by events; this is its longest cycle while anything is in progress, s.
_BUSY_CYCLE_S = 0.5


class Recorded:
    """Policy that replays recorded decisions.

    Parameters
    ----------
    workers
        All workers of the real run.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._spans = [(row.group, row.requested_at, row.drain_at or row.ended_at) for row in workers]

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return the numbers of workers requested and not yet drained at this time."""
        del demand, memory
        wanted = {option.group: 0 for option in fleet.groups}
        for group, begin, end in self._spans:
            if group in wanted and begin <= now and (end is None or now < end):
                wanted[group] += 1
        return Decision(wanted, dict.fromkeys(wanted, "as recorded"))


def compare(
    store: Store, fleet: str = "", *, policy: Policy | None = None, max_runs: int | None = None
) -> dict[str, Any]:
    """Replay a store's real run and compare.

    Parameters
    ----------
    store
        Store of the real run: arrivals, runs, workers, job usage.
    fleet
        Its fleet; empty for the only one.
    policy
        Policy for the simulation. Default: replay the recorded decisions, to compare only pool, provisioner and
        dispatcher.
    max_runs
        ``runs.max_runs`` of the real run. Default: the largest number of runs ever in the pool at once.

    Returns
    -------
    dict
        ``real`` and ``simulated``: ``core_hours``, ``p50_s``, ``p95_s``, ``jobs_killed``; relative ``difference`` in
        the first three; ``within``: whether core-hours and p95 differ by at most `TOLERANCE`; and measured values.

    Raises
    ------
    NotFoundError
        If the store has no such fleet, no worker of it was ever ready, or there are no runs.
    """
    with store.reading() as session:
        fleets = session.scalars(select(Fleet).where(Fleet.name == fleet) if fleet else select(Fleet)).all()
        if len(fleets) != 1:
            known = ", ".join(session.scalars(select(Fleet.name)))
            raise NotFoundError(f"no fleet {fleet!r}" if fleet else "not one fleet", where=store.url, expected=known)
        name = fleets[0].name
        spec = stored_spec(fleets[0])
        workers = session.scalars(select(Worker).where(Worker.fleet == name).order_by(Worker.id)).all()
        runs = session.scalars(select(Run).where(Run.published_at.is_not(None))).all()
    if not any(row.ready_at for row in workers):
        raise NotFoundError("no worker of this fleet was ever ready", where=name)
    # Workers start before the first run and outlive the last one: the day ends when the last worker is gone.
    ends = [row.ended_at for row in workers if row.ended_at is not None]
    trace = trace_from_store(
        store,
        fleet=name,
        start=min(row.requested_at for row in workers),
        end=max(ends) if len(ends) == len(workers) else None,
    )
    end = trace.start + timedelta(seconds=trace.span_s)
    cycle_s = min(spec.policy.cycle_s, _BUSY_CYCLE_S)
    clouds = tuple(
        _cloud(group.name, group.site, [row for row in workers if row.group == group.name], cycle_s, spec)
        for group in spec.compute
        if any(row.group == group.name for row in workers)
    )
    setting = Setting(clouds, decide_every_s=2.0, cycle_s=cycle_s, max_runs=max_runs or _together(runs))
    outcome = simulate(trace, "recorded", policy or Recorded(workers), setting)
    latencies = [(run.published_at - arrived(run)).total_seconds() for run in runs if run.published_at is not None]
    real_s = sum(
        row.cpus * max(0.0, ((row.ended_at or end) - row.started_at).total_seconds())
        for row in workers
        if row.started_at is not None
    )
    p50, p95, _ = quantiles(latencies)
    real = {
        "core_hours": round(real_s / 3600.0, 4),
        "p50_s": p50,
        "p95_s": p95,
        "jobs_killed": sum(row.jobs_killed for row in workers),
    }
    simulated = {
        "core_hours": round(sum(outcome.paid_by_group_s.values()) / 3600.0, 4),
        "p50_s": outcome.p50_s,
        "p95_s": outcome.p95_s,
        "jobs_killed": outcome.killed_jobs,
    }
    difference = {name: _relative(simulated[name], real[name]) for name in ("core_hours", "p50_s", "p95_s")}
    return {
        "runs": len(trace.arrivals),
        "workers": len(workers),
        "real": real,
        "simulated": simulated,
        "difference": difference,
        "tolerance": TOLERANCE,
        "within": all(abs(difference[name]) <= TOLERANCE for name in ("core_hours", "p95_s")),
        "measured": {
            "start_delay_s": round(trace.handling_s, 3),
            "handling_median_s": round(float(np.median([item.handling_s for item in trace.arrivals])), 3),
            "ended": len(ends) == len(workers),
            "jobs_told_of": len(timings(store, runs, name)),
            "boot_median_s": {cloud.group: round(cloud.boot_median_s, 3) for cloud in clouds},
            "boot_p90_s": {cloud.group: round(cloud.boot_p90_s, 3) for cloud in clouds},
        },
    }


def _cloud(group: str, site: str, workers: Sequence[Worker], cycle_s: float, spec: Any) -> Cloud:
    """Return a cloud whose workers start like those of the real run."""
    boots = [
        (row.ready_at - row.started_at).total_seconds()
        for row in workers
        if row.ready_at is not None and row.started_at is not None
    ]
    # A ready worker is noticed half a cycle later, on average.
    low, high = (float(value) for value in np.quantile(boots, (0.5, 0.9))) if boots else (_UNKNOWN_BOOT_S,) * 2
    median_s = max(0.05, low - cycle_s / 2.0)
    return Cloud(
        site=site,
        group=group,
        cpus=max(row.cpus for row in workers),
        most=max(1, len(workers)),
        boot_median_s=median_s,
        boot_p90_s=max(median_s, high - cycle_s / 2.0),
        join_s=0.0,
        price=0.0,
        drain_deadline_s=spec.policy.drain_deadline_s,
    )


def _together(runs: Sequence[Run]) -> int:
    """Return the largest number of runs in progress at once."""
    steps = [
        step
        for run in runs
        if run.submitted_at is not None and run.published_at is not None
        for step in ((run.submitted_at, 1), (run.published_at, -1))
    ]
    level = most = 0
    # At the same instant, ends come first.
    for _, change in sorted(steps):
        level += change
        most = max(most, level)
    return max(1, most)


def _relative(simulated: float, real: float) -> float:
    if real == 0:
        return 0.0 if simulated == 0 else float("inf")
    return round(simulated / real - 1.0, 4)
