"""What the provisioner needs of an HTCondor pool: who is in it, who may join it, and how a worker is emptied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dynamo.errors import RetryableError


class PoolSilentError(RetryableError):
    """The pool does not answer; nothing is known of its workers."""


@dataclass(frozen=True)
class WorkerSlots:
    """What the collector shows of one worker, all of its slots added up.

    Attributes
    ----------
    cpus
        Processors that the worker offers, used ones included.
    busy_cpus
        Processors that jobs have claimed.
    jobs
        The running jobs, by their id in the pool.
    draining
        Whether it takes no new jobs.
    drained
        Whether it takes no new jobs and the last one has ended.
    started_at
        When its startd began.
    """

    worker: str
    cpus: int
    busy_cpus: int
    memory_mb: int = 0
    jobs: tuple[str, ...] = ()
    draining: bool = False
    drained: bool = False
    started_at: datetime | None = None


@dataclass(frozen=True)
class PoolView:
    """One look at the collector.

    Attributes
    ----------
    taken_at
        When.
    collector_since
        When the collector began: one that has just begun does not know its workers yet.
    workers
        By worker name.
    idle_cpus, running_cpus
        What the jobs in the queue ask for: those that wait, and those that run.
    """

    taken_at: datetime
    collector_since: datetime
    workers: Mapping[str, WorkerSlots] = field(default_factory=dict)
    idle_cpus: int = 0
    running_cpus: int = 0


@dataclass(frozen=True)
class FinishedJob:
    """A job that ended on a worker.

    Attributes
    ----------
    ok
        Whether it did what it was for.
    run, workflow
        The run and workflow that it was for, empty for jobs that are not DyNamo's.
    """

    job: str
    worker: str
    ended_at: datetime
    wall_s: float
    cpus: int
    ok: bool
    run: str = ""
    workflow: str = ""


@dataclass(frozen=True)
class JoinPapers:
    """What a new worker is given to join the pool.

    Attributes
    ----------
    user_data
        The script of its first boot, with a bootstrap that serves once, for this worker, for a while.
    private_files
        For a worker on this machine: its files by name, its own token among them; never sent to a cloud.
    """

    user_data: str
    private_files: Mapping[str, bytes]


class PoolLink(Protocol):
    """The pool of a fleet. Every method may raise `PoolSilentError`."""

    def ensure(self) -> None:
        """Start the pool's own daemons where the spec says that they are ours; nothing if they run."""
        ...

    def view(self) -> PoolView:
        """Ask the collector and the queue."""
        ...

    def papers(
        self, worker: str, *, script: str = "", remote: bool = True, options: Mapping[str, object] | None = None
    ) -> JoinPapers:
        """Make what ``worker`` needs to join; a second call makes the first one's bootstrap void.

        Parameters
        ----------
        script
            The operator's own script, run before HTCondor starts.
        remote
            Whether the worker is on another machine (``user_data``) or on this one (``private_files``).
        options
            ``cpus``, ``memory_mb``, ``disk_mb``: what the worker may offer (default: all that its machine has).
        """
        ...

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        """Answer requests to join of the workers in ``expected``, refuse others; return who was let in."""
        ...

    def revoke(self, workers: Collection[str]) -> None:
        """Make tokens and bootstraps of these workers worthless."""
        ...

    def drain(self, worker: str, *, deadline_s: float) -> None:
        """Let running jobs finish, for at most ``deadline_s`` seconds, and take no new ones."""
        ...

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        """Return the jobs that ended on workers after ``since``."""
        ...

    def stop(self) -> None:
        """End the pool's own daemons where they are ours."""
        ...
