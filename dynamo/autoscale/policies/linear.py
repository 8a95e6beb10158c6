"""Raise or lower demand at a constant rate, depending on how busy the workers are.

The linear controller of COBalD (Fischer et al., "Lightweight dynamic integration of opportunistic resources", 2019;
`cobald.controller.linear`): demand falls below a utilization and rises above an allocation, both by ``rate`` per
second. It sees no queue and no forecast. As in COBalD, an empty pool counts as fully used, so from zero it always
requests a first worker. Kept for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from dynamo.autoscale.model import Capacity, Decision, Demand, FleetView
from dynamo.autoscale.placement import Need, rank
from dynamo.autoscale.policies.kind import PolicyKind
from dynamo.autoscale.policies.limits import Purse, bounded, busy_floor, serving
from dynamo.autoscale.policies.options import PolicyOptions

#: Longest step, so that a pause of the loop is not made up for.
_LONGEST_STEP_S = 120.0


class LinearOptions(PolicyOptions):
    """Options of `linear`."""

    low_utilisation: Annotated[float, Field(ge=0, le=1, description="Demand falls below this share of busy cores.")] = (
        0.5
    )
    high_allocation: Annotated[
        float, Field(ge=0, le=1, description="Demand rises above this share of workers with jobs.")
    ] = 0.5
    rate: Annotated[float, Field(gt=0, description="Change of demand, cores per second.")] = 0.1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_utilisation > self.high_allocation:
            raise ValueError("low_utilisation is above high_allocation")
        return self


class LinearPolicy:
    """Utilization and allocation thresholds."""

    def __init__(self, options: LinearOptions) -> None:
        self.options = options

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return the numbers of workers closest to the demand that follows from rate and thresholds."""
        options = self.options
        present = serving(fleet)
        counts = {group: len(workers) for group, workers in present.items()}
        everyone = [worker for workers in present.values() for worker in workers]
        ready = [worker for worker in everyone if not worker.coming]
        cpus = sum(worker.cpus for worker in everyone)
        utilisation, allocation = _use(ready, bool(everyone))
        clock = now.timestamp()
        passed_s = min(_LONGEST_STEP_S, max(0.0, clock - float(memory.get("at", clock))))
        cores = float(memory.get("cores", cpus))
        if utilisation < options.low_utilisation:
            cores -= passed_s * options.rate
        elif allocation > options.high_allocation:
            cores += passed_s * options.rate
        least = sum(option.least * option.cpus for option in fleet.groups)
        most = sum(option.most * option.cpus for option in fleet.groups)
        cores = min(max(cores, least), max(least, most))
        goal = self._spread(fleet, counts, cores)
        for option in fleet.groups:
            # Never put a job at risk; job durations are unknown here.
            floor = busy_floor(option, present[option.group], _longest_s(demand))
            goal[option.group] = max(goal[option.group], floor)
            if demand.missing:
                goal[option.group] = max(goal[option.group], counts[option.group])
        wanted = bounded(fleet, goal)
        told = (
            f"{cores:.1f} cores wanted, {cpus} present, {utilisation:.0%} busy, {allocation:.0%} of workers have jobs"
        )
        reasons = {
            option.group: f"{change:+d} at {option.site}: {told}"
            for option in fleet.groups
            if (change := wanted[option.group] - counts[option.group])
        }
        return Decision(wanted, reasons, {"cores": cores, "at": clock})

    @staticmethod
    def _spread(fleet: FleetView, counts: Mapping[str, int], cores: float) -> dict[str, int]:
        goal = dict(counts)
        options = {option.group: option for option in fleet.groups}
        have = sum(options[group].cpus * count for group, count in goal.items())
        purse = Purse(fleet.affordable_per_hour)
        while have < cores:
            places = rank((option for option in options.values() if purse.affordable(option, 1)), goal, Need())
            # Half a worker too many is as close as half too few.
            if not places or cores - have < options[places[0].group].cpus / 2:
                break
            option = options[places[0].group]
            purse.pay(option, 1)
            goal[option.group] += 1
            have += option.cpus
        for option in sorted(options.values(), key=lambda option: (-option.cost_per_hour, option.group)):
            surplus = math.floor((have - cores) / max(1, option.cpus))
            fewer = min(max(0, surplus), goal[option.group])
            goal[option.group] -= fewer
            have -= fewer * option.cpus
        return goal


def _use(ready: list[Capacity], any_coming: bool) -> tuple[float, float]:
    """Return utilization and allocation: 1 and 1 without workers, 1 and 0 while the first ones boot."""
    cpus = sum(worker.cpus for worker in ready)
    if not cpus:
        return (1.0, 0.0) if any_coming else (1.0, 1.0)
    busy = sum(worker.busy_cpus for worker in ready)
    return busy / cpus, sum(1 for worker in ready if worker.busy_cpus) / len(ready)


def _longest_s(demand: Demand) -> float:
    return max(
        (item.core_s_high / max(1, item.cores) for item in demand.work if item.ready_at <= demand.taken_at), default=0.0
    )


KIND = PolicyKind(LinearOptions, LinearPolicy)
