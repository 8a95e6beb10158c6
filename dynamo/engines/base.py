"""The engine interface, and the folder a run executes in.

The run folder is the complete record of an execution: everything an engine needs to find its work after a restart is
written before the work is handed off.

::

    RUN/plan.json            the plan (logical jobs)
    RUN/layout.json          the physical plan and its reason
    RUN/work/                one namespace of LFNs: inputs are links, outputs appear here
    RUN/results/TASK.jsonl   one line per finished logical job (see dynamo.modules.runner)
    RUN/logs/TASK.{out,err}  output of a task
    RUN/engine.json          the engine and its handle
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import orjson

from dynamo.errors import DynamoError
from dynamo.files import private_folder, write_bytes
from dynamo.workflows.model import Layout, Plan, Task, plan_from_json, plan_to_json
from dynamo.workflows.model import Resources as _Resources

_Stored = TypeVar("_Stored")
State = Literal["pending", "running", "held", "succeeded", "failed", "cancelled", "lost"]
#: Priority of work that must not delay any other: below all that can be declared for a workflow or trigger.
BACKGROUND = -2000
#: Tasks of such work may take this many times their time limit: others get the processor first.
BACKGROUND_PATIENCE = 10
FINAL: frozenset[State] = frozenset({"succeeded", "failed", "cancelled", "lost"})


@dataclass(frozen=True)
class Status:
    """State of an execution; ``reason`` says why it is held, failed, cancelled or lost.

    ``transient`` tells that it failed because a file system did, as far as the engine knows.
    """

    state: State
    reason: str = ""
    jobs_done: int = 0
    jobs_failed: int = 0
    jobs_total: int = 0
    transient: bool = False

    @property
    def final(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    root: Path

    @property
    def work(self) -> Path:
        """The folder of all LFNs."""
        return self.root / "work"

    @property
    def results(self) -> Path:
        """One JSON Lines file per task."""
        return self.root / "results"

    @property
    def logs(self) -> Path:
        """Standard output and error of the tasks."""
        return self.root / "logs"

    @property
    def tasks(self) -> Path:
        """One JSON file per task, which `dynamo.modules.runner` executes."""
        return self.root / "tasks"

    @property
    def engine_file(self) -> Path:
        """The engine's name and handle."""
        return self.root / "engine.json"

    def read_plan(self) -> Plan:
        """Return the stored plan."""
        return self._stored("plan.json", plan_from_json)

    def read_layout(self) -> Layout:
        """Return the stored physical plan."""
        return self._stored("layout.json", _layout)

    def _stored(self, name: str, parse: Callable[[Any], _Stored]) -> _Stored:
        """Return what `prepare` wrote; raise `EngineError` if a failing disk or a hand has changed it."""
        path = self.root / name
        try:
            return parse(orjson.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(
                f"the file is damaged ({type(error).__name__}: {error})",
                where=path,
                expected="what DyNamo wrote there",
                hint="dynamo runs retry",
            ) from error

    def write_plan(self, plan: Plan) -> None:
        """Store the plan, which `read_plan` returns."""
        write_bytes(self.root / "plan.json", orjson.dumps(plan_to_json(plan)), private=True)

    def prepare(self, plan: Plan, layout: Layout, checksums: Mapping[Path, str] | None = None) -> None:
        """Write plan, layout and tasks, and link the inputs into the work folder; idempotent.

        The ``checksums`` (SHA-256) of the inputs, by path, spare modules that tell them the hashing.
        """
        for folder in (self.work, self.results, self.logs, self.tasks):
            private_folder(folder)
        for lfn, path in plan.replicas.items():
            link = self.work / lfn
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(path)
        self.write_plan(plan)
        tasks = [
            {
                "id": task.id,
                "jobs": list(task.jobs),
                "parents": list(task.parents),
                "resources": vars(task.resources),
                "predicted_s": task.predicted_s,
            }
            for task in layout.tasks
        ]
        write_bytes(
            self.root / "layout.json",
            orjson.dumps({"kind": layout.kind, "reason": layout.reason, "tasks": tasks}),
            private=True,
        )
        stored = {job["id"]: job for job in plan_to_json(plan)["jobs"]}
        sums = {lfn: sha for lfn, path in plan.replicas.items() if (sha := (checksums or {}).get(Path(path)))}
        for task in layout.tasks:
            reads = {lfn for name in task.jobs for lfn in plan.by_id[name].reads}
            known = {lfn: sha for lfn, sha in sums.items() if lfn in reads}
            write_bytes(
                self.tasks / f"{task.id}.json",
                orjson.dumps({"id": task.id, "jobs": [stored[name] for name in task.jobs], "checksums": known}),
                private=True,
            )


def _layout(data: Any) -> Layout:
    tasks = tuple(
        Task(
            id=task["id"],
            jobs=tuple(task["jobs"]),
            parents=tuple(task["parents"]),
            resources=_Resources(**task["resources"]),
            predicted_s=task["predicted_s"],
        )
        for task in data["tasks"]
    )
    return Layout(kind=data["kind"], tasks=tasks, reason=data["reason"])


class Engine(Protocol):
    """Executes a prepared run folder. All calls are safe to repeat after a crash."""

    name: str

    def submit(self, folder: RunFolder) -> None:
        """Start the work, or finish a start that was cut off; do nothing if the engine has it, whatever its state.

        It is called until it returns, and again by each process that takes over the run. Without ``engine.json`` the
        work starts anew.
        """
        ...

    def status(self, folder: RunFolder) -> Status:
        """Return the current status without waiting."""
        ...

    def wait(self, folder: RunFolder, timeout_s: float | None = None) -> Status:
        """Wait for a final state, at most ``timeout_s``; return the status."""
        ...

    def cancel(self, folder: RunFolder, reason: str) -> None:
        """Stop the work; `status` then returns ``cancelled`` with ``reason``."""
        ...

    def close(self) -> None:
        """Release the engine's resources in this process; work on a pool continues."""
        ...


@runtime_checkable
class SharesProcessors(Protocol):
    """An engine whose work shares the processors of this process."""

    def give_way(self, live: bool) -> None:
        """Let background work stand still while live work is in flight, and go on after that."""
        ...


class EngineError(DynamoError):
    """An engine could not start or find its work."""

    exit_code = 5
