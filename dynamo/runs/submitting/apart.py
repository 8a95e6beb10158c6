"""Processes that execute a run and outlive the one that started them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import dynamo
from dynamo.files import private_file, private_folder
from dynamo.runs.execution import guard
from dynamo.store.models import Run


def detach(run: Run, config: Path | None, out_dir: Path | None = None) -> None:
    """Start a process that executes the run and outlives this one."""
    _start_apart(run, _work(run, config, out_dir), subprocess.DEVNULL)


def start_guard(run: Run, config: Path | None, out_dir: Path | None) -> subprocess.Popen[bytes]:
    """Start a process that executes the run if this one ends without having released it."""
    return _start_apart(run, ["-m", guard.__name__, *_work(run, config, out_dir)], subprocess.PIPE)


def release_guard(process: subprocess.Popen[bytes]) -> None:
    """Let a guard go: the run needs it no more."""
    with contextlib.suppress(OSError):
        process.communicate(guard.DONE)


def _work(run: Run, config: Path | None, out_dir: Path | None) -> list[str]:
    """Return the arguments with which Python executes the run."""
    command = ["-m", "dynamo", "runs", "work", run.id]
    if config is not None:
        command += ["--config", str(config.absolute())]
    if out_dir is not None:
        command += ["--out", str(out_dir.absolute())]
    return command


def _start_apart(run: Run, arguments: list[str], stdin: int) -> subprocess.Popen[bytes]:
    """Start Python in a session of its own, so that no signal to this terminal reaches it."""
    folder = Path(run.run_dir)
    with contextlib.ExitStack() as opened:
        log: IO[bytes] | int = subprocess.DEVNULL
        with contextlib.suppress(OSError):
            # A disk that takes no log now is waited out by whoever executes the run.
            private_folder(folder)
            private_file(folder / "runner.log")
            log = opened.enter_context((folder / "runner.log").open("ab"))
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Make the detached process use this copy of DyNamo, installed or not."""
    root = str(Path(dynamo.__file__).parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
