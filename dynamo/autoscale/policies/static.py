"""A fixed number of workers: a baseline for the cost and performance of a fleet sized for its peak."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from dynamo.autoscale.model import Decision, Demand, FleetView
from dynamo.autoscale.policies.kind import PolicyKind
from dynamo.autoscale.policies.limits import bounded, serving
from dynamo.autoscale.policies.options import PolicyOptions


class StaticOptions(PolicyOptions):
    """Options of `static`."""

    workers: Annotated[
        dict[str, Annotated[int, Field(ge=0)]],
        Field(description="Workers by group. Other groups get their minimum, or their maximum with `peak`."),
    ] = Field(default_factory=dict)
    peak: Annotated[bool, Field(description="Give groups that are not listed their maximum number of workers.")] = False


class StaticPolicy:
    """Keeps each group at a fixed number."""

    def __init__(self, options: StaticOptions) -> None:
        self.options = options

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return the fixed numbers, within each group's limits."""
        del now, demand, memory  # This policy ignores them.
        goal = {
            option.group: self.options.workers.get(option.group, option.most if self.options.peak else option.least)
            for option in fleet.groups
        }
        wanted = bounded(fleet, goal)
        present = serving(fleet)
        reasons = {}
        for option in fleet.groups:
            change = wanted[option.group] - len(present[option.group])
            if change:
                asked = goal[option.group]
                limit = "" if wanted[option.group] == asked else f", {asked} requested"
                reasons[option.group] = f"{change:+d} at {option.site}: fixed at {wanted[option.group]}{limit}"
        return Decision(wanted, reasons)


KIND = PolicyKind(StaticOptions, StaticPolicy)
