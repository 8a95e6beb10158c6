"""React to the queue: more workers while jobs wait, fewer once they have been idle for a while.

This is how provisioners work that see jobs but not the weather, such as Mobius (load thresholds, polled) and
cloudscheduler or GlideinWMS (idle jobs). Kept for comparison, and for pools whose work cannot be forecast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from dynamo.autoscale.model import Decision, Demand, FleetView
from dynamo.autoscale.placement import Need, rank
from dynamo.autoscale.policies.kind import PolicyKind
from dynamo.autoscale.policies.limits import Purse, bounded, busy_floor, serving
from dynamo.autoscale.policies.options import PolicyOptions
from dynamo.autoscale.policies.settling import Settling


class ReactiveOptions(PolicyOptions):
    """Options of `reactive`."""

    sources: Annotated[
        tuple[str, ...],
        Field(description="Sources whose work counts once it can start; expected work never counts."),
    ] = ("queue", "runs")
    waiting_per_cpu: Annotated[
        float, Field(ge=0, description="Grow if more than this many cores are waited for per existing core.")
    ] = 0.25
    most_step: Annotated[int, Field(ge=1, description="Maximum number of workers added at once.")] = 4
    step_share: Annotated[float, Field(gt=0, le=10, description="Or this share of the existing workers, if more.")] = (
        0.5
    )
    pause_s: Annotated[float, Field(ge=0, description="Minimum time between two steps up, s.")] = 60.0
    idle_s: Annotated[float, Field(ge=0, description="Release a worker that has not been needed for this long, s.")] = (
        600.0
    )


class ReactivePolicy:
    """Queue thresholds with hysteresis."""

    def __init__(self, options: ReactiveOptions) -> None:
        self.options = options

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return more workers if cores are waited for, fewer if they have been idle long enough."""
        options = self.options
        clock = now.timestamp()
        mine = [item for item in demand.work if item.source in options.sources and item.ready_at <= now]
        present = serving(fleet)
        counts = {group: len(workers) for group, workers in present.items()}
        busy = sum(worker.busy_cpus for workers in present.values() for worker in workers)
        cpus = sum(worker.cpus for workers in present.values() for worker in workers)
        asked = sum(max(1, item.cores) for item in mine)
        waiting = max(0, asked - cpus)
        goal = dict(counts)
        reasons: dict[str, str] = {}
        stepped_at = float(memory.get("stepped_at", -math.inf))
        if waiting > options.waiting_per_cpu * cpus and clock - stepped_at >= options.pause_s:
            step = max(options.most_step, math.ceil(options.step_share * sum(counts.values())))
            each = max((item.cores_each for item in mine), default=1)
            goal = self._grow(fleet, counts, waiting, step, each)
            if goal != counts:
                stepped_at = clock
                told = f"{asked} cores requested, {cpus} ready or booting, {busy} busy"
                reasons = {group: told for group in goal if goal[group] > counts[group]}
        settling = Settling(memory.get("settling", {}), clock)
        longest_s = max((item.core_s_high / max(1, item.cores) for item in mine), default=0.0)
        surplus = max(0, cpus - max(asked, busy))
        for option in sorted(fleet.groups, key=lambda option: (-option.cost_per_hour, option.group)):
            name = option.group
            spare = min(surplus // max(1, option.cpus), counts[name]) if goal[name] <= counts[name] else 0
            surplus -= spare * option.cpus
            settled = settling.settle(name, goal[name] - spare, counts[name], options.idle_s)
            kept = max(settled, busy_floor(option, present[name], longest_s))
            if demand.missing:
                kept = max(kept, counts[name])
            if kept < counts[name]:
                reasons[name] = f"not needed for {options.idle_s:.0f} s: {asked} cores requested, {cpus} present"
            goal[name] = kept
        wanted = bounded(fleet, goal)
        said = {
            option.group: f"{change:+d} at {option.site}: {reasons.get(option.group, 'group limits')}"
            for option in fleet.groups
            if (change := wanted[option.group] - counts[option.group])
        }
        state: dict[str, Any] = {"settling": settling.memory()}
        if math.isfinite(stepped_at):
            state["stepped_at"] = stepped_at
        return Decision(wanted, said, state)

    @staticmethod
    def _grow(fleet: FleetView, counts: Mapping[str, int], cores: int, step: int, each: int) -> dict[str, int]:
        goal = dict(counts)
        purse = Purse(fleet.affordable_per_hour)
        options = {option.group: option for option in fleet.groups}
        while cores > 0 and step > 0:
            able = [option for option in options.values() if purse.affordable(option, 1)]
            places = rank(able, goal, Need(cores_each=each))
            if not places:
                # No group can hold the largest job; the smaller ones still benefit.
                places = rank(able, goal, replace(Need(), cores_each=1))
            if not places:
                break
            option = options[places[0].group]
            purse.pay(option, 1)
            goal[option.group] += 1
            cores -= option.cpus
            step -= 1
        return goal


KIND = PolicyKind(ReactiveOptions, ReactivePolicy)
