"""The command form of a job: ``NAME --input PORT=LFN --output PORT=LFN --param name=value``, each repeatable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynamo.contract import Module, Value
from dynamo.documents.problems import nearest, shown
from dynamo.errors import InputError
from dynamo.workflows.model import Job
from dynamo.workflows.names import check_lfn

#: The program that runs one module; what abstract workflows name.
EXECUTABLE = "dynamo-module"
_OPTIONS = ("--input", "--output", "--param")

Files = dict[str, tuple[str, ...]]


def build_arguments(job: Job, contracts: Mapping[str, Module]) -> list[str]:
    """Return the arguments of `dynamo-module` that make it run ``job``; `parse_arguments` reads them back."""
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
    """Read what `build_arguments` wrote.

    Only the form and the names are checked here; that required ports and parameters are there is for the
    caller.

    Returns
    -------
    tuple
        The module, its inputs and outputs by port, and the parameters that were given.

    Raises
    ------
    InputError
        For an unknown module, option, port or parameter, a value that does not fit, or a name that is not an
        LFN; ``where`` says at which argument, as ``arguments[3]``.
    """
    if not argv:
        raise InputError("no module is named", where="arguments", expected=", ".join(sorted(contracts)))
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
                raise InputError(f"parameter {name} is given twice", where=where)
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
