"""Validation of workflow documents: form, names, and a trial expansion, reporting all errors at once.

Sample values (leads 0 to 30) replace a run's files and parameters, so that most mistakes are found when the document is
written, not when the storm arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dynamo.contract import Module, Value
from dynamo.documents.problems import DocumentError, Problem, Problems, json_path, nearest, shown
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.document import (
    DOCUMENT_VERSION,
    Document,
    FileLoop,
    FilesFrom,
    InputSpec,
    JobSpec,
    ParameterSpec,
    ResourceSpec,
)
from dynamo.workflows.expand import check_jobs, scope_of
from dynamo.workflows.expander import Expander
from dynamo.workflows.mending import TAGS, Mended, mended
from dynamo.workflows.model import Plan
from dynamo.workflows.naming import Known, input_lfns

_SAMPLE_TIME = datetime(2019, 6, 10, 0, 0, tzinfo=UTC)
_SAMPLE_LEADS = tuple(range(31))


def validate(data: object, contracts: Mapping[str, Module]) -> tuple[Problem, ...]:
    """Return every problem in a workflow document; empty if it is valid.

    Parameters
    ----------
    data
        The document as plain data (`dynamo.documents.loading.read_data`).
    contracts
        The registered modules.

    Examples
    --------
    >>> from dynamo.modules.registry import contracts
    >>> problems = validate({"dynamo": 1, "name": "x", "version": "1", "jobz": [], "outputs": []}, contracts())
    >>> [problem.path for problem in problems]
    ['$.jobs', '$.outputs', '$.jobz']
    """
    try:
        parse_document(data, contracts)
    except DocumentError as error:
        return error.problems
    return ()


def parse_document(data: object, contracts: Mapping[str, Module], *, where: object = None) -> Document:
    """Return the document described by plain data.

    Raises
    ------
    DocumentError
        With every problem.
    """
    problems = Problems()
    given = data.get("dynamo", DOCUMENT_VERSION) if isinstance(data, dict) else DOCUMENT_VERSION
    # True equals 1 but is not a version.
    if given != DOCUMENT_VERSION or type(given) is not int:
        problems.add(
            "$.dynamo",
            f"unsupported document version {shown(given)}",
            expected=f"{DOCUMENT_VERSION}",
        )
        if type(given) is int:
            # Another language, which this one's rules do not fit.
            problems.raise_any(where=where)
        data = {**data, "dynamo": DOCUMENT_VERSION}  # type: ignore[dict-item]
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        _report(problems, error)
        if isinstance(data, dict):
            _report_rest(problems, mended(data, error), contracts)
        raise DocumentError(problems.all, where=where) from None
    _check(problems, document, contracts)
    problems.raise_any(where=where)
    return document


def _report_rest(problems: Problems, rest: Mended, contracts: Mapping[str, Module]) -> None:
    """Report the mistakes in the parts of a document that have the right form."""
    if rest.document is None:
        return
    found = Problems()
    _check(found, rest.document, contracts)
    for problem in found.all:
        if not rest.is_consequence(problem):
            problems.add(problem.path, problem.what, expected=problem.expected, nearest=problem.nearest)


def _check(problems: Problems, document: Document, contracts: Mapping[str, Module]) -> None:
    check_jobs(problems, document, contracts)
    wrong = {problem.path for problem in problems.all}
    inputs = {
        # A format that nobody knows fits no port; that is no mistake of the jobs that read it.
        name: spec.model_copy(update={"format": ""}) if f"$.inputs.{name}.format" in wrong else spec
        for name, spec in document.inputs.items()
    }
    _rehearse(problems, document.model_copy(update={"inputs": inputs}), contracts)


def _rehearse(problems: Problems, document: Document, contracts: Mapping[str, Module]) -> None:
    values: dict[str, object] = {}
    samples: set[str] = set()
    for name, spec in document.parameters.items():
        path = f"$.parameters.{name}"
        contract = spec.contract(name)
        if spec.minimum is not None and spec.maximum is not None and spec.minimum > spec.maximum:
            problems.add(f"{path}.minimum", "the minimum is above the maximum", expected=f"at most {spec.maximum:g}")
            values[name] = _sample(spec)
            samples.add(f"parameters.{name}")
            continue
        if spec.choices and spec.type != "str":
            problems.add(f"{path}.choices", f"choices for a parameter of type {spec.type}", expected="type str")
        if spec.default is None:
            values[name] = _sample(spec)
            samples.add(f"parameters.{name}")
            continue
        try:
            values[name] = contract.check(spec.default, where=f"{path}.default")
        except InputError as error:
            problems.add(error.where or path, error.what, expected=error.expected or "")
            values[name] = _sample(spec)
            samples.add(f"parameters.{name}")
    _rehearse_with(problems, document, contracts, values, samples, document.inputs)
    needed = {name: spec for name, spec in document.inputs.items() if spec.required}
    if len(needed) < len(document.inputs):
        without = Problems()
        _rehearse_with(without, document, contracts, values, samples, needed)
        known = {problem.path for problem in problems.all}
        for problem in without.all:
            if problem.path not in known:
                problems.add(problem.path, problem.what, expected=problem.expected, nearest=problem.nearest)


def _rehearse_with(
    problems: Problems,
    document: Document,
    contracts: Mapping[str, Module],
    values: Mapping[str, object],
    samples: set[str],
    given: Mapping[str, InputSpec],
) -> None:
    """Expand the document as for a run with the inputs ``given``."""
    facts = {
        name: InputFacts(spec.format, _SAMPLE_TIME, _SAMPLE_LEADS, (201, 201), radar="radar")
        for name, spec in given.items()
    }
    paths = {
        name: (Path(f"{name}.dat"), *((Path(f"{name}-2.dat"),) if spec.many else ())) for name, spec in given.items()
    }
    known = scope_of(problems, document, values, facts, paths)
    samples = samples | {name for name in known.values if not name.startswith("parameters.")}
    before = len(problems)
    jobs, outputs = Expander(problems, document, Known(known.values, samples), contracts).expand()
    if len(problems) > before or not jobs:
        return
    try:
        Plan(
            name=document.name,
            version=document.version,
            jobs=jobs,
            replicas={
                lfn: path
                for name, several in paths.items()
                for lfn, path in zip(input_lfns(known.values[f"inputs.{name}"]), several, strict=True)
            },
            products=tuple(outputs),
            outputs=outputs,
        )
    except InputError as error:
        problems.add("$.jobs", error.what, expected=error.expected or "")


def _sample(spec: ParameterSpec) -> Value:
    if spec.type == "str":
        return spec.choices[0] if spec.choices else "word"
    if spec.type == "bool":
        return True
    low = spec.minimum if spec.minimum is not None else spec.maximum if spec.maximum is not None else 1.0
    number = int(low) if spec.type in ("int", "ints") else float(low)
    return [number] if spec.type in ("ints", "floats") else number


_TYPES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "list_type": "a list [...]",
    "dict_type": "an object {...}",
    "model_type": "an object {...}",
    "model_attributes_type": "an object {...}",
}
#: Pydantic limits: error type, key of the limit in its context, and our wording.
_LIMITS = {
    "greater_than_equal": ("ge", "at least {}"),
    "less_than_equal": ("le", "at most {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than": ("lt", "less than {}"),
}
_LENGTHS = {
    "too_short": ("min_length", "at least {}"),
    "too_long": ("max_length", "at most {}"),
    "string_too_short": ("min_length", "at least {} characters"),
    "string_too_long": ("max_length", "at most {} characters"),
}
_MODELS: dict[str, type[BaseModel]] = {
    "inputs": InputSpec,
    "parameters": ParameterSpec,
    "resources": ResourceSpec,
}


def _report(problems: Problems, error: ValidationError) -> None:
    for found in error.errors(include_url=False):
        # Union tags are in angle brackets; `[key]` marks an invalid key.
        unknown = found["loc"][-1:] if found["type"] == "extra_forbidden" else ()
        known = found["loc"][: len(found["loc"]) - len(unknown)]
        parts = [*(part for part in known if part not in TAGS), *unknown]
        if parts and parts[-1] == "[key]":
            parts.pop()
            problems.add(
                json_path(parts[:-1]),
                f"not a name: {shown(parts[-1])}",
                expected="a letter, then letters, digits and _, at most 64 characters",
            )
            continue
        path = json_path(parts)
        kind = found["type"]
        if kind == "extra_forbidden":
            names = _fields_of(parts[:-1])
            problems.add(path, "unknown key", expected=", ".join(names), nearest=nearest(str(parts[-1]), names))
        elif kind == "missing":
            problems.add(path, "is missing", expected=_what(parts))
        elif kind == "literal_error":
            names = [name.strip(" '") for name in str(found["ctx"]["expected"]).replace(" or ", ",").split(",")]
            problems.add(
                path,
                f"unknown value {shown(found['input'])}",
                expected=", ".join(names),
                nearest=nearest(found["input"], names) if isinstance(found["input"], str) else "",
            )
        elif kind == "string_pattern_mismatch":
            problems.add(path, f"not a name: {shown(found['input'])}", expected=_pattern(parts))
        elif kind in _TYPES:
            problems.add(path, f"is {shown(found['input'])}", expected=_TYPES[kind])
        elif kind in _LIMITS:
            key, text = _LIMITS[kind]
            limit = found["ctx"][key]
            number = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
            problems.add(path, f"is {shown(found['input'])}", expected=text.format(number))
        elif kind in _LENGTHS:
            key, text = _LENGTHS[kind]
            what = f"{len(found['input'])} characters" if "string" in kind else f"{len(found['input'])} items"
            problems.add(path, what, expected=text.format(found["ctx"][key]))
        else:
            what, _, expected = found["msg"].partition("; expected ")
            given = "" if isinstance(found["input"], dict | list) else f": {shown(found['input'])}"
            problems.add(path, f"{what[:1].lower()}{what[1:]}{given}", expected=expected)


def _fields_of(parts: list[str | int]) -> list[str]:
    """Return the keys allowed in the object at a path."""
    model: type[BaseModel] = Document
    if parts and parts[0] in ("inputs", "parameters") and len(parts) == 2:
        model = _MODELS[str(parts[0])]
    elif parts and parts[0] == "jobs":
        if len(parts) == 2:
            model = JobSpec
        elif parts[2] == "resources":
            model = ResourceSpec
        else:
            return sorted({*_aliases(FileLoop), *(_aliases(FilesFrom) if parts[2] == "inputs" else ())})
    return _aliases(model)


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _what(parts: list[str | int]) -> str:
    whats = {
        "dynamo": f"{DOCUMENT_VERSION}, the version of the document language",
        "name": "a name",
        "version": 'the workflow version as a string, e.g. "1"',
        "jobs": "a list of jobs",
        "outputs": "outputs to write or publish",
        "module": "a module name",
        "format": "a format name",
        "type": "float, int, bool, str, floats or ints",
        "id": "an id",
        "for_each": "a loop",
    }
    return whats.get(str(parts[-1]) if parts else "", "a value")


def _pattern(parts: list[str | int]) -> str:
    last = str(parts[-1]) if parts else ""
    if last == "version":
        return "letters, digits and _ . + -, at most 64 characters"
    return "a letter, then letters, digits, _ and -, at most 64 characters"
