"""Reading a plain Pegasus 5 abstract workflow.

Only workflows of our modules are accepted: jobs whose transformation is a registered module, with the arguments of
`dynamo.workflows.arguments`, files from ``uses``, replicas embedded or given as inputs. Anything that could run
something else (hooks, transformation catalogs, sub-workflows, redirections) or that we could not preserve is refused
with its path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dynamo.contract import Module
from dynamo.documents.problems import DocumentError, Problems, shown
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.cost import DEFAULT_COEFFICIENTS, Coefficients
from dynamo.workflows.document import MAX_DEADLINE_S, MAX_JOBS, MAX_PRIORITY, InputSpec
from dynamo.workflows.estimate import with_predictions
from dynamo.workflows.model import Job, Plan
from dynamo.workflows.names import VERSION_PATTERN, check_lfn
from dynamo.workflows.pegasus.jobs import JobReader, is_job_id
from dynamo.workflows.pegasus.profiles import SCHEMA_VERSION
from dynamo.workflows.pegasus.resources import ResourceReader
from dynamo.workflows.pegasus.shapes import list_at, number_at, object_at, only_keys, texts_at, whole_at

_TOP = ("pegasus", "name", "jobs", "jobDependencies", "metadata", "profiles", "replicaCatalog")


@dataclass(frozen=True)
class AbstractWorkflow:
    """A validated Pegasus abstract workflow; ``inputs`` are the LFNs no job writes, with their formats."""

    name: str
    version: str
    description: str
    jobs: tuple[Job, ...]
    inputs: Mapping[str, InputSpec]
    #: Replicas embedded in the workflow.
    replicas: Mapping[str, Path]
    products: tuple[str, ...]
    deadline_s: float | None = None
    priority: int = 0
    parameters: Mapping[str, object] = field(default_factory=dict)
    retries: int = 1


def parse_abstract(data: object, contracts: Mapping[str, Module], *, where: object = None) -> AbstractWorkflow:
    """Return the workflow described by the plain data of a Pegasus abstract workflow.

    Raises
    ------
    DocumentError
        With every problem.
    """
    problems = Problems()
    if not isinstance(data, dict):
        problems.add("$", "not a workflow", expected="an object {...}")
        raise DocumentError(problems.all, where=where)
    only_keys(problems, "$", data, _TOP)
    version = data.get("pegasus")
    if not isinstance(version, str) or not SCHEMA_VERSION.match(version):
        problems.add("$.pegasus", f"version {shown(version)}", expected='a string such as "5.0.4"')
    name = data.get("name")
    if not isinstance(name, str) or not is_job_id(name):
        problems.add("$.name", f"not a name: {shown(name)}", expected="a letter, then letters, digits, _ and -")
        name = "workflow"
    items = list_at(problems, "$.jobs", data.get("jobs"))
    if not items:
        problems.add("$.jobs", "no jobs", expected="a list of jobs")
    if len(items) > MAX_JOBS:
        problems.add("$.jobs", f"{len(items)} jobs", expected=f"at most {MAX_JOBS}")
        items = items[:MAX_JOBS]
    metadata = texts_at(problems, "$.metadata", data.get("metadata"))
    release = metadata.get("dynamo.version", "1")
    if not re.fullmatch(VERSION_PATTERN, release):
        problems.add(
            "$.metadata['dynamo.version']", f"not a version: {shown(release)}", expected="letters, digits and _ . + -"
        )
    deadline = number_at(problems, "$.metadata['dynamo.deadline_s']", metadata.get("dynamo.deadline_s"))
    if deadline is not None and not 0 < deadline <= MAX_DEADLINE_S:
        problems.add("$.metadata['dynamo.deadline_s']", f"is {deadline:g}", expected=f"above 0, up to {MAX_DEADLINE_S}")
    priority = whole_at(
        problems, "$.metadata['dynamo.priority']", metadata.get("dynamo.priority"), -MAX_PRIORITY, MAX_PRIORITY
    )
    ResourceReader(problems, priority or 0).none_kept("$.profiles", data.get("profiles"))
    reader = JobReader(problems, contracts, priority or 0)
    jobs = [job for index, item in enumerate(items) if (job := reader.job(index, item)) is not None]
    whole = len(jobs) == len(items)
    reader.check_dependencies(data.get("jobDependencies"), jobs if whole else None)
    inputs = reader.check_files(jobs) if whole else {}
    replicas = _replicas(problems, data.get("replicaCatalog"))
    problems.raise_any(where=where)
    workflow = AbstractWorkflow(
        name=name,
        version=release,
        description=metadata.get("dynamo.description", ""),
        jobs=tuple(jobs),
        inputs=inputs,
        replicas={lfn: path for lfn, path in replicas.items() if lfn in inputs},
        products=reader.products(jobs),
        deadline_s=deadline,
        priority=priority or 0,
    )
    try:
        _plan(workflow, dict.fromkeys(inputs, Path("/")))
    except InputError as error:
        problems.add("$.jobs", error.what, expected=error.expected or "")
    problems.raise_any(where=where)
    return workflow


def expand_abstract(
    workflow: AbstractWorkflow,
    inputs: Mapping[str, Path],
    parameters: Mapping[str, object],
    facts: Mapping[str, InputFacts],
    contracts: Mapping[str, Module],
    *,
    coefficients: Coefficients = DEFAULT_COEFFICIENTS,
) -> Plan:
    """Return the plan of one run; inputs and facts are keyed by LFN, and given inputs override embedded replicas.

    Raises
    ------
    DocumentError
        For unknown or missing inputs, and for any parameters, which abstract workflows do not have.
    """
    problems = Problems()
    for job in workflow.jobs:
        if job.module not in contracts:
            problems.add_unknown("$.jobs", "module", job.module, contracts)
    for name in parameters:
        problems.add(f"$.parameters.{name}", "a Pegasus workflow has no parameters", expected="a workflow document")
    for name in inputs:
        if name not in workflow.inputs:
            problems.add_unknown(f"$.inputs.{name}", "input", name, workflow.inputs)
    paths = {**workflow.replicas, **{name: path.absolute() for name, path in inputs.items()}}
    for name, spec in workflow.inputs.items():
        if name not in paths:
            problems.add(f"$.inputs.{name}", f"input {name} is missing", expected=f"a file in format {spec.format}")
        elif name in facts and facts[name].format not in spec.format.split("|"):
            problems.add(f"$.inputs.{name}", f"the file is in format {facts[name].format}", expected=spec.format)
    problems.raise_any(where=workflow.name)
    return with_predictions(_plan(workflow, {name: paths[name] for name in workflow.inputs}), facts, coefficients)


def _plan(workflow: AbstractWorkflow, replicas: Mapping[str, Path]) -> Plan:
    return Plan(
        name=workflow.name,
        version=workflow.version,
        jobs=workflow.jobs,
        replicas=replicas,
        products=workflow.products,
        description=workflow.description,
        deadline_s=workflow.deadline_s,
        priority=workflow.priority,
    )


def _replicas(problems: Problems, catalog: Any) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if catalog is None:
        return found
    given = object_at(problems, "$.replicaCatalog", catalog)
    for index, item in enumerate(list_at(problems, "$.replicaCatalog.replicas", given.get("replicas"))):
        path = f"$.replicaCatalog.replicas[{index}]"
        if not isinstance(item, dict):
            problems.add(path, "not a replica", expected="an object {lfn, pfns}")
            continue
        lfn = item.get("lfn")
        if not isinstance(lfn, str):
            problems.add(f"{path}.lfn", f"not a name: {shown(lfn)}", expected="a logical file name")
            continue
        try:
            check_lfn(lfn)
        except InputError as error:
            problems.add(f"{path}.lfn", error.what, expected=error.expected or "")
        pfns = list_at(problems, f"{path}.pfns", item.get("pfns"))
        pfn = pfns[0].get("pfn") if len(pfns) == 1 and isinstance(pfns[0], dict) else None
        text = pfn.removeprefix("file://") if isinstance(pfn, str) else ""
        if item.get("regex") or not text.startswith("/") or ".." in text.split("/") or not text.isprintable():
            problems.add(f"{path}.pfns", f"not a local file: {shown(pfn)}", expected="one absolute path or file:// URL")
            continue
        found[lfn] = Path(text)
    return found


def without_predictions(plan: Plan) -> Plan:
    """Return the plan without predictions, as an abstract workflow preserves it."""
    return replace(plan, jobs=tuple(replace(job, predicted_s=0.0, features={}) for job in plan.jobs))
