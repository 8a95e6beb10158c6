"""What the provisioner needs from an HTCondor pool: its members, who may join, and how to drain a worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dynamo.errors import RetryableError


class PoolSilentError(RetryableError):
    """The pool does not answer; nothing is known about its workers."""


@dataclass(frozen=True)
class WorkerSlots:
    """What the collector shows for one worker, summed over its slots.

    Attributes
    ----------
    cpus
        Processors the worker offers, including used ones.
    busy_cpus
        Processors claimed by jobs.
    jobs
        Ids of the running jobs.
    draining
        Whether it takes no new jobs.
    drained
        Whether it takes no new jobs and the last one has finished.
    started_at
        When its startd started.
    idle_claim_s
        How long a claimed processor has had no job, s; of several, the longest.
    """

    worker: str
    cpus: int
    busy_cpus: int
    memory_mb: int = 0
    jobs: tuple[str, ...] = ()
    draining: bool = False
    drained: bool = False
    started_at: datetime | None = None
    idle_claim_s: float = 0.0


@dataclass(frozen=True)
class PoolView:
    """One snapshot of the collector.

    Attributes
    ----------
    taken_at
        Time of the snapshot.
    collector_since
        When the collector started: a new one does not know its workers yet.
    workers
        By worker name.
    idle_cpus, running_cpus
        Processors requested by the jobs in the queue: waiting and running ones.
    running_on
        Ids of running jobs by the worker on which the queue believes them.
    freed
        Workers that had a claimed processor without a job for long while jobs waited; it was freed with this view.
    """

    taken_at: datetime
    collector_since: datetime
    workers: Mapping[str, WorkerSlots] = field(default_factory=dict)
    idle_cpus: int = 0
    running_cpus: int = 0
    running_on: Mapping[str, Sequence[str]] = field(default_factory=dict)
    freed: Sequence[str] = ()


@dataclass(frozen=True)
class FinishedJob:
    """One attempt of a job that ended on a worker; a job that starts again has several.

    Attributes
    ----------
    wall_s
        How long this attempt had the worker, not counting earlier ones.
    ok
        Whether it succeeded.
    run, workflow
        The run and workflow it belonged to, empty for jobs that are not DyNamo's.
    kind
        What it runs: jobs of one kind fail for the same reasons.
    stopped
        Whether it was stopped from outside, so that its end says nothing about job or worker.
    """

    job: str
    worker: str
    ended_at: datetime
    wall_s: float
    cpus: int
    ok: bool
    run: str = ""
    workflow: str = ""
    kind: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class JoinPapers:
    """What a new worker needs to join the pool.

    Attributes
    ----------
    user_data
        Its first-boot script, with a one-time, short-lived bootstrap for this worker.
    private_files
        For a worker on this machine: its files by name, including its own token; never sent to a cloud.
    """

    user_data: str
    private_files: Mapping[str, bytes]


class PoolLink(Protocol):
    """The pool of a fleet. Every method may raise `PoolSilentError`."""

    def ensure(self) -> None:
        """Start the pool's daemons if the spec says they are ours; do nothing if they are running."""
        ...

    def view(self) -> PoolView:
        """Query the collector and the queue."""
        ...

    def papers(
        self, worker: str, *, script: str = "", remote: bool = True, options: Mapping[str, object] | None = None
    ) -> JoinPapers:
        """Create what ``worker`` needs to join; a second call invalidates the first one's bootstrap.

        Parameters
        ----------
        script
            The operator's script, run before HTCondor starts.
        remote
            Whether the worker is on another machine (``user_data``) or this one (``private_files``).
        options
            ``cpus``, ``memory_mb``, ``disk_mb``: what the worker may offer (default: all its machine has).
        """
        ...

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        """Answer join requests of the workers in ``expected``, refuse others; return those admitted."""
        ...

    def revoke(self, workers: Collection[str]) -> None:
        """Revoke the tokens and bootstraps of these workers."""
        ...

    def drain(self, worker: str, *, deadline_s: float) -> None:
        """Let running jobs finish for at most ``deadline_s`` seconds, and take no new ones."""
        ...

    def release(self, jobs: Collection[str]) -> Sequence[str]:
        """Put jobs back in the queue that it believes to run on workers that are gone; repeat until it has.

        Returns
        -------
        The jobs that an earlier call did not have.
        """
        ...

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        """Return the attempts of jobs that ended on workers after ``since``."""
        ...

    def stop(self) -> None:
        """Stop the pool's daemons if they are ours."""
        ...
