"""Source `queue`: the jobs in the pool's schedd: idle ones, and what is left of running ones.

Queried with `condor_q`, as everywhere in the provisioner, with a timeout of seconds. Jobs of DyNamo's own runs carry an
attribute, or were submitted by Pegasus from a run folder; they are left out if source `runs` already counts them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePath, PurePosixPath
from statistics import median

from dynamo.autoscale.model import Work
from dynamo.engines.condor.description import TAG
from dynamo.pool.record import read_record
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError
from dynamo.times import from_epoch

NAME = "queue"
#: Time limit for the schedd's answer, seconds: the loop has other sources.
TIMEOUT_S = 5.0
#: Wall time to assume for an unknown job, seconds; nine of ten jobs take at most ``_FACTOR_HIGH`` times what is
#: expected.
UNKNOWN_S = 600.0
_FACTOR_HIGH = 2.0
#: Finished jobs of one kind needed to trust their own spread.
_LEAST_FINISHED = 10
_HISTORY = 400
_HISTORY_EVERY = timedelta(minutes=2)
#: A job that has outrun its estimate is assumed to need this share of its expected time more.
_LONGER = 0.25

_IDLE, _RUNNING, _TRANSFERRING = 1, 2, 6
#: Scheduler and local universe: they run next to the schedd and need no worker.
_WITHOUT_WORKER = frozenset({7, 12})
#: Attributes in which submitters give a job's wall time: minutes expected, minutes at most.
_EXPECTED_MIN, _MOST_MIN = "EstimatedWallTimeMins", "MaxWallTimeMins"
_FIELDS = (
    "JobStatus", "RequestCpus", "RequestMemory", "RequestDisk", "JobPrio", "JobCurrentStartDate", "JobUniverse",
    TAG, _EXPECTED_MIN, _MOST_MIN, "Owner", "Cmd", "Iwd",
)  # fmt: skip
#: `RemoteWallClockTime` would count the attempts before the last one, too.
_PAST_FIELDS = ("CompletionDate - JobCurrentStartDate", "Owner", "Cmd")
_KIB_PER_MB = 1024


@dataclass(frozen=True)
class QueueJob:
    """One job, with what it says it needs.

    Attributes
    ----------
    kind
        Who runs what: jobs of one kind are assumed alike.
    started
        When it started; None while idle.
    expected_s, most_s
        Wall time given by its submitter; None if not given.
    own
        Whether it is marked as belonging to a DyNamo run.
    folder
        Where it was submitted.
    """

    kind: tuple[str, str]
    cpus: int = 1
    memory_mb: int = 0
    disk_mb: int = 0
    priority: int = 0
    started: datetime | None = None
    expected_s: float | None = None
    most_s: float | None = None
    own: bool = False
    folder: str = ""


@dataclass(frozen=True)
class WallTime:
    """Wall time of jobs of one kind, seconds: median and 90th percentile."""

    median_s: float
    high_s: float


class QueueSource:
    """The jobs of a pool.

    Parameters
    ----------
    tools
        Returns the pool's programs; raises `PoolSilentError` if there is no pool.
    without_own
        Leave out the jobs of DyNamo's own runs.
    run_folders
        The folder of run folders: jobs submitted from inside belong to a run, even if not marked.
    """

    name = NAME

    def __init__(
        self, tools: Callable[[], Tools], *, without_own: bool = True, run_folders: Path | None = None
    ) -> None:
        self._tools = tools
        self._run_folders = run_folders
        self._without_own = without_own
        self._learned: Mapping[tuple[str, str], WallTime] = {}
        self._learned_at: datetime | None = None

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:  # noqa: ARG002 - the interface
        """Return the queue's jobs, grouped by kind; raise `PoolSilentError`."""
        tools = self._tools()
        states = f"(JobStatus == {_IDLE} || JobStatus == {_RUNNING} || JobStatus == {_TRANSFERRING})"
        lines = tools.run("condor_q", "-allusers", "-constraint", states, "-af:t", *_FIELDS).splitlines()
        jobs = [job for job in read_jobs(lines) if not (self._without_own and self._is_own(job))]
        if jobs and (self._learned_at is None or now - self._learned_at >= _HISTORY_EVERY):
            past = tools.run(
                "condor_history",
                *("-limit", str(_HISTORY), "-constraint", "JobStatus == 4 && CompletionDate > JobCurrentStartDate"),
                *("-af:t", *_PAST_FIELDS),
            )
            self._learned, self._learned_at = learn_wall_times(past.splitlines()), now
        return add_up(jobs, self._learned, now)

    def _is_own(self, job: QueueJob) -> bool:
        return job.own or (self._run_folders is not None and PurePath(job.folder).is_relative_to(self._run_folders))


