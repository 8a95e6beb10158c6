"""Naming of the files and jobs of a run: placeholder values, and texts that become names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamo.documents.problems import Problems
from dynamo.errors import InputError
from dynamo.workflows import templates
from dynamo.workflows.names import LFN_EXPECTATION, check_lfn

Bindings = Mapping[str, object]


@dataclass(frozen=True)
class LogicalFile:
    """One logical file: its format, and the loop variables behind its name."""

    lfn: str
    format: str
    bindings: Bindings


@dataclass
class Known:
    """Placeholder values, and which of them are only samples (during validation)."""

    values: dict[str, object]
    samples: set[str] = field(default_factory=set)


def input_lfns(value: object) -> list[str]:
    """Return the logical names behind ``{inputs.NAME}``: one, or a list for a multi-file or absent input."""
    return [str(lfn) for lfn in value] if isinstance(value, list) else [str(value)]


def render_text(problems: Problems, path: str, text: str, scope: Mapping[str, object]) -> str | None:
    """Return the text with placeholders replaced, or None after recording a problem."""
    try:
        return templates.render(templates.parse(text), scope)
    except InputError as error:
        problems.add(path, error.what, expected=error.expected or "", nearest=error.hint or "")
        return None


def is_good_lfn(problems: Problems, path: str, lfn: str) -> bool:
    """Return whether ``lfn`` is valid; record the problem if not."""
    try:
        check_lfn(lfn)
    except InputError as error:
        problems.add(path, error.what, expected=LFN_EXPECTATION)
        return False
    return True


def id_part(value: object) -> str:
    """Return a loop variable's value as part of a job id."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in text)
