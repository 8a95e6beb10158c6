"""Checks of a job against its module's contract: ports, file counts, formats."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence

from dynamo.contract import Module, Port
from dynamo.documents.problems import Problems
from dynamo.plugins import PluginError

_ALTERNATIVES = re.compile(r"[|,\s]+")


def formats_of(port: Port) -> tuple[str, ...]:
    """Return the formats a port accepts, written e.g. ``casa-split|casa-nowcast``."""
    return split_formats(port.format)


def split_formats(text: str) -> tuple[str, ...]:
    """Return the formats in a text such as ``radar-sweep|radar-volume``."""
    return tuple(name for name in _ALTERNATIVES.split(text) if name)


def known_formats(contracts: Mapping[str, Module], names: Iterable[str]) -> set[str]:
    """Return every format that any of the named modules reads or writes."""
    found: set[str] = set()
    for name in names:
        # A broken module has no formats; jobs that need it get an error elsewhere.
        with contextlib.suppress(PluginError):
            module = contracts.get(name)
            ports = () if module is None else (*module.inputs, *module.outputs)
            found.update(format_ for port in ports for format_ in formats_of(port))
    return found


def check_names(
    problems: Problems, path: str, kind: str, *, given: Iterable[str], ports: Sequence[Port], module: str
) -> None:
    """Record unknown ports and missing required ports; ``kind`` is input or output."""
    known = {port.name: port for port in ports}
    names = list(given)
    for name in names:
        if name not in known:
            problems.add_unknown(f"{path}.{name}", f"{kind} of module {module}", name, known)
    for name, port in known.items():
        if port.required and name not in names:
            problems.add(path, f"{kind} {name} of module {module} is missing", expected=f"a file in {port.format}")


def check_count(problems: Problems, path: str, port: Port, count: int) -> None:
    """Record a wrong number of files at a port."""
    if count != 1 and not port.many:
        problems.add(path, f"{count} files", expected="exactly one file")
    elif count == 0:
        problems.add(path, "no file", expected="one or more files")


def check_format(problems: Problems, path: str, port: Port, lfn: str, format_: str) -> None:
    """Record a file in a format the port does not accept; it must accept all of several possible formats."""
    if not set(split_formats(format_)) <= set(formats_of(port)):
        problems.add(path, f"{lfn} is in format {format_}", expected=" or ".join(formats_of(port)))