def pool_tools(pool: Path, timeout_s: float = TIMEOUT_S) -> Callable[[], Tools]:
    """Return a function that returns the programs of the pool in a folder, as it is at each call."""

    def tools() -> Tools:
        record = read_record(pool)
        if record is None or not record.running():
            raise PoolSilentError("no pool is running", where=pool, hint="run `dynamo pool up`")
        return Tools(record, timeout_s)

    return tools


def read_jobs(lines: Iterable[str]) -> list[QueueJob]:
    """Return the jobs described by lines of tab-separated attribute values."""
    jobs = []
    for line in lines:
        fields = line.split("\t")
        if len(fields) != len(_FIELDS):
            continue
        status, cpus, memory, disk, priority, started, universe, own, expected, most, owner, command, folder = fields
        if _number(universe) in _WITHOUT_WORKER:
            continue
        runs = _number(status) in {_RUNNING, _TRANSFERRING}
        expected_min, most_min = _number(expected), _number(most)
        jobs.append(
            QueueJob(
                kind=(owner, command),
                cpus=max(1, int(_number(cpus))),
                memory_mb=int(_number(memory)),
                disk_mb=math.ceil(_number(disk) / _KIB_PER_MB),
                priority=int(_number(priority)),
                started=from_epoch(_number(started)) if runs and _number(started) > 0 else None,
                expected_s=expected_min * 60 if expected_min > 0 else None,
                most_s=most_min * 60 if most_min > 0 else None,
                own=own not in {"", "undefined"},
                folder=folder,
            )
        )
    return jobs


def learn_wall_times(lines: Iterable[str]) -> dict[tuple[str, str], WallTime]:
    """Return the wall times of finished jobs, by kind; lines as in `read_jobs`, with other attributes."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in lines:
        fields = line.split("\t")
        if len(fields) == len(_PAST_FIELDS) and (wall_s := _number(fields[0])) > 0:
            seconds[fields[1], fields[2]].append(wall_s)
    learned = {}
    for kind, found in seconds.items():
        found.sort()
        middle = median(found)
        high = found[min(len(found) - 1, math.ceil(0.9 * len(found)) - 1)]
        if len(found) < _LEAST_FINISHED:
            high = max(high, middle * _FACTOR_HIGH)
        learned[kind] = WallTime(middle, max(high, middle))
    return learned


def wall_time(job: QueueJob, learned: Mapping[tuple[str, str], WallTime]) -> WallTime:
    """Return a job's expected wall time: its own estimate, that of its kind, or the default."""
    if job.expected_s is not None:
        time = WallTime(job.expected_s, max(job.expected_s, job.most_s or _FACTOR_HIGH * job.expected_s))
    else:
        time = learned.get(job.kind, WallTime(UNKNOWN_S, _FACTOR_HIGH * UNKNOWN_S))
    if job.most_s is not None:
        # It is killed at that point.
        time = WallTime(min(time.median_s, job.most_s), min(time.high_s, job.most_s))
    return time


def add_up(jobs: Sequence[QueueJob], learned: Mapping[tuple[str, str], WallTime], now: datetime) -> list[Work]:
    """Return the work of jobs, grouped by what they need and whether they are idle or running."""
    groups: dict[tuple[object, ...], list[QueueJob]] = defaultdict(list)
    for job in jobs:
        key = (job.kind, job.cpus, job.memory_mb, job.disk_mb, job.priority, job.started is None)
        groups[key].append(job)
    work = []
    for alike in groups.values():
        job = alike[0]
        times = [_left(one, wall_time(one, learned), now) for one in alike]
        owner, command = job.kind
        state = "idle" if job.started is None else "running"
        work.append(
            Work(
                source=NAME,
                label=f"{len(alike)} {state} of {owner}: {PurePosixPath(command).name}",
                ready_at=now,
                due_at=None,
                core_s=job.cpus * sum(time.median_s for time in times),
                core_s_high=job.cpus * sum(time.high_s for time in times),
                cores=job.cpus * len(alike),
                cores_each=job.cpus,
                memory_mb_each=job.memory_mb,
                disk_mb_each=job.disk_mb,
                priority=job.priority,
            )
        )
    return work


def _left(job: QueueJob, time: WallTime, now: datetime) -> WallTime:
    """Return the remaining wall time of a job."""
    if job.started is None:
        return time
    done_s = max(0.0, (now - job.started).total_seconds())
    least = _LONGER * min(done_s, time.median_s)
    middle = max(time.median_s - done_s, least)
    return WallTime(middle, max(time.high_s - done_s, middle))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
