"""Describe what is wrong with a configuration file: where, what, the closest option, the kind it belongs to."""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dynamo.documents import manual
from dynamo.documents.notation import TOML
from dynamo.documents.problems import did_you_mean
from dynamo.documents.section import ByKind
from dynamo.errors import DynamoError

#: Type of the error with everything that is wrong between sections, in ``found`` of its context.
CONFLICTS = "conflicts"


def describe_all(error: ValidationError, root: type[BaseModel], data: object) -> list[str]:
    """Return everything that is wrong with a file, one line each; see `describe`."""
    lines: list[str] = []
    for problem in error.errors(include_url=False):
        if problem["type"] == CONFLICTS:
            lines += problem["ctx"]["found"]
        else:
            lines.append(describe(problem, root, data))
    return lines


def twice(names: Iterable[str]) -> list[str]:
    """Return the names that are given more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def named(sections: object, option: str = "name") -> list[str]:
    """Return an option of each section of a list as far as it is text, otherwise an empty text."""
    items = sections if isinstance(sections, list) else []
    found = [item.get(option) if isinstance(item, Mapping) else None for item in items]
    return [value if isinstance(value, str) else "" for value in found]


def feed_hint(name: str, feeds: Sequence[str]) -> str:
    """Return what to do about a feed that does not exist: the closest one, or the section to add."""
    return did_you_mean(name, feeds) or f' (add [[feeds]] with name = "{name}")'


def describe(problem: Mapping[str, Any], root: type[BaseModel], data: object) -> str:
    """Return one pydantic problem in words.

    Parameters
    ----------
    problem
        One of `pydantic.ValidationError.errors`.
    root
        The model of the whole file.
    data
        The contents of the file.
    """
    location = problem["loc"]
    path = _path(location)
    if problem["type"] == "extra_forbidden":
        return f"{path}: {_unknown(str(location[-1]), root, *_section(root, data, location[:-1]))}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        model, _ = _section(root, data, location[:-1])
        info = None if model is None else model.model_fields.get(str(location[-1]))
        message = f"is required: {info.description}" if info is not None and info.description else message
    value = problem.get("input")
    shown = f" (it is {value!r:.60})" if isinstance(value, str | int | float | bool) else ""
    return f"{path or 'file'}: {message[:1].lower()}{message[1:]}{shown}"


def _unknown(name: str, root: type[BaseModel], model: type[BaseModel] | None, by_kind: ByKind | None) -> str:
    if by_kind is not None:
        kinds = [kind for kind, part in by_kind.door.usable().items() if name in part.options.model_fields]
        if kinds:
            return f"belongs to kind {' and '.join(kinds)}"
    known = [] if model is None else sorted(name for name, info in model.model_fields.items() if not info.exclude)
    homes = [table.header for table in manual.tables(root, TOML) if table.header and name in table.options]
    elsewhere = f"; it belongs in {' or '.join(dict.fromkeys(homes))}" if homes else ""
    return f"unknown option{did_you_mean(name, known)}{elsewhere}, expected one of {', '.join(known)}"


def _path(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _section(
    root: type[BaseModel], data: object, location: Sequence[str | int]
) -> tuple[type[BaseModel] | None, ByKind | None]:
    """Return the model of the section at a location, and its kinds, if any."""
    annotation: Any = root
    by_kind: ByKind | None = None
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            info = annotation.model_fields.get(str(part))
            annotation = None if info is None else info.annotation
        elif get_origin(annotation) in (list, dict):
            annotation = get_args(annotation)[-1]
        else:
            return None, None
        data = _item(data, part)
        annotation, by_kind = _plain(annotation, data)
    return (annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None), by_kind


def _item(data: object, part: str | int) -> object:
    if isinstance(part, int):
        return data[part] if isinstance(data, list) and part < len(data) else None
    return data.get(part) if isinstance(data, Mapping) else None


def _plain(annotation: Any, data: object) -> tuple[Any, ByKind | None]:
    """Return an annotation without None and metadata; for a section with kinds, the model of its kind."""
    by_kind = None
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next((one for one in get_args(annotation) if one is not type(None)), None)
    if get_origin(annotation) is Annotated:
        annotation, *remarks = get_args(annotation)
        by_kind = next((remark for remark in remarks if isinstance(remark, ByKind)), None)
    if by_kind is not None and isinstance(data, Mapping):
        try:
            annotation = by_kind.door.load(str(data.get("kind", by_kind.default))).options
        except DynamoError:
            return annotation, by_kind
    return annotation, by_kind
