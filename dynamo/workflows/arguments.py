"""A job as a command line: ``NAME --input PORT=LFN --output PORT=LFN --param name=value``, options repeatable.

Where jobs depend on results, ``--numbers LFN`` writes down the job's own numbers, and each ``--when CONDITION=LFN``
gives a condition (`dynamo.workflows.branches.Branch.argument`) a file with numbers of another job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dynamo.contract import Module, Value
from dynamo.documents.problems import near_hint, shown
from dynamo.errors import InputError
from dynamo.workflows.branches import Branch, branch_of_argument
from dynamo.workflows.model import Job
from dynamo.workflows.names import check_lfn

#: The program that runs one module, as named in abstract workflows.
EXECUTABLE = "dynamo-module"
_OPTIONS = ("--input", "--output", "--param", "--when", "--numbers")

Files = dict[str, tuple[str, ...]]


def build_arguments(job: Job, contracts: Mapping[str, Module]) -> list[str]:
    """Return the `dynamo-module` arguments that run ``job``; `read_arguments` reads them back."""
    arguments = [job.module]
    for option, ports in (("--input", job.inputs), ("--output", job.outputs)):
        for port, lfns in ports.items():
            for lfn in lfns:
                arguments += [option, f"{port}={lfn}"]
    known = {parameter.name: parameter for parameter in contracts[job.module].parameters}
    for name, value in job.arguments.items():
        arguments += ["--param", f"{name}={known[name].format(value)}"]
    for branch in job.when:
        for lfn in branch.files:
            arguments += ["--when", f"{branch.argument}={lfn}"]
    return arguments + (["--numbers", job.numbers] if job.numbers else [])


@dataclass(frozen=True)
class Arguments:
    """What a command line says, and everything that is wrong with it; without a module nothing else was read."""

    module: Module | None
    inputs: Files = field(default_factory=dict)
    outputs: Files = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)
    when: tuple[Branch, ...] = ()
    numbers: str = ""
    errors: tuple[InputError, ...] = ()

    def checked(self) -> Module:
        """Return the module; raise the first error instead."""
        if self.module is None or self.errors:
            raise self.errors[0]
        return self.module


def read_arguments(argv: Sequence[str], contracts: Mapping[str, Module]) -> Arguments:
    """Return what `build_arguments` wrote, with every error.

    Checks form and names only; the caller checks for required ports and parameters. The errors are for an unknown
    module, option, port or parameter, an invalid value, or a name that is not an LFN; ``where`` is the argument, e.g.
    ``arguments[3]``.
    """
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
    return Arguments(
        module,
        _frozen(reader.inputs),
        _frozen(reader.outputs),
        reader.given,
        tuple(reader.when.values()),
        reader.numbers,
        tuple(reader.errors),
    )


class _Reader:
    """Reads the options of one module's command line."""

    def __init__(self, module: Module) -> None:
        self.inputs: dict[str, list[str]] = {}
        self.outputs: dict[str, list[str]] = {}
        self.given: dict[str, Value] = {}
        self.when: dict[str, Branch] = {}
        self.numbers = ""
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
        if option == "--numbers":
            if self.numbers:
                raise InputError("--numbers given twice", where=where)
            self.numbers = _lfn(argv[index + 1], where)
            return index + 2
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
        if option == "--when":
            self._add_condition(name, _lfn(value, where), where)
            return index + 2
        files, known = self._ports[option]
        if name not in known:
            raise _unknown(f"{option[2:]} of module {self._module.name}", name, where, known)
        files.setdefault(name, []).append(_lfn(value, where))
        return index + 2

    def _add_condition(self, text: str, lfn: str, where: str) -> None:
        try:
            branch = self.when.get(text) or branch_of_argument(text)
        except InputError as error:
            raise InputError(error.what, where=where, expected=error.expected) from None
        if branch.files and not branch.over:
            raise InputError("several files for a condition on one job", where=where, expected="any, all, max, ...")
        self.when[text] = replace(branch, files=(*branch.files, lfn))


def _lfn(text: str, where: str) -> str:
    try:
        return check_lfn(text)
    except InputError as error:
        raise InputError(error.what, where=where, expected=error.expected) from None


def _frozen(files: dict[str, list[str]]) -> Files:
    return {port: tuple(lfns) for port, lfns in files.items()}


def _unknown(kind: str, name: str, where: str, known: Mapping[str, object] | Sequence[str] | set[str]) -> InputError:
    return InputError(
        f"unknown {kind} {shown(name)}",
        where=where,
        expected=", ".join(sorted(known)) or f"no {kind}",
        hint=near_hint(name, sorted(known)),
    )
