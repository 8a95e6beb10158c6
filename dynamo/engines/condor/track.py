"""The state of a run, derived from HTCondor's job event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from dynamo.engines.base import State
from dynamo.engines.condor.holds import explain

#: Event numbers of the HTCondor manual, "Job Event Log Codes".
SUBMIT, EXECUTE, EVICTED, TERMINATED, SHADOW_EXCEPTION = 0, 1, 4, 5, 7
ABORTED, HELD, RELEASED, DISCONNECTED, RECONNECTED, RECONNECT_FAILED = 9, 12, 13, 22, 23, 24

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

    @property
    def id(self) -> str:
        """HTCondor's job id."""
        return f"{self.cluster}.{self.proc}"

    @property
    def succeeded(self) -> bool:
        """Whether it exited with code 0."""
        return self.phase == "ended" and self.exit_code == 0


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
        elif event.kind == EVICTED:
            known.phase = "idle"
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
            known.phase = "ended"
        elif event.kind in (SHADOW_EXCEPTION, DISCONNECTED, RECONNECT_FAILED):
            known.reason = event.text("Message") or event.text("DisconnectReason") or event.text("Reason")
            if event.kind != DISCONNECTED:
                known.phase = "idle"
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
            return ("cancelled" if main.removed and not main.hold_code else "failed"), main.reason
        if main.phase == "held":
            return "held", main.reason
        nodes = [job for job in list(self.jobs.values()) if job is not main]
        held = [job for job in nodes if job.phase == "held"]
        if held and not any(job.phase == "running" for job in nodes):
            return "held", f"task {held[0].node}: {held[0].reason}"
        busy = nodes if nodes or main.node else [main]
        if any(job.phase == "running" or job.succeeded for job in busy):
            return "running", ""
        return "pending", next((job.reason for job in busy if job.reason), "")

    def failure(self) -> tuple[str, str]:
        """Return the task that failed last (empty if unknown) and the reason."""
        nodes = [job for job in list(self.jobs.values()) if job.phase == "ended" and not job.succeeded]
        # Any node's reason says more than DAGMan's own exit code.
        named = [job for job in nodes if job is not self.main] or nodes
        # Nodes that DAGMan removed because another one failed are not the cause.
        told = [job for job in named if job.hold_code or not job.removed] or named
        return (told[-1].node, told[-1].reason) if told else ("", "")


def event_from(cluster: int, proc: int, data: Mapping[str, Any]) -> JobEvent:
    """Return the event described by a ClassAd from HTCondor's event log."""
    # The log has local times without an offset.
    time = datetime.fromisoformat(str(data["EventTime"])).astimezone(UTC)
    return JobEvent(int(data["EventTypeNumber"]), cluster, proc, time, data)


def _node(event: JobEvent) -> str:
    notes = event.text("LogNotes")
    return notes.removeprefix("DAG Node:").strip() if notes.startswith("DAG Node:") else ""


def _exit(event: JobEvent) -> str:
    if event.data.get("TerminatedNormally", True):
        return f"exit code {event.data.get('ReturnValue', '?')}"
    return f"signal {event.data.get('TerminatedBySignal', '?')}"
