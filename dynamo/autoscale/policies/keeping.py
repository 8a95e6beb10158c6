"""Find how many workers must stay: those without which work would be late before new ones could be ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from dynamo.autoscale.model import Capacity, GroupOption
from dynamo.autoscale.policies.feasibility import (
    KEEP_TOLERANCE,
    Supply,
    Times,
    amounts,
    flow,
    means,
    shortage,
    within,
)
from dynamo.autoscale.policies.predictive_options import PredictiveOptions, hold_s, mean_over_s
from dynamo.autoscale.policies.supply import spans_of
from dynamo.autoscale.policies.workload import Workload


class Keeper:
    """Finds the fewest workers for one family of work after another; the arguments are those of `Grower`."""

    def __init__(
        self,
        settings: PredictiveOptions,
        groups: Mapping[str, GroupOption],
        present: Mapping[str, Sequence[Capacity]],
        order: Sequence[str],
        now: datetime,
    ) -> None:
        self._settings = settings
        self._groups = groups
        self._order = order
        self._spans = {name: spans_of(option, present[name], now) for name, option in groups.items()}
        self._counts = {name: len(present[name]) for name in groups}
        self.kept = {name: min(option.least, self._counts[name]) for name, option in groups.items()}

    def meet(self, load: Workload) -> None:
        """Keep the workers that some work needs."""
        names = [name for name in self._order if name in load.groups and self._counts[name]]
        if not names:
            return
        dated = load.pick(np.isfinite(load.due_s))
        for name in names:
            if len(dated.core_s):
                self._keep(name, names, dated)
                self._keep_pace(name, names, dated)
        undated = load.pick(~np.isfinite(load.due_s) & (load.ready_s <= 0))
        if len(undated.core_s):
            self._undated(names, float(undated.core_s.sum()))

    def _keep(self, name: str, names: Sequence[str], load: Workload) -> None:
        settings, option = self._settings, self._groups[name]
        until_s = hold_s(settings, option)
        soon = load.pick(load.ready_s < until_s)
        if not len(soon.core_s):
            return
        # Work that will be late in any case should still be done soon.
        hopeless = soon.due_s < soon.ready_s + soon.shortest_s
        later_s = soon.ready_s + np.maximum(soon.shortest_s, settings.catch_up_s)
        due_s = np.where(hopeless, later_s, soon.due_s)
        times = Times.of(until_s, settings.bin_s)
        inside = within(amounts(times, Workload(soon.groups, soon.ready_s, due_s, soon.core_s, soon.shortest_s)))
        supplies = {each: Supply.of(times, self._spans[each], settings.utilisation) for each in names}

        def lack(counts: Mapping[str, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            begins = np.zeros(len(times.begins))
            ends = np.zeros(len(times.ends))
            for each, supply in supplies.items():
                first = supply.of_first(min(counts[each], len(self._spans[each])))
                begins, ends = begins + first[0], ends + first[1]
            return shortage(inside, begins, ends)

        allowed = lack(self._counts) + KEEP_TOLERANCE * inside + 1e-6

        def enough(count: int) -> bool:
            return bool((lack({**self.kept, name: count}) <= allowed).all())

        low, high = self.kept[name], self._counts[name]
        if enough(low):
            return
        while low + 1 < high:
            middle = (low + high) // 2
            if enough(middle):
                high = middle
            else:
                low = middle
        self.kept[name] = high

    def _keep_pace(self, name: str, names: Sequence[str], load: Workload) -> None:
        """Keep enough workers for the steady flow of work."""
        settings, option = self._settings, self._groups[name]
        over_s = mean_over_s(settings)
        until_s = hold_s(settings, option)
        rates = flow(load, until_s + over_s, settings.bin_s, until_s)
        cores = float(means(rates, round(over_s / settings.bin_s)).max()) / settings.utilisation
        missing = cores * (1 - KEEP_TOLERANCE) - sum(self.kept[each] * self._groups[each].cpus for each in names)
        if missing > 0:
            more = int(np.ceil(missing / option.cpus))
            self.kept[name] = min(self._counts[name], self.kept[name] + more)

    def _undated(self, names: Sequence[str], core_s: float) -> None:
        """Keep the minimum for work without a deadline: at least one worker."""
        settings = self._settings
        cores = core_s / (settings.background_s * settings.utilisation)
        for name in names:
            have = sum(self.kept[each] * self._groups[each].cpus for each in names)
            if have >= cores and have > 0:
                return
            more = int(np.ceil(max(cores - have, 1e-3) / self._groups[name].cpus))
            self.kept[name] = min(self._counts[name], self.kept[name] + more)
