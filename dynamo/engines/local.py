"""Engine `local`: warm worker processes on this machine, no daemons.

Each worker imports the science once and then runs tasks it receives through a pipe. A worker that dies or exceeds its
task's time limit is replaced; the task is retried as often as its jobs allow. Workers exit on their own when this
process is gone, because their pipe closes.

Background work, such as a backfill's, has workers of its own, which the kernel runs only when nobody else wants the
processor, and which stand still while live work is in flight: they share neither processors nor memory bandwidth with
it. If live work leaves no pause, background work goes on for one second in ten.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
from pydantic import Field

from dynamo.engines.base import BACKGROUND, BACKGROUND_PATIENCE, RunFolder, State, Status
from dynamo.engines.output import JobLog, Pump, append_to
from dynamo.engines.results import count_results
from dynamo.errors import passes
from dynamo.files import write_bytes
from dynamo.processes import HelperEndedError, HelperLateError, HelperProcess, end_with_parent, yield_to_others
from dynamo.workflows.model import Layout, Plan, Task

_log = logging.getLogger("dynamo.engines")
#: Time for a thread to finish, in seconds.
_GRACE_S = 2.0
#: Background work stands still at most so long, and then goes on for so long, seconds. Its time limits count on it.
_STANDS_S, _TURN_S = 9.0, 1.0
#: Number of finished runs to remember, so that a daemon's memory stays bounded.
_REMEMBERED = 256


@dataclass(frozen=True)
class LocalEngineOptions:
    """Options of the engine, set by the operator under ``[engines.local]``."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 2


#: Ready tasks of runs: the highest priority first, then in order.
_Queue = list[tuple[int, int, "_Execution", Task]]


@dataclass
class _Execution:
    """One run in the engine; guarded by the engine's condition."""

    folder: RunFolder
    plan: Plan
    layout: Layout
    waiting: dict[str, Task]
    active: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    state: State = "pending"
    reason: str = ""
    transient: bool = False


