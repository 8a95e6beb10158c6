"""An in-memory pool with a given clock, for tests, benchmarks, and simulations of whole weather days.

Simulated sites report when their servers join and leave. What happened since the last call is computed, event by
event and in order, on the next call; nothing runs in the background. The same calls at the same times
give the same answers.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from dynamo.errors import UsageError
from dynamo.provision.pool_link import FinishedJob, JoinPapers, PoolSilentError, PoolView
from dynamo.provision.simulated.clock import Clock
from dynamo.provision.simulated.jobs import Machine, SimulatedJob
from dynamo.provision.simulated.work import SimulatedWork

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class SimulatedPool(SimulatedWork):
    """A `PoolLink` without HTCondor.

    Parameters
    ----------
    clock
        Source of the current time.
    update_interval_s
        How long a restarted collector may take to hear from all workers.
    ad_lifetime_s
        How long the collector shows a worker that left without notice.
    admission
        Whether workers wait for `admit`; otherwise they join by themselves.
    history_s
        Minimum time to keep ended jobs for `finished`.
    seed
        Random seed for the order in which workers reappear.

    Attributes
    ----------
    papers_made
        Number of times papers were created, by worker.
    revoked
        Workers whose papers are revoked.
    refused
        Workers that tried to join with revoked papers, in order.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        update_interval_s: float = 5.0,
        ad_lifetime_s: float = 0.0,
        admission: bool = False,
        history_s: float = 86400.0,
        seed: int = 0,
    ) -> None:
        super().__init__(history_s)
        self.papers_made: Counter[str] = Counter()
        self.revoked: set[str] = set()
        self.refused: list[str] = []
        self._clock = clock
        self._update_interval_s = update_interval_s
        self._ad_lifetime = timedelta(seconds=ad_lifetime_s)
        self._admission = admission
        self._rng = Random(f"{seed}:pool")  # noqa: S311
        self._lock = threading.RLock()
        self._asking: dict[str, Machine] = {}
        self._numbers = count(1)
        self._collector_since = clock.now()
        self._silent_until = _LONG_AGO

    def ensure(self) -> None:
        """Do nothing: the pool always exists."""
        with self._lock:
            self._asked()

    def view(self) -> PoolView:
        """Return the current state of collector and queue; a view does not change afterwards."""
        with self._lock:
            now = self._asked()
            return PoolView(now, self._collector_since, self._fresh_slots(), self._queue.cpus, self._running_cpus)

    def papers(
        self,
        worker: str,
        *,
        script: str = "",
        remote: bool = True,
        options: Mapping[str, object] | None = None,  # noqa: ARG002 - the site says how large a worker is
    ) -> JoinPapers:
        """Return dummy papers; a worker whose papers were revoked may join with new ones."""
        with self._lock:
            self._asked()
            self.papers_made[worker] += 1
            self.revoked.discard(worker)
            serial = self.papers_made[worker]
        if remote:
            return JoinPapers(f"#!/bin/sh\n# simulated worker {worker}, papers {serial}\n{script}", {})
        return JoinPapers("", {"token": f"simulated {worker} {serial}".encode()})

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        """Admit those of ``expected`` that have asked since the last call; others keep asking."""
        with self._lock:
            now = self._asked()
            asking = [machine for name, machine in self._asking.items() if name in expected]
            for machine in asking:
                del self._asking[machine.name]
                if self._admission:
                    self._enter(now, machine)
            self._place(now)
            return [machine.name for machine in asking if machine.joined]

    def revoke(self, workers: Collection[str]) -> None:
        """Keep these workers from joining; those that have joined stay."""
        with self._lock:
            self._asked()
            self.revoked.update(workers)

    def drain(self, worker: str, *, deadline_s: float) -> None:
        """Start no more jobs there; those still running at the deadline are killed. The first deadline counts."""
        with self._lock:
            now = self._asked()
            machine = self._machines.get(worker)
            if machine is None or machine.gone:
                return
            deadline = now + timedelta(seconds=max(0.0, deadline_s))
            if machine.drain_deadline is None or deadline < machine.drain_deadline:
                machine.drain_deadline = deadline
                self._later(deadline, self._end_drain, machine)
            machine.draining = True
            self._touch(machine)
            self._catch_up(now)

    def release(self, jobs: Collection[str]) -> Sequence[str]:  # noqa: ARG002 - jobs go back when their worker leaves
        """Do nothing: the queue knows at once."""
        return ()

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        """Return the jobs that ended after ``since``, in order."""
        with self._lock:
            self._asked()
            return self._finished[bisect_right(self._finished, since, key=lambda job: job.ended_at) :]

    def stop(self) -> None:
        """Do nothing: there are no daemons."""

    # The rest is for sites, tests and simulations, not part of the pool interface.

    def expect(
        self, worker: str, *, cpus: int, memory_mb: int = 0, joins_at: datetime, leaves_at: datetime | None = None
    ) -> None:
        """Schedule a worker to join at ``joins_at`` unless revoked or gone by then; replaces one of the same name."""
        with self._lock:
            now = self._clock.now()
            self._catch_up(now)
            self._remove(now, worker, clean=True)
            machine = self._machines[worker] = Machine(worker, cpus, memory_mb, cpus, joins_at, leaves_at=leaves_at)
            self._later(joins_at, self._join, machine)
            if leaves_at is not None:
                self._later(max(now, leaves_at), self._leave_later, machine)
            self._catch_up(now)

    def prolong(self, worker: str, leaves_at: datetime) -> None:
        """Postpone a worker's departure to ``leaves_at``."""
        with self._lock:
            self._catch_up(self._clock.now())
            machine = self._machines.get(worker)
            if machine is not None and not machine.gone:
                machine.leaves_at = leaves_at
                self._later(leaves_at, self._leave_later, machine)

    def leave(self, worker: str, *, clean: bool = True) -> None:
        """Remove a worker now; its jobs are killed, counted, and requeued at their old places."""
        with self._lock:
            now = self._clock.now()
            self._catch_up(now)
            self._remove(now, worker, clean=clean)
            self._place(now)

    def submit(self, cpus: int, duration_s: float, *, ok: bool = True, run: str = "", workflow: str = "") -> str:
        """Add a job to the queue and return its id.

        Raises
        ------
        UsageError
            If it needs no processor or has a negative duration.
        """
        if cpus < 1 or duration_s < 0:
            raise UsageError(f"invalid job: {cpus} processors for {duration_s:g} s")
        with self._lock:
            now = self._clock.now()
            self._catch_up(now)
            number = next(self._numbers)
            job = SimulatedJob(f"{number}.0", number, cpus, duration_s, ok, run, workflow, now)
            self._queue.push(job)
            self._place(now)
            self._catch_up(now)
            return job.id

    def counts(self) -> tuple[int, int]:
        """Return the numbers of waiting and running jobs."""
        with self._lock:
            self._catch_up(self._clock.now())
            return self._queue.jobs, sum(len(machine.jobs) for machine in self._machines.values())

    def silent_until(self, instant: datetime) -> None:
        """Make every interface call raise `PoolSilentError` before ``instant``; workers and jobs continue."""
        with self._lock:
            self._silent_until = instant

    def restart_collector(self) -> None:
        """Make the collector forget all workers; they reappear within the update interval. Jobs continue."""
        with self._lock:
            now = self._clock.now()
            self._catch_up(now)
            self._collector_since = now
            for machine in list(self._machines.values()):
                if machine.gone:
                    self._forget(now, machine)
                elif machine.joined:
                    machine.shown = False
                    self._touch(machine)
                    wait_s = self._update_interval_s * self._rng.random()
                    self._later(now + timedelta(seconds=wait_s), self._show, machine)

    def make_black_hole(self, worker: str, *, fails_after_s: float = 1.0) -> None:
        """Make every job started on ``worker`` from now on fail after ``fails_after_s`` seconds."""
        with self._lock:
            self._catch_up(self._clock.now())
            self._machines[worker].black_hole_s = fails_after_s

    def next_event_at(self) -> datetime | None:
        """Return the time of the next scheduled event (which may have become void since)."""
        with self._lock:
            return self._coming[0][0] if self._coming else None

    def _asked(self) -> datetime:
        now = self._clock.now()
        self._catch_up(now)
        if now < self._silent_until:
            raise PoolSilentError("the pool does not answer (simulated)", hint="will be retried")
        return now

    def _join(self, now: datetime, machine: Machine) -> None:
        if machine.gone:
            return
        self._asking[machine.name] = machine
        if not self._admission:
            self._enter(now, machine)

    def _enter(self, now: datetime, machine: Machine) -> None:
        if machine.name in self.revoked:
            self.refused.append(machine.name)
            del self._machines[machine.name]
            self._asking.pop(machine.name, None)
            return
        machine.joined = machine.shown = True
        machine.started_at = now
        self._touch(machine)

    def _show(self, now: datetime, machine: Machine) -> None:
        del now
        if not machine.gone:
            machine.shown = True
            self._touch(machine)

    def _leave_later(self, now: datetime, machine: Machine) -> None:
        prolonged = machine.leaves_at is not None and machine.leaves_at > now
        if self._machines.get(machine.name) is machine and not prolonged:
            self._remove(now, machine.name, clean=False)

    def _remove(self, now: datetime, worker: str, *, clean: bool) -> None:
        machine = self._machines.get(worker)
        if machine is None or (machine.gone and not clean):
            return
        self._asking.pop(worker, None)
        lingers = not clean and machine.shown and self._ad_lifetime > timedelta(0)
        if lingers:
            # The collector keeps showing what it heard last, including jobs.
            self._fresh_slots()
        machine.gone = True
        self._kill_jobs(now, machine)
        self._free.update(machine)
        if lingers:
            self._changed.discard(worker)
            self._later(now + self._ad_lifetime, self._forget, machine)
        else:
            del self._machines[worker]
            self._changed.add(worker)

    def _forget(self, now: datetime, machine: Machine) -> None:
        del now
        if self._machines.get(machine.name) is machine:
            del self._machines[machine.name]
            self._changed.add(machine.name)
