"""Engine `condor`: runs on the configured HTCondor pool.

A run with layout ``single`` is one directly submitted job; any other goes through DAGMan. `engine.json` is written
before HTCondor is contacted and names a tag that every job carries, so a crash at any moment neither loses a job nor
submits it twice. The run's state comes from its job event log; the queue is queried if the log stays silent.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from dynamo.engines.base import FINAL, RunFolder, State, Status
from dynamo.engines.condor.dag import clear_attempt, dag_file, dag_text, describe_dagman, done_nodes
from dynamo.engines.condor.description import EVENT_LOG, FOLDER, MAX_HOLDS, TAG, describe_task
from dynamo.engines.condor.handle import Handle, only_one, read_handle, write_handle
from dynamo.engines.condor.holds import judge
from dynamo.engines.condor.options import CondorOptions, Transfer
from dynamo.engines.condor.pegasus_rundir import dagman_log, write_rundir
from dynamo.engines.condor.queue import COMPLETED, Queue
from dynamo.engines.condor.slots import Slots
from dynamo.engines.condor.watch import RunWatch
from dynamo.engines.logs import newest_log, set_aside
from dynamo.engines.results import count_results
from dynamo.errors import MissingPartError, RetryableError
from dynamo.files import write_text
from dynamo.modules.runner import read_results
from dynamo.times import parse_time, to_iso, utc_now
from dynamo.workflows.model import Layout, Plan

_log = logging.getLogger("dynamo.engines.condor.engine")

#: Query the queue for the job after this many seconds without an event.
SILENCE_S = 15.0
#: Ask whether any slot could run a job that has not started this long, in seconds, and how often to ask again.
_IDLE_S = 2.0
_MATCH_S = 60.0
#: While waiting, check `engine.json` at this interval: another process may have cancelled the run.
_LOOK_S = 2.0
_REMEMBERED = 256
_REASON_LENGTH = 500
_NEVER_SUBMITTED = "the submission was cut off: HTCondor knows no job of the run"
#: The priority in a submit description.
_PRIORITY = re.compile(r"^priority = -?[0-9]+$", re.MULTILINE)


class CondorEngine:
    """Runs on an HTCondor pool; see `CondorOptions` for the parameters.

    Raises
    ------
    MissingPartError
        If no pool is available.
    UsageError
        If the options contradict each other.
    """

    name = "condor"

    def __init__(
        self,
        *,
        transfer: Transfer = "auto",
        container: str | None = None,
        python: str | None = None,
        requirements: str | None = None,
        submit: Mapping[str, str] | None = None,
        sites: Mapping[str, str] | None = None,
    ) -> None:
        self.options = CondorOptions(transfer, container or None, python, requirements, submit or {}, sites or {})
        self._queue = Queue()
        self._slots = Slots()
        self._watches: OrderedDict[tuple[Path, str], RunWatch] = OrderedDict()
        self._lock = threading.Lock()
        self._closing = False

    def submit(self, folder: RunFolder) -> None:
        """Start the work, or resume after an interrupted call.

        Raises
        ------
        RetryableError
            If the pool does not respond; safe to call again.
        EngineError
            If another engine has the run.
        MissingPartError
            If tasks need a container, the pool has slots, and none has a runtime.
        """
        folder = RunFolder(folder.root.absolute())
        with only_one(folder):
            handle = read_handle(folder)
            if handle is not None and (handle.cluster is not None or handle.cancelled is not None):
                return
            plan, layout = folder.read_plan(), folder.read_layout()
            if handle is None:
                self._check_runtime()
                self._end_earlier(folder, plan, layout)
                handle = Handle(tag=str(uuid.uuid4()), created=to_iso(utc_now()))
                write_handle(folder, handle)
                cluster = None
            else:
                cluster = self._find(folder, handle)
            if cluster is None:
                description = self._write(folder, plan, layout, handle)
                cluster = self._queue.submit(description)
            self._record(folder, replace(handle, cluster=cluster))

    def status(self, folder: RunFolder) -> Status:
        """Return the current status without waiting."""
        state, reason = self._look(folder, 0.0)
        return count_results(folder, state, reason)

    def wait(self, folder: RunFolder, timeout_s: float | None = None) -> Status:
        """Wait for a final state, at most ``timeout_s`` (may overrun by a second)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = _LOOK_S if deadline is None else deadline - time.monotonic()
            state, reason = self._look(folder, min(_LOOK_S, max(0.0, left)))
            if state in FINAL or left <= 0 or self._closing:
                return count_results(folder, state, reason)

    def cancel(self, folder: RunFolder, reason: str) -> None:
        """Remove all jobs of the run; return when none is left in the queue.

        Raises
        ------
        RetryableError
            If the pool does not respond, or jobs do not leave the queue; safe to call again.
        """
        with only_one(folder):
            handle = read_handle(folder)
            if handle is None:
                handle = Handle(tag=str(uuid.uuid4()), created=to_iso(utc_now()), cancelled=reason, gone=True)
                write_handle(folder, handle)
                return
            if handle.cancelled is None:
                if self._look(folder, 0.0)[0] in FINAL:
                    return
                handle = replace(handle, cancelled=reason)
                # Tasks that see the run folder stop before their next job.
                write_text(folder.root / "cancel", reason)
                write_handle(folder, handle)
            self._queue.remove(TAG, handle.tag, reason)
            write_handle(folder, replace(handle, gone=True))

    def prioritize(self, folder: RunFolder, priority: int) -> bool:
        """Change the priority of the run's jobs, queued or still to come; return whether any is queued.

        Raises
        ------
        RetryableError
            If the pool does not respond.
        """
        with only_one(folder):
            handle = read_handle(folder)
            if handle is None or handle.cancelled is not None:
                return False
            # DAGMan reads a node's description when it submits the node.
            for path in folder.logs.glob("*.sub"):
                text = _PRIORITY.sub(f"priority = {priority}", path.read_text(), count=1)
                write_text(path, text, private=True)
            return self._queue.edit(TAG, handle.tag, "JobPrio", str(priority))

    def close(self) -> None:
        """Close the event logs; jobs on the pool continue. Waits in other threads return within a second."""
        self._closing = True
        with self._lock:
            watches = list(self._watches.values())
            self._watches.clear()
        for watch in watches:
            watch.close()

    # -- starting

    def _record(self, folder: RunFolder, handle: Handle) -> None:
        write_handle(folder, handle)

    def _check_runtime(self) -> None:
        """Refuse container tasks that the pool as it is would never start; an empty pool may get other workers."""
        if self.options.container is not None and self._slots.lack_runtime():
            raise MissingPartError(
                "no slot of the pool has a container runtime",
                where=f"container {self.options.container}",
                hint="run `dynamo pool install --containers`, then `dynamo pool down` and `up`; or install Apptainer "
                "on the workers",
            )

    def _find(self, folder: RunFolder, handle: Handle) -> int | None:
        """Return the run's job if the process that submitted it died before recording it."""
        known = self._queue.find(TAG, handle.tag) or self._queue.past(TAG, handle.tag)
        if not known:
            return None
        # DAGMan is submitted before its nodes.
        cluster = known[0].cluster
        _log.info("found the job of an interrupted submission", extra={"run": folder.root.name, "cluster": cluster})
        return cluster

    def _end_earlier(self, folder: RunFolder, plan: Plan, layout: Layout) -> None:
        """Prepare for a new attempt: no job of an earlier one may still write to the folder."""
        (folder.root / "cancel").unlink(missing_ok=True)
        log = folder.root / EVENT_LOG
        # Without its log, an earlier attempt shows in its submit descriptions.
        if not log.exists() and not any(folder.logs.glob("*.sub")):
            return
        self._queue.remove(FOLDER, str(folder.root), "the run is submitted again")
        log.unlink(missing_ok=True)
        dag = folder.root / dag_file(plan)
        same = dag.is_file() and dag.read_text() == dag_text(plan, layout)
        clear_attempt(folder, plan, same_dag=same and layout.kind != "single")
        for task in {task.id for task in layout.tasks} - done_nodes(folder, plan):
            set_aside(folder.logs, task, utc_now())

    def _write(self, folder: RunFolder, plan: Plan, layout: Layout, handle: Handle) -> str:
        """Write the files for HTCondor and Pegasus's tools; return the description of the job to submit."""
        single = layout.kind == "single"
        descriptions = {
            task.id: describe_task(
                folder,
                plan,
                task,
                tag=handle.tag,
                options=self.options,
                retries=max(plan.by_id[name].retries for name in task.jobs) if single else 0,
            )
            for task in layout.tasks
        }
        for name, text in descriptions.items():
            write_text(folder.logs / f"{name}.sub", text)
        write_text(folder.root / dag_file(plan), dag_text(plan, layout))
        write_rundir(folder, plan, layout, identity=handle.tag, planned=parse_time(handle.created))
        (folder.root / EVENT_LOG).touch()
        if single:
            return descriptions[layout.tasks[0].id]
        text = describe_dagman(folder, plan, tag=handle.tag)
        write_text(folder.root / f"{dag_file(plan)}.condor.sub", text)
        return text

    # -- following

    def _look(self, folder: RunFolder, timeout_s: float) -> tuple[State, str]:
        handle = read_handle(folder)
        if handle is None:
            return "lost", "the run was not submitted to the pool"
        if handle.cancelled is not None:
            return self._look_cancelled(folder, handle)
        if not (folder.root / EVENT_LOG).exists():
            return self._look_unlogged(handle, timeout_s)
        watch = self._watch(folder, handle)
        watch.read(timeout_s)
        self._settle(watch)
        state, reason = watch.track.state()
        if state not in FINAL:
            reasons = (self._vain(watch, handle), reason)
            return self._ask_when_silent(watch, handle) or (state, "; ".join(filter(None, reasons)))
        self._tell_pegasus(folder, watch)
        return state, self._reason(folder, watch, reason) if state == "failed" else reason

    def _look_cancelled(self, folder: RunFolder, handle: Handle) -> tuple[State, str]:
        if not handle.gone:
            # The cancelling process may have been killed midway.
            if self._queue.find(TAG, handle.tag):
                return "running", f"being cancelled: {handle.cancelled}"
            if (folder.root / EVENT_LOG).exists():
                watch = self._watch(folder, handle)
                watch.read()
                self._tell_pegasus(folder, watch)
        return "cancelled", handle.cancelled or ""

    def _look_unlogged(self, handle: Handle, timeout_s: float) -> tuple[State, str]:
        if handle.cluster is not None:
            return "lost", "the run's event log is gone"
        time.sleep(timeout_s)
        silent_s = (utc_now() - parse_time(handle.created)).total_seconds()
        if silent_s > SILENCE_S and not (self._queue.find(TAG, handle.tag) or self._queue.past(TAG, handle.tag)):
            return "lost", _NEVER_SUBMITTED
        return "pending", ""

    def _ask_when_silent(self, watch: RunWatch, handle: Handle) -> tuple[State, str] | None:
        """Query the queue about a run that has been silent for long; return None if all is well."""
        now = time.monotonic()
        if now - max(watch.heard, watch.checked) < SILENCE_S:
            return None
        try:
            if self._queue.find(TAG, handle.tag) or watch.read():
                return None
            # Without a cluster, the submission was cut off before or after it happened.
            past = [
                job
                for job in self._queue.past(TAG, handle.tag)
                if handle.cluster is None or job.cluster == handle.cluster
            ]
        except RetryableError as error:
            # The jobs may well be running; only the pool can tell, once it is back.
            _log.warning("%s", error)
            return None
        finally:
            watch.checked = now
        if not past:
            return (
                "lost",
                _NEVER_SUBMITTED if handle.cluster is None else f"HTCondor no longer knows job {handle.cluster}.0",
            )
        if past[0].status == COMPLETED:
            return ("succeeded", "") if past[0].exit_code == 0 else ("failed", f"exit code {past[0].exit_code}")
        return "cancelled", "removed from the queue"

    def _vain(self, watch: RunWatch, handle: Handle) -> str:
        """Return why a job of the run waits in vain: no slot of the pool could run it."""
        if not watch.track.waiting:
            return ""
        now = time.monotonic()
        if now - watch.heard > _IDLE_S and now - watch.matched > _MATCH_S:
            watch.matched, watch.vain = now, ""
            try:
                for job in self._queue.idle(TAG, handle.tag):
                    if why := self._slots.why_none(job):
                        task = f"task {job['DynamoTask']}: " if "DAGNodeName" in job else ""
                        watch.vain = f"{task}{why}"
                        break
            except RetryableError as error:
                _log.warning("%s", error)
        return watch.vain

    def _settle(self, watch: RunWatch) -> None:
        """Release or give up jobs that cannot go on by themselves."""
        for job in watch.track.hopeless:
            try:
                self._queue.give_up(job.id, job.trouble)
            except RetryableError as error:
                # Until the pool is back it is not started either.
                _log.warning("%s", error)
        for job in watch.track.held:
            verdict = judge(job.hold_code, job.holds, max_holds=MAX_HOLDS)
            if verdict == "wait":
                continue
            try:
                if verdict == "release":
                    self._queue.release(job.id, "transient")
                else:
                    self._queue.give_up(job.id, job.reason)
            except RetryableError as error:
                # The job's own policy does the same, just later.
                _log.warning("%s", error)

    def _reason(self, folder: RunFolder, watch: RunWatch, reason: str) -> str:
        failed = [line for line in read_results(folder.results) if line["state"] == "failed"]
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            return f"job {failed[0]['job']}: {failed[0]['error']}{more}"
        task, told = watch.track.failure()
        layout = folder.read_layout()
        if not task and layout.kind != "single":
            return f"DAGMan: {_last_error(folder.root / f'{dag_file(folder.read_plan())}.dagman.out') or reason}"
        task = task or layout.tasks[0].id
        last = _last_line(newest_log(folder.logs, task, ".err"))
        return f"task {task}: {told or reason}" + (f": {last}" if last else "")

    def _tell_pegasus(self, folder: RunFolder, watch: RunWatch) -> None:
        """Write a DAGMan log for a run without DAGMan."""
        layout, plan = folder.read_layout(), folder.read_plan()
        path = folder.root / f"{dag_file(plan)}.dagman.out"
        if layout.kind != "single" or path.exists() or not watch.events:
            return
        main = watch.track.main
        text = dagman_log(plan, layout, watch.events, exit_code=0 if main is not None and main.succeeded else 1)
        try:
            write_text(path, text)
        except OSError as error:
            # The run is over regardless.
            _log.warning("Pegasus's tools will not find the log of the run: %s", error)

    def _watch(self, folder: RunFolder, handle: Handle) -> RunWatch:
        key = (folder.root.absolute(), handle.tag)
        with self._lock:
            if key not in self._watches:
                self._watches[key] = RunWatch(folder.root / EVENT_LOG, partial(_keep_output, folder))
                while len(self._watches) > _REMEMBERED:
                    # Dropped logs are read again if needed.
                    self._watches.popitem(last=False)[1].close()
            self._watches.move_to_end(key)
            return self._watches[key]


def _keep_output(folder: RunFolder, node: str, at: datetime) -> None:
    """Keep what a task wrote before it starts over."""
    layout = folder.read_layout()
    if node or layout.kind == "single":
        set_aside(folder.logs, node or layout.tasks[0].id, at)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1][:_REASON_LENGTH] if lines else ""


def _last_error(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    told = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    return told[-1][:_REASON_LENGTH] if told else ""
