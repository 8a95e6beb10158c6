"""The state of a run, derived from HTCondor's job event log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from dynamo.engines.base import State
from dynamo.engines.condor.holds import explain

#: Event numbers of the HTCondor manual, "Job Event Log Codes".
SUBMIT, EXECUTE, EVICTED, TERMINATED, SHADOW_EXCEPTION = 0, 1, 4, 5, 7
ABORTED, HELD, RELEASED, REMOTE_ERROR, DISCONNECTED, RECONNECTED, RECONNECT_FAILED = 9, 12, 13, 21, 22, 23, 24

#: A job is given up after this many starts in a row that failed on their worker.
MAX_BAD_STARTS = 10
#: Nor is it started more often than this in all, whether anybody watches the run or not.
MAX_STARTS = 50
#: A start that failed later than this after the job began to run says nothing about the next one.
_START_S = 60.0

Phase = Literal["idle", "running", "held", "ended"]


@dataclass(frozen=True)
class JobEvent:
    """One event; ``data`` has HTCondor's own names and values."""

    kind: int
    cluster: int
    proc: int
    time: datetime
    data: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a value as one line of text."""
        return " ".join(str(self.data.get(name, "")).split())


@dataclass
class JobTrack:
    """One job of the run: DAGMan itself, or a task."""

    cluster: int
    proc: int
    #: The DAG node; empty for DAGMan and for jobs outside a DAG.
    node: str
    phase: Phase = "idle"
    reason: str = ""
    exit_code: int | None = None
    removed: bool = False
    hold_code: int = 0
    holds: int = 0
    #: Starts in a row that failed on their worker, and what the worker said last.
    bad_starts: int = 0
    fault: str = ""
    #: Whether the queue removed it for having been started `MAX_STARTS` times.
    spent: bool = False
    _executing_since: datetime | None = None
    _told: bool = False

    @property
    def id(self) -> str:
        """HTCondor's job id."""
        return f"{self.cluster}.{self.proc}"

    @property
    def succeeded(self) -> bool:
        """Whether it exited with code 0."""
        return self.phase == "ended" and self.exit_code == 0

    @property
    def given_up(self) -> bool:
        """Whether it was removed because it could not run."""
        return self.removed and bool(self.hold_code or self.spent or self.bad_starts >= MAX_BAD_STARTS)

    @property
    def trouble(self) -> str:
        """Why it is not running, or not for sure; empty if nothing is known to be wrong."""
        if self.bad_starts > 1:
            return f"{self.bad_starts} starts in a row failed, the last: {self.fault}"
        return "" if self.phase == "running" else self.reason

    def start_failed(self, event: JobEvent) -> None:
        """Count a start that failed on its worker; HTCondor may report one failure in two events."""
        since, self._executing_since = self._executing_since, None
        again = event.kind != REMOTE_ERROR and self._told
        self._told = event.kind == REMOTE_ERROR
        if again:
            return
        lasted = since is not None and (event.time - since).total_seconds() > _START_S
        self.bad_starts = 1 if lasted else self.bad_starts + 1

    def started(self, event: JobEvent) -> None:
        """Note that it runs."""
        self._executing_since, self._told = event.time, False


