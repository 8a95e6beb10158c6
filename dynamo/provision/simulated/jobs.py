"""Jobs and machines of a simulated pool: waiting jobs, free machines, and which job goes where."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from dynamo.provision.pool_link import WorkerSlots


@dataclass(slots=True)
class SimulatedJob:
    """One job of a simulated pool.

    Attributes
    ----------
    number
        Its place in submission order, kept when it has to restart.
    duration_s
        How long it runs.
    ok
        Whether it succeeds.
    attempt
        How often it was started.
    machine
        The machine it runs on.
    """

    id: str
    number: int
    cpus: int
    duration_s: float
    ok: bool
    run: str
    workflow: str
    submitted_at: datetime
    attempt: int = 0
    machine: Machine | None = None
    started_at: datetime | None = None


@dataclass(slots=True, eq=False)
class Machine:
    """One worker of a simulated pool.

    Attributes
    ----------
    joined
        Whether its startd talks to the collector.
    shown
        Whether the collector shows it.
    gone
        Whether it is gone; the collector may still show it.
    leaves_at
        When it leaves by itself; None for one that stays.
    black_hole_s
        Seconds after which each job started here fails; None for a good machine.
    bucket
        The number of free processors under which `FreeList` keeps it.
    """

    name: str
    cpus: int
    memory_mb: int
    free_cpus: int
    started_at: datetime
    joined: bool = False
    shown: bool = False
    gone: bool = False
    leaves_at: datetime | None = None
    draining: bool = False
    drain_deadline: datetime | None = None
    black_hole_s: float | None = None
    jobs: dict[str, SimulatedJob] = field(default_factory=dict)
    bucket: int | None = None

    @property
    def takes_jobs(self) -> bool:
        """Whether a job may start here now."""
        return self.joined and self.shown and not self.gone and not self.draining and self.free_cpus > 0

    def slots(self) -> WorkerSlots:
        """Return what the collector shows for it."""
        return WorkerSlots(
            worker=self.name,
            cpus=self.cpus,
            busy_cpus=self.cpus - self.free_cpus,
            memory_mb=self.memory_mb,
            jobs=tuple(self.jobs),
            draining=self.draining,
            drained=self.draining and not self.jobs,
            started_at=self.started_at,
        )


class JobQueue:
    """Waiting jobs, oldest first; one too large for the free processors does not hold up smaller ones."""

    def __init__(self) -> None:
        self.cpus = 0
        self.jobs = 0
        self._by_cpus: dict[int, list[tuple[int, SimulatedJob]]] = {}

    def push(self, job: SimulatedJob) -> None:
        """Add a job at the place given by its number."""
        heappush(self._by_cpus.setdefault(job.cpus, []), (job.number, job))
        self.cpus += job.cpus
        self.jobs += 1

    def pop(self, most_cpus: int) -> SimulatedJob | None:
        """Remove and return the oldest job that needs at most ``most_cpus`` processors."""
        fitting = [(waiting[0][0], cpus) for cpus, waiting in self._by_cpus.items() if cpus <= most_cpus]
        if not fitting:
            return None
        _, cpus = min(fitting)
        waiting = self._by_cpus[cpus]
        _, job = heappop(waiting)
        if not waiting:
            del self._by_cpus[cpus]
        self.cpus -= job.cpus
        self.jobs -= 1
        return job


class FreeList:
    """Machines by number of free processors.

    A job goes to the fullest machine that has room for it, among equals to the last changed: load concentrates on a
    few machines, so that others become empty and can be removed.
    """

    def __init__(self) -> None:
        self._by_free: dict[int, dict[str, Machine]] = {}

    def update(self, machine: Machine) -> None:
        """Update a machine's place, or remove it if it takes no jobs."""
        self._take(machine)
        if machine.takes_jobs:
            self._by_free.setdefault(machine.free_cpus, {})[machine.name] = machine
            machine.bucket = machine.free_cpus

    def most_cpus(self) -> int:
        """Return the largest number of free processors on one machine."""
        return max(self._by_free, default=0)

    def pop(self, cpus: int) -> Machine:
        """Remove and return a machine for a job of ``cpus`` processors; one must exist (`most_cpus`)."""
        bucket = min(free for free in self._by_free if free >= cpus)
        machines = self._by_free[bucket]
        _, machine = machines.popitem()
        if not machines:
            del self._by_free[bucket]
        machine.bucket = None
        return machine

    def _take(self, machine: Machine) -> None:
        if machine.bucket is None:
            return
        machines = self._by_free[machine.bucket]
        del machines[machine.name]
        if not machines:
            del self._by_free[machine.bucket]
        machine.bucket = None
