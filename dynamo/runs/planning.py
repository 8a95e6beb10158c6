"""What the run service needs from a workflow document: its identity, its inputs, and the plan of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dynamo.contract import Value
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.model import Layout, Plan

#: CPU seconds per unit of each feature: ``coefficients[module][feature]``.
Coefficients = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Workflow:
    """A checked workflow document."""

    name: str
    version: str
    #: The document as JSON, so that a run can be replanned after the file has changed.
    body: Mapping[str, Any]
    #: SHA-256 of the canonical JSON of ``body``.
    sha256: str
    #: Input names and the format of each; several formats are separated by ``|``.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: Optional inputs, and inputs that take several files.
    optional: frozenset[str] = frozenset()
    many: frozenset[str] = frozenset()
    #: Files the document itself names for inputs (Pegasus workflows only).
    replicas: Mapping[str, Path] = field(default_factory=dict)
    #: The version of each module that it uses.
    modules: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    priority: int = 0


class Planner(Protocol):
    """Turns workflow documents into plans."""

    def load(self, name: str) -> Workflow:
        """Return the template or file ``name``; raise `InputError` or `NotFoundError`."""
        ...

    def from_body(self, body: Mapping[str, Any]) -> Workflow:
        """Return the workflow of a stored document."""
        ...

    def parameters(self, workflow: Workflow, given: Mapping[str, object]) -> dict[str, Value]:
        """Check parameters and fill in defaults; raise `InputError`."""
        ...

    def levels(self, workflow: Workflow, parameters: Mapping[str, Value]) -> tuple[float, ...]:
        """Return the levels, dBZ, at which inputs must be inspected for this run's plan."""
        ...

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
        """Expand the document, predict the cost of each job, and group the jobs for ``engine``.

        ``facts`` are given by input name, for inputs with known facts.
        """
        ...

    def fit(self, observations: Sequence[tuple[str, Mapping[str, float], float]]) -> dict[str, dict[str, float]]:
        """Return coefficients by module, from (module, features, CPU seconds), oldest first."""
        ...
