"""Limits that no policy may break: each group's minimum and maximum, the budget, and busy workers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dynamo.autoscale.model import Capacity, FleetView, GroupOption
from dynamo.autoscale.placement import room
from dynamo.provision.deciding.lifecycle import SERVING


def serving(fleet: FleetView) -> dict[str, list[Capacity]]:
    """Return the ready and booting workers by group, in order of ready time."""
    known: dict[str, list[Capacity]] = {option.group: [] for option in fleet.groups}
    for worker in fleet.workers:
        if worker.state in SERVING and worker.group in known:
            known[worker.group].append(worker)
    for workers in known.values():
        workers.sort(key=lambda worker: (worker.coming, worker.ready_at, worker.worker))
    return known


def busy_floor(option: GroupOption, workers: Iterable[Capacity], longest_job_s: float) -> int:
    """Return how many workers a group must keep so that no running job is at risk.

    Shrinking drains the least busy workers: they take no new jobs and finish the running ones, if those finish before
    the group's drain deadline. So normally as many workers stay as the busy processors fill; if a job may outlast the
    deadline, every worker with a job stays.
    """
    busy = [worker.busy_cpus for worker in workers if worker.busy_cpus > 0]
    if longest_job_s >= option.drain_deadline_s:
        return len(busy)
    return math.ceil(sum(busy) / max(1, option.cpus))


class Purse:
    """The remaining budget for new workers.

    Parameters
    ----------
    per_hour
        How much the cost per hour may rise; None for no limit.
    """

    def __init__(self, per_hour: float | None) -> None:
        self._left = None if per_hour is None else max(0.0, per_hour)

    def affordable(self, option: GroupOption, count: int) -> int:
        """Return how many of ``count`` new workers are affordable."""
        if self._left is None or option.cost_per_hour <= 0:
            return count
        return min(count, math.floor(self._left / option.cost_per_hour + 1e-9))

    def pay(self, option: GroupOption, count: int) -> None:
        """Deduct the cost of ``count`` new workers."""
        if self._left is not None:
            self._left = max(0.0, self._left - max(0, count) * option.cost_per_hour)


def bounded(fleet: FleetView, wanted: Mapping[str, int], order: Iterable[str] = ()) -> dict[str, int]:
    """Return ``wanted`` limited to minimum, maximum, open sites and budget.

    A group never grows at a closed site except to its minimum, for which other groups then stand in. The minimum of
    every group is paid for before anything else.

    Parameters
    ----------
    order
        Groups in the order in which they get the rest of the budget; the others follow as listed.
    """
    present = {group: len(workers) for group, workers in serving(fleet).items()}
    purse = Purse(fleet.affordable_per_hour)
    names = list(dict.fromkeys([*order, *present]))
    options = {option.group: option for option in fleet.groups}
    result: dict[str, int] = {}
    for name in names:
        option, count = options[name], present[name]
        goal = min(count, max(0, option.most))
        rise = purse.affordable(option, max(0, min(option.least, option.most) - count))
        purse.pay(option, rise)
        result[name] = goal + rise
    for name in names:
        option, count = options[name], present[name]
        goal = wanted.get(name, count)
        if goal > result[name]:
            more = min(goal - result[name], room(option, result[name]))
            more = purse.affordable(option, more)
            purse.pay(option, more)
            result[name] += more
        else:
            least = min(option.least, option.most, result[name])
            result[name] = max(goal, least)
    return {option.group: result[option.group] for option in fleet.groups}
