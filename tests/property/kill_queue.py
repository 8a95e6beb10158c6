"""A job queue that is files of a folder: it survives the kill of the process that asked it, and may refuse.

It takes the place of `dynamo.engines.condor.queue.Queue`; engine, event log and its reader are the real ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson

from dynamo.engines.base import RunFolder
from dynamo.engines.condor.description import EVENT_LOG, FOLDER, TAG
from dynamo.engines.condor.queue import COMPLETED, REMOVED, QueuedJob
from dynamo.errors import RetryableError
from dynamo.times import to_iso, utc_now
from tests.property.kill_site import Points

T = TypeVar("T")

_RUNNING = 2
_USAGE = "\n".join(
    f"\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  {whose} Usage"
    for whose in ("Run Remote", "Run Local", "Total Remote", "Total Local")
)
_TERMINATED = f"Job terminated.\n\t(1) Normal termination (return value 0)\n{_USAGE}"


class FileQueue:
    """Stands for the schedd and its workers.

    Parameters
    ----------
    folder
        Has one file for each job that was ever submitted.
    points
        Passed before and after each call.
    refused
        The number of the call, from 1, that is answered by an error; 0 for none.
    after
        Whether the refused call has its effect all the same.
    endless
        Whether jobs run until they are removed.
    """

    def __init__(
        self, folder: Path, points: Points, *, refused: int = 0, after: bool = False, endless: bool = False
    ) -> None:
        self._folder = folder
        self._points = points
        self._refused = refused
        self._after = after
        self._endless = endless
        self.calls = 0
        folder.mkdir(exist_ok=True)

    def submit(self, description: str) -> int:
        return self._called(lambda: self._take(description))

    def find(self, attribute: str, value: str) -> list[QueuedJob]:
        return self._called(lambda: self._jobs(attribute, value, in_queue=True))

    def past(self, attribute: str, value: str) -> list[QueuedJob]:
        return self._called(lambda: self._jobs(attribute, value, in_queue=False))

    def remove(self, attribute: str, value: str, reason: str, *, timeout_s: float = 30.0) -> None:
        assert timeout_s
        self._called(lambda: self._remove(attribute, value, reason))

    def _called(self, act: Callable[[], T]) -> T:
        """Act between two points; a process that dies at the second has been heard."""
        self.calls += 1
        self._points.reached()
        if self.calls == self._refused and not self._after:
            raise RetryableError("HTCondor's queue does not respond")
        result = act()
        if self.calls == self._refused:
            raise RetryableError("HTCondor's queue does not respond")
        self._points.reached()
        return result

    def bodies(self) -> list[dict[str, Any]]:
        """Return every job that was ever submitted, in order."""
        return [orjson.loads(path.read_bytes()) for path in sorted(self._folder.iterdir())]

    def _take(self, description: str) -> int:
        commands = dict(re.findall(r"^(\S+) = (.*)$", description, re.MULTILINE))
        cluster = len(self.bodies()) + 1
        body = {TAG: commands[f"+{TAG}"].strip('"'), FOLDER: commands[f"+{FOLDER}"].strip('"'), "cluster": cluster}
        self._write({**body, "status": _RUNNING})
        folder = RunFolder(Path(body[FOLDER]))
        _log(folder, cluster, "000", "Job submitted from host: <127.0.0.1:9618>")
        _log(folder, cluster, "001", "Job executing on host: <127.0.0.1:9619>")
        if not self._endless:
            do_work(folder)
            _log(folder, cluster, "005", _TERMINATED)
            self._write({**body, "status": COMPLETED})
        return cluster

    def _remove(self, attribute: str, value: str, reason: str) -> None:
        for body in self.bodies():
            if body[attribute] == value and body["status"] == _RUNNING:
                _log(RunFolder(Path(body[FOLDER])), body["cluster"], "009", f"Job was aborted.\n\t{reason}")
                self._write({**body, "status": REMOVED})

    def _jobs(self, attribute: str, value: str, *, in_queue: bool) -> list[QueuedJob]:
        return [
            QueuedJob(body["cluster"], 0, body["status"], 0)
            for body in self.bodies()
            if body[attribute] == value and (body["status"] == _RUNNING) is in_queue
        ]

    def _write(self, body: dict[str, Any]) -> None:
        # Not by rename, at which this process may be told to die: the pool is another one.
        (self._folder / f"{body['cluster']:03}").write_bytes(orjson.dumps(body))


def do_work(folder: RunFolder) -> None:
    """Write what the jobs of a run would: a job's output is its id and the beginning of its inputs."""
    lines = []
    for job in folder.read_plan().ordered:
        content = job.id.encode() + b"".join((folder.work / lfn).read_bytes()[:100] for lfn in job.reads)
        for lfn in job.writes:
            (folder.work / lfn).write_bytes(content)
        now = to_iso(utc_now())
        lines.append(
            {"job": job.id, "module": job.module, "state": "succeeded", "cpu_s": 0.01, "wall_s": 0.01}
            | {"metrics": {}, "error": None, "started": now, "ended": now}
        )
    (folder.results / "run.jsonl").write_bytes(b"\n".join(orjson.dumps(line) for line in lines) + b"\n")


def _log(folder: RunFolder, cluster: int, kind: str, text: str) -> None:
    if (folder.root / EVENT_LOG).exists():
        with (folder.root / EVENT_LOG).open("a") as log:
            log.write(f"{kind} ({cluster:03}.000.000) {datetime.now():%Y-%m-%d %H:%M:%S} {text}\n...\n")  # noqa: DTZ005
            log.flush()
            os.fsync(log.fileno())
