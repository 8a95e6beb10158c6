"""Event-driven simulation of one day with one policy: arrivals, jobs, workers and decisions."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from dynamo.autoscale.model import Policy
from dynamo.provision.deciding.lifecycle import SERVING
from dynamo.simulate.fleet.demand import HORIZON_S, demand_of
from dynamo.simulate.fleet.dispatch import SimulatedDispatcher, SimulatedRun
from dynamo.simulate.fleet.forecast import ExpectedWork
from dynamo.simulate.fleet.outcome import DayOutcome, DecisionMade, Sample, make_outcome
from dynamo.simulate.fleet.sites import CYCLE_S, Cloud
from dynamo.simulate.fleet.trace import Trace
from dynamo.simulate.fleet.world import World

#: Interval between decisions, s: the default of `[autoscale]`.
DECIDE_EVERY_S = 30.0
#: Extra time for runs still open at the end of the day, s.
_AFTER_S = 4 * 3600.0
#: Horizon for recording expected work, s.
_SOON_S = 600.0


@dataclass(frozen=True)
class Setting:
    """Settings of a simulation.

    Attributes
    ----------
    clouds
        Source of workers.
    decide_every_s, cycle_s
        Intervals of the policy and of the provisioner.
    max_runs
        Maximum number of runs in the pool at once. Default: the total number of cores.
    seed
        Random seed for boot times and failures.
    every_cycle
        Also run provisioner cycles in which nothing can have changed: slower, same result.
    """

    clouds: tuple[Cloud, ...]
    decide_every_s: float = DECIDE_EVERY_S
    cycle_s: float = CYCLE_S
    max_runs: int | None = None
    seed: int = 1
    every_cycle: bool = False


@dataclass
class _Day:
    """Data recorded while simulating a day."""

    samples: list[Sample] = field(default_factory=list)
    decisions: list[DecisionMade] = field(default_factory=list)
    deciding_s: float = 0.0
    asked: int = 0


def simulate(
    trace: Trace,
    name: str,
    policy: Policy,
    setting: Setting,
    progress: Callable[[float], None] = lambda _share: None,
) -> DayOutcome:
    """Simulate a day.

    Parameters
    ----------
    trace
        The day.
    name, policy
        Name in tables, and the policy.
    setting
        Clouds and intervals.
    progress
        Called now and then with the elapsed share of the day.
    """
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="dynamo-fleet-") as folder:
        world = World(
            Path(folder),
            setting.clouds,
            trace.start,
            setting.seed,
            outages=trace.outages,
            cycle_s=setting.cycle_s,
            every_cycle=setting.every_cycle,
        )
        try:
            engine = _Engine(trace, policy, setting, world)
            engine.play(progress)
            return make_outcome(
                name,
                trace,
                world,
                engine.dispatcher.runs,
                engine.day.samples,
                engine.day.decisions,
                deciding_s=engine.day.deciding_s,
                asked=engine.day.asked,
                took_s=time.process_time() - began,
            )
        finally:
            world.close()


class _Engine:
    def __init__(self, trace: Trace, policy: Policy, setting: Setting, world: World) -> None:
        self.day = _Day()
        self._trace, self._policy, self._setting, self._world = trace, policy, setting, world
        cores = sum(cloud.cpus * cloud.most for cloud in setting.clouds)
        self.dispatcher = SimulatedDispatcher(self._submit, setting.max_runs or cores, trace.handling_s)
        self._memory: Mapping[str, Any] = {}
        self._read_to = trace.start
        self._outages = sorted(trace.outages, key=lambda item: item.from_s)

    def play(self, progress: Callable[[float], None]) -> None:
        """Step from event to event until the day is over and nothing is left to do."""
        trace, world = self._trace, self._world
        arrivals = trace.arrivals
        coming, decide_s, end_s = 0, 0.0, trace.span_s + _AFTER_S
        world.cycle()
        while True:
            pool_at = world.pool.next_event_at()
            pool_s = (pool_at - trace.start).total_seconds() if pool_at is not None else math.inf
            arrival_s = arrivals[coming].at_s if coming < len(arrivals) else math.inf
            outage_s = self._outages[0].from_s if self._outages else math.inf
            now_s = min(pool_s, arrival_s, outage_s, decide_s, world.next_cycle_s())
            done = coming >= len(arrivals) and not self.dispatcher.busy
            if now_s >= trace.span_s and (done or now_s >= end_s):
                world.clock.advance_to(trace.start + timedelta(seconds=max(trace.span_s, world.now_s())))
                return
            now_s = max(now_s, world.now_s())
            world.clock.advance_to(trace.start + timedelta(seconds=now_s))
            self._take_ended(now_s)
            while coming < len(arrivals) and arrivals[coming].at_s <= now_s:
                self.dispatcher.put(arrivals[coming])
                coming += 1
            if self._outages and self._outages[0].from_s <= now_s:
                outage = self._outages.pop(0)
                world.lose(outage.site, outage.to_s)
            if world.next_cycle_s() <= now_s:
                world.cycle()
            if decide_s <= now_s:
                self._decide(now_s)
                decide_s += self._setting.decide_every_s
                progress(min(1.0, now_s / trace.span_s))
            self.dispatcher.dispatch(now_s)

    def _submit(self, run: SimulatedRun) -> None:
        arrival = run.arrival
        for _ in range(arrival.tasks):
            self._world.pool.submit(1, arrival.task_s, run=str(run.number), workflow=arrival.workflow)

    def _take_ended(self, now_s: float) -> None:
        ended = self._world.pool.finished(self._read_to)
        for job in ended:
            self.dispatcher.job_ended(int(job.run), (job.ended_at - self._trace.start).total_seconds())
        if ended:
            self._read_to = ended[-1].ended_at
        del now_s

    def _decide(self, now_s: float) -> None:
        world, day = self._world, self.day
        expected = self._trace.forecaster.expect(now_s)
        demand = demand_of(self._trace.start, now_s, self.dispatcher.open_runs(), expected, HORIZON_S)
        fleet = world.view()
        began = time.process_time()
        decision = self._policy.decide(world.clock.now(), demand, fleet, self._memory)
        day.deciding_s += time.process_time() - began
        day.asked += 1
        self._memory = decision.memory
        changes = world.wish(decision.wanted, decision.reasons)
        if changes:
            day.decisions.append(DecisionMade(now_s, dict(decision.wanted), changes, dict(decision.reasons)))
        ready = dict.fromkeys(world.clouds, 0)
        coming = dict.fromkeys(world.clouds, 0)
        for worker in fleet.workers:
            if worker.state in SERVING:
                (coming if worker.coming else ready)[worker.group] += worker.cpus
        soon = [(item, _share(item, now_s, now_s + _SOON_S)) for item in expected]
        day.samples.append(
            Sample(
                at_s=now_s,
                open_core_s=sum(item.core_s for item in demand.work if item.source == "runs"),
                expected_core_s=sum(item.slot_s * share for item, share in soon),
                expected_high_core_s=sum(item.slot_s_high * share for item, share in soon),
                busy=sum(worker.busy_cpus for worker in fleet.workers),
                used_core_s=world.pool.used_cpu_s,
                ready=ready,
                coming=coming,
                wanted={group: count * world.clouds[group].cpus for group, count in decision.wanted.items()},
            )
        )


def _share(item: ExpectedWork, from_s: float, to_s: float) -> float:
    """Return the share of an expected interval between two times."""
    return max(0.0, min(item.to_s, to_s) - max(item.from_s, from_s)) / (item.to_s - item.from_s)
