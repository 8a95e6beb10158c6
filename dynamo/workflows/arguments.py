"""A job as a command line: ``NAME --input PORT=LFN --output PORT=LFN --param name=value``, options repeatable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dynamo.contract import Module, Value
from dynamo.documents.problems import near_hint, shown
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
    call = read_arguments(argv, contracts)
    if call.module is None or call.errors:
        raise call.errors[0]
    return call.module, call.inputs, call.outputs, call.parameters


@dataclass(frozen=True)
class Arguments:
    """What a command line says, and everything that is wrong with it; without a module nothing else was read."""

    module: Module | None
    inputs: Files = field(default_factory=dict)
    outputs: Files = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)
    errors: tuple[InputError, ...] = ()


def read_arguments(argv: Sequence[str], contracts: Mapping[str, Module]) -> Arguments:
    """Return what `build_arguments` wrote with every error, as `parse_arguments` raises the first one."""
    if not argv:
        error = InputError("no module given", where="arguments", expected=", ".join(sorted(contracts)))
        return Arguments(None, errors=(error,))
    module = contracts.get(argv[0])
    if module is None:
        return Arguments(None, errors=(_unknown("module", argv[0], "arguments[0]", contracts),))
    reader = _Reader(module)
    index = 1
    while index < len(argv):
        try:
            index = reader.option(argv, index)
        except InputError as error:
            reader.errors.append(error)
            # A value without an option moves all that follow by one.
            index += 1 if argv[index + 1 : index + 2] and argv[index + 1].startswith("--") else 2
    return Arguments(module, _frozen(reader.inputs), _frozen(reader.outputs), reader.given, tuple(reader.errors))


class _Reader:
    """Reads the options of one module's command line."""

    def __init__(self, module: Module) -> None:
        self.inputs: dict[str, list[str]] = {}
        self.outputs: dict[str, list[str]] = {}
        self.given: dict[str, Value] = {}
        self.errors: list[InputError] = []
        self._module = module
        self._ports = {
            "--input": (self.inputs, {port.name for port in module.inputs}),
            "--output": (self.outputs, {port.name for port in module.outputs}),
        }
        self._parameters = {parameter.name: parameter for parameter in module.parameters}

    def option(self, argv: Sequence[str], index: int) -> int:
        """Read the option at an index with its value; return the index after it."""
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
            if name not in self._parameters:
                raise _unknown(f"parameter of module {self._module.name}", name, where, self._parameters)
            if name in self.given:
                raise InputError(f"parameter {name} given twice", where=where)
            self.given[name] = self._parameters[name].parse(value, where=where)
            return index + 2
        files, known = self._ports[option]
        if name not in known:
            raise _unknown(f"{option[2:]} of module {self._module.name}", name, where, known)
        try:
            files.setdefault(name, []).append(check_lfn(value))
        except InputError as error:
            raise InputError(error.what, where=where, expected=error.expected) from None
        return index + 2


def _frozen(files: dict[str, list[str]]) -> Files:
    return {port: tuple(lfns) for port, lfns in files.items()}


def _unknown(kind: str, name: str, where: str, known: Mapping[str, object] | Sequence[str] | set[str]) -> InputError:
    return InputError(
        f"unknown {kind} {shown(name)}",
        where=where,
        expected=", ".join(sorted(known)) or f"no {kind}",
        hint=near_hint(name, sorted(known)),
    )
