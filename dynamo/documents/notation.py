"""How documents are written: what a manual calls their options, where tables are in them, how values look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Notation:
    """How a kind of document is written.

    Attributes
    ----------
    option, table
        What an option, and a value that has options itself, are called.
    headers
        What a table's place in the document looks like, by what it is: ``one``, ``list``, ``named``, or ``inside`` of a
        value that is written in one line.
    write
        Makes the text of a value.
    """

    option: str
    table: str
    headers: Mapping[str, str]
    write: Callable[[Any], str]


def in_json(value: Any) -> str:
    """Return a value as JSON; what JSON has not, as a text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def in_toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {in_toml(item)}" for name, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(in_toml(item) for item in value) + "]"
    return in_json(value)


TOML = Notation(
    "option", "table", {"one": "[{}]", "list": "[[{}]]", "named": "[{}.NAME]", "inside": "{} = {{ ... }}"}, in_toml
)
_IN_JSON = {"one": "{}", "list": "{}: [ ... ]", "named": "{}: {{ NAME: {{ ... }} }}"}
JSON = Notation("field", "object", {**_IN_JSON, "inside": "{}: {{ ... }}"}, in_json)
