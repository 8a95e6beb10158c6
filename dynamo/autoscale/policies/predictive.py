"""Meet all deadlines at the least cost: request workers one boot time before they are needed, and release them late.

How it decides, at each call, from only its arguments and its recent targets:

1. Work is estimated with caution (between expected and high amounts) and classified by the groups that can do it.
2. It grows if, in some interval ahead, more work becomes ready and is due than ready and booting workers can do
   (`feasibility`). A group looks ahead as far as its slow boots take: work that becomes ready later can wait. The
   cheapest group comes first; faster ones take what it would finish too late. Work that can no longer finish on time
   is caught up with soon after the fastest boot, and never with more cores than it can use.
3. It shrinks to the workers without which work would be late before a new worker could be ready, or before one would
   cost less than keeping them. Fewer must have been enough for a while (`settling`), longer after releases that had
   to be bought back (`regret`). A prepaid worker stays until shortly before its paid time ends, busy processors are
   left alone, and a silent source does not count as no work. Growing tolerates a larger shortage than shrinking, so
   the two never disagree about the same demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dynamo.autoscale.model import Capacity, Decision, Demand, FleetView, GroupOption
from dynamo.autoscale.placement import Need, rank
from dynamo.autoscale.policies.growing import Grower
from dynamo.autoscale.policies.keeping import Keeper
from dynamo.autoscale.policies.kind import PolicyKind
from dynamo.autoscale.policies.limits import bounded, busy_floor, serving
from dynamo.autoscale.policies.predictive_options import PredictiveOptions, hold_s, mean_over_s
from dynamo.autoscale.policies.regret import Regret
from dynamo.autoscale.policies.settling import Settling
from dynamo.autoscale.policies.surprise import look, with_flow
from dynamo.autoscale.policies.wording import core_time, workers_word
from dynamo.autoscale.policies.workload import Workload, families, workloads

#: Cores of unforeseen work that do not justify keeping a worker.
_LEAST_SURPRISE = 0.1


class PredictivePolicy:
    """Meets deadlines at the least cost, using the load forecast."""

    def __init__(self, options: PredictiveOptions) -> None:
        self.options = options

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return the decision for now; see the module."""
        settings = self.options
        groups = {option.group: option for option in fleet.groups}
        present = serving(fleet)
        counts = {group: len(workers) for group, workers in present.items()}
        until_s = max((hold_s(settings, option) for option in fleet.groups), default=0.0) + mean_over_s(settings)
        loads, impossible = workloads(
            demand.work,
            groups,
            now,
            caution=settings.caution,
            utilisation=settings.utilisation,
            overhead_s=settings.overhead_s,
            until_s=until_s,
        )
        loads, seen = self._with_surprise(loads, memory.get("seen", {}), now, present, until_s)
        order = _order(groups)
        grower = Grower(settings, groups, present, order, now, fleet.affordable_per_hour)
        keeper = Keeper(settings, groups, present, order, now)
        for load in families(loads):
            grower.meet(load)
            keeper.meet(load)
        longest_s = max((float(load.shortest_s[load.ready_s <= 0].max(initial=0.0)) for load in loads), default=0.0)
        settling = Settling(memory.get("settling", {}), now.timestamp())
        regret = Regret(memory.get("regret", {}), now.timestamp(), settings.settle_most_s)
        windows = {name: regret.window_s(name, self._window_s(option)) for name, option in groups.items()}
        aims: dict[str, int] = {}
        for name, option in groups.items():
            more = grower.added[name]
            aim = counts[name] + more if more else keeper.kept[name]
            aim = settling.settle(name, aim, counts[name], windows[name])
            if aim < counts[name]:
                aim = max(aim, self._held(option, present[name], now, longest_s, bool(demand.missing)))
            aims[name] = aim
        wanted = bounded(fleet, aims, order)
        reasons = {}
        for name, option in groups.items():
            change = wanted[name] - counts[name]
            regret.changed(name, change, self._window_s(option))
            if change > 0:
                why = grower.reason(name) or _still(option, wanted[name])
                reasons[name] = f"{change:+d} at {option.site}: {why}"
            elif change < 0:
                why = self._fewer(option, wanted[name], counts[name], loads, windows[name])
                reasons[name] = f"{change:+d} at {option.site}: {why}"
        notes = [
            *(f"{core_time(amount)} of work fits no group: {words}" for words, amount in impossible.items()),
            *(f"no scale-down while {name} is silent: {why}" for name, why in demand.missing.items()),
            *grower.notes,
        ]
        left = {"settling": settling.memory(), "regret": regret.memory(), "seen": seen}
        return Decision(wanted, reasons, left, grower.short_cores, tuple(notes))

    def _with_surprise(
        self,
        loads: list[Workload],
        memory: Mapping[str, float],
        now: datetime,
        present: Mapping[str, list[Capacity]],
        until_s: float,
    ) -> tuple[list[Workload], dict[str, float]]:
        """Return the work including the flow of unforeseen work, and what to remember about it."""
        settings = self.options
        if not settings.surprise_s:
            return loads, {}
        busy = sum(worker.busy_cpus for workers in present.values() for worker in workers)
        seen = look(loads, busy, now.timestamp(), memory, settings.surprise_s)
        # What the plan rounds away is no surprise.
        if seen["cores"] >= _LEAST_SURPRISE:
            # How much more will arrive is unknown; the high guess is as much again.
            cores = seen["cores"] * (1.0 + settings.caution)
            loads = with_flow(loads, frozenset(present), cores, seen["window_s"], until_s, settings.bin_s)
        return loads, seen

    def _window_s(self, option: GroupOption) -> float:
        """Return how long fewer must have been enough for a release to be worth the cost of booting again."""
        return max(self.options.settle_s, self.options.hold_boots * option.boot.median_s)

    def _held(self, option: GroupOption, workers: list[Capacity], now: datetime, longest_s: float, silent: bool) -> int:
        """Return how many workers stay although they are not needed."""
        if silent:
            return len(workers)
        paid = 0
        for worker in workers:
            left_s = 0.0 if worker.paid_until is None else (worker.paid_until - now).total_seconds()
            paid += left_s > self.options.release_before_s
        return max(paid, busy_floor(option, workers, longest_s))

    def _fewer(self, option: GroupOption, wanted: int, count: int, loads: list[Workload], window_s: float) -> str:
        if wanted >= option.most:
            return f"the group's maximum is {option.most}"
        soon_s = option.boot.p90_s + self.options.lead_s
        soon = sum(float(load.core_s[load.ready_s < soon_s].sum()) for load in loads if option.group in load.groups)
        enough = f"{wanted} of {workers_word(count)} suffice for {core_time(soon)}" if soon else "no work"
        return f"{enough} in the next {soon_s / 60:.0f} min (for the past {window_s:.0f} s)"


def _order(groups: Mapping[str, GroupOption]) -> list[str]:
    """Return the groups in order of preference for work that any of them can do."""
    free = dict.fromkeys(groups, 0)
    ranked = [place.group for place in rank(groups.values(), free, Need(cores_each=1))]
    return ranked + [name for name in groups if name not in ranked]


def _still(option: GroupOption, wanted: int) -> str:
    if wanted <= option.least:
        return f"the group's minimum is {option.least}"
    return f"{wanted} were needed a moment ago and are not all present yet"


KIND = PolicyKind(PredictiveOptions, PredictivePolicy)