class LocalEngine:
    """Executes runs in a fixed number of worker processes.

    Parameters
    ----------
    workers
        Number of processes. There are as many, less one, for background work; they start when there is some.
    """

    name = "local"

    def __init__(self, workers: int = 2) -> None:
        self._changed = threading.Condition()
        self._runs: dict[Path, _Execution] = {}
        self._live, self._background = _Queue(), _Queue()
        #: Live tasks that are being worked on, and one more while there is other live work.
        self._busy = 0
        self._sequence = itertools.count()
        self._closing = False
        self._workers = [_Worker() for _ in range(workers)]
        spare = [_Worker(background=True) for _ in range(max(1, workers - 1))]
        served = [(self._live, worker) for worker in self._workers] + [(self._background, worker) for worker in spare]
        self._workers += spare
        self._spare = spare
        self._threads = [
            threading.Thread(target=self._serve, args=pair, name=f"local-{index}", daemon=True)
            for index, pair in enumerate(served)
        ]
        self._threads.append(threading.Thread(target=self._give_turns, name="local-turns", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, folder: RunFolder) -> None:
        """Start the work; do nothing if this process has it, active or finished."""
        with self._changed:
            known = self._runs.get(folder.root)
            if known is not None and (known.state in ("pending", "running") or folder.engine_file.exists()):
                return
            plan, layout = folder.read_plan(), folder.read_layout()
            (folder.root / "cancel").unlink(missing_ok=True)
            write_bytes(folder.engine_file, orjson.dumps({"engine": self.name}), private=True)
            run = _Execution(folder, plan, layout, {task.id: task for task in layout.tasks})
            self._forget()
            self._runs[folder.root] = run
            self._release(run)

    def status(self, folder: RunFolder) -> Status:
        """Return the run's status; a run of another process is ``lost``."""
        with self._changed:
            run = self._runs.get(folder.root)
            state: State = run.state if run else "lost"
            reason = run.reason if run else "the process executing it is gone"
            transient = run is not None and run.transient
        return count_results(folder, state, reason, transient=transient)

    def wait(self, folder: RunFolder, timeout_s: float | None = None) -> Status:
        """Wait for a final state, at most ``timeout_s``."""
        with self._changed:
            run = self._runs.get(folder.root)
            if run is not None:
                self._changed.wait_for(lambda: run.state not in ("pending", "running"), timeout_s)
        return self.status(folder)

    def cancel(self, folder: RunFolder, reason: str) -> None:
        """Stop the run: start no more of its tasks, and stop its workers after their current job."""
        with self._changed:
            run = self._runs.get(folder.root)
            if run is None or run.state not in ("pending", "running"):
                return
            write_bytes(folder.root / "cancel", reason.encode())
            run.waiting.clear()
            self._end(run, "cancelled", reason)

    def pids(self) -> list[int]:
        """Return the process ids of the workers that have started."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def close(self) -> None:
        """Stop the workers; their current tasks are abandoned and can be resumed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join(_GRACE_S)

    def _put(self, run: _Execution, task: Task) -> None:
        queue = self._background if run.plan.priority <= BACKGROUND else self._live
        heapq.heappush(queue, (-run.plan.priority, next(self._sequence), run, task))
        self._changed.notify_all()

    def _take(self, queue: _Queue) -> tuple[_Execution, Task] | None:
        """Wait for the next task; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: queue or self._closing)
            return None if self._closing else heapq.heappop(queue)[2:]

    def _serve(self, queue: _Queue, worker: _Worker) -> None:
        while (item := self._take(queue)) is not None:
            run, task = item
            with self._changed:
                if run.state not in ("pending", "running") or self._closing:
                    continue
                run.state = "running"
            try:
                with self._alone() if queue is self._live else contextlib.nullcontext():
                    outcome = worker.run(run.folder.root, task)
            except Exception as defect:  # if this thread died, runs would wait forever
                _log.exception("bug in a worker", extra={"task": task.id})
                outcome = _Outcome(f"task {task.id}: {type(defect).__name__}: {defect}")
            with self._changed:
                self._finish(run, task, outcome)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let background work stand still."""
        self.give_way(True)
        try:
            yield
        finally:
            self.give_way(False)

    def give_way(self, live: bool) -> None:
        """Let background work stand still while live work is in flight, here or before it gets here."""
        with self._changed:
            before, self._busy = self._busy > 0, self._busy + (1 if live else -1)
            if (self._busy > 0) == before:
                return
            if live:
                self._hold()
            else:
                self._go_on()
            self._changed.notify_all()

    def _give_turns(self) -> None:
        """Let background work go on for a moment now and then if live tasks leave no pause."""
        with self._changed:
            while not self._closing:
                self._changed.wait_for(lambda: self._busy or self._closing)
                if self._changed.wait_for(lambda: not self._busy or self._closing, _STANDS_S):
                    continue
                self._go_on()
                self._changed.wait_for(lambda: self._closing, _TURN_S)
                if self._busy:
                    self._hold()

    def _hold(self) -> None:
        for worker in self._spare:
            worker.pause()

    def _go_on(self) -> None:
        for worker in self._spare:
            worker.go_on()

    def _finish(self, run: _Execution, task: Task, outcome: _Outcome) -> None:
        run.active.discard(task.id)
        if run.state not in ("pending", "running") or self._closing:
            return
        if outcome.error is None:
            run.finished.add(task.id)
            if len(run.finished) == len(run.layout.tasks):
                self._end(run, "succeeded", "")
            else:
                self._release(run)
            return
        attempts = run.attempts[task.id] = run.attempts.get(task.id, 0) + 1
        if attempts <= max((run.plan.by_id[name].retries for name in task.jobs), default=0):
            run.active.add(task.id)
            self._put(run, task)
        else:
            run.waiting.clear()
            run.transient = outcome.transient
            self._end(run, "failed", outcome.error)

    def _forget(self) -> None:
        final = [root for root, run in self._runs.items() if run.state not in ("pending", "running")]
        for root in final[:-_REMEMBERED]:
            del self._runs[root]

    def _release(self, run: _Execution) -> None:
        ready = [task for task in run.waiting.values() if run.finished.issuperset(task.parents)]
        for task in ready:
            del run.waiting[task.id]
            run.active.add(task.id)
            self._put(run, task)

    def _end(self, run: _Execution, state: State, reason: str) -> None:
        run.state, run.reason = state, reason
        self._changed.notify_all()


@dataclass(frozen=True)
class _Outcome:
    """How a task ended: with an error, or None; ``transient`` if it could not write down its results."""

    error: str | None = None
    transient: bool = False


class _Worker:
    """A process that runs one task at a time; in the background only when no other process wants the processor."""

    def __init__(self, *, background: bool = False) -> None:
        self._background = background
        self._stopped = False
        self._output = Pump()
        self._helper: HelperProcess | None = None if background else self._start()

    def _start(self) -> HelperProcess:
        return HelperProcess(_work_in_background if self._background else _work, self._output.take_from)

    @property
    def pid(self) -> int | None:
        """The process id, once it has started."""
        return None if self._helper is None else self._helper.pid

    def run(self, root: Path, task: Task) -> _Outcome:
        """Run a task; what it writes is in ``logs/TASK.out`` as it comes."""
        self._output.send_to(JobLog(append_to(root / "logs" / f"{task.id}.out")))
        try:
            return self._ask(root, task)
        finally:
            self._output.send_to(None)

    def _ask(self, root: Path, task: Task) -> _Outcome:
        limit_s = task.resources.max_seconds * (BACKGROUND_PATIENCE if self._background else 1)
        if self._helper is None:
            self._helper = self._start()
            if self._stopped:
                self._helper.stop()
        try:
            outcome: _Outcome = self._helper.ask((str(root), task.id), limit_s)
        except HelperLateError:
            return _Outcome(f"task {task.id}: killed at its time limit of {limit_s} s")
        except HelperEndedError as ended:
            return _Outcome(f"task {task.id}: its worker process exited (exit code {ended.exit_status})")
        return outcome

    def pause(self) -> None:
        """Let the process stand still, if it has started."""
        if self._helper is not None:
            self._helper.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let the process go on."""
        if self._helper is not None:
            self._helper.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the process, whatever it is doing."""
        self._stopped = True
        # Killing is safe: outputs are renamed into place, so an interrupted job leaves no partial files.
        if self._helper is not None:
            self._helper.stop()


def _work_in_background(pipe: Connection) -> None:
    """Serve tasks in time that nobody else wants."""
    # One that stands still when the daemon is killed does not notice that its pipe closes.
    end_with_parent()
    yield_to_others()
    _work(pipe)


def _work(pipe: Connection) -> None:
    """Serve tasks until the pipe closes."""
    import os

    # What a run writes is its owner's alone until it is published.
    os.umask(0o077)
    # Its output goes to a pipe, and is to be read as it comes.
    cast("TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)
    from dynamo.modules import warm
    from dynamo.modules.runner import run_task

    warm.import_science()
    with contextlib.suppress(EOFError, OSError):
        while True:
            root, task = pipe.recv()
            outcome = _outcome(Path(root), task, run_task)
            sys.stdout.flush()
            pipe.send(outcome)


def _outcome(root: Path, task: str, run_task: Callable[..., bool]) -> _Outcome:
    failures: list[str] = []

    def note(line: dict[str, Any]) -> None:
        if line["state"] == "failed":
            failures.append(f"job {line['job']}: {line['error']}")

    try:
        if run_task(root, task, note):
            return _Outcome()
    except OSError as error:
        return _Outcome(f"task {task}: {error}", passes(error))
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return _Outcome((failures[0] if failures else "cancelled") + more)
