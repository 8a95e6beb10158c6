"""Plain data of a given shape, or a problem with its path: objects with known keys, lists, texts, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo.documents.problems import Problems, shown

_WHY = {
    "hooks": "hooks run commands",
    "stdin": "modules do not read standard input",
    "stdout": "modules write their outputs themselves",
    "stderr": "the engine captures job output",
    "transformationCatalog": "only registered modules can run",
    "siteCatalog": "the engine knows its sites",
}


def only_keys(problems: Problems, path: str, item: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    """Record unsupported keys, and why."""
    for key in item:
        if key not in known and not str(key).startswith("x-"):
            problems.add(
                f"{path}.{str(key)[:40]}",
                f"unsupported{': ' + _WHY[key] if key in _WHY else ''}",
                expected=", ".join(known),
                nearest=problems.nearest(str(key), known),
            )


def list_at(problems: Problems, path: str, value: Any) -> list[Any]:
    """Return the list at a path, empty if None; record anything else as a problem."""
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add(path, f"not a list: {shown(value)}", expected="a list")
        return []
    return value


def object_at(problems: Problems, path: str, value: Any) -> Mapping[str, Any]:
    """Return the object at a path, empty if None; record anything else as a problem."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(path, f"not an object: {shown(value)}", expected="an object {...}")
        return {}
    return value


def texts_at(problems: Problems, path: str, value: Any) -> dict[str, str]:
    """Return the object of strings at a path, empty if None; record anything else as a problem."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        problems.add(path, "metadata values are not strings", expected="an object of strings")
        return {}
    return value


def number_at(problems: Problems, path: str, value: Any) -> float | None:
    """Return the number at a path, if any; record anything else as a problem."""
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < float("inf"):
        problems.add(path, f"not a number: {shown(value)}", expected="a number, without a unit")
        return None
    return number


def whole_at(problems: Problems, path: str, value: Any, least: int, most: int) -> int | None:
    """Return the whole number at a path, if any; record anything else, or one out of range, as a problem."""
    number = number_at(problems, path, value)
    if number is None:
        return None
    if not least <= number <= most or number != int(number):
        problems.add(path, f"is {number:g}", expected=f"a whole number from {least} to {most}")
        return None
    return int(number)


def flag_at(problems: Problems, path: str, value: Any, default: bool) -> bool:
    """Return the boolean at a path, or the default if None; record anything else as a problem."""
    if value is None or isinstance(value, bool):
        return default if value is None else value
    problems.add(path, f"is {shown(value)}", expected="true or false")
    return default
