"""Types of options in words, from their JSON Schema: `number of seconds, 0 to 600`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dynamo.documents.notation import Notation

_WORDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
#: Units by the ends of names.
_UNITS = {"seconds": "seconds", "s": "seconds", "minutes": "minutes", "min": "minutes", "h": "hours", "ms": "ms"}
_UNITS |= {"km2": "km²", "dbz": "dBZ", "mb": "MB", "gb": "GB", "mbit": "Mbit/s"}
_UNITS |= {unit: unit for unit in ("m", "mm", "km", "days")}
_LIMITS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
#: What pydantic calls limits that it sets outside of a number's own schema.
_OUTER = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_NAMES = {*_LIMITS, *_OUTER}


def unit_of(name: str) -> str:
    """Return the unit of an option by the end of its name, as `wait_s`; empty where it has none."""
    first, _, end = name.rpartition("_")
    return _UNITS.get(end, "") if first else ""


def in_words(schema: Mapping[str, Any], models: Mapping[str, Any], notation: Notation, unit: str) -> str:
    """Return in words what values a JSON Schema takes, with the limits.

    Parameters
    ----------
    schema
        Of the values; its ``title`` is the word for them, if it has one.
    models
        The schemas that it refers to, by name.
    notation
        How the document is written.
    unit
        Of numbers; empty for none.
    """
    if "$ref" in schema:
        named = models[schema["$ref"].rpartition("/")[2]]
        return in_words({name: value for name, value in named.items() if name != "title"}, models, notation, unit)
    inner = [one for one in schema.get("anyOf", schema.get("oneOf", ())) if one.get("type") != "null"]
    if inner and "title" not in schema:
        return _either(in_words({**_limits(schema), **one}, models, notation, unit) for one in inner)
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return _either(f"`{notation.write(choice)}`" for choice in choices if choice != "")
    if schema.get("type") == "array":
        items = in_words(schema.get("items", {}), models, notation, "")
        return "list of " + re.sub(rf"^(text|(whole )?number|{notation.table})\b", r"\1s", items)
    if isinstance(schema.get("type"), list):
        return _either(in_words({**schema, "type": one}, models, notation, unit) for one in schema["type"])
    word = schema.get("title") or _WORDS.get(schema.get("type", "object"), notation.table)
    if not word.endswith("number"):
        return word
    limits = _limits(*inner, schema)
    if {"minimum", "maximum"} <= limits.keys():
        told = [f"{_number(limits['minimum'])} to {_number(limits['maximum'])}"]
    else:
        told = [text.format(_number(limits[name])) for name, text in _LIMITS.items() if name in limits]
    return ", ".join([f"{word} of {unit}" if unit else word, *told])


def _limits(*schemas: Mapping[str, Any]) -> dict[str, float]:
    return {_OUTER.get(name, name): value for schema in schemas for name, value in schema.items() if name in _NAMES}


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _either(words: Iterable[str]) -> str:
    """Return alternatives as a text, each once."""
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} or {last}" if first else last
