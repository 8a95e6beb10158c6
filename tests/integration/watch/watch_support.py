"""Small nowcasts, a daemon process, and an engine without processes, for the tests of store, runs and daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dynamo.engines.base import RunFolder, State, Status
from dynamo.files import write_bytes
from dynamo.formats.nowcast import NowcastHeader, nowcast_name, write_nowcast
from dynamo.radar.grid import LatLonGrid
from dynamo.times import to_iso, utc_now
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
START = datetime(2026, 5, 20, 18, 0, tzinfo=UTC)


def write_small(folder: Path, minute: int, *, peak_dbz: float = 60.0, leads: int = 2, side: int = 21) -> Path:
    """Write the nowcast issued ``minute`` minutes after `START`, by rename, and return its path."""
    rows, columns = np.mgrid[:side, :side]
    header = NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.01, side, side), START + timedelta(minutes=minute), leads)
    path = folder / nowcast_name(header.issue_time)
    grids = (
        peak_dbz * np.exp(-((rows - side / 2 - lead) ** 2 + (columns - minute % side) ** 2) / 30.0)
        for lead in range(leads)
    )
    write_nowcast(path, header, grids)
    return path


#: Makes leases short: code for `DaemonProcess`.
SHORT_LEASES = "import dynamo.store.lease as lease; lease.TERM_S, lease.RENEW_S = 1.0, 0.2"


class DaemonProcess:
    """A real `dynamo watch`, or another command, in a folder with a ``dynamo.toml``; ``code`` runs before it."""

    def __init__(
        self, root: Path, *options: str, log: str = "watch.log", code: str = "", command: str = "dynamo watch"
    ) -> None:
        self.log = root / log
        program, name = command.split()
        main = {"dynamo": "dynamo.cli.main", "dynamo-provision": "dynamo.cli.fleet.main"}[program]
        python = (sys.executable, "-c", f"{code}\nfrom {main} import main; main()")
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*python, name, "-c", str(root / "dynamo.toml"), *options],
                cwd=root,
                stdout=stream,
                stderr=stream,
                env=environment(),
            )

    def suspend(self) -> None:
        """Stop the daemon's process until `wake`."""
        self.process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.process.pid}/stat")
        wait_for(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", what="suspended")

    def wake(self) -> None:
        """Let a suspended process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the daemon at once."""
        self.process.kill()
        self.process.wait(300)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the daemon to end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(300)

    def wait_watching(self) -> None:
        """Wait until it says that it watches."""
        wait_for(lambda: b"msg=watching" in self.log.read_bytes(), what="watching")


def run_dynamo(root: Path, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run one command of `dynamo` in ``root``."""
    return subprocess.run(
        [sys.executable, "-m", "dynamo", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(),
        check=False,
    )


def environment() -> dict[str, str]:
    """Return the environment in which this checkout is the one that is run."""
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    clean = {name: value for name, value in os.environ.items() if name != "DYNAMO_CONFIG"}
    return {**clean, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}


class ThreadEngine:
    """A real engine without processes: a job's outputs are what its inputs are, with its id before it.

    ``gate`` holds every run back while it is clear; ``failing`` names jobs that fail; ``lose`` forgets everything, as a
    killed process would.
    """

    name = "thread"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.failing: set[str] = set()
        self.started: list[str] = []
        self.executed: list[str] = []
        self._generation = 0
        self._changed = threading.Condition()
        self._states: dict[Path, tuple[State, str]] = {}

    def submit(self, folder: RunFolder) -> None:
        with self._changed:
            if folder.root in self._states and folder.engine_file.exists():
                return
            self._states[folder.root] = ("running", "")
            self.started.append(folder.root.name)
            write_bytes(folder.engine_file, orjson.dumps({"engine": self.name}))
        threading.Thread(target=self._run, args=(folder,), daemon=True).start()

    def status(self, folder: RunFolder) -> Status:
        with self._changed:
            state, reason = self._states.get(folder.root, ("lost", "the process executing it is gone"))
        total = len(folder.read_plan().jobs)
        return Status(state, reason, total if state == "succeeded" else 0, 0, total)

    def wait(self, folder: RunFolder, timeout_s: float | None = None) -> Status:
        with self._changed:
            self._changed.wait_for(lambda: self._states.get(folder.root, ("lost", ""))[0] != "running", timeout_s)
        return self.status(folder)

    def cancel(self, folder: RunFolder, reason: str) -> None:
        self._end(folder, "cancelled", reason)

    def close(self) -> None:
        self.gate.set()

    def lose(self) -> None:
        with self._changed:
            self._generation += 1
            self._states.clear()
            self._changed.notify_all()

    def _end(self, folder: RunFolder, state: State, reason: str = "") -> None:
        with self._changed:
            known = self._states.get(folder.root)
            if known is not None and known[0] == "running":
                self._states[folder.root] = (state, reason)
                self._changed.notify_all()

    def _run(self, folder: RunFolder) -> None:
        generation = self._generation
        self.gate.wait()
        if generation != self._generation:
            return
        plan = folder.read_plan()
        lines = []
        for job in plan.ordered:
            if job.id in self.failing:
                self._end(folder, "failed", f"job {job.id}: told to fail")
                return
            content = job.id.encode() + b"".join((folder.work / lfn).read_bytes()[:100] for lfn in job.reads)
            for lfn in job.writes:
                write_bytes(folder.work / lfn, content)
            now = to_iso(utc_now())
            lines.append(
                {"job": job.id, "module": job.module, "state": "succeeded", "cpu_s": 0.01, "wall_s": 0.01}
                | {"metrics": {}, "error": None, "started": now, "ended": now}
            )
        write_bytes(folder.results / "run.jsonl", b"\n".join(orjson.dumps(line) for line in lines) + b"\n")
        self.executed.append(folder.root.name)
        self._end(folder, "succeeded")


def factory(engine: ThreadEngine) -> Callable[[str, Mapping[str, Any]], ThreadEngine]:
    """Return an engine factory that always gives ``engine``."""
    return lambda _name, _options: engine
