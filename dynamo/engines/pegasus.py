"""Engine `pegasus`: runs planned by pegasus-plan and submitted by pegasus-run; requires Pegasus.

The run's Pegasus files are in ``RUN/pegasus``, the submit directory is under ``RUN/pegasus/submit``. Pegasus puts the
products in ``RUN/pegasus/products``; they are copied to ``RUN/work`` before the run counts as succeeded.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dynamo.engines.base import FINAL, EngineError, RunFolder, State, Status
from dynamo.engines.condor.handle import Handle, only_one, read_handle, write_handle
from dynamo.engines.condor.queue import Queue
from dynamo.engines.condor.slots import Slots
from dynamo.engines.condor.watch import RunWatch
from dynamo.errors import MissingPartError, RetryableError
from dynamo.files import replacing
from dynamo.modules.registry import contracts
from dynamo.pool.environment import pool_environment, use_pool
from dynamo.times import to_iso, utc_now
from dynamo.workflows.pegasus.image import RUNTIMES, require_image
from dynamo.workflows.pegasus.settings import PegasusSettings, check_paths

_logger = logging.getLogger("dynamo.engines.pegasus")

ENGINE = "pegasus"
PROGRAMS = ("pegasus-plan", "pegasus-run", "pegasus-remove")
_PLAN_TIMEOUT_S = 600.0
_SLICE_S = 2.0
_REASON_LENGTH = 500
#: Variables by which another Python would find our libraries.
_OUR_PYTHON = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
#: Number and class before the words of an exception, and the place in the code after them.
_CAUSE = re.compile(r"^\[\d+\]:?\s*(?:[\w$]+\.)*(?:[\w$]*(?:Exception|Error))?:?\s*")
_PLACE = re.compile(r"\s+at\s+[\w$.]+\.[\w$<>]+\(.*$")


class PegasusEngine:
    """Executes runs through Pegasus.

    Parameters
    ----------
    image, container_type, executable, site, arch
        See `dynamo.workflows.pegasus.settings.PegasusSettings`; an empty image runs the modules without a container.

    Raises
    ------
    MissingPartError
        If Pegasus is not installed, or no pool is available.
    InputError
        If an option is invalid.
    """

    name = ENGINE

    def __init__(
        self,
        *,
        image: str | None = PegasusSettings.image,
        container_type: str = PegasusSettings.container_type,
        executable: str = PegasusSettings.executable,
        site: str = PegasusSettings.site,
        arch: str = PegasusSettings.arch,
    ) -> None:
        self._settings = PegasusSettings(image, container_type, executable, site, arch)
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise MissingPartError(
                f"Pegasus is not installed: missing {', '.join(missing)}",
                where="PATH",
                expected="Pegasus 5.1 or newer",
                hint="install it (pegasus.isi.edu/downloads), or run the same workflow with engine condor",
            )
        use_pool()
        self._slots = Slots()
        self._watches: dict[tuple[Path, str], RunWatch] = {}
        self._lock = threading.Lock()
        self._closing = False

    def submit(self, folder: RunFolder) -> None:
        """Plan and start the work, or resume after an interrupted call.

        Raises
        ------
        InputError
            If a path of the run is one that Pegasus cannot take, or the image is missing.
        EngineError
            If Pegasus rejects the plan, or another engine has the run.
        MissingPartError
            If jobs need Apptainer, the pool has slots, and none has it.
        RetryableError
            If HTCondor's queue does not respond; nothing was submitted.
        """
        with only_one(folder):
            handle = read_handle(folder, engine=ENGINE)
            if handle is not None and (handle.cluster is not None or handle.cancelled is not None):
                return
            if handle is None:
                self._check_paths(folder)
                self._check_runtime()
                (folder.root / "cancel").unlink(missing_ok=True)
                shutil.rmtree(_home(folder) / "submit", ignore_errors=True)
                handle = Handle(tag=str(uuid.uuid4()), created=to_iso(utc_now()), engine=ENGINE)
                write_handle(folder, handle)
            submit_dir = _submit_dir(folder)
            if submit_dir is None or not _log(submit_dir):
                # Nothing was submitted to HTCondor: redo an interrupted plan.
                submit_dir = self._plan(folder)
                _call_queue(["pegasus-run", str(submit_dir)], cwd=submit_dir)
            watch = self._watch(folder, handle, submit_dir)
            watch.read(10.0)
            if watch.track.main is None:
                raise EngineError("pegasus-run submitted nothing", where=submit_dir)
            write_handle(folder, replace(handle, cluster=watch.track.main.cluster))

    def status(self, folder: RunFolder) -> Status:
        """Return the current status without waiting."""
        return self._status(folder, *self._look(folder, 0.0))

    def wait(self, folder: RunFolder, timeout_s: float | None = None) -> Status:
        """Wait for a final state, at most ``timeout_s`` (may overrun by a second)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = _SLICE_S if deadline is None else deadline - time.monotonic()
            state, reason = self._look(folder, min(_SLICE_S, max(0.0, left)))
            if state in FINAL or left <= 0 or self._closing:
                return self._status(folder, state, reason)

    def cancel(self, folder: RunFolder, reason: str) -> None:
        """Stop the work with pegasus-remove; return when DAGMan has exited.

        Raises
        ------
        RetryableError
            If DAGMan does not exit; safe to call again.
        """
        with only_one(folder):
            handle = read_handle(folder, engine=ENGINE)
            if handle is None:
                handle = Handle(tag=str(uuid.uuid4()), created=to_iso(utc_now()), engine=ENGINE)
            if handle.cancelled is None:
                if handle.cluster is not None and self._look(folder, 0.0)[0] in FINAL:
                    return
                handle = replace(handle, cancelled=reason)
                write_handle(folder, handle)
            submit_dir = _submit_dir(folder)
            if submit_dir is not None and _log(submit_dir):
                watch = self._watch(folder, handle, submit_dir)
                watch.read()
                if not watch.track.ended:
                    _call_queue(["pegasus-remove", str(submit_dir)], cwd=submit_dir)
                    deadline = time.monotonic() + 60.0
                    while not watch.track.ended:
                        if time.monotonic() > deadline:
                            raise RetryableError("DAGMan does not exit", where=submit_dir)
                        watch.read(1.0)
            write_handle(folder, replace(handle, gone=True))

    def close(self) -> None:
        """Close the event logs; jobs on the pool continue."""
        self._closing = True
        with self._lock:
            for watch in self._watches.values():
                watch.close()
            self._watches.clear()

    def _plan(self, folder: RunFolder) -> Path:
        from dynamo.workflows.pegasus.write import planner_command, write_plan

        home = _home(folder)
        shutil.rmtree(home / "submit", ignore_errors=True)
        home.mkdir(exist_ok=True)
        write_plan(folder.read_plan(), folder.read_layout(), contracts(), home, self._settings)
        _call(planner_command(home, self._settings.site), cwd=home)
        submit_dir = _submit_dir(folder)
        if submit_dir is None:
            raise EngineError("pegasus-plan wrote no submit directory", where=home / "submit")
        return submit_dir

    def _check_paths(self, folder: RunFolder) -> None:
        from dynamo.workflows.pegasus.write import paths_of

        check_paths(paths_of(folder.read_plan(), _home(folder), self._settings))

    def _check_runtime(self) -> None:
        """Refuse containers that the pool as it is would never run; an empty pool may get other workers."""
        image, kind = self._settings.located_image(), self._settings.container_type
        if image is None:
            return
        require_image(image)
        if not self._slots.lack_runtime(RUNTIMES[kind]):
            return
        if kind == "docker":
            # HTCondor asks as its own user, who may not use a Docker that the jobs' user may.
            _logger.warning("no slot of the pool says that it has Docker; jobs in container %s may fail", image)
            return
        raise MissingPartError(
            "no slot of the pool has a container runtime",
            where=f"container {image}",
            hint="run `dynamo pool install --containers`, then `dynamo pool down` and `up`; or install Apptainer "
            "on the workers",
        )

    def _look(self, folder: RunFolder, timeout_s: float) -> tuple[State, str]:
        handle = read_handle(folder, engine=ENGINE)
        if handle is None:
            return "lost", "the run was not submitted to Pegasus"
        if handle.cancelled is not None:
            return ("cancelled" if handle.gone else "running"), handle.cancelled
        submit_dir = _submit_dir(folder)
        if submit_dir is None or not _log(submit_dir):
            return ("pending", "") if handle.cluster is None else ("lost", "the submit directory is gone")
        watch = self._watch(folder, handle, submit_dir)
        watch.read(timeout_s)
        state, reason = watch.track.state()
        if state == "succeeded":
            _collect(folder)
        elif state == "failed":
            reason = f"{reason}; see pegasus-analyzer {submit_dir}"
        return state, reason

    def _status(self, folder: RunFolder, state: State, reason: str) -> Status:
        # Per-job results are in Pegasus's own database.
        total = len(folder.read_plan().jobs)
        return Status(state, reason, total if state == "succeeded" else 0, 0, total)

    def _watch(self, folder: RunFolder, handle: Handle, submit_dir: Path) -> RunWatch:
        key = (folder.root, handle.tag)
        with self._lock:
            if key not in self._watches:
                log = _log(submit_dir)
                if log is None:
                    raise EngineError("pegasus-run started no DAGMan", where=submit_dir)
                self._watches[key] = RunWatch(log)
            return self._watches[key]


