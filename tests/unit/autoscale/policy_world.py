"""A small world for policies: jobs on the cores of workers that boot, are drained and are paid; no store, no site."""

from __future__ import annotations

import heapq
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from dynamo.autoscale.model import BootTimes, Capacity, Decision, Demand, FleetView, GroupOption, Policy, Work
from dynamo.provision.deciding.lifecycle import WorkerState

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def group(name: str = "a", **more: object) -> GroupOption:
    """Return a group of four-core workers, that boot in 100 to 140 s, with some fields set."""
    known = GroupOption(
        group=name, site=f"Cloud:{name}", least=0, most=20, cpus=4, cost_per_hour=0.2, boot=BootTimes(100.0, 140.0)
    )
    return replace(known, **more)  # type: ignore[arg-type]


def worker(name: str = "w", of: str = "a", **more: object) -> Capacity:
    """Return an idle, ready worker of four cores, with some fields set."""
    known = Capacity(name, of, WorkerState.READY, cpus=4, busy_cpus=0, ready_at=BEGIN)
    return replace(known, **more)  # type: ignore[arg-type]


def work(core_s: float, ready_s: float = 0.0, due_s: float | None = 300.0, **more: object) -> Work:
    """Return work of so many core-seconds, ready and due at times from `BEGIN`, with some fields set."""
    due_at = None if due_s is None else BEGIN + timedelta(seconds=due_s)
    known = Work("forecast" if ready_s > 0 else "runs", "x", BEGIN + timedelta(seconds=ready_s), due_at, core_s, core_s)
    return replace(known, **{"cores": 1000, **more})  # type: ignore[arg-type]


@dataclass
class Arrival:
    """A file that comes, and the jobs that it means."""

    at_s: float
    due_s: float
    jobs: list[float]


@dataclass
class _Machine:
    name: str
    group: GroupOption
    asked_s: float
    ready_s: float
    ends: list[float] = field(default_factory=list)
    draining: bool = False
    gone_s: float | None = None

    def busy(self, now_s: float) -> int:
        return sum(1 for end in self.ends if end > now_s)


