"""YAML of plain values, built from parser events: no aliases, tags, merges, duplicate keys or deep nesting.

Only JSON's types are recognized: null, true and false, integers, and numbers with a decimal point. Dates, sexagesimal
and octal numbers, ``yes`` and ``<<`` stay strings. As in PyYAML, ``1e5`` is a string and ``1.0e+5`` is not.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from dynamo.documents.problems import shown
from dynamo.errors import InputError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,99})\.[0-9]{1,99}(?:[eE][-+][0-9]{1,3})?\Z")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Mapping:
    """A mapping under construction."""

    __slots__ = ("data", "has_key", "key")

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.key = ""
        self.has_key = False


def parse_plain_yaml(text: str, *, max_depth: int) -> Any:
    """Parse YAML.

    Raises
    ------
    InputError
        If it is not YAML, has more than one document, or uses what this module refuses; the message gives the line.
    """
    try:
        return _build(text, max_depth)
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark)
        raise InputError(f"not YAML at {place}: {error.problem}", expected="YAML of plain values") from None
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {shown(str(error))}", expected="YAML of plain values") from None


def _build(text: str, max_depth: int) -> Any:
    stack: list[_Mapping | list[Any]] = []
    result: Any = None
    documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _refuse_tag(event)
            stack.append(_Mapping() if isinstance(event, yaml.MappingStartEvent) else [])
            if len(stack) > max_depth:
                raise InputError(f"nested more than {max_depth} deep", expected=f"at most {max_depth}")
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            top = stack.pop()
            value = top.data if isinstance(top, _Mapping) else top
        elif isinstance(event, yaml.AliasEvent):
            raise InputError(f"a YAML alias at {_place(event.start_mark)}", expected="values written out")
        else:
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise InputError("more than one YAML document", expected="one")
            continue
        if stack:
            _add(stack[-1], value, event)
        else:
            result = value
    return result


def _add(top: _Mapping | list[Any], value: Any, event: yaml.Event) -> None:
    if isinstance(top, list):
        top.append(value)
    elif top.has_key:
        top.data[top.key] = value
        top.has_key = False
    else:
        if not isinstance(value, str):
            place = _place(event.start_mark)
            raise InputError(f"the key {shown(value)} at {place} is not a string", expected="string keys")
        if value in top.data:
            place = _place(event.start_mark)
            raise InputError(f"duplicate key {shown(value)} at {place}", expected="unique keys")
        top.key, top.has_key = value, True


def _scalar(event: yaml.ScalarEvent) -> Any:
    _refuse_tag(event)
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise InputError(f"the number {text} at {_place(event.start_mark)} is out of range", expected="a number")
        return number
    return text


def _refuse_tag(event: Any) -> None:
    if event.tag is not None:
        raise InputError(f"a YAML tag at {_place(event.start_mark)}", expected="plain values")


def _place(mark: Any) -> str:
    return "an unknown position" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
