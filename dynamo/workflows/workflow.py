"""Common interface to both kinds of workflow: our document, and a plain Pegasus 5 abstract workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo.contract import Module
from dynamo.documents.loading import read_data
from dynamo.documents.problems import DocumentError, Problem, near_hint
from dynamo.errors import InputError, NotFoundError
from dynamo.inspection.facts import InputFacts
from dynamo.resources import data_folder
from dynamo.workflows.cost import DEFAULT_COEFFICIENTS, Coefficients
from dynamo.workflows.document import Document
from dynamo.workflows.expand import expand
from dynamo.workflows.model import Plan
from dynamo.workflows.pegasus.read import AbstractWorkflow, expand_abstract, parse_abstract
from dynamo.workflows.validate import parse_document

#: Both have ``name``, ``version``, ``description`` and ``inputs`` (input name to its spec).
Workflow = Document | AbstractWorkflow


def templates() -> dict[str, Path]:
    """Return the shipped workflow documents by name."""
    return {path.stem: path for path in sorted(data_folder("workflows").glob("*.json"))}


def find_workflow(name: str | Path) -> Path:
    """Return the file of a workflow, given its path or the name of a shipped template.

    Raises
    ------
    NotFoundError
        If neither exists.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = templates()
    if str(name) in known:
        return known[str(name)]
    raise NotFoundError(
        "no such workflow",
        where=name,
        expected=f"a file or a template ({', '.join(known)})",
        hint=near_hint(str(name), known),
    )


def read_workflow(name: str | Path, contracts: Mapping[str, Module]) -> Workflow:
    """Return the validated workflow from a file or template.

    Raises
    ------
    NotFoundError
        If it does not exist.
    DocumentError
        With every problem.

    Examples
    --------
    >>> from dynamo.modules.registry import contracts
    >>> document = read_workflow("nowcast", contracts())
    >>> document.name, sorted({job.module for job in document.jobs})
    ('nowcast', ['contour', 'plot', 'split'])
    """
    path = find_workflow(name)
    return parse_workflow(read_data(path), contracts, where=path)


def parse_workflow(data: object, contracts: Mapping[str, Module], *, where: object = None) -> Workflow:
    """Return the validated workflow described by plain data; raise `DocumentError` with every problem."""
    if not isinstance(data, dict):
        raise DocumentError([Problem("$", "not a workflow", expected="an object {...}")], where=where)
    if "pegasus" in data and "dynamo" not in data:
        return parse_abstract(data, contracts, where=where)
    return parse_document(data, contracts, where=where)


def plan_run(
    workflow: Workflow,
    inputs: Mapping[str, Path | Sequence[Path]],
    parameters: Mapping[str, object],
    facts: Mapping[str, InputFacts],
    contracts: Mapping[str, Module],
    *,
    coefficients: Coefficients = DEFAULT_COEFFICIENTS,
) -> Plan:
    """Return the plan of one run of either kind of workflow; see `dynamo.workflows.expand.expand`."""
    if isinstance(workflow, AbstractWorkflow):
        single: dict[str, Path] = {}
        for name, given in inputs.items():
            several = [given] if isinstance(given, Path) else list(given)
            if len(several) != 1:
                raise InputError(f"{len(several)} files", where=f"$.inputs.{name}", expected="exactly one file")
            single[name] = several[0]
        return expand_abstract(workflow, single, parameters, facts, contracts, coefficients=coefficients)
    return expand(workflow, inputs, parameters, facts, contracts, coefficients=coefficients)
