"""Problems in a workflow document: each with its JSON path and the closest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dynamo.errors import DynamoError, InputError

#: Stop collecting at more problems than anyone fixes in one go.
MAX_PROBLEMS = 100
_MAX_CANDIDATES = 1000
_MAX_SHOWN = 80
#: Mistakes in a message of one line.
_MAX_TOLD = 12
_E = TypeVar("_E", bound=DynamoError)
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes
    ----------
    path
        JSON path, e.g. ``$.jobs[2].arguments.levels``; ``$`` is the whole document.
    what
        What is wrong, as a short clause.
    expected
        What would have been valid; empty if ``what`` says so.
    nearest
        The closest valid name; empty if none is close.
    """

    path: str
    what: str
    expected: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.what}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f" (did you mean {self.nearest}?)"
        return text

    def to_json(self) -> dict[str, str]:
        """Return the problem as JSON data."""
        return {"path": self.path, "what": self.what, "expected": self.expected, "nearest": self.nearest}


class MistakesError(InputError):
    """Several mistakes in one file; ``mistakes`` has each as one line, and the message all of them up to a length.

    Parameters
    ----------
    mistakes
        At least one.
    where
        The file.
    hint
        What the user can do about them.
    """

    def __init__(self, mistakes: Sequence[str], *, where: object = None, hint: str | None = None) -> None:
        self.mistakes = tuple(mistakes)
        told = self.mistakes[:_MAX_TOLD]
        more = len(self.mistakes) - len(told)
        super().__init__("; ".join(told) + (f"; and {more} more" if more else ""), where=where, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_mistakes, (self.mistakes, self.where, self.hint))


def _rebuild_mistakes(mistakes: tuple[str, ...], where: str | None, hint: str | None) -> MistakesError:
    return MistakesError(mistakes, where=where, hint=hint)


def mistakes_in(error: DynamoError) -> list[str]:
    """Return each mistake that an error reports as one line."""
    if isinstance(error, MistakesError):
        return list(error.mistakes)
    if isinstance(error, DocumentError):
        return [f"{error.where}: {problem}" if error.where else str(problem) for problem in error.problems]
    return [str(error)]


class DocumentError(InputError):
    """Invalid workflow document, or invalid inputs for it; ``problems`` has all of them.

    The message shows the first problem and the total count.
    """

    def __init__(self, problems: Sequence[Problem], *, where: object = None) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        what = f"{first.path}: {first.what}"
        if len(self.problems) > 1:
            what = f"{len(self.problems)} errors; the first: {what}"
        super().__init__(
            what,
            where=where,
            expected=first.expected or None,
            hint=f"did you mean {first.nearest}?" if first.nearest else None,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.problems, self.where))


def _rebuild(problems: tuple[Problem, ...], where: str | None) -> DocumentError:
    return DocumentError(problems, where=where)


class Problems:
    """Collects distinct problems, up to `MAX_PROBLEMS`."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, path: str, what: str, *, expected: str = "", nearest: str = "") -> None:
        """Record one problem."""
        if len(self._found) < MAX_PROBLEMS:
            self._found.setdefault(Problem(path, what, expected, nearest))

    def add_unknown(self, path: str, kind: str, name: str, known: Iterable[str]) -> None:
        """Record that ``name`` is not a known ``kind``, with the known names and the closest match."""
        if self.full:
            return
        names = sorted(known)
        expected = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        self.add(
            path,
            f"unknown {kind} {shown(name)}",
            expected=expected or f"no {kind}",
            nearest=nearest(name, names),
        )

    def nearest(self, name: str, known: Iterable[str]) -> str:
        """Return the closest name, or nothing once the list is full: the search takes milliseconds."""
        return "" if self.full else nearest(name, known)

    @property
    def full(self) -> bool:
        """Whether further problems are dropped."""
        return len(self._found) >= MAX_PROBLEMS

    def __len__(self) -> int:
        return len(self._found)

    @property
    def all(self) -> tuple[Problem, ...]:
        """The problems in the order found."""
        return tuple(self._found)

    def raise_any(self, *, where: object = None) -> None:
        """Raise `DocumentError` if there are any problems."""
        if self._found:
            raise DocumentError(self.all, where=where)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name closest to ``name``, or an empty string."""
    candidates = [candidate for _, candidate in zip(range(_MAX_CANDIDATES), known, strict=False)]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name[:100].lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for the nearest known name, to be appended; empty if none is near."""
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""


def near_hint(name: str, known: Iterable[str]) -> str | None:
    """Return the same question as the hint of an error; None if no known name is near."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else None


def unknown(
    kind: type[_E], what: str, name: str, known: Iterable[str], *, where: object = None, expected: str = ""
) -> _E:
    """Return the error for a name that is not known: it lists those that are, and asks for the nearest.

    Parameters
    ----------
    expected
        What to say instead of the known names.
    """
    names = list(known)
    listed = expected or ", ".join(names) or "none: there is no " + what
    return kind(f"unknown {what} {name!r:.80}", where=where, expected=listed, hint=near_hint(name, names))


def shown(value: object) -> str:
    """Return ``value`` as text for a message, at most one line long."""
    # The repr of a hostile value can be as long as the document.
    text = repr(value[:_MAX_SHOWN]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def json_path(parts: Iterable[str | int]) -> str:
    """Return the JSON path for a sequence of keys and indices."""
    path = "$"
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if _PLAIN_KEY.match(part) else f"[{shown(part)}]"
    return path
