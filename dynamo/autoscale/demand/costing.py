"""What a run of a workflow will occupy on a pool, from the facts of its input: the cost model without files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dynamo.contract import Value
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.runs.planning import Coefficients, Planner, Workflow
from dynamo.runs.workflow_planner import LAYOUTS, LayoutSettings
from dynamo.workflows.cost import DEFAULT_COEFFICIENTS
from dynamo.workflows.estimate import with_predictions
from dynamo.workflows.layout import combined
from dynamo.workflows.model import Plan

V = TypeVar("V")

#: Plans and costs to keep.
_KEPT = 4096


@dataclass(frozen=True)
class RunCost:
    """What one run occupies.

    Attributes
    ----------
    core_s
        Core-seconds, including job overhead.
    cores
        How many cores it can use at the same time.
    cores_each, memory_mb, disk_mb
        What one of its jobs needs.
    """

    core_s: float
    cores: int = 1
    cores_each: int = 1
    memory_mb: int = 0
    disk_mb: int = 0


def occupied(predicted_s: float, jobs: int, layout: LayoutSettings) -> tuple[float, int]:
    """Return the core-seconds a run occupies and how many tasks it has in parallel.

    Parameters
    ----------
    predicted_s
        CPU seconds of its payload.
    jobs
        Number of its logical jobs.
    layout
        How the engine groups them. A run within its threshold is one task; in a longer one, tasks last ten times their
        overhead, roughly as `dynamo.workflows.layout.choose_layout` makes them when slots are available.
    """
    tasks = 1
    if predicted_s > layout.single_threshold_s and layout.job_overhead_s > 0:
        tasks = min(max(1, jobs), max(1, math.ceil(predicted_s / (10.0 * layout.job_overhead_s))))
    elif predicted_s > layout.single_threshold_s:
        tasks = max(1, jobs)
    return predicted_s + tasks * layout.job_overhead_s, tasks


class RunCosts:
    """Costs of runs; plans are made once per input shape, so that a cost takes microseconds.

    Parameters
    ----------
    planner
        Reads documents and plans.
    layouts
        How each engine groups jobs. Default: as the engines do.
    """

    def __init__(self, planner: Planner, layouts: Mapping[str, LayoutSettings] | None = None) -> None:
        self._planner = planner
        self._layouts = {**LAYOUTS, **(layouts or {})}
        self._coefficients: Coefficients = DEFAULT_COEFFICIENTS
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._costs: dict[tuple[object, ...], RunCost] = {}

    def use(self, coefficients: Coefficients) -> None:
        """Predict with these coefficients from now on; other modules keep the shipped ones."""
        wanted = {**DEFAULT_COEFFICIENTS, **coefficients}
        if wanted != self._coefficients:
            self._coefficients = wanted
            self._costs.clear()

    def layout(self, engine: str) -> LayoutSettings:
        """Return how an engine groups jobs."""
        return self._layouts.get(engine, LayoutSettings())

    def cost(
        self,
        workflow: Workflow,
        parameters: Mapping[str, Value],
        facts: Mapping[str, InputFacts],
        engine: str,
        *,
        known_as: tuple[object, ...] | None = None,
    ) -> RunCost | None:
        """Return what a run would cost.

        Parameters
        ----------
        workflow, parameters, engine
            The run.
        facts
            By input, for the inputs the run has; other required ones are assumed present.
        known_as
            A cache key for these facts, under which the cost is kept.

        Returns
        -------
        RunCost or None
            None if such a run cannot be planned, such as with an input in another format.
        """
        key = None if known_as is None else (workflow.sha256, repr(sorted(parameters.items())), engine, *known_as)
        if key is not None and key in self._costs:
            return self._costs[key]
        plan = self._plan(workflow, parameters, facts, engine)
        if plan is None:
            return None
        by_lfn = {}
        for port, known in facts.items():
            by_lfn.update(dict.fromkeys(self._lfns(plan, port), known))
        predicted = with_predictions(plan, by_lfn, self._coefficients)
        core_s, tasks = occupied(predicted.predicted_s, len(plan.jobs), self.layout(engine))
        needs = combined(plan.jobs)
        cost = RunCost(core_s, tasks * needs.cpus, needs.cpus, needs.memory_mb, needs.disk_mb)
        if key is not None:
            _keep(self._costs, key, cost)
        return cost

    def _plan(
        self, workflow: Workflow, parameters: Mapping[str, Value], facts: Mapping[str, InputFacts], engine: str
    ) -> Plan | None:
        shapes = [(port, known.format, known.leads) for port, known in sorted(facts.items())]
        key = (workflow.sha256, repr(sorted(parameters.items())), engine, repr(shapes))
        if key not in self._plans:
            inputs = {
                port: Path(f"{port}.expected").absolute()
                for port in workflow.inputs
                if port in facts or port not in workflow.optional
            }
            try:
                # Plan for one slot: the layout is not used, and the pool need not be queried.
                plan, _ = self._planner.plan(workflow, inputs, parameters, facts, engine="", coefficients={})
            except InputError:
                return None
            _keep(self._plans, key, plan)
        return self._plans[key]

    @staticmethod
    def _lfns(plan: Plan, port: str) -> list[str]:
        return [lfn for lfn, path in plan.replicas.items() if path.stem == port]


def _keep(kept: dict[tuple[object, ...], V], key: tuple[object, ...], value: V) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = value
