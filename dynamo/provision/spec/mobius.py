"""Plain Mobius requests (RENCI-NRIG/Mobius, its REST API 0.1) as a fleet spec.

Mobius has no spec: a client posts requests to `/compute`, `/network`, `/storage`, `/stitch` and `/script` of one
workflow. Their fields are fields of the spec's parts; this module detects which request an object is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynamo.documents.problems import Problems

KINDS = ("compute", "network", "storage", "stitch", "script")
#: Fields only a spec has; `network`, `script` and `name` occur in requests too.
_SPEC_KEYS = frozenset({"pool", "sites", "compute", "storage", "stitch", "policy", "budget", "$schema"})
_COMPUTE_KEYS = frozenset({"site", "cpus", "ramPerCpus", "diskPerCpus", "hostNamePrefix", "forceflavor", "count"})
_NOT_ONE = "a fleet spec, or a Mobius compute, network, storage, stitch or script request"


def kind_of(data: Mapping[str, Any]) -> str | None:
    """Return which Mobius request an object is, by fields unique to it; None if unknown."""
    keys = set(data)
    if "mountPoint" in keys:
        return "storage"
    if "portUrl" in keys:
        return "stitch"
    if keys & {"source", "destination"}:
        return "network"
    if "script" in keys and "target" in keys:
        return "script"
    if keys & _COMPUTE_KEYS:
        return "compute"
    return None


@dataclass(frozen=True)
class SpecDocument:
    """Data in fleet spec form.

    Attributes
    ----------
    places
        For plain requests: place in the spec (``compute[0]``) -> place in the input (``[2]``, or empty).
    """

    data: dict[str, Any]
    places: Mapping[str, str] = field(default_factory=dict)

    def as_found(self, path: str) -> str:
        """Translate a path in the spec to a path in the input."""
        place, dot, rest = path.partition(".")
        if place not in self.places:
            return path
        found = self.places[place]
        return f"{found}{dot}{rest}" if found else rest


def as_document(data: object, problems: Problems) -> SpecDocument | None:
    """Return a fleet spec unchanged, plain requests as a spec; for anything else record the problem, return None."""
    if isinstance(data, Mapping):
        kind = None if _is_spec(data) else kind_of(data)
        # Neither: read it as a spec, so that a misspelled field is reported with the nearest name.
        return SpecDocument(dict(data)) if kind is None else SpecDocument({kind: [data]}, {f"{kind}[0]": ""})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _requests(data, problems)
    problems.add("", "not a JSON object", expected=_NOT_ONE)
    return None


def _is_spec(data: Mapping[str, Any]) -> bool:
    if _SPEC_KEYS & set(data):
        return True
    return any(isinstance(data.get(kind), list | Mapping) for kind in KINDS) and "target" not in data


def _requests(data: Sequence[Any], problems: Problems) -> SpecDocument | None:
    document: dict[str, Any] = {}
    places: dict[str, str] = {}
    if not data:
        problems.add("", "an empty list", expected=_NOT_ONE)
    for position, item in enumerate(data):
        kind = kind_of(item) if isinstance(item, Mapping) else None
        if kind is None:
            problems.add(f"[{position}]", "not a Mobius request", expected=", ".join(KINDS))
            continue
        items = document.setdefault(kind, [])
        places[f"{kind}[{len(items)}]"] = f"[{position}]"
        items.append(item)
    return None if problems.all else SpecDocument(document, places)
