"""Errors in a fleet spec: each problem with its JSON path, what was expected, and the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dynamo.documents.problems import Problem, Problems, shown
from dynamo.errors import InputError
from dynamo.provision.spec.types import PATTERN_WORDS, URL_PATTERN, Part

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_]*\Z")
#: Steps of pydantic's paths that are not part of the document.
_INNER_STEPS = ("function-", "nullable", "union[", "constrained-")
#: Shown in one line of text; all of them are in ``problems``.
_TOLD = 10


class SpecError(InputError):
    """A fleet spec or Mobius request is invalid.

    Attributes
    ----------
    problems
        Every reason.
    errors
        The same as lines of text.
    """

    def __init__(self, problems: Sequence[Problem], *, where: object = None) -> None:
        self.problems = tuple(problems)
        self.errors = tuple(_line(problem) for problem in self.problems)
        what = "; ".join(self.errors[:_TOLD])
        if len(self.errors) > 1:
            what = f"{len(self.errors)} errors: {what}"
        if len(self.errors) > _TOLD:
            what += f"; and {len(self.errors) - _TOLD} more"
        super().__init__(what, where=where)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.problems, self.where))


def _rebuild(problems: tuple[Problem, ...], where: str | None) -> SpecError:
    return SpecError(problems, where=where)


def _line(problem: Problem) -> str:
    text = str(problem)
    return text.removeprefix(": ") if not problem.path else text


def spec_path(parts: Iterable[str | int]) -> str:
    """Return the JSON path of keys and positions, e.g. ``sites["Local:here"].parallel``; empty for the document."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.match(part):
            path += f".{part}" if path else part
        else:
            path += f'["{part[:80]}"]' if part.isprintable() and '"' not in part else f"[{shown(part)}]"
    return path


def add_validation_errors(problems: Problems, error: ValidationError, data: object, *, model: type[BaseModel]) -> None:
    """Record pydantic's errors, using the document's own field names."""
    for found in error.errors(include_url=False):
        if found["type"] == "spec_checks":
            continue
        location = _written(found["loc"], data)
        if found["type"] == "extra_forbidden":
            known = _fields_at(model, location[:-1])
            name = str(location[-1])
            problems.add_unknown(spec_path(location), "field", name, known)
            continue
        if found["type"] == "part_name":
            context = found["ctx"]
            problems.add_unknown(spec_path(location), context["word"], str(found["input"]), context["known"])
            continue
        what, expected = _words(dict(found))
        problems.add(spec_path(location), what, expected=expected)


def _words(found: dict[str, Any]) -> tuple[str, str]:
    context = found.get("ctx") or {}
    kind, value = found["type"], found.get("input")
    if kind == "missing":
        return "missing", "a value"
    if kind == "spec":
        return f"{context['what']} ({shown(value)})" if _is_short(value) else context["what"], context["expected"]
    expected = str(found["msg"])
    if kind == "string_pattern_mismatch":
        if context.get("pattern") == URL_PATTERN:
            value = None  # it may hold a password
        expected = PATTERN_WORDS.get(context.get("pattern", ""), f"text of the form {context.get('pattern')}")
    for start in ("Input should be ", "Value error, "):
        expected = expected.removeprefix(start)
    if kind in ("too_long", "string_too_long"):
        return "too long", f"at most {context.get('max_length')}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{shown(value)} is not an object" if _is_short(value) else "not an object", "a JSON object"
    if kind == "tuple_type":
        return f"{shown(value)} is not a list" if _is_short(value) else "not a list", "a JSON list"
    expected = expected.replace("valid integer", "whole number").replace("valid string", "text")
    expected = expected.replace("valid boolean", "true or false").removeprefix("a true")
    if expected.startswith(" or false"):
        expected = "true or false"
    return (f"it is {shown(value)}" if value is not None and _is_short(value) else "invalid"), expected


def _is_short(value: object) -> bool:
    return value is None or isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) <= 300)


def _written(location: tuple[str | int, ...], data: object) -> tuple[str | int, ...]:
    """Return pydantic's path as in the document: without internal steps, with the spelling used there."""
    path: list[str | int] = []
    here: object = data
    for step in location:
        if isinstance(here, Mapping) and isinstance(step, str) and step not in here:
            if step.startswith(_INNER_STEPS) or step == "[key]":
                continue
            path.append(_other_spelling(step, here))
        elif isinstance(here, Mapping | list | tuple):
            path.append(step)
        else:
            continue
        if isinstance(here, Mapping):
            here = here.get(path[-1])
        elif isinstance(here, list | tuple) and isinstance(step, int) and step < len(here):
            here = here[step]
    return tuple(path)


def _other_spelling(step: str, here: Mapping[str, object]) -> str:
    for model in _models():
        for other, name in model.ALSO.items():
            if name == step and other in here:
                return other
    return step


def _models() -> Iterable[type[Part]]:
    return Part.__subclasses__()


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the field names allowed at a place in the document."""
    here: type[BaseModel] | None = model
    in_map = False
    for step in location:
        if isinstance(step, int) or in_map:
            in_map = False  # positions of lists and keys of maps lead to the same model
            continue
        if here is None:
            return []
        info = next((info for name, info in here.model_fields.items() if step in (name, info.alias)), None)
        if info is None:
            return []
        in_map = get_origin(info.annotation) is dict
        here = _model_in(info.annotation)
    if here is None:
        return []
    names = [info.alias or name for name, info in here.model_fields.items()]
    return names + (list(here.ALSO) if issubclass(here, Part) else [])


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model a field holds, directly or in a list or map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
