"""Expansion of a workflow document, with input files and parameters, into the plan of one run.

Expansion is deterministic: the same document, names, facts and parameters give the same plan. It checks sizes before
expanding, and reports all problems, not just the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo.contract import Module, Value
from dynamo.documents.problems import Problems
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.cost import DEFAULT_COEFFICIENTS, Coefficients
from dynamo.workflows.document import Document, JobSpec
from dynamo.workflows.estimate import with_predictions
from dynamo.workflows.expander import Expander
from dynamo.workflows.model import Plan
from dynamo.workflows.names import is_lfn
from dynamo.workflows.naming import Known, input_lfns, is_good_lfn, render_text
from dynamo.workflows.ports import check_names, known_formats, split_formats


def expand(
    document: Document,
    inputs: Mapping[str, Path | Sequence[Path]],
    parameters: Mapping[str, object],
    facts: Mapping[str, InputFacts],
    contracts: Mapping[str, Module],
    *,
    coefficients: Coefficients = DEFAULT_COEFFICIENTS,
) -> Plan:
    """Return the plan of one run.

    Parameters
    ----------
    document
        The workflow.
    inputs
        The file or files of each input; optional inputs may be absent.
    parameters
        Parameter values; strings are parsed as on the command line if a number or list is expected.
    facts
        Facts read from each input file, by input; needed for leads and issue times.
    contracts
        The registered modules.
    coefficients
        Coefficients of the cost model.

    Raises
    ------
    DocumentError
        With every problem in the document and in the given inputs and parameters (paths ``$.inputs.NAME`` and
        ``$.parameters.NAME``).
    """
    problems = Problems()
    check_jobs(problems, document, contracts)
    paths = _check_inputs(problems, document, inputs, facts)
    values = check_parameters(problems, document, parameters)
    problems.raise_any(where=document.name)
    known = scope_of(problems, document, values, facts, paths)
    problems.raise_any(where=document.name)
    expander = Expander(problems, document, known, contracts)
    jobs, outputs = expander.expand()
    problems.raise_any(where=document.name)
    lfns = {name: input_lfns(known.values[f"inputs.{name}"]) for name in paths}
    plan = Plan(
        name=document.name,
        version=document.version,
        jobs=jobs,
        replicas={lfn: path for name, several in paths.items() for lfn, path in zip(lfns[name], several, strict=True)},
        products=tuple(outputs),
        outputs=outputs,
        description=document.description,
        deadline_s=document.deadline_s,
        priority=document.priority,
    )
    by_lfn = {lfn: facts[name] for name in paths if name in facts for lfn in lfns[name]}
    return with_predictions(plan, by_lfn, coefficients)


def check_parameters(problems: Problems, document: Document, given: Mapping[str, object]) -> dict[str, Value]:
    """Return the values of all parameters: given ones, checked, and defaults for the rest."""
    for name in given:
        if name not in document.parameters:
            problems.add_unknown(f"$.parameters.{name}", "parameter", name, document.parameters)
    values: dict[str, Value] = {}
    for name, spec in document.parameters.items():
        path = f"$.parameters.{name}"
        contract = spec.contract(name)
        value = given.get(name, spec.default)
        if value is None:
            problems.add(path, f"parameter {name} is missing", expected=contract.expectation())
            continue
        try:
            if isinstance(value, str) and contract.kind != "str":
                values[name] = contract.parse(value, where=path)
            else:
                values[name] = contract.check(value, where=path)
        except InputError as error:
            problems.add(error.where or path, error.what, expected=error.expected or "")
    return values


def _check_inputs(
    problems: Problems,
    document: Document,
    inputs: Mapping[str, Path | Sequence[Path]],
    facts: Mapping[str, InputFacts],
) -> dict[str, tuple[Path, ...]]:
    for name in inputs:
        if name not in document.inputs:
            problems.add_unknown(f"$.inputs.{name}", "input", name, document.inputs)
    paths: dict[str, tuple[Path, ...]] = {}
    for name, spec in document.inputs.items():
        path = f"$.inputs.{name}"
        given = inputs.get(name, ())
        several = (given,) if isinstance(given, Path) else tuple(given)
        if not several:
            if spec.required:
                problems.add(path, f"input {name} is missing", expected=f"a file in format {spec.format}")
            continue
        if len(several) > 1 and not spec.many:
            problems.add(path, f"{len(several)} files", expected="exactly one file")
        paths[name] = tuple(file.absolute() for file in several)
        if name in facts and facts[name].format not in split_formats(spec.format):
            problems.add(path, f"the file is in format {facts[name].format}", expected=spec.format)
    return paths


def scope_of(
    problems: Problems,
    document: Document,
    values: Mapping[str, object],
    facts: Mapping[str, InputFacts],
    paths: Mapping[str, Sequence[Path]],
) -> Known:
    """Return the values of placeholders outside loops; also assigns names to the input files.

    A single-file input is its name, a multi-file input the list of names, an absent input an empty list.
    """
    scope: dict[str, object] = {f"parameters.{name}": value for name, value in values.items()}
    for index, name in enumerate(document.inputs):
        if name in facts:
            if index == 0:
                scope["issue"] = facts[name].issue_time
            scope[f"inputs.{name}.issue"] = facts[name].issue_time
            scope[f"inputs.{name}.leads"] = list(facts[name].leads)
            if facts[name].radar:
                scope[f"inputs.{name}.radar"] = facts[name].radar
    for name, spec in document.inputs.items():
        path = f"$.inputs.{name}.name"
        if spec.many and spec.name is not None:
            problems.add(path, "one name for several files", expected="no name (files keep their own)")
        if spec.many or name not in paths:
            scope[f"inputs.{name}"] = _own_names(name, paths.get(name, ()))
            continue
        own = paths[name][0].name
        if spec.name is not None:
            lfn = render_text(problems, path, spec.name, scope)
            if lfn is not None:
                is_good_lfn(problems, path, lfn)
                scope[f"inputs.{name}"] = lfn
        else:
            scope[f"inputs.{name}"] = own if is_lfn(own) else name + _suffix(own)
    return Known(scope)


def _own_names(name: str, paths: Sequence[Path]) -> list[str]:
    """Return logical names for several files: their own if valid and distinct, otherwise numbered ones."""
    own = [path.name for path in paths]
    if len(set(own)) == len(own) and all(is_lfn(each) for each in own):
        return own
    return [f"{name}-{number}{_suffix(each)}" for number, each in enumerate(own, start=1)]


def _suffix(name: str) -> str:
    suffix = Path(name).suffix
    return suffix if is_lfn(f"x{suffix}") else ""


def check_jobs(problems: Problems, document: Document, contracts: Mapping[str, Module]) -> None:
    """Check names: modules, ports, parameters, formats, ids."""
    # Import the other modules only if the jobs' own ones do not know a format.
    formats = known_formats(contracts, {job.module for job in document.jobs})
    for name, spec in document.inputs.items():
        for format_ in split_formats(spec.format) or (spec.format,):
            if format_ not in formats and format_ not in (known := known_formats(contracts, contracts)):
                problems.add_unknown(f"$.inputs.{name}.format", "format", format_, known)
    seen: set[str] = set()
    for index, job in enumerate(document.jobs):
        path = f"$.jobs[{index}]"
        if job.id in seen:
            problems.add(f"{path}.id", f"duplicate job id {job.id}", expected="unique job ids")
        seen.add(job.id)
        check_job_names(problems, path, job, contracts)


def check_job_names(problems: Problems, path: str, job: JobSpec, contracts: Mapping[str, Module]) -> None:
    """Check the names in one job: module, ports, parameters."""
    module = contracts.get(job.module)
    if module is None:
        problems.add_unknown(f"{path}.module", "module", job.module, contracts)
        return
    check_names(problems, f"{path}.inputs", "input", given=job.inputs, ports=module.inputs, module=module.name)
    check_names(problems, f"{path}.outputs", "output", given=job.outputs, ports=module.outputs, module=module.name)
    known = [parameter.name for parameter in module.parameters]
    for argument in job.arguments:
        if argument not in known:
            problems.add_unknown(f"{path}.arguments.{argument}", f"parameter of module {module.name}", argument, known)
