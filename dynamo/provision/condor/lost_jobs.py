"""Jobs that the queue believes to run on workers that are gone: put them back at once.

HTCondor waits for the rest of a job's lease (40 minutes by default) for its worker to come back, and even when told to
give up, it waits for the worker to confirm. Here the site has said that the machine is gone, so the process that waits
(the job's shadow) is ended; the queue then starts the job again.
"""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from dynamo.pool.processes import Process, descendants, name_of
from dynamo.pool.record import PoolRecord
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError

#: A shadow that can end in order does so within this time, s.
_IN_ORDER_S = 1.0
#: The queue tries the worker once more first, which takes 10 s; ending that attempt would only start another, s.
_AGAIN_S = 60.0
_LOG_BYTES = 4_000_000
_LINE = re.compile(r"\((?P<job>\d+\.\d+)\) \((?P<pid>\d+)\): ")


class LostJobs:
    """Releases jobs step by step, one call per cycle: asks their shadows to end, then ends them."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def release(self, tools: Tools, jobs: Collection[str]) -> list[str]:
        """Go on releasing these jobs; return those that were asked for the first time."""
        now = time.monotonic()
        self._asked = {job: when for job, when in self._asked.items() if job in jobs}
        self._ended = {job: when for job, when in self._ended.items() if now - when < _AGAIN_S}
        new = sorted(set(jobs) - set(self._asked))
        if new:
            self._asked.update(dict.fromkeys(new, now))
            with contextlib.suppress(PoolSilentError):
                # It fails if one of them has just ended.
                tools.run("condor_vacate_job", "-fast", *new)
        due = {job for job, when in self._asked.items() if now - when >= _IN_ORDER_S} - set(self._ended)
        for job, shadow in shadows(tools.record, due).items():
            shadow.send(signal.SIGKILL)
            self._ended[job] = now
        return new


def shadows(record: PoolRecord, jobs: Collection[str]) -> Mapping[str, Process]:
    """Return the shadow of each job, as far as it is known.

    A shadow's command line names its first job only; its log names the job and the process in every line.
    """
    if not jobs:
        return {}
    running = {process.pid: process for process in descendants(record.master) if name_of(process) == "condor_shadow"}
    log = Path(record.state) / "log" / "ShadowLog"
    found: dict[str, Process] = {}
    for path in (log.with_name("ShadowLog.old"), log):
        for job, pid in last_processes(_end_of(path), jobs).items():
            if pid in running:
                found[job] = running[pid]
    return found


def last_processes(lines: Iterable[str], jobs: Collection[str]) -> dict[str, int]:
    """Return the process that last wrote a line about each job."""
    return {
        found["job"]: int(found["pid"])
        for line in lines
        if (found := _LINE.search(line)) is not None and found["job"] in jobs
    }


def _end_of(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - _LOG_BYTES))
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []
