"""The physical plan: one task, a few clusters packed by predicted cost, or one task per job.

A pool job costs one to two seconds before its payload starts (DESIGN section 8), so short jobs share tasks. Jobs are
clustered level by level (a job's level is the longest chain of jobs before it), which cannot create a cycle.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence

from dynamo.errors import UsageError
from dynamo.texts import counted
from dynamo.workflows.model import Job, Layout, Plan, Resources, Task

#: Do not cluster jobs that on average take this many times their overhead.
LONG_JOB = 10.0
#: A cluster is considered hung after this many times its predicted seconds plus its longest job's time limit.
_PATIENCE = 10.0


def choose_layout(plan: Plan, *, slots: int, job_overhead_s: float, single_threshold_s: float) -> Layout:
    """Group the jobs of a plan for an engine.

    Parameters
    ----------
    plan
        The plan, with predictions.
    slots
        Number of jobs that can run at once, at least 1.
    job_overhead_s
        Overhead of each task before and after its payload, in seconds.
    single_threshold_s
        Predicted CPU seconds up to which the whole run is one task.

    Returns
    -------
    Layout
        Every job in exactly one task, parents before children, and the reason.
    """
    if slots < 1 or job_overhead_s < 0:
        raise UsageError(f"a layout for {slots} slots with {job_overhead_s} s overhead", expected="slots >= 1")
    count, total = len(plan.jobs), plan.predicted_s
    work = f"{counted(count, 'job')}, {total:.3g} s predicted"
    single_s = job_overhead_s + total
    if count == 1:
        return _single(plan, f"one task: {work}")
    if total <= single_threshold_s:
        return _single(plan, f"one task: {work}, within the single-task limit of {single_threshold_s:g} s")
    mean = total / count
    if mean >= LONG_JOB * job_overhead_s:
        reason = f"one task per job: {work}, {mean:.3g} s each vs. {job_overhead_s:g} s overhead per task"
        return Layout("jobs", _as_they_are(plan), reason)
    tasks = _clusters(plan, slots)
    clustered_s = makespan(tasks, slots=slots, job_overhead_s=job_overhead_s)
    if clustered_s >= single_s:
        reason = (
            f"one task: {work}; {counted(len(tasks), 'cluster')} on {counted(slots, 'slot')} would take "
            f"{clustered_s:.3g} s, one task {single_s:.3g} s"
        )
        return _single(plan, reason)
    reason = (
        f"{counted(len(tasks), 'cluster')}: {work}; on {counted(slots, 'slot')} {clustered_s:.3g} s vs. "
        f"{single_s:.3g} s as one task, with {job_overhead_s:g} s overhead each"
    )
    return Layout("clusters", tasks, reason)


def makespan(tasks: Sequence[Task], *, slots: int, job_overhead_s: float) -> float:
    """Return the seconds that the tasks take on ``slots`` slots if each starts as early as possible.

    Parents must come before children; tasks start in the given order.
    """
    free = [0.0] * slots
    ends: dict[str, float] = {}
    for task in tasks:
        ready = max((ends[parent] for parent in task.parents), default=0.0)
        start = max(ready, heapq.heappop(free))
        ends[task.id] = start + job_overhead_s + task.predicted_s
        heapq.heappush(free, ends[task.id])
    return max(ends.values(), default=0.0)


def pack(costs: Mapping[str, float], bins: int) -> list[list[str]]:
    """Pack by decreasing cost into the emptiest bin (LPT: at most 4/3 of the optimum); drop empty bins.

    The fullest bin holds at most ``sum / bins + max``. Ties keep the given order.
    """
    # Spread jobs without predicted cost evenly by count.
    heap = [(0.0, 0, index) for index in range(min(bins, len(costs)))]
    packed: list[list[str]] = [[] for _ in heap]
    position = {name: index for index, name in enumerate(costs)}
    for name in sorted(costs, key=lambda name: (-costs[name], position[name])):
        load, count, index = heapq.heappop(heap)
        packed[index].append(name)
        heapq.heappush(heap, (load + costs[name], count + 1, index))
    return [sorted(names, key=position.__getitem__) for names in packed if names]


def levels(plan: Plan) -> list[list[Job]]:
    """Return the jobs grouped by the length of the longest chain before them."""
    depth: dict[str, int] = {}
    by_level: list[list[Job]] = []
    for job in plan.ordered:
        depth[job.id] = level = max((depth[parent] + 1 for parent in plan.parents[job.id]), default=0)
        if level == len(by_level):
            by_level.append([])
        by_level[level].append(job)
    return by_level


def combined(jobs: Sequence[Job]) -> Resources:
    """Return the resources of a task that runs ``jobs`` in sequence: the maximum of each.

    Its time limit covers the longest job's limit plus ten times the prediction for all jobs.
    """
    predicted = sum(job.predicted_s for job in jobs)
    longest = max(job.resources.max_seconds for job in jobs)
    allowed = sum(job.resources.max_seconds for job in jobs)
    if all(job.predicted_s > 0 for job in jobs):
        allowed = min(allowed, longest + math.ceil(_PATIENCE * predicted))
    return Resources(
        cpus=max(job.resources.cpus for job in jobs),
        memory_mb=max(job.resources.memory_mb for job in jobs),
        disk_mb=max(job.resources.disk_mb for job in jobs),
        max_seconds=allowed,
    )


def _task(name: str, jobs: Sequence[Job], parents: Sequence[str]) -> Task:
    return Task(
        id=name,
        jobs=tuple(job.id for job in jobs),
        parents=tuple(parents),
        resources=combined(jobs),
        predicted_s=sum(job.predicted_s for job in jobs),
    )


def _single(plan: Plan, reason: str) -> Layout:
    return Layout("single", (_task("run", plan.ordered, ()),), reason)


def _as_they_are(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(job.id, [job], sorted(plan.parents[job.id])) for job in plan.ordered)


def _clusters(plan: Plan, slots: int) -> tuple[Task, ...]:
    tasks: list[Task] = []
    task_of: dict[str, str] = {}
    for depth, jobs in enumerate(levels(plan)):
        first = len(tasks)
        for index, names in enumerate(pack({job.id: job.predicted_s for job in jobs}, slots)):
            members = [plan.by_id[name] for name in names]
            parents = {task_of[parent] for job in members for parent in plan.parents[job.id]}
            tasks.append(_task(f"cluster-{depth}-{index}", members, sorted(parents)))
        for task in tasks[first:]:
            task_of.update(dict.fromkeys(task.jobs, task.id))
    return tuple(tasks)
