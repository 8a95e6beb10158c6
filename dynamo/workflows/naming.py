"""Naming the files and jobs of a run: what placeholders stand for, and texts that become names."""

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
    """One logical file: its format, and the loop variables under which it was named."""

    lfn: str
    format: str
    bindings: Bindings


@dataclass
class Known:
    """What placeholders stand for, and which of it is only a sample (while a document is being validated)."""

    values: dict[str, object]
    samples: set[str] = field(default_factory=set)


def input_lfns(value: object) -> list[str]:
    """Return the logical names that ``{inputs.NAME}`` stands for: one, or the list of an input with several or none."""
    return [str(lfn) for lfn in value] if isinstance(value, list) else [str(value)]


def render_text(problems: Problems, path: str, text: str, scope: Mapping[str, object]) -> str | None:
    """Return the text with its placeholders replaced, or None after noting what is wrong."""
    try:
        return templates.render(templates.parse(text), scope)
    except InputError as error:
        problems.add(path, error.what, expected=error.expected or "", nearest=error.hint or "")
        return None


def is_good_lfn(problems: Problems, path: str, lfn: str) -> bool:
    """Tell whether ``lfn`` may be used; notes what is wrong."""
    try:
        check_lfn(lfn)
    except InputError as error:
        problems.add(path, error.what, expected=LFN_EXPECTATION)
        return False
    return True


def id_part(value: object) -> str:
    """Return the value of a loop variable as part of a job id."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in text)
