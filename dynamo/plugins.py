"""Doors: extension points for built-in parts and parts that installed packages add through entry points.

A package adds a part with an entry point in a door's group, e.g. ``[project.entry-points."dynamo.modules"]``. Parts are
imported only when used. A part that fails to load yields one clear line and never takes anything else down.
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

#: Origin of built-in parts.
BUILT_IN = "dynamo"

_log = logging.getLogger("dynamo.plugins")


class PluginError(MissingPartError):
    """A part from another package cannot be loaded or violates its contract."""


@dataclass(frozen=True)
class Listed:
    """One part behind a door: its name, the package it comes from, and its problem (empty if none)."""

    name: str
    origin: str
    problem: str = ""


class Door(Generic[T]):
    """All parts of one kind: built-in ones and those of installed packages.

    Parameters
    ----------
    group
        Entry-point group, e.g. ``dynamo.modules``.
    word
        What messages call one part, e.g. ``module``.
    built_in
        Location of each built-in part by name, e.g. ``dynamo.modules.split:MODULE``.
    check
        Returns the problem with a part loaded from another package, given its name; empty if none.
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
        """Return all names, built-in parts first, without importing any part."""
        return (*self._built_in, *sorted(name for name in _points(self.group) if name not in self._built_in))

    def origin(self, name: str) -> str:
        """Return the package and version a part comes from; ``dynamo`` for built-in parts."""
        if name in self._built_in:
            return BUILT_IN
        return " and ".join(sorted({_package(point) for point in _points(self.group).get(name, ())}))

    def load(self, name: str) -> T:
        """Return a part.

        Raises
        ------
        NotFoundError
            If no part has that name; the hint is the closest match.
        PluginError
            If a part from another package cannot be loaded or violates its contract.
        """
        if name not in self._loaded:
            self._loaded[name] = self._import(name)
        return self._loaded[name]

    def make(self, name: str, *args: Any, **options: Any) -> Any:
        """Call a part, such as an engine class.

        Raises
        ------
        NotFoundError, PluginError
            See `load`; also if a part from another package raises anything but a `DynamoError`.
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
        """Return all loadable parts by name; log each broken one once."""
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
        """Return all parts with their origins, including broken ones."""
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
            lines.append(Listed(name, packages, f"name taken by a built-in {self.word}, which is used instead"))
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
                f"unknown {self.word} {name!r:.60}",
                expected=", ".join(sorted(known)),
                hint=f"did you mean {near[0]}?" if near else None,
            )
        if len(points) > 1:
            raise self._broken(name, "provided by several packages", hint="uninstall all but one")
        try:
            loaded = points[0].load()
            problem = self._check(name, loaded)
        except (Exception, SystemExit) as error:  # a foreign import must never crash us
            raise self._broken(name, f"{type(error).__name__}: {error}") from error
        if problem:
            raise self._broken(name, problem)
        part = loaded
        return part

    def _broken(self, name: str, reason: str, hint: str = "") -> PluginError:
        return PluginError(
            f"unusable: {reason}",
            where=f"{self.word} {name} from {self.origin(name)}",
            hint=hint or "upgrade or uninstall that package",
        )


def _package(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


@functools.cache
def _points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of a group by name; several if packages claim the same name."""
    from importlib.metadata import entry_points  # slow to import, and nothing built in needs it

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=group):
        others = found.get(point.name, ())
        # A distribution may show up twice, e.g. an editable install and its build folder.
        if all((other.value, _package(other)) != (point.value, _package(point)) for other in others):
            found[point.name] = (*others, point)
    return found
