"""The pool's job queue: the engine's few calls to HTCondor's schedd."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from dynamo.engines.condor.description import quote
from dynamo.errors import RetryableError
from dynamo.pool.environment import use_pool

T = TypeVar("T")

IDLE = 1
REMOVED = 3
COMPLETED = 4
#: DAGMan's universe: its jobs run beside the queue and need no slot.
SCHEDULER_UNIVERSE = 7


@dataclass(frozen=True)
class QueuedJob:
    """A job known to the schedd; ``status`` is HTCondor's ``JobStatus``."""

    cluster: int
    proc: int
    status: int
    exit_code: int | None = None


class Queue:
    """The schedd of the configured HTCondor pool.

    Raises
    ------
    MissingPartError
        If no pool is available.
    """

    def __init__(self) -> None:
        use_pool()
        # The bindings have global state; calls are short.
        self._lock = threading.Lock()
        self._schedd: Any = None

    def submit(self, description: str) -> int:
        """Submit one job durably (it survives a schedd crash); return its cluster id."""
        import htcondor2

        return int(self._ask(lambda schedd: schedd.submit(htcondor2.Submit(description)).cluster()))

    def find(self, attribute: str, value: str) -> list[QueuedJob]:
        """Return the queued jobs whose ``attribute`` is the string ``value``, in submission order."""
        constraint = equals(attribute, value)
        ads = self._ask(lambda schedd: schedd.query(constraint, ["ClusterId", "ProcId", "JobStatus"]))
        return sorted((_job(ad) for ad in ads), key=lambda job: (job.cluster, job.proc))

    def past(self, attribute: str, value: str) -> list[QueuedJob]:
        """Do the same as `find` for jobs that have left the queue."""
        constraint = equals(attribute, value)
        names = ["ClusterId", "ProcId", "JobStatus", "ExitCode"]
        ads = self._ask(lambda schedd: list(schedd.history(constraint, names)))
        return sorted((_job(ad) for ad in ads), key=lambda job: (job.cluster, job.proc))

    def idle(self, attribute: str, value: str, *, limit: int = 20) -> list[Any]:
        """Return the ClassAds of at most ``limit`` jobs whose ``attribute`` is ``value`` and that wait for a slot."""
        constraint = f"{equals(attribute, value)} && JobStatus == {IDLE} && JobUniverse != {SCHEDULER_UNIVERSE}"
        return self._ask(lambda schedd: list(schedd.query(constraint, limit=limit)))

    def remove(self, attribute: str, value: str, reason: str, *, timeout_s: float = 30.0) -> None:
        """Remove all jobs whose ``attribute`` is ``value``, including late arrivals; wait until they are gone.

        Raises
        ------
        RetryableError
            If some remain after ``timeout_s``.
        """
        import htcondor2

        # The bindings (25.14) drop a reason given without a code.
        deadline = time.monotonic() + timeout_s
        pause_s = 0.02
        constraint = f"{equals(attribute, value)} && JobStatus != {REMOVED}"
        while jobs := self.find(attribute, value):
            if any(job.status != REMOVED for job in jobs):
                self._ask(lambda schedd: schedd.act(htcondor2.JobAction.Remove, constraint, (reason, 0)))
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"{len(jobs)} removed jobs are stuck in the queue", where=f"job {jobs[0].cluster}.{jobs[0].proc}"
                )
            time.sleep(pause_s)
            pause_s = min(0.5, pause_s * 1.5)

    def edit(self, attribute: str, value: str, name: str, expression: str) -> bool:
        """Set attribute ``name`` of the queued jobs whose ``attribute`` is ``value``; return whether there are any."""
        if not self.find(attribute, value):
            return False
        self._ask(lambda schedd: schedd.edit(equals(attribute, value), name, expression))
        return True

    def give_up(self, job: str, reason: str) -> None:
        """Remove one job."""
        import htcondor2

        self._ask(lambda schedd: schedd.act(htcondor2.JobAction.Remove, [job], (reason, 0)))

    def release(self, job: str, reason: str) -> None:
        """Release a held job."""
        import htcondor2

        self._ask(lambda schedd: schedd.act(htcondor2.JobAction.Release, [job], (reason, 0)))

    def _ask(self, call: Callable[[Any], T]) -> T:
        import htcondor2

        with self._lock:
            try:
                if self._schedd is None:
                    self._schedd = htcondor2.Schedd()
                return call(self._schedd)
            except (htcondor2.HTCondorException, OSError) as error:
                # A restarted pool has a new address.
                self._schedd = None
                raise RetryableError(
                    f"HTCondor's queue does not respond: {error}", hint="is the pool up? see `dynamo pool status`"
                ) from error


def equals(attribute: str, value: str) -> str:
    """Return the constraint for jobs whose ``attribute`` is exactly ``value``; ClassAd's == ignores case."""
    return f"{attribute} =?= {quote(value).replace('$(DOLLAR)', '$')}"


def _job(ad: Any) -> QueuedJob:
    code = ad.get("ExitCode")
    return QueuedJob(int(ad["ClusterId"]), int(ad["ProcId"]), int(ad["JobStatus"]), None if code is None else int(code))
