"""Snapshot of the collector and the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dynamo.pool.manager import WORKER_ATTRIBUTE
from dynamo.provision.condor.tools import Tools, worker_of
from dynamo.provision.pool_link import PoolView, WorkerSlots
from dynamo.times import from_epoch, utc_now

_SLOT = (
    WORKER_ATTRIBUTE, "SlotType", "State", "Activity", "Cpus", "TotalSlotCpus", "TotalSlotMemory", "JobId", "Draining",
    "DaemonStartTime", "MyCurrentTime - EnteredCurrentActivity",
)  # fmt: skip
_JOB = ("JobStatus", "RequestCpus", "RemoteHost", "ClusterId", "ProcId")
#: Slot activities with a running job.
_RUNS = frozenset({"Busy", "Retiring", "Vacating", "Killing", "Suspended"})
_IDLE, _RUNNING, _TRANSFERRING = "1", "2", "6"


@dataclass(frozen=True)
class QueueSums:
    """Processors requested by waiting and by running jobs, and the running ones by worker."""

    idle_cpus: int
    running_cpus: int
    running_on: Mapping[str, Sequence[str]]


@dataclass
class _Sum:
    cpus: int = 0
    memory_mb: int = 0
    busy: int = 0
    jobs: list[str] = field(default_factory=list)
    draining: bool = False
    active: bool = False
    started: int = 0
    idle_claim_s: int = 0


def look(tools: Tools, *, fresh_s: int) -> PoolView:
    """Query the collector for its workers and its own age, and the queue for its jobs.

    Parameters
    ----------
    fresh_s
        Ignore older worker ads: the collector keeps showing a worker that vanished along with its machine for a
        quarter of an hour.

    Raises
    ------
    PoolSilentError
        If one of them does not answer.
    """
    taken = utc_now()
    constraint = f"{WORKER_ATTRIBUTE} isnt undefined && time() - LastHeardFrom <= {fresh_s}"
    since = tools.run("condor_status", "-collector", "-af", "StatsLastUpdateTime", "StatsLifetime").split()
    slots = tools.run("condor_status", "-constraint", constraint, "-af:t", *_SLOT)
    jobs = tools.run("condor_q", "-allusers", "-constraint", "JobStatus <= 2 || JobStatus == 6", "-af:t", *_JOB)
    queue = read_queue(jobs.splitlines())
    return PoolView(
        taken_at=taken,
        collector_since=collector_start(since) or taken,
        workers=add_up(slots.splitlines()),
        idle_cpus=queue.idle_cpus,
        running_cpus=queue.running_cpus,
        running_on=queue.running_on,
    )


def collector_start(words: Sequence[str]) -> datetime | None:
    """Return when the collector started, from the time of its statistics and the seconds they span.

    It does not report this otherwise. None if it does not list itself, as in its first moments.
    """
    if len(words) < 2 or not (words[0].isdigit() and words[1].isdigit()):
        return None
    return from_epoch(int(words[0]) - int(words[1]))


def add_up(lines: Iterable[str]) -> dict[str, WorkerSlots]:
    """Add up the slots of each worker from lines of tab-separated attribute values."""
    sums: dict[str, _Sum] = {}
    for line in lines:
        fields = line.split("\t")
        if len(fields) != len(_SLOT):
            continue
        worker, kind, state, activity, cpus, total, memory, job, draining, started, for_s = fields
        one = sums.setdefault(worker, _Sum())
        one.started = max(one.started, _number(started))
        # A draining slot is Drained itself; its children that still have a job are Claimed and Retiring.
        one.draining |= draining == "true" or state == "Drained"
        runs = state != "Drained" and activity in _RUNS
        if kind != "Dynamic":
            # A partitionable slot's total includes what it gave to jobs.
            one.cpus += _number(total) or _number(cpus)
            one.memory_mb += _number(memory)
            one.active |= state == "Drained" and activity != "Idle"
        if state == "Claimed" and activity == "Idle":
            one.idle_claim_s = max(one.idle_claim_s, _number(for_s))
        if runs:
            one.active = True
            one.busy += _number(cpus)
            if job != "undefined":
                one.jobs.append(job)
    return {
        worker: WorkerSlots(
            worker=worker,
            cpus=one.cpus,
            busy_cpus=one.busy,
            memory_mb=one.memory_mb,
            jobs=tuple(sorted(one.jobs)),
            draining=one.draining,
            drained=one.draining and not one.active,
            started_at=from_epoch(one.started) if one.started else None,
            idle_claim_s=one.idle_claim_s,
        )
        for worker, one in sums.items()
        # Its dynamic slots may appear a moment before or after it.
        if one.cpus > 0
    }


def read_queue(lines: Iterable[str]) -> QueueSums:
    """Read the queue's jobs from lines of tab-separated attribute values."""
    idle = running = 0
    running_on: dict[str, list[str]] = {}
    for line in lines:
        fields = line.split("\t")
        if len(fields) != len(_JOB):
            continue
        state, cpus, host, cluster, proc = fields
        if state == _IDLE:
            idle += _number(cpus) or 1
        elif state in {_RUNNING, _TRANSFERRING}:
            running += _number(cpus) or 1
            if worker := worker_of(host):
                running_on.setdefault(worker, []).append(f"{cluster}.{proc}")
    return QueueSums(idle, running, running_on)


def _number(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        return 0
