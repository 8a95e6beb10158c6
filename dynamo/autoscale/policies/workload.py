"""Demand as arrays, classified by the groups that can do the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dynamo.autoscale.model import GroupOption, Work
from dynamo.autoscale.placement import Need, unfit, usable_cpus

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Workload:
    """Work that the same groups can do; times in seconds from now.

    Attributes
    ----------
    groups
        The groups that can do it.
    ready_s, due_s
        When it can start, 0 for now; when its computing must finish, inf without a deadline.
    core_s
        Including caution, and what jobs of its size leave unused on a worker.
    shortest_s
        Its duration on all cores that it can use, at the given utilization.
    """

    groups: frozenset[str]
    ready_s: Floats
    due_s: Floats
    core_s: Floats
    shortest_s: Floats

    def pick(self, chosen: NDArray[np.bool_]) -> Workload:
        """Return the selected part."""
        return Workload(
            self.groups, self.ready_s[chosen], self.due_s[chosen], self.core_s[chosen], self.shortest_s[chosen]
        )

    @classmethod
    def joined(cls, groups: frozenset[str], parts: Sequence[Workload]) -> Workload:
        """Return several workloads as one, for the given groups."""
        if len(parts) == 1:
            return parts[0]
        names = ("ready_s", "due_s", "core_s", "shortest_s")
        return cls(groups, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def workloads(
    work: Sequence[Work],
    options: Mapping[str, GroupOption],
    now: datetime,
    *,
    caution: float,
    utilisation: float,
    overhead_s: float,
    until_s: float,
) -> tuple[list[Workload], dict[str, float]]:
    """Return the work by the groups that can do it, fewest groups first, and the work that no group can do.

    Parameters
    ----------
    work, options, now
        The work, the groups, the current time.
    caution
        0 for the expected amounts, 1 for the high ones.
    utilisation
        Share of a worker's time that jobs can fill.
    overhead_s
        How much earlier than its products are due the computing must finish.
    until_s
        Work that becomes ready later than this from now is left out.

    Returns
    -------
    list of Workload
        One for each set of groups.
    dict
        Core-seconds of work that no group can do, by its requirements in words.
    """
    # Most of a long forecast does not matter yet; comparing is much cheaper than converting.
    limit = now + timedelta(seconds=until_s)
    work = [item for item in work if item.ready_at < limit]
    if not work:
        return [], {}
    clock = now.timestamp()
    ready = np.array([item.ready_at.timestamp() for item in work]) - clock
    due = np.array([np.inf if item.due_at is None else item.due_at.timestamp() for item in work]) - clock
    low = np.array([item.core_s for item in work], dtype=np.float64)
    high = np.array([item.core_s_high for item in work], dtype=np.float64)
    cores = np.array([item.cores for item in work], dtype=np.float64)
    ready = np.maximum(ready, 0.0)
    due = due - overhead_s
    core = np.maximum(low + caution * (np.maximum(high, low) - low), 0.0)
    shortest = core / (np.maximum(cores, 1.0) * utilisation)

    kinds: dict[tuple[str, int, int], int] = {}
    numbers = [kinds.setdefault((item.site, item.cores_each, item.memory_mb_each), len(kinds)) for item in work]
    kind_of = np.array(numbers)
    by_groups: dict[frozenset[str], list[tuple[int, float]]] = {}
    impossible: dict[str, float] = {}
    for (site, cores_each, memory_mb), number in kinds.items():
        need = Need(site=site, cores_each=cores_each, memory_mb_each=memory_mb)
        able = [option for option in options.values() if not unfit(option, need)]
        if not able:
            words = f"{cores_each} cores and {memory_mb} MB per job" + (f" at {site}" if site else "")
            impossible[words] = float(core[kind_of == number].sum())
            continue
        # The share of a worker that jobs of this size fill, at best.
        filled = max(usable_cpus(option, cores_each) / option.cpus for option in able)
        by_groups.setdefault(frozenset(option.group for option in able), []).append((number, filled))
    found = []
    for groups, members in by_groups.items():
        share = np.zeros(len(kinds))
        for number, filled in members:
            share[number] = filled
        filled_of = share[kind_of]
        chosen = (filled_of > 0) & (core > 0)
        if chosen.any():
            part = core[chosen] / filled_of[chosen]
            found.append(Workload(groups, ready[chosen], due[chosen], part, shortest[chosen]))
    found.sort(key=lambda load: (len(load.groups), sorted(load.groups)))
    return found, impossible


def families(loads: Sequence[Workload]) -> list[Workload]:
    """Return the workloads that must be feasible: each set of groups with the work of every subset.

    If several sets overlap, all work together must also be feasible for all groups together.
    """
    sets = {load.groups for load in loads}
    if len(sets) > 1:
        sets.add(frozenset().union(*sets))
    ordered = sorted(sets, key=lambda groups: (len(groups), sorted(groups)))
    return [Workload.joined(groups, [load for load in loads if load.groups <= groups]) for groups in ordered]