def _home(folder: RunFolder) -> Path:
    return folder.root / "pegasus"


def _submit_dir(folder: RunFolder) -> Path | None:
    found = sorted((_home(folder) / "submit").rglob("braindump.yml"))
    return found[0].parent if found else None


def _log(submit_dir: Path) -> Path | None:
    found = sorted(submit_dir.glob("*.dag.dagman.log"))
    return found[0] if found else None


def _collect(folder: RunFolder) -> None:
    """Copy the products to the work folder."""
    for lfn in folder.read_plan().products:
        target, source = folder.work / lfn, _home(folder) / "products" / lfn
        if not target.exists() and source.is_file():
            with replacing(target) as partial:
                shutil.copyfile(source, partial)


def _call_queue(command: Sequence[str], *, cwd: Path) -> None:
    """Call a program that talks to HTCondor's queue; if the queue is why it fails, that can be waited out."""
    try:
        _call(command, cwd=cwd)
    except EngineError:
        Queue().find("pegasus_wf_uuid", "")
        raise


def _call(command: Sequence[str], *, cwd: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=clean_environment(pool_environment()),
            capture_output=True,
            text=True,
            check=False,
            timeout=_PLAN_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise RetryableError(f"{command[0]} timed out after {_PLAN_TIMEOUT_S:g} s", where=cwd) from None
    log = cwd / f"{command[0]}.log"
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        told = reason_in(done.stderr) or reason_in(done.stdout) or f"exit code {done.returncode}"
        raise EngineError(f"{command[0]} failed: {told[:_REASON_LENGTH]}", where=log)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for Pegasus's programs, which are Python, too, and need their own libraries.

    Our virtual environment comes last on ``PATH``, so that ``python3`` is the system's where there is one.
    """
    own = str(Path(sys.executable).parent) if sys.prefix != sys.base_prefix else None
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    first = [folder for folder in folders if folder != own]
    path = os.pathsep.join(first + [folder for folder in folders if folder == own])
    kept = {name: value for name, value in environment.items() if name not in _OUR_PYTHON}
    return {**kept, "PATH": path}


def reason_in(output: str) -> str:
    """Return why one of Pegasus's programs failed, from what it printed; empty if it printed nothing.

    The planner prints ``[FATAL ERROR]`` and then the chain of Java's exceptions, numbered, the cause last.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        before, mark, rest = lines[index].partition("[FATAL ERROR]")
        if mark:
            causes = [_CAUSE.sub("", line) for line in [rest.strip(), *lines[index + 1 :]] if _CAUSE.match(line)]
            after = causes or [line for line in [rest.strip(), *lines[index + 1 :]] if line][:1]
            told = [_PLACE.sub("", line).strip() for line in after]
            return ": ".join(dict.fromkeys(filter(None, told))) or before
    return next((line for line in reversed(lines) if "ERROR" in line or "FATAL" in line), lines[-1] if lines else "")
