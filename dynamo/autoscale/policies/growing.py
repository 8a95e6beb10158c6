"""Choose new workers: how many and where, at the least cost that finishes the work on time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from dynamo.autoscale.model import Capacity, GroupOption
from dynamo.autoscale.placement import room
from dynamo.autoscale.policies.feasibility import (
    GROWTH_TOLERANCE,
    Requirement,
    Supply,
    Times,
    amounts,
    flow,
    missing_cores,
    shortage,
    within,
)
from dynamo.autoscale.policies.limits import Purse
from dynamo.autoscale.policies.predictive_options import PredictiveOptions, look_s, mean_over_s, pace_at_s
from dynamo.autoscale.policies.supply import ENDLESS_S, Span, overlap, spans_of, thinned, to_order
from dynamo.autoscale.policies.wording import core_time, moment, workers_word
from dynamo.autoscale.policies.workload import Floats, Workload

#: Work that would barely finish after a boot counts as late; the margin as a share of `catch_up_s`.
_NARROW = 0.25


class Grower:
    """Adds workers for one family of work after another.

    Parameters
    ----------
    settings
        The policy's options.
    groups, present
        All groups, and their ready and booting workers.
    order
        Groups in order of preference.
    affordable_per_hour
        See `FleetView`.
    """

    def __init__(
        self,
        settings: PredictiveOptions,
        groups: Mapping[str, GroupOption],
        present: Mapping[str, Sequence[Capacity]],
        order: Sequence[str],
        now: datetime,
        affordable_per_hour: float | None,
    ) -> None:
        self.added = dict.fromkeys(groups, 0)
        self.short_cores = 0.0
        self.notes: list[str] = []
        self._settings = settings
        self._groups = groups
        self._present = present
        self._order = order
        self._now = now
        self._purse = Purse(affordable_per_hour)
        self._spans = {name: spans_of(option, present[name], now) for name, option in groups.items()}
        self._coming = {name: sum(1 for worker in present[name] if worker.coming) for name in groups}
        self._why: dict[str, str] = {}
        self._until_s: dict[str, float] = {}

    def meet(self, load: Workload) -> None:
        """Add the workers missing for some work."""
        dated = load.pick(np.isfinite(load.due_s))
        names = [name for name in self._order if name in load.groups]
        limited = self._dated(names, dated) if len(dated.core_s) else False
        if limited:
            self._note_short(names, dated)
        undated = load.pick(~np.isfinite(load.due_s) & (load.ready_s <= 0))
        if len(undated.core_s):
            self._undated(names, float(undated.core_s.sum()))

    def reason(self, group: str) -> str:
        """Return why a group grows; empty if it does not."""
        return self._why.get(group, "")

    # ---- work with deadlines -----------------------------------------------------------------------------------

    def _dated(self, names: Sequence[str], load: Workload) -> bool:
        """Return whether some work is left that no group has room for."""
        limited = False
        for _ in names:
            able = [name for name in names if self._room(name)]
            if not able:
                return True
            limited = False
            chain = self._chain(able)
            times, amount = self._ahead(load, self._boot_s(chain[0]), max(self._look_s(name) for name in chain))
            from_s = 0.0
            for place, name in enumerate(chain):
                # Each group covers what must be done before the next, cheaper one can take over.
                slower = chain[place + 1] if place + 1 < len(chain) else None
                until_s = ENDLESS_S if slower is None else self._boot_s(slower) + self._settings.catch_up_s
                part = amount.copy()
                part[times.begins >= self._look_s(name)] = 0.0
                # Faster groups have room: they do what only they can do, now or when its time comes.
                part[:, times.ends <= from_s] = 0.0
                need = self._need(name, names, times, within(part), load, (from_s, until_s))
                if need.cores > 0:
                    limited |= self._add(name, self._order_for(name, names, need.cores), need)
                    self._until_s[name] = until_s
                from_s = until_s
            if not limited:
                return False
        return limited

    def _chain(self, able: Sequence[str]) -> list[str]:
        """Return the groups worth waiting for: the fastest, then each slower one preferred over all before it."""
        chain: list[str] = []
        best = len(self._order)
        for name in sorted(able, key=lambda name: (self._boot_s(name), self._order.index(name))):
            if self._order.index(name) < best:
                best = self._order.index(name)
                chain.append(name)
        return chain

    def _ahead(self, load: Workload, boot_s: float, look_s: float) -> tuple[Times, Floats]:
        """Return the work that becomes ready within ``look_s``; work already too late is due a bit later."""
        settings = self._settings
        soon = load.pick(load.ready_s < look_s)
        begin_s = np.maximum(soon.ready_s, boot_s)
        late = soon.due_s < begin_s + np.maximum(soon.shortest_s, _NARROW * settings.catch_up_s)
        later_s = begin_s + np.maximum(soon.shortest_s, settings.catch_up_s)
        due_s = np.where(late & (soon.due_s < later_s), later_s, soon.due_s)
        times = Times.of(look_s, settings.bin_s)
        return times, amounts(times, Workload(soon.groups, soon.ready_s, due_s, soon.core_s, soon.shortest_s))

    def _need(
        self,
        name: str,
        names: Sequence[str],
        times: Times,
        inside: Floats,
        load: Workload,
        between_s: tuple[float, float],
    ) -> Requirement:
        """Return the cores that a group lacks for what is due between two times."""
        settings, boot_s = self._settings, self._boot_s(name)
        spans = [span for each in names for span in self._all_spans(each)]
        begins, ends = Supply.of(times, spans, settings.utilisation).of_first(len(spans))
        lack = shortage(inside, begins, ends)
        lack[lack <= GROWTH_TOLERANCE * inside] = 0.0
        lack[:, (times.ends <= between_s[0]) | (times.ends > between_s[1])] = 0.0
        need = missing_cores(times, inside, lack, boot_s, settings.utilisation)
        if between_s[1] < ENDLESS_S:
            return need
        # This group must do as much as arrives in the time it covers.
        over_s = mean_over_s(settings)
        from_s = pace_at_s(settings, self._groups[name])
        first, count = int(from_s / settings.bin_s), round(over_s / settings.bin_s)
        rates = flow(load, from_s + over_s, settings.bin_s, from_s)[first : first + count]
        pace = float(rates.mean())
        serving = sum(cpus * overlap(begin, end, from_s, from_s + over_s) / over_s for begin, end, cpus in spans)
        cores = pace / settings.utilisation - serving
        if cores <= max(need.cores, GROWTH_TOLERANCE * pace / settings.utilisation):
            return need
        if need.cores > 0:
            return Requirement(cores, need.core_s, need.due_s)
        return Requirement(cores, pace * over_s, from_s + over_s)

    # ---- work without a deadline -------------------------------------------------------------------------------

    def _undated(self, names: Sequence[str], core_s: float) -> None:
        settings = self._settings
        cores = core_s / (settings.background_s * settings.utilisation)
        have = sum(span[2] for name in names for span in self._all_spans(name))
        if have >= cores and have > 0:
            return
        for name in names:
            if not self._room(name):
                continue
            count = self._order_for(name, names, max(cores - have, 1e-3) + 0.02 * self._groups[name].cpus)
            need = Requirement(cores - have, core_s)
            full = self._add(name, count, need)
            have = sum(span[2] for each in names for span in self._all_spans(each))
            if not full or have >= cores:
                return

    # ---- common ------------------------------------------------------------------------------------------------

    def _boot_s(self, name: str) -> float:
        return self._groups[name].boot.p90_s

    def _look_s(self, name: str) -> float:
        return look_s(self._settings, self._groups[name])

    def _room(self, name: str) -> int:
        option = self._groups[name]
        left = room(option, len(self._present[name]) + self.added[name])
        return self._purse.affordable(option, left)

    def _all_spans(self, name: str) -> list[Span]:
        option = self._groups[name]
        coming = self._coming[name]
        useful = thinned(coming + self.added[name], option.failure_rate) - thinned(coming, option.failure_rate)
        new = (option.boot.p90_s, self._until_s.get(name, ENDLESS_S), float(option.cpus))
        return [*self._spans[name], *([new] * useful)]

    def _order_for(self, name: str, names: Sequence[str], cores: float) -> int:
        option = self._groups[name]
        coming = self._coming[name] + self.added[name]
        alone = not any(self._all_spans(each) for each in names)
        return to_order(cores / option.cpus, coming, option.failure_rate, alone=alone)

    def _add(self, name: str, count: int, need: Requirement) -> bool:
        """Add workers; return whether there was not room for all of them."""
        option = self._groups[name]
        take = min(count, self._room(name))
        if take > 0:
            self.added[name] += take
            self._purse.pay(option, take)
            self._why[name] = self._words(option, need)
        return take < count

    def _words(self, option: GroupOption, need: Requirement) -> str:
        ready = sum(1 for workers in self._present.values() for worker in workers if not worker.coming)
        coming = sum(1 for workers in self._present.values() for worker in workers if worker.coming)
        parts = [f"{core_time(need.core_s)} {self._due(need)}", f"{workers_word(ready)} ready"]
        if coming:
            parts.append(f"{coming} booting")
        parts.append(f"boot p90 {option.boot.p90_s:.0f} s")
        if option.failure_rate >= 0.05:
            parts.append(f"{option.failure_rate:.0%} fail")
        return ", ".join(parts)

    def _due(self, need: Requirement) -> str:
        if need.due_s <= 0:
            return "without a deadline"
        return f"due by {moment(self._now, need.due_s + self._settings.overhead_s)}"

    def _note_short(self, names: Sequence[str], load: Workload) -> None:
        boot_s = min(self._boot_s(name) for name in names)
        times, amount = self._ahead(load, boot_s, max(self._look_s(name) for name in names))
        spans = [span for each in names for span in self._all_spans(each)]
        begins, ends = Supply.of(times, spans, self._settings.utilisation).of_first(len(spans))
        inside = within(amount)
        need = missing_cores(times, inside, shortage(inside, begins, ends), boot_s, self._settings.utilisation)
        if need.cores > 0:
            self.short_cores = max(self.short_cores, need.cores)
            where = ", ".join(sorted({self._groups[name].site for name in names}))
            self.notes.append(
                f"{need.cores:.1f} cores short for {core_time(need.core_s)} {self._due(need)}: "
                f"no more available at {where} (quota, caps, budget or closed sites)"
            )
