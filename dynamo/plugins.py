"""Doors: extension points for built-in parts and parts that installed packages add through entry points.

A package adds a part with an entry point in a door's group, e.g. ``[project.entry-points."dynamo.modules"]``. Parts are
imported only when used. A part that fails to load yields one clear line and never takes anything else down.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

from dynamo.errors import DynamoError, MissingPartError, NotFoundError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

#: Origin of built-in parts.
BUILT_IN = "dynamo"

_CANNOT = "cannot be used: "
_SEVERAL = "several packages offer this name"


class PluginError(MissingPartError):
    """A part from another package cannot be loaded or violates its contract."""

    @property
    def reason(self) -> str:
        """The problem without the part's name, which lists show in a separate column."""
        return self.what.removeprefix(_CANNOT)


@dataclass(frozen=True)
class Listed:
    """One part behind a door: its name, the package it comes from, and its problem (empty if none)."""

    name: str
    origin: str
    problem: str = ""


class Door(Generic[T]):
    """All parts of one kind: built-in ones and those of installed packages.

    Built-in parts are found without searching installed packages, which takes some 30 ms.

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
        self._failed: dict[str, PluginError] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a part of that name exists, broken or not; imports nothing."""
        return name in self._built_in or name in _points(self.group)

    def names(self) -> tuple[str, ...]:
        """Return all names, built-in parts first, without importing anything."""
        return (*self._built_in, *sorted(name for name in _points(self.group) if name not in self._built_in))

    def origin(self, name: str) -> str:
        """Return the package and version a part comes from; ``dynamo`` for built-in parts."""
        return BUILT_IN if name in self._built_in else self._packages(name)

    def load(self, name: str) -> T:
        """Return a part; only this one is imported.

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

    @contextlib.contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """Turn exceptions from another package's part, except `DynamoError`, into a `PluginError` that names it.

        Use it while creating a part. Exceptions from built-in parts are left unchanged.
        """
        try:
            yield
        except DynamoError:
            raise
        except Exception as error:
            if name in self._built_in:
                raise
            raise self._broken(name, _words(error)) from error

    def usable(self) -> dict[str, T]:
        """Return all loadable parts by name."""
        parts: dict[str, T] = {}
        for name in self.names():
            with contextlib.suppress(PluginError):
                parts[name] = self.load(name)
        return parts

    def listed(self) -> list[Listed]:
        """Return all parts with their origins, including broken ones; imports all of them."""
        lines = []
        for name in self.names():
            problem = ""
            try:
                self.load(name)
            except PluginError as error:
                problem = error.reason
            lines.append(Listed(name, self.origin(name), problem))
        return lines + [line for line in self.quarrels() if line.name in self._built_in]

    def quarrels(self) -> list[Listed]:
        """Return names claimed by several packages; imports nothing."""
        lines = []
        for name, points in sorted(_points(self.group).items()):
            if name in self._built_in:
                problem = f"a built-in {self.word} has this name, and that one is used"
            elif len(points) > 1:
                problem = _SEVERAL
            else:
                continue
            lines.append(Listed(name, self._packages(name), problem))
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
        if name not in self._failed:
            try:
                return self._import_from(name, points)
            except PluginError as error:
                # Importing a broken package again takes just as long and fails the same way.
                self._failed[name] = error
        raise self._failed[name].with_traceback(None)

    def _import_from(self, name: str, points: Sequence[EntryPoint]) -> T:
        if len(points) > 1:
            raise self._broken(name, _SEVERAL, hint="uninstall all but one of them")
        try:
            part: T = points[0].load()
            problem = self._check(name, part)
        except (Exception, SystemExit) as error:  # a foreign import must never crash us
            raise self._broken(name, _words(error)) from error
        if problem:
            raise self._broken(name, problem)
        return part

    def _packages(self, name: str) -> str:
        return " and ".join(sorted({_package(point) for point in _points(self.group).get(name, ())}))

    def _broken(self, name: str, reason: str, hint: str = "upgrade or uninstall that package") -> PluginError:
        return PluginError(_CANNOT + reason, where=f"{self.word} {name} of {self._packages(name)}", hint=hint)


def _words(error: BaseException) -> str:
    """Return an error from foreign code as one line."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


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
