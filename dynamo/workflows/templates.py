"""Placeholders in workflow documents: ``{lead}``, ``{issue:%Y%m%d-%H%M}``, ``{parameters.levels}``.

A placeholder is a dotted name, looked up as a whole in a table of plain values; there is no attribute access, indexing,
arithmetic or conversion. A format may follow a colon: for times, ``%Y %m %d %H %M %S %j`` mixed with letters, digits
and ``_ . -``; for integers, a width with leading zeros (``{lead:02}``); for numbers, decimals (``{level:.1}``). There
are no literal braces: file names have none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from dynamo.documents.problems import nearest, shown
from dynamo.errors import InputError

MAX_TEMPLATE = 500
SYNTAX = "{name} or {name:format}"
_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*){0,2})(?::([^{}]{1,40}))?\}")
_TIME_FORMAT = re.compile(r"(?:%[YmdHMSj]|[A-Za-z0-9_.-])+\Z")
_WIDTH = re.compile(r"0([1-9])\Z")
_DECIMALS = re.compile(r"\.([0-9])\Z")
#: Default format of times.
DEFAULT_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True)
class Reference:
    """One placeholder: a dotted name and the format after the colon."""

    name: str
    format: str = ""


@dataclass(frozen=True)
class Template:
    """A parsed text with placeholders."""

    text: str
    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """The placeholders in order."""
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def whole(self) -> Reference | None:
        """The placeholder, if the text is nothing else and it has no format: then it yields the value itself."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Reference) and not self.parts[0].format:
            return self.parts[0]
        return None


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Split a text into literals and placeholders.

    Raises
    ------
    InputError
        If a brace is not part of a placeholder.
    """
    if len(text) > MAX_TEMPLATE:
        raise InputError(f"a text of {len(text)} characters", expected=f"at most {MAX_TEMPLATE}")
    parts: list[str | Reference] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += [text[end : match.start()], Reference(match[1], match[2] or "")]
        end = match.end()
    parts.append(text[end:])
    kept = tuple(part for part in parts if part)
    for part in kept:
        if isinstance(part, str) and ("{" in part or "}" in part):
            raise InputError(f"stray brace in {shown(text)}", expected=SYNTAX)
    return Template(text, kept)


def look_up(reference: Reference, scope: Mapping[str, object]) -> object:
    """Return the value of a placeholder.

    Raises
    ------
    InputError
        If the name is unknown; ``hint`` is the closest name.
    """
    try:
        return scope[reference.name]
    except KeyError:
        raise InputError(
            f"unknown placeholder {{{reference.name}}}",
            expected=", ".join(f"{{{name}}}" for name in list(scope)[:20]) or "no placeholder here",
            hint=nearest(reference.name, scope),
        ) from None


def render(template: Template, scope: Mapping[str, object]) -> str:
    """Return the text with every placeholder replaced.

    Raises
    ------
    InputError
        For an unknown name, a format that does not fit the value, or a list.

    Examples
    --------
    >>> render(parse("grid_{lead:02}.nc"), {"lead": 5})
    'grid_05.nc'
    """
    return "".join(part if isinstance(part, str) else _text(look_up(part, scope), part) for part in template.parts)


def _text(value: object, reference: Reference) -> str:
    spec = reference.format
    if isinstance(value, datetime):
        if not _TIME_FORMAT.match(spec or DEFAULT_TIME):
            raise InputError(
                f"{shown(spec)} is not a time format",
                expected="%Y %m %d %H %M %S %j, letters, digits and _ . -",
            )
        return value.astimezone(UTC).strftime(spec or DEFAULT_TIME)
    if isinstance(value, str):
        if spec:
            raise InputError(f"{{{reference.name}}} is a string and takes no format", expected=f"{{{reference.name}}}")
        return value
    if isinstance(value, bool):
        if spec:
            raise InputError(f"{{{reference.name}}} is a boolean and takes no format")
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value, reference)
    raise InputError(
        f"{{{reference.name}}} is a list and cannot be part of a text",
        expected="a loop variable, or the placeholder alone for a list",
    )


def _number(value: float, reference: Reference) -> str:
    spec = reference.format
    whole = float(value).is_integer()
    if not spec:
        return str(int(value)) if whole else repr(float(value))
    if (width := _WIDTH.match(spec)) and whole:
        return f"{int(value):0{width[1]}d}"
    if decimals := _DECIMALS.match(spec):
        return f"{value:.{decimals[1]}f}"
    raise InputError(
        f"{shown(spec)} is not a valid format for {{{reference.name}}}",
        expected="a width ({name:02}) for whole numbers, or decimals ({name:.1})",
    )