class RunTrack:
    """The jobs of a run; the first one submitted represents the run itself."""

    def __init__(self) -> None:
        self.jobs: dict[tuple[int, int], JobTrack] = {}
        self.main: JobTrack | None = None

    @property
    def ended(self) -> bool:
        """Whether the run's job has left the queue."""
        return self.main is not None and self.main.phase == "ended"

    @property
    def held(self) -> list[JobTrack]:
        """The held jobs."""
        # Copy, here and below: another thread may be processing an event.
        return [job for job in list(self.jobs.values()) if job.phase == "held"]

    @property
    def waiting(self) -> bool:
        """Whether a job waits for a slot."""
        # DAGMan itself needs none, and has no node; a lone job is the run.
        jobs = list(self.jobs.values())
        return any(job.phase == "idle" and (job.node or len(jobs) == 1) for job in jobs)

    @property
    def hopeless(self) -> list[JobTrack]:
        """The jobs that have failed to start too often."""
        return [job for job in list(self.jobs.values()) if job.phase != "ended" and job.bad_starts >= MAX_BAD_STARTS]

    def starts_over(self, event: JobEvent) -> str | None:
        """Return the node whose next start will overwrite its output (empty for a lone job); None if none will.

        Ask before the event is noted.
        """
        if event.kind == SUBMIT:
            node = _node(event)
            return node if node and any(job.node == node for job in list(self.jobs.values())) else None
        known = self.jobs.get((event.cluster, event.proc))
        if known is None or event.kind not in (EVICTED, REMOTE_ERROR, SHADOW_EXCEPTION, RECONNECT_FAILED):
            return None
        # DAGMan itself is no node, and has no output of a task.
        return None if known is self.main and len(self.jobs) > 1 else known.node

    def note(self, event: JobEvent) -> None:
        """Process one event."""
        key = (event.cluster, event.proc)
        if event.kind == SUBMIT and key not in self.jobs:
            job = self.jobs[key] = JobTrack(event.cluster, event.proc, _node(event))
            self.main = self.main or job
            return
        known = self.jobs.get(key)
        if known is None:
            return
        if event.kind == EXECUTE:
            known.phase, known.reason = "running", ""
            known.started(event)
        elif event.kind == EVICTED:
            known.phase = "idle"
            if event.data.get("TerminatedAndRequeued"):
                known.bad_starts = 0
            known.reason = (
                f"failed ({_exit(event)}), being restarted"
                if event.data.get("TerminatedAndRequeued")
                else event.text("Reason") or "returned by its worker"
            )
        elif event.kind == HELD:
            known.phase, known.holds = "held", known.holds + 1
            known.hold_code = int(event.data.get("HoldReasonCode", 0))
            known.reason = explain(known.hold_code, event.text("HoldReason"))
        elif event.kind == RELEASED:
            known.phase = "idle"
        elif event.kind == TERMINATED:
            known.phase = "ended"
            known.exit_code = int(event.data.get("ReturnValue", -1)) if event.data.get("TerminatedNormally") else -1
            known.reason = "" if known.exit_code == 0 else _exit(event)
        elif event.kind == ABORTED:
            # A job removed because of its hold stays held until then.
            known.removed = True
            if known.phase != "held":
                known.hold_code, known.reason = 0, event.text("Reason") or "removed"
                known.spent = "PeriodicRemove" in known.reason
                if known.bad_starts >= MAX_BAD_STARTS:
                    known.reason = known.trouble
                elif known.spent:
                    known.reason = f"started {MAX_STARTS} times without coming to an end"
            known.phase = "ended"
        elif event.kind == DISCONNECTED:
            known.reason = event.text("DisconnectReason")
        elif event.kind in (REMOTE_ERROR, SHADOW_EXCEPTION, RECONNECT_FAILED):
            known.phase = "idle"
            known.reason = event.text("ErrorMsg") or event.text("Message") or event.text("Reason")
            known.fault = known.reason
            known.start_failed(event)
        elif event.kind == RECONNECTED:
            known.phase, known.reason = "running", ""

    def state(self) -> tuple[State, str]:
        """Return the run's state and the reason; the caller decides what a removal means."""
        main = self.main
        if main is None:
            return "pending", ""
        if main.phase == "ended":
            if main.succeeded:
                return "succeeded", ""
            return ("cancelled" if main.removed and not main.given_up else "failed"), main.reason
        if main.phase == "held":
            return "held", main.reason
        nodes = [job for job in list(self.jobs.values()) if job is not main]
        busy = nodes if nodes or main.node else [main]
        reason = _troubles([job for job in busy if job.phase != "ended"])
        if any(job.phase == "running" for job in busy):
            return "running", reason
        if any(job.phase == "held" for job in nodes):
            return "held", reason
        return ("running" if any(job.succeeded for job in busy) else "pending"), reason

    def failure(self) -> tuple[str, str]:
        """Return the task that failed last (empty if unknown) and the reason."""
        nodes = [job for job in list(self.jobs.values()) if job.phase == "ended" and not job.succeeded]
        # Any node's reason says more than DAGMan's own exit code.
        named = [job for job in nodes if job is not self.main] or nodes
        # Nodes that DAGMan removed because another one failed are not the cause.
        told = [job for job in named if job.given_up or not job.removed] or named
        return (told[-1].node, told[-1].reason) if told else ("", "")


def event_from(cluster: int, proc: int, data: Mapping[str, Any]) -> JobEvent:
    """Return the event described by a ClassAd from HTCondor's event log."""
    # The log has local times without an offset.
    time = datetime.fromisoformat(str(data["EventTime"])).astimezone(UTC)
    return JobEvent(int(data["EventTypeNumber"]), cluster, proc, time, data)


def _troubles(jobs: Sequence[JobTrack]) -> str:
    """Return what keeps jobs from running in one line; a held job first, since it waits for somebody."""
    told = sorted((job for job in jobs if job.trouble), key=lambda job: job.phase != "held")
    if not told:
        return ""
    first = told[0]
    task = f"task {first.node}{' is held' if first.phase == 'held' else ''}: " if first.node else ""
    return f"{task}{first.trouble}" + (f" (and {len(told) - 1} more)" if len(told) > 1 else "")


def _node(event: JobEvent) -> str:
    notes = event.text("LogNotes")
    return notes.removeprefix("DAG Node:").strip() if notes.startswith("DAG Node:") else ""


def _exit(event: JobEvent) -> str:
    if event.data.get("TerminatedNormally", True):
        return f"exit code {event.data.get('ReturnValue', '?')}"
    return f"signal {event.data.get('TerminatedBySignal', '?')}"
