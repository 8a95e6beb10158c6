"""What the run service needs of a workflow document: its identity, its inputs, and the plan of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dynamo.contract import Value
from dynamo.times import parse_time, to_iso
from dynamo.workflows.model import InputFacts, Layout, Plan

#: CPU seconds for one unit of each feature: ``coefficients[module][feature]``.
Coefficients = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Workflow:
    """A checked workflow document."""

    name: str
    version: str
    #: The document as JSON; with it a run can be planned again after the file has changed.
    body: Mapping[str, Any]
    #: SHA-256 of the canonical JSON of ``body``.
    sha256: str
    #: Input names and the format of each; several formats have ``|`` between.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: Inputs that a run can do without, and inputs that take several files.
    optional: frozenset[str] = frozenset()
    many: frozenset[str] = frozenset()
    #: Files that the document itself names for inputs (only a Pegasus workflow can).
    replicas: Mapping[str, Path] = field(default_factory=dict)
    deadline_s: float | None = None
    priority: int = 0


class Planner(Protocol):
    """Turns workflow documents into plans."""

    def load(self, name: str) -> Workflow:
        """Return the template or file ``name``; raises `InputError` or `NotFoundError`."""
        ...

    def from_body(self, body: Mapping[str, Any]) -> Workflow:
        """Return the workflow of a stored document."""
        ...

    def parameters(self, workflow: Workflow, given: Mapping[str, object]) -> dict[str, Value]:
        """Check parameters and fill in the defaults; raises `InputError`."""
        ...

    def levels(self, workflow: Workflow, parameters: Mapping[str, Value]) -> tuple[float, ...]:
        """Return the levels in dBZ at which an input must be looked at for this run's plan."""
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

        ``facts`` are given by input name, for the inputs of which any are known.
        """
        ...

    def fit(self, observations: Sequence[tuple[str, Mapping[str, float], float]]) -> dict[str, dict[str, float]]:
        """Return coefficients by module, from (module, features, CPU seconds), oldest first."""
        ...


def facts_to_json(facts: InputFacts) -> dict[str, Any]:
    """Return facts as JSON data; `facts_from_json` reads it back."""
    return {
        "format": facts.format,
        "issue_time": to_iso(facts.issue_time),
        "leads": list(facts.leads),
        "shape": list(facts.shape),
        "area_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.area_km2.items()},
        "crossings": {repr(level): list(row) for level, row in facts.crossings.items()},
        "maximum_dbz": [None if math.isnan(value) else round(value, 3) for value in facts.maximum_dbz],
        "radar": facts.radar,
        "aloft_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.aloft_km2.items()},
        "low_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.low_km2.items()},
        "top_m": facts.top_m,
        "flags": list(facts.flags),
        "position": None if facts.position is None else list(facts.position),
        "range_km": facts.range_km,
        "bounds": None if facts.bounds is None else list(facts.bounds),
        "block_leads": list(facts.block_leads),
        "blocks_km2": [list(block) for block in facts.blocks_km2],
    }


def facts_from_json(data: Mapping[str, Any]) -> InputFacts:
    """Read what `facts_to_json` wrote."""
    rows, columns = data["shape"]
    position, bounds = data.get("position"), data.get("bounds")
    return InputFacts(
        format=data["format"],
        issue_time=parse_time(data["issue_time"]),
        leads=tuple(data["leads"]),
        shape=(rows, columns),
        area_km2={float(level): tuple(row) for level, row in data["area_km2"].items()},
        crossings={float(level): tuple(row) for level, row in data["crossings"].items()},
        maximum_dbz=tuple(math.nan if value is None else value for value in data["maximum_dbz"]),
        radar=data.get("radar", ""),
        aloft_km2={float(level): tuple(row) for level, row in data.get("aloft_km2", {}).items()},
        low_km2={float(level): tuple(row) for level, row in data.get("low_km2", {}).items()},
        top_m=data.get("top_m"),
        flags=tuple(data.get("flags", ())),
        position=None if position is None else (position[0], position[1]),
        range_km=data.get("range_km"),
        bounds=None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3]),
        block_leads=tuple(data.get("block_leads", ())),
        blocks_km2=tuple(tuple(block) for block in data.get("blocks_km2", ())),
    )
