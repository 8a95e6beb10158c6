"""The planner of `dynamo.workflows`: reads documents and templates, expands them, groups the jobs for an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo.contract import Value
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.pool.capacity import PoolCapacity
from dynamo.runs.keys import canonical_json
from dynamo.runs.planning import Coefficients, Workflow
from dynamo.workflows.model import Layout, Plan


@dataclass(frozen=True)
class LayoutSettings:
    """How an engine wants jobs grouped; see `dynamo.workflows.layout.choose_layout`.

    ``slots`` of None means as many as the pool has processors.
    """

    slots: int | None = 2
    job_overhead_s: float = 0.005
    single_threshold_s: float = 0.03


#: A task of the local engine costs a message to a warm process; on a pool it costs a job (DESIGN section 8).
LAYOUTS: Mapping[str, LayoutSettings] = {
    "local": LayoutSettings(),
    "condor": LayoutSettings(slots=None, job_overhead_s=3.5, single_threshold_s=7.0),
    "pegasus": LayoutSettings(slots=None, job_overhead_s=5.0, single_threshold_s=0.0),
}
#: Slots to assume if the pool does not report its processors.
_SLOTS = 2
_POOL = PoolCapacity()


class DocumentPlanner:
    """Plans runs of workflow documents and of Pegasus abstract workflows.

    Parameters
    ----------
    layouts
        By engine; others are as in `LAYOUTS`.
    """

    def __init__(self, layouts: Mapping[str, LayoutSettings] | None = None) -> None:
        self._layouts = {**LAYOUTS, **(layouts or {})}
        self._parsed: dict[str, Any] = {}

    def load(self, name: str) -> Workflow:
        """Return the workflow of a file or template; raise `NotFoundError` or `DocumentError`."""
        from dynamo.documents.loading import read_data
        from dynamo.workflows.workflow import find_workflow

        path = find_workflow(name)
        return self.from_body(read_data(path), where=path)

    def from_body(self, body: Mapping[str, Any], *, where: object = None) -> Workflow:
        """Return the workflow of a document; raise `DocumentError`."""
        digest = hashlib.sha256(canonical_json(body)).hexdigest()
        parsed = self._parse(digest, body, where)
        return Workflow(
            name=parsed.name,
            version=str(parsed.version),
            body=body,
            sha256=digest,
            inputs={name: spec.format for name, spec in parsed.inputs.items()},
            optional=frozenset(name for name, spec in parsed.inputs.items() if not spec.required),
            many=frozenset(name for name, spec in parsed.inputs.items() if spec.many),
            modules={name: self._contracts()[name].version for name in sorted({job.module for job in parsed.jobs})},
            deadline_s=parsed.deadline_s,
            priority=parsed.priority,
            replicas=getattr(parsed, "replicas", {}),
        )

    def parameters(self, workflow: Workflow, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters, checked; raise `DocumentError`."""
        from dynamo.documents.problems import Problems
        from dynamo.workflows.document import Document
        from dynamo.workflows.expand import check_parameters

        parsed = self._parse(workflow.sha256, workflow.body, None)
        if not isinstance(parsed, Document):
            if given:
                raise InputError("an abstract workflow has no parameters", where=workflow.name)
            return {}
        problems = Problems()
        values = check_parameters(problems, parsed, given)
        problems.raise_any(where=workflow.name)
        return values

    def levels(self, workflow: Workflow, parameters: Mapping[str, Value]) -> tuple[float, ...]:
        """Return the levels of the run's contour jobs, whatever their parameter is called, or else its ``levels``."""
        parsed = self._parse(workflow.sha256, workflow.body, None)
        default = next(item.default for item in self._contracts()["contour"].parameters if item.name == "levels")
        found = [job.arguments.get("levels", default) for job in parsed.jobs if job.module == "contour"]
        levels: dict[float, None] = {}
        for value in found or [parameters.get("levels", default)]:
            # Text is a placeholder; unless it is a lone parameter, its value is known only once the jobs are.
            name = value.strip("{} ").removeprefix("parameters.") if isinstance(value, str) else ""
            known = parameters.get(name) if name else value
            several = known if isinstance(known, list) else [known]
            levels.update((float(item), None) for item in several if isinstance(item, int | float))
        return tuple(levels)

    def plan(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Path | Sequence[Path]],
        parameters: Mapping[str, Value],
        facts: Mapping[str, InputFacts],
        *,
        engine: str,
        coefficients: Coefficients,
    ) -> tuple[Plan, Layout]:
        """Return the plan of one run and its layout for ``engine``."""
        from dynamo.workflows.cost import DEFAULT_COEFFICIENTS
        from dynamo.workflows.layout import choose_layout
        from dynamo.workflows.workflow import plan_run

        parsed = self._parse(workflow.sha256, workflow.body, None)
        plan = plan_run(
            parsed,
            inputs,
            parameters,
            facts,
            self._contracts(),
            coefficients={**DEFAULT_COEFFICIENTS, **coefficients},
        )
        settings = self._layouts.get(engine, LayoutSettings())
        layout = choose_layout(
            plan,
            slots=_slots(settings, plan),
            job_overhead_s=settings.job_overhead_s,
            single_threshold_s=settings.single_threshold_s,
        )
        return plan, layout

    def fit(self, observations: Sequence[tuple[str, Mapping[str, float], float]]) -> dict[str, dict[str, float]]:
        """Return the coefficients learned from finished jobs."""
        from dynamo.workflows.cost import DEFAULT_COEFFICIENTS, Observation, fit

        seen = [Observation(module, features, seconds) for module, features, seconds in observations]
        # Always use the shipped ones as the prior: the last fit already saw most of these observations.
        return fit(seen, DEFAULT_COEFFICIENTS)

    def _parse(self, digest: str, body: Mapping[str, Any], where: object) -> Any:
        if digest not in self._parsed:
            contracts = self._contracts()
            from dynamo.workflows.workflow import parse_workflow

            self._parsed[digest] = parse_workflow(dict(body), contracts, where=where)
        return self._parsed[digest]

    def _contracts(self) -> Mapping[str, Any]:
        from dynamo.modules.registry import contracts

        return contracts()


def _slots(settings: LayoutSettings, plan: Plan) -> int:
    """Return how many tasks will run concurrently; query the pool only if it matters."""
    if settings.slots is not None:
        return settings.slots
    if len(plan.jobs) == 1 or plan.predicted_s <= settings.single_threshold_s:
        return _SLOTS
    return _POOL.cpus() or _SLOTS
