"""A job as a command line: ``NAME --input PORT=LFN --output PORT=LFN --param name=value``, options repeatable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynamo.contract import Module, Value
from dynamo.documents.problems import nearest, shown
from dynamo.errors import InputError
from dynamo.workflows.model import Job
from dynamo.workflows.names import check_lfn

#: The program that runs one module, as named in abstract workflows.
EXECUTABLE = "dynamo-module"
_OPTIONS = ("--input", "--output", "--param")

Files = dict[str, tuple[str, ...]]


def build_arguments(job: Job, contracts: Mapping[str, Module]) -> list[str]:
    """Return the `dynamo-module` arguments that run ``job``; `parse_arguments` reads them back."""
    arguments = [job.module]
    for option, ports in (("--input", job.inputs), ("--output", job.outputs)):
        for port, lfns in ports.items():
            for lfn in lfns:
                arguments += [option, f"{port}={lfn}"]
    known = {parameter.name: parameter for parameter in contracts[job.module].parameters}
    for name, value in job.arguments.items():
        arguments += ["--param", f"{name}={known[name].format(value)}"]
    return arguments


def parse_arguments(
    argv: Sequence[str], contracts: Mapping[str, Module]
) -> tuple[Module, Files, Files, dict[str, Value]]:
    """Parse what `build_arguments` wrote.

    Checks form and names only; the caller checks for required ports and parameters.

    Returns
    -------
    tuple
        The module, its inputs and outputs by port, and the given parameters.

    Raises
    ------
    InputError
        For an unknown module, option, port or parameter, an invalid value, or a name that is not an LFN; ``where``
        is the argument, e.g. ``arguments[3]``.
    """
    if not argv:
        raise InputError("no module given", where="arguments", expected=", ".join(sorted(contracts)))
    module = contracts.get(argv[0])
    if module is None:
        raise _unknown("module", argv[0], "arguments[0]", contracts)
    inputs: dict[str, list[str]] = {}
    outputs: dict[str, list[str]] = {}
    given: dict[str, Value] = {}
    ports = {
        "--input": (inputs, {port.name for port in module.inputs}),
        "--output": (outputs, {port.name for port in module.outputs}),
    }
    parameters = {parameter.name: parameter for parameter in module.parameters}
    for index in range(1, len(argv), 2):
        option, where = argv[index], f"arguments[{index}]"
        if option not in _OPTIONS:
            raise _unknown("option", option, where, _OPTIONS)
        if index + 1 == len(argv):
            raise InputError(f"{option} has no value", where=where, expected="NAME=VALUE")
        where = f"arguments[{index + 1}]"
        name, equals, value = argv[index + 1].partition("=")
        if not equals:
            raise InputError(f"{shown(argv[index + 1])} has no =", where=where, expected="NAME=VALUE")
        if option == "--param":
            if name not in parameters:
                raise _unknown(f"parameter of module {module.name}", name, where, parameters)
            if name in given:
                raise InputError(f"parameter {name} given twice", where=where)
            given[name] = parameters[name].parse(value, where=where)
            continue
        files, known = ports[option]
        if name not in known:
            raise _unknown(f"{option[2:]} of module {module.name}", name, where, known)
        try:
            files.setdefault(name, []).append(check_lfn(value))
        except InputError as error:
            raise InputError(error.what, where=where, expected=error.expected) from None
    return module, _frozen(inputs), _frozen(outputs), given


def _frozen(files: dict[str, list[str]]) -> Files:
    return {port: tuple(lfns) for port, lfns in files.items()}


def _unknown(kind: str, name: str, where: str, known: Mapping[str, object] | Sequence[str] | set[str]) -> InputError:
    guess = nearest(name, sorted(known))
    return InputError(
        f"unknown {kind} {shown(name)}",
        where=where,
        expected=", ".join(sorted(known)) or f"no {kind}",
        hint=f"did you mean {guess}?" if guess else None,
    )