@dataclass
class World:
    """Runs a policy against arrivals.

    ``forecast`` gives for an arrival what is said of it ahead of time: factors on its work (expected, high), or None
    for nothing.
    """

    policy: Policy
    groups: Sequence[GroupOption]
    arrivals: Sequence[Arrival]
    forecast: Callable[[Arrival], tuple[float, float] | None] = lambda _: (1.0, 1.3)
    every_s: float = 30.0
    horizon_s: float = 3600.0
    seed: int = 1
    machines: list[_Machine] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    history: list[tuple[float, int]] = field(default_factory=list)
    late: int = 0
    done: int = 0
    latencies: list[float] = field(default_factory=list)

    def run(self, until_s: float, tick_s: float = 5.0) -> World:
        """Go on until a time; jobs go by earliest deadline."""
        rng = random.Random(self.seed)
        waiting: list[tuple[float, int, int, float]] = []
        left: dict[int, int] = {}
        running: list[tuple[float, int]] = []
        coming = sorted(range(len(self.arrivals)), key=lambda index: self.arrivals[index].at_s)
        known = {index: self.forecast(self.arrivals[index]) for index in coming}
        position, memory, next_s, now_s = 0, {}, 0.0, 0.0  # type: ignore[var-annotated]
        while now_s < until_s:
            while position < len(coming) and self.arrivals[coming[position]].at_s <= now_s:
                index = coming[position]
                left[index] = len(self.arrivals[index].jobs)
                for number, job_s in enumerate(self.arrivals[index].jobs):
                    heapq.heappush(waiting, (self.arrivals[index].due_s, index, number, job_s))
                position += 1
            while running and running[0][0] <= now_s:
                end_s, index = heapq.heappop(running)
                left[index] -= 1
                if not left[index]:
                    self.done += 1
                    self.late += end_s > self.arrivals[index].due_s
                    self.latencies.append(end_s - self.arrivals[index].at_s)
            for machine in self.machines:
                if machine.gone_s is None and machine.ready_s <= now_s:
                    machine.ends = [end for end in machine.ends if end > now_s]
                    if machine.draining and not machine.ends:
                        machine.gone_s = now_s
                    while waiting and not machine.draining and len(machine.ends) < machine.group.cpus:
                        _, index, _, job_s = heapq.heappop(waiting)
                        machine.ends.append(now_s + job_s + 2.0)
                        heapq.heappush(running, (now_s + job_s + 2.0, index))
            if now_s >= next_s:
                demand = self._demand(now_s, waiting, running, coming[position:], known)
                now = BEGIN + timedelta(seconds=now_s)
                memory = json.loads(json.dumps(memory))
                decision = self.policy.decide(now, demand, self._fleet(now_s), memory)
                memory = dict(decision.memory)
                self._apply(decision, now_s, rng)
                next_s = now_s + self.every_s
            now_s += tick_s
        self.late += sum(1 for index, count in left.items() if count and self.arrivals[index].due_s < now_s)
        return self

    def core_hours(self, until_s: float) -> float:
        """Return what was paid for, from when a worker was asked for until it went."""
        spans = [((m.gone_s or until_s) - m.asked_s) * m.group.cpus for m in self.machines]
        return sum(spans) / 3600.0

    def turns(self) -> int:
        """Return how often the number of workers changed its direction."""
        counts = [count for _, count in self.history]
        steps = [b - a for a, b in pairwise(counts) if b != a]
        return sum(1 for a, b in pairwise(steps) if (a > 0) != (b > 0))

    def _demand(
        self,
        now_s: float,
        waiting: list[tuple[float, int, int, float]],
        running: list[tuple[float, int]],
        coming: list[int],
        known: dict[int, tuple[float, float] | None],
    ) -> Demand:
        items = []
        open_s: dict[int, list[float]] = {}
        for _, index, _, job_s in waiting:
            open_s.setdefault(index, []).append(job_s)
        for end_s, index in running:
            open_s.setdefault(index, []).append(end_s - now_s)
        for index, jobs in open_s.items():
            items.append(self._work("runs", now_s, self.arrivals[index].due_s, sum(jobs), sum(jobs) * 1.1, len(jobs)))
        for index in coming:
            arrival, said = self.arrivals[index], known[index]
            if arrival.at_s > now_s + self.horizon_s:
                break
            if said is not None:
                amount = sum(arrival.jobs)
                low, high = amount * said[0], amount * said[1]
                items.append(self._work("forecast", arrival.at_s, arrival.due_s, low, high, len(arrival.jobs)))
        return Demand(BEGIN + timedelta(seconds=now_s), tuple(items), self.horizon_s)

    @staticmethod
    def _work(source: str, ready_s: float, due_s: float, low: float, high: float, cores: int) -> Work:
        ready_at, due_at = BEGIN + timedelta(seconds=ready_s), BEGIN + timedelta(seconds=due_s)
        return Work(source, "x", ready_at, due_at, low, high, cores=max(1, cores))

    def _serving(self, name: str) -> list[_Machine]:
        return [m for m in self.machines if m.group.group == name and m.gone_s is None and not m.draining]

    def _fleet(self, now_s: float) -> FleetView:
        workers = []
        for option in self.groups:
            for machine in self._serving(option.group):
                ready = machine.ready_s <= now_s
                paid_s = (
                    machine.asked_s + math.ceil((now_s - machine.asked_s + 1) / option.billing_s) * option.billing_s
                )
                workers.append(
                    Capacity(
                        machine.name,
                        option.group,
                        WorkerState.READY if ready else WorkerState.BOOTING,
                        option.cpus,
                        machine.busy(now_s),
                        BEGIN + timedelta(seconds=machine.ready_s if ready else machine.asked_s + option.boot.p90_s),
                        BEGIN + timedelta(seconds=paid_s) if option.billing_s > 1 else None,
                    )
                )
        return FleetView(tuple(workers), tuple(self.groups))

    def _apply(self, decision: Decision, now_s: float, rng: random.Random) -> None:
        self.decisions.append(decision)
        self.history.append((now_s, sum(decision.wanted.values())))
        for option in self.groups:
            there = self._serving(option.group)
            wanted = decision.wanted[option.group]
            for _ in range(wanted - len(there)):
                boot_s = rng.uniform(0.8, 1.2) * option.boot.median_s
                self.machines.append(_Machine(f"w{len(self.machines)}", option, now_s, now_s + boot_s))
            there.sort(key=lambda m: (m.ready_s <= now_s, m.busy(now_s), -m.asked_s))
            for machine in there[: max(0, len(there) - wanted)]:
                machine.draining = True
                if machine.ready_s > now_s:
                    machine.gone_s = now_s
