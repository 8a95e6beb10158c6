"""Safe loading of workflow files as plain data: bounded, no duplicate keys, no hangs, no code execution."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from dynamo.documents.plain_yaml import parse_plain_yaml
from dynamo.documents.problems import DocumentError, Problem, Problems, shown
from dynamo.errors import InputError, NotFoundError

MAX_BYTES = 1024 * 1024
#: Larger, because expanded abstract workflows list every job.
MAX_ABSTRACT_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
_MAX_INTEGER_DIGITS = 100
#: The closing quote is optional and nothing backtracks: each character is read once, even in an unterminated string.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_ABSTRACT = re.compile(r"pegasus[\"']?\s*+:")


def read_data(path: Path) -> Any:
    """Return the data in a workflow file: YAML if the suffix is ``.yml`` or ``.yaml``, otherwise JSON.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    DocumentError
        If it is too large, too deeply nested, not JSON or YAML, or has duplicate keys.
    """
    if not path.is_file():
        raise NotFoundError("no such workflow file", where=path)
    is_yaml = path.suffix.lower() in (".yml", ".yaml")
    with path.open("rb") as stream:
        raw = stream.read(MAX_ABSTRACT_BYTES + 1)
    if len(raw) > MAX_ABSTRACT_BYTES:
        raise DocumentError([_whole("the file is too large", f"at most {MAX_ABSTRACT_BYTES:,} bytes")], where=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError([_whole(f"not UTF-8 at byte {error.start}", "UTF-8 text")], where=path) from None
    too_large = DocumentError([_whole(f"a document of {len(raw):,} bytes", f"at most {MAX_BYTES:,}")], where=path)
    if len(raw) > MAX_BYTES and _ABSTRACT.search(text) is None:
        raise too_large
    try:
        data = parse_yaml(text) if is_yaml else parse_json(text)
    except InputError as error:
        raise DocumentError([_whole(error.what, error.expected or "")], where=path) from None
    if len(raw) > MAX_BYTES and not (isinstance(data, dict) and "pegasus" in data):
        raise too_large
    return data


def parse_json(text: str) -> Any:
    """Parse JSON; raise `InputError` for what `read_data` refuses."""
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        character = match[0]
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise InputError(f"nested {deepest} deep", expected=f"at most {MAX_DEPTH}")
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        raise InputError(
            f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}", expected="a JSON object"
        ) from None
    except RecursionError:
        raise InputError("nested too deeply", expected=f"at most {MAX_DEPTH}") from None


def parse_yaml(text: str) -> Any:
    """Return the data of a YAML text of plain values; raises `InputError` for what `read_data` refuses.

    Examples
    --------
    Only what JSON has becomes anything but a text:

    >>> parse_yaml("{level: 45, name: no, when: 2019-06-10}")
    {'level': 45, 'name': 'no', 'when': '2019-06-10'}
    """
    return parse_plain_yaml(text, max_depth=MAX_DEPTH)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"duplicate key {shown(twice)}", expected="unique keys")
    return data


def _no_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not JSON", expected="a finite number")


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS:
        raise InputError(f"a number with {len(text)} digits", expected=f"at most {_MAX_INTEGER_DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"the number {shown(text)} is out of range", expected="a finite number")
    return value


def _whole(what: str, expected: str) -> Problem:
    problems = Problems()
    problems.add("$", what, expected=expected)
    return problems.all[0]
