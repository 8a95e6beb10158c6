"""The contract of a module: its inputs, its outputs, and its typed parameters with units.

Contracts are plain data, so workflow documents can be checked without importing the science.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dynamo.errors import InputError

Kind = Literal["float", "int", "bool", "str", "floats", "ints"]
#: Parameter values: a number, a flag, a string, or a list of numbers.
Value = float | int | bool | str | list[float] | list[int]

_MAX_LIST = 1000
_MAX_TEXT = 1000


@dataclass(frozen=True)
class Port:
    """A named input or output of a module.

    ``many`` ports take one or more files, others exactly one. Alternative formats are separated by ``|``. A ``partial``
    input does with the files that are left if some of its jobs were skipped.
    """

    name: str
    format: str
    description: str
    required: bool = True
    many: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Number:
    """A number that a module records of its work, by which later jobs may be decided; ``unit`` as for parameters.

    A run may be without it, such as a maximum of nothing.
    """

    name: str
    description: str
    unit: str = "1"


@dataclass(frozen=True)
class Parameter:
    """A typed parameter; ``unit`` is ``"1"`` for plain numbers and empty for words and flags.

    Examples
    --------
    >>> levels = Parameter("levels", "floats", "Levels to trace.", default=(45.0,), unit="dBZ", minimum=-30, maximum=90)
    >>> levels.parse("35,45", where="--param levels")
    [35.0, 45.0]
    >>> levels.expectation()
    'a list of numbers in dBZ from -30 to 90'
    """

    name: str
    kind: Kind
    description: str
    default: Value | None = None
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is None

    def check(self, value: object, *, where: str) -> Value:
        """Return ``value`` converted to the parameter's type.

        Raises
        ------
        InputError
            If the type is wrong, or the value is out of range or not among the choices.
        """
        if self.kind in ("floats", "ints"):
            if not isinstance(value, list | tuple):
                raise InputError(f"not a list: {value!r}", where=where, expected=self.expectation())
            if not 1 <= len(value) <= _MAX_LIST:
                raise InputError(f"a list of {len(value)} values", where=where, expected=f"1 to {_MAX_LIST} values")
            items = [self._number(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [int(item) for item in items] if self.kind == "ints" else [float(item) for item in items]
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise InputError(f"not true or false: {value!r}", where=where, expected=self.expectation())
            return value
        if self.kind == "str":
            if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
                raise InputError(f"not a string: {value!r:.60}", where=where, expected=self.expectation())
            if self.choices and value not in self.choices:
                raise InputError(f"unknown value {value!r:.60}", where=where, expected=self.expectation())
            return value
        number = self._number(value, where)
        return int(number) if self.kind == "int" else float(number)

    def parse(self, text: str, *, where: str) -> Value:
        """Parse a command-line value; list items are separated by commas.

        Raises
        ------
        InputError
            See `check`.
        """
        value: object = text
        if self.kind == "bool":
            value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
                text.lower(), text
            )
        elif self.kind in ("floats", "ints"):
            value = [_number(part) for part in text.split(",")]
        elif self.kind in ("float", "int"):
            value = _number(text)
        return self.check(value, where=where)

    def format(self, value: Value) -> str:
        """Return ``value`` as text that `parse` reads back."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, list):
            return ",".join(_plain(item) for item in value)
        return value if isinstance(value, str) else _plain(value)

    def expectation(self) -> str:
        """Describe the values that `check` accepts."""
        names = {
            "float": "a number",
            "int": "a whole number",
            "bool": "true or false",
            "str": "a string",
            "floats": "a list of numbers",
            "ints": "a list of whole numbers",
        }
        text = names[self.kind]
        if self.unit not in ("", "1"):
            text += f" in {self.unit}"
        if self.minimum is not None or self.maximum is not None:
            low = "-inf" if self.minimum is None else f"{self.minimum:g}"
            high = "inf" if self.maximum is None else f"{self.maximum:g}"
            text += f" from {low} to {high}"
        if self.choices:
            text += " of " + ", ".join(self.choices)
        return text

    def _number(self, value: object, where: str) -> float | int:
        whole = self.kind in ("int", "ints")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise InputError(f"not a number: {value!r:.60}", where=where, expected=self.expectation())
        if whole and int(value) != value:
            raise InputError(f"not a whole number: {value!r}", where=where, expected=self.expectation())
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise InputError(f"{value!r} is out of range", where=where, expected=self.expectation())
        return value


#: Files by port name, for one call; no LFNs.
Files = Mapping[str, list[Path]]


@dataclass(frozen=True)
class Call:
    """One checked execution of a module: files by port, and all parameters.

    ``remarks`` are what whoever ordered the work must know although it succeeded, such as an input that was not used.
    ``checks`` are what was measured in the data (`dynamo.checks.model.Examination`), as JSON data; files in
    ``examined`` were looked at by an earlier job, with this flag.
    """

    inputs: Files
    outputs: Files
    parameters: Mapping[str, Any]
    remarks: list[str] = field(default_factory=list)
    checks: list[Mapping[str, Any]] = field(default_factory=list)
    examined: Mapping[str, int] = field(default_factory=dict)

    def input(self, port: str) -> Path:
        """Return the single file of an input port."""
        return self.inputs[port][0]

    def output(self, port: str) -> Path:
        """Return the single file of an output port."""
        return self.outputs[port][0]


@dataclass(frozen=True)
class Module:
    """One scientific step.

    ``run`` reads ``call.inputs``, writes every file in ``call.outputs`` atomically and returns metrics (numbers by
    name). ``numbers`` describes those that conditions in workflows may use. ``check_outputs`` checks the written files
    after the run.
    """

    name: str
    version: str
    description: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    run: Callable[[Call], dict[str, float]]
    check_outputs: Callable[[Call], None] | None = None
    numbers: tuple[Number, ...] = ()
    #: Additional notes for the manual, as free text.
    notes: str = field(default="", compare=False)

    def complete(self, given: Mapping[str, object], *, where: str = "arguments") -> dict[str, Value]:
        """Check the given parameters and fill in defaults.

        Raises
        ------
        InputError
            For an unknown, missing or invalid parameter.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise InputError(
                    f"module {self.name} has no parameter {name!r:.60}",
                    where=where,
                    expected=", ".join(sorted(known)) or "no parameters",
                )
        complete: dict[str, Value] = {}
        for name, parameter in known.items():
            if name in given:
                complete[name] = parameter.check(given[name], where=f"{where}.{name}")
            elif parameter.default is None:
                raise InputError(f"parameter {name} is missing", where=where, expected=parameter.expectation())
            else:
                complete[name] = parameter.default
        return complete


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # An integer beyond the largest float: no physical quantity is that large.
        return False


def _number(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _plain(value: float | int) -> str:
    return str(int(value)) if int(value) == value else repr(float(value))
