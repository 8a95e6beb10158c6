"""What a command line names: inputs as ``NAME=PATH``, parameters as ``NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dynamo.errors import NotFoundError, UsageError


def given_files(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the files by input; an input may be repeated.

    Raises
    ------
    UsageError
        If a text is not ``NAME=PATH``.
    """
    files: dict[str, list[str]] = {}
    for text in texts:
        for name, path in given_values([text], "--input").items():
            files.setdefault(name, []).append(path)
    return files


def given_values(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return the values by name; a name stands once.

    Raises
    ------
    UsageError
        If a text is not ``NAME=VALUE``, or a name is repeated.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"cannot parse {text!r:.80}", where=option, expected="NAME=VALUE")
        if name in values:
            raise UsageError(f"{name} given twice", where=option, expected="each name once")
        values[name] = value
    return values


def require_files(paths: Iterable[Path], expected: str) -> None:
    """Raise `NotFoundError` for the first path that is no file; ``expected`` says what it should be."""
    for path in paths:
        if not path.is_file():
            raise NotFoundError("no such file", where=path, expected=expected)
