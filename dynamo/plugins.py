"""Doors for parts from other packages: what is built in, and what installed packages add by entry points.

A package adds a part with an entry point in the group of a door, as ``[project.entry-points."dynamo.modules"]``. Parts
are imported only when they are used. One that cannot be loaded is one clear line, and never takes anything else down.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dynamo.errors import DynamoError, MissingPartError, NotFoundError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

#: The origin of what is built in.
BUILT_IN = "dynamo"

_log = logging.getLogger("dynamo.plugins")


class PluginError(MissingPartError):
    """A part of another package cannot be loaded or does not keep its contract."""


@dataclass(frozen=True)
class Listed:
    """One line of what a door offers: a name, the package it comes from, and what is wrong with it (empty: nothing)."""

    name: str
    origin: str
    problem: str = ""


class Door(Generic[T]):
    """The parts of one kind: built-in ones, and those of installed packages.

    Parameters
    ----------
    group
        The group of entry points, as ``dynamo.modules``.
    word
        What one of the parts is called in messages, as ``module``.
    built_in
        Name of each built-in part to where it is, as ``dynamo.modules.split:MODULE``.
    check
        Says what is wrong with a loaded part of another package, given its name; empty where nothing is.
    """

    def __init__(
        self, group: str, word: str, built_in: Mapping[str, str], check: Callable[[str, object], str] = lambda *_: ""
    ) -> None:
        self.group = group
        self.word = word
        self._built_in = built_in
        self._check = check
        self._loaded: dict[str, T] = {}
        self._told: set[str] = set()

    def names(self) -> tuple[str, ...]:
        """Return all names: built-in parts in their order, then those of other packages; imports none of them."""
        return (*self._built_in, *sorted(name for name in _points(self.group) if name not in self._built_in))

    def origin(self, name: str) -> str:
        """Return the package that a part comes from, with its version: ``dynamo`` for a built-in one."""
        if name in self._built_in:
            return BUILT_IN
        return " and ".join(sorted({_package(point) for point in _points(self.group).get(name, ())}))

    def load(self, name: str) -> T:
        """Return a part.

        Raises
        ------
        NotFoundError
            If there is none of that name; names the nearest.
        PluginError
            If it comes from another package and cannot be loaded, or is not what it must be.
        """
        if name not in self._loaded:
            self._loaded[name] = self._import(name)
        return self._loaded[name]

    def make(self, name: str, *args: Any, **options: Any) -> Any:
        """Call a part, as the class of an engine.

        Raises
        ------
        NotFoundError, PluginError
            As `load`; also where a part of another package fails with anything but a `DynamoError`.
        """
        part: Any = self.load(name)
        if name in self._built_in:
            return part(*args, **options)
        try:
            return part(*args, **options)
        except DynamoError:
            raise
        except Exception as error:
            raise self._broken(name, f"{type(error).__name__}: {error}") from error

    def usable(self) -> dict[str, T]:
        """Return every part that can be loaded, by name; each broken one is logged once."""
        parts: dict[str, T] = {}
        for name in self.names():
            try:
                parts[name] = self.load(name)
            except PluginError as error:
                if name not in self._told:
                    self._told.add(name)
                    _log.warning("%s", error)
        return parts

    def listed(self) -> list[Listed]:
        """Return what there is, broken parts too, each with its origin."""
        lines = []
        for name in self.names():
            problem = ""
            try:
                self.load(name)
            except PluginError as error:
                problem = str(error)
            lines.append(Listed(name, self.origin(name), problem))
        shadowed = sorted(set(_points(self.group)) & set(self._built_in))
        for name in shadowed:
            packages = " and ".join(sorted({_package(point) for point in _points(self.group)[name]}))
            lines.append(Listed(name, packages, f"a built-in {self.word} has this name; the built-in one is used"))
        return lines

    def _import(self, name: str) -> T:
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            part: T = getattr(import_module(module), attribute)
            return part
        points = _points(self.group).get(name, ())
        if not points:
            known = self.names()
            near = difflib.get_close_matches(name, known, n=1)
            raise NotFoundError(
                f"no {self.word} {name!r:.60}",
                expected=", ".join(sorted(known)),
                hint=f"did you mean {near[0]}?" if near else None,
            )
        if len(points) > 1:
            raise self._broken(name, "several packages offer it", hint="uninstall all but one of them")
        try:
            loaded = points[0].load()
            problem = self._check(name, loaded)
        except (Exception, SystemExit) as error:  # whatever somebody else's import does, it must not end ours
            raise self._broken(name, f"{type(error).__name__}: {error}") from error
        if problem:
            raise self._broken(name, problem)
        part = loaded
        return part

    def _broken(self, name: str, reason: str, hint: str = "") -> PluginError:
        return PluginError(
            f"cannot be used: {reason}",
            where=f"{self.word} {name} of {self.origin(name)}",
            hint=hint or "upgrade or uninstall that package",
        )


def _package(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


@functools.cache
def _points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of a group by name; several where packages quarrel about a name."""
    from importlib.metadata import entry_points  # takes a while to import; nothing built in needs it

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=group):
        others = found.get(point.name, ())
        # One distribution can be seen twice, as an editable install and its build folder are.
        if all((other.value, _package(other)) != (point.value, _package(point)) for other in others):
            found[point.name] = (*others, point)
    return found
