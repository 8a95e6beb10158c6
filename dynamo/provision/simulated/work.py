"""Event simulation of a pool: jobs start, end and are killed, each event at its own time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from dynamo.provision.pool_link import FinishedJob, WorkerSlots
from dynamo.provision.simulated.jobs import FreeList, JobQueue, Machine, SimulatedJob


class SimulatedWork:
    """Machines, running and waiting jobs, and scheduled events.

    Parameters
    ----------
    history_s
        Minimum time to keep ended jobs.

    Attributes
    ----------
    jobs_ok, jobs_failed, jobs_killed
        Jobs that succeeded, failed, and were restarted because their worker left.
    used_cpu_s, wasted_cpu_s
        Processor seconds of ended and of killed jobs.
    """

    def __init__(self, history_s: float) -> None:
        self.jobs_ok = self.jobs_failed = self.jobs_killed = 0
        self.used_cpu_s = self.wasted_cpu_s = 0.0
        self._history = timedelta(seconds=history_s)
        self._machines: dict[str, Machine] = {}
        self._queue = JobQueue()
        self._free = FreeList()
        self._running_cpus = 0
        self._order = count()
        self._coming: list[tuple[datetime, int, Callable[[datetime, Any], None], Any]] = []
        self._finished: list[FinishedJob] = []
        self._slots: dict[str, WorkerSlots] = {}
        self._changed: set[str] = set()

    def _later(self, when: datetime, action: Callable[[datetime, Any], None], subject: object) -> None:
        heappush(self._coming, (when, next(self._order), action, subject))

    def _catch_up(self, now: datetime) -> None:
        while self._coming and self._coming[0][0] <= now:
            when, _, action, subject = heappop(self._coming)
            action(when, subject)
            self._place(when)

    def _place(self, now: datetime) -> None:
        while self._queue.jobs:
            most = self._free.most_cpus()
            job = self._queue.pop(most) if most else None
            if job is None:
                return
            machine = self._free.pop(job.cpus)
            job.attempt += 1
            job.machine, job.started_at = machine, now
            machine.jobs[job.id] = job
            machine.free_cpus -= job.cpus
            self._running_cpus += job.cpus
            self._touch(machine)
            length_s = job.duration_s if machine.black_hole_s is None else min(job.duration_s, machine.black_hole_s)
            self._later(
                now + timedelta(seconds=length_s), self._end_job, (job, job.attempt, machine.black_hole_s is None)
            )

    def _end_job(self, now: datetime, subject: tuple[SimulatedJob, int, bool]) -> None:
        job, attempt, good = subject
        machine = job.machine
        if machine is None or job.attempt != attempt:
            return
        wall_s = self._take_off(now, machine, job)
        ok = job.ok and good
        self.jobs_ok += ok
        self.jobs_failed += not ok
        self.used_cpu_s += wall_s * job.cpus
        self._finished.append(
            FinishedJob(job.id, machine.name, now, wall_s, job.cpus, ok, job.run, job.workflow, kind=job.workflow)
        )
        half = len(self._finished) // 2
        if half > 1000 and self._finished[half].ended_at < now - self._history:
            del self._finished[: half + 1]

    def _take_off(self, now: datetime, machine: Machine, job: SimulatedJob) -> float:
        del machine.jobs[job.id]
        machine.free_cpus += job.cpus
        self._running_cpus -= job.cpus
        self._touch(machine)
        wall_s = (now - job.started_at).total_seconds() if job.started_at is not None else 0.0
        job.machine = job.started_at = None
        return wall_s

    def _kill_jobs(self, now: datetime, machine: Machine) -> None:
        for job in list(machine.jobs.values()):
            self.wasted_cpu_s += self._take_off(now, machine, job) * job.cpus
            self.jobs_killed += 1
            self._queue.push(job)

    def _end_drain(self, now: datetime, machine: Machine) -> None:
        if not machine.gone and machine.draining and machine.drain_deadline == now:
            self._kill_jobs(now, machine)

    def _touch(self, machine: Machine) -> None:
        self._free.update(machine)
        self._changed.add(machine.name)

    def _fresh_slots(self) -> Mapping[str, WorkerSlots]:
        if self._changed:
            # Views already returned keep the old one. Sorted, since the order of a set of strings differs by process.
            slots = dict(self._slots)
            for name in sorted(self._changed):
                machine = self._machines.get(name)
                if machine is not None and machine.shown:
                    slots[name] = machine.slots()
                else:
                    slots.pop(name, None)
            self._slots = slots
            self._changed.clear()
        return self._slots
