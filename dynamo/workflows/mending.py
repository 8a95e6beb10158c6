"""A broken document with its broken parts replaced, so that the rest can be checked in the same go.

Each part that the models refuse is replaced by a stand-in that they accept. Checking the result finds the mistakes of
the other parts, and also consequences of the stand-ins, which `Mended.is_consequence` recognizes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dynamo.documents.problems import Problem, json_path
from dynamo.workflows.document import DOCUMENT_VERSION, Document

Location = tuple[str | int, ...]

#: Tags of unions in pydantic's locations.
TAGS = ("<text>", "<list>", "<from>", "<loop>")
_NAME = "mended"
#: A placeholder of no value: the expander then marks the loop variable as broken and goes on.
_NO_LOOP = "{mended}"
_JOB: dict[str, Any] = {"id": _NAME, "module": _NAME, "outputs": {_NAME: _NAME}}
_PARAMETER: dict[str, Any] = {"type": "floats"}
_INPUT: dict[str, Any] = {"format": _NAME}
#: Mending one part can show another; a document is at most this many parts deep.
_ROUNDS = 6


@dataclass
class Mended:
    """A document with stand-ins.

    Attributes
    ----------
    document
        The document.
    paths
        JSON paths of the stand-ins.
    lost
        Texts in problems that only say what the stand-ins lack.
    """

    document: Document | None = None
    paths: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def is_consequence(self, problem: Problem) -> bool:
        """Whether a problem is only there because of a stand-in."""
        if any(problem.path == path or problem.path.startswith((f"{path}.", f"{path}[")) for path in self.paths):
            return True
        return any(text in problem.what for text in self.lost)


def mended(data: dict[str, Any], error: ValidationError) -> Mended:
    """Return the document with stand-ins for what ``error`` refuses; without a document if nothing can be saved.

    Parameters
    ----------
    data
        The document as plain data; it is not changed.
    error
        What `Document.model_validate` raised for it.
    """
    data = copy.deepcopy(data)
    result = Mended()
    for _ in range(_ROUNDS):
        for found in error.errors(include_url=False, include_input=False):
            _mend(data, found, result)
        try:
            result.document = Document.model_validate(data)
        except ValidationError as next_error:
            error = next_error
        else:
            break
    return result


def _mend(data: dict[str, Any], found: ErrorDetails, result: Mended) -> None:
    unknown = found["loc"][-1:] if found["type"] == "extra_forbidden" else ()
    place: Location = (*(part for part in found["loc"][: -len(unknown) or None] if part not in TAGS), *unknown)
    if unknown:
        _delete(data, place)
        return
    if place[-1:] == ("[key]",):
        place = place[:-1]
        _delete(data, place)
        _lose_name(place, result)
        return
    if not place:
        return
    if place[0] == "jobs":
        _mend_job(data, place, result)
    elif place[0] in ("inputs", "parameters"):
        _mend_declared(data, place, result)
    else:
        standins: dict[str | int, Any] = {
            "dynamo": DOCUMENT_VERSION,
            "name": _NAME,
            "version": "1",
            "outputs": [_NAME],
        }
        if place[0] in standins:
            _put(data, place[:1], standins[place[0]], result)
        else:
            _delete(data, place[:1])


def _mend_declared(data: dict[str, Any], place: Location, result: Mended) -> None:
    """Mend an input or parameter of the document."""
    kind = str(place[0])
    if len(place) == 1:
        _delete(data, place)
        result.lost |= {f"unknown placeholder {{{kind}."} | (
            {"unknown placeholder {issue"} if kind == "inputs" else set()
        )
    elif len(place) == 2:
        _put(data, place, dict(_INPUT if kind == "inputs" else _PARAMETER), result)
        result.lost.add(f"{{{kind}.{place[1]}}}")
    elif place[2] == "format":
        _put(data, place[:3], _NAME, result)
    elif place[2] == "type":
        # Without a default its value is a sample, which is not checked against what needs it.
        _put(data, place[:3], _PARAMETER["type"], result)
        _delete(data, (*place[:2], "default"))
        result.lost.add(f"{{{kind}.{place[1]}}}")
    else:
        _delete(data, place[:3])


def _mend_job(data: dict[str, Any], place: Location, result: Mended) -> None:
    if len(place) == 1 or not isinstance(place[1], int):
        return
    index, part = place[1], place[2] if len(place) > 2 else None
    job = data["jobs"][index]
    if part is None or not isinstance(job, dict):
        _put(data, place[:2], {**_JOB, "id": f"{_NAME}-{index}", "outputs": {_NAME: f"{_NAME}-{index}"}}, result)
        result.lost |= {"unknown output", "unknown job"}
    elif part == "id":
        own = job.get("id")
        result.lost |= (
            {f"unknown output '{own}.", f"unknown job '{own}'"}
            if isinstance(own, str)
            else {"unknown output", "unknown job"}
        )
        _put(data, place[:3], f"{_NAME}-{index}", result)
    elif part == "module":
        _put(data, place[:3], _NAME, result)
    elif part == "for_each" and len(place) == 4:
        _put(data, place, _NO_LOOP, result)
    elif part in ("inputs", "outputs") and len(place) > 3:
        if place[4:5] == ("for_each",) and len(place) == 6:
            _put(data, place, _NO_LOOP, result)
        else:
            _put(data, place[:4], f"{_NAME}-{index}-{place[3]}", result)
    elif part == "outputs":
        _put(data, place[:3], {_NAME: f"{_NAME}-{index}"}, result)
        result.lost.add(f"unknown output '{job.get('id')}.")
    elif part == "arguments" and len(place) > 3:
        _put(data, place[:4], 1, result)
    else:
        _delete(data, place[:4] if part == "resources" else place[:3])
        if part == "for_each":
            result.lost.add("unknown placeholder")
            # Without its loop, the job would look at several others.
            result.paths.add(json_path((*place[:2], "when")))
        result.paths |= {json_path(place[:3])} if part in ("inputs", "arguments", "for_each") else set()


def _lose_name(place: Location, result: Mended) -> None:
    """Note what refers to a key that is no name."""
    last = place[-1]
    if place[0] in ("inputs", "parameters"):
        result.lost.add(f"{{{place[0]}.{last}")
        result.lost |= {"unknown placeholder {issue"} if place[0] == "inputs" else set()
    elif "for_each" in place:
        result.lost.add("unknown placeholder")
    else:
        result.lost.add(f".{last}'")
        result.paths.add(json_path(place[:-1]))


def _put(data: Any, place: Location, value: Any, result: Mended) -> None:
    target: Any = _at(data, place[:-1])
    if isinstance(target, dict | list):
        target[place[-1]] = value  # type: ignore[index]
        result.paths.add(json_path(place))


def _delete(data: Any, place: Location) -> None:
    target = _at(data, place[:-1])
    if isinstance(target, dict):
        target.pop(place[-1], None)


def _at(data: Any, place: Location) -> Any:
    for part in place:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
