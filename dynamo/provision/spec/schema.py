"""The JSON Schema (draft 2020-12) of the fleet spec, `mobius_specs/schema.json`, for editors and other programs."""

from __future__ import annotations

import json
from typing import Any

from dynamo.provision.spec.fleet import FleetSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "DyNamo fleet spec"
#: Pydantic's names for limits it sets outside a number's own schema.
_LIMITS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def spec_schema() -> dict[str, Any]:
    """Return the schema, which checks the form; `dynamo.provision.spec.checks` checks references."""
    schema: dict[str, Any] = _plain(FleetSpec.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": DIALECT, **schema, "title": TITLE}


def schema_text() -> str:
    """Return the text of the published file."""
    return json.dumps(spec_schema(), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {name: _plain(item) for name, item in value.items()}
    # Generated titles add nothing; a field named `title` would be an object.
    if isinstance(names.get("title"), str):
        del names["title"]
    if "anyOf" in names:
        # A type that had only a title beside its own alternatives needs no level of its own.
        names["anyOf"] = [
            part for one in names["anyOf"] for part in (one["anyOf"] if one.keys() == {"anyOf"} else [one])
        ]
    return {
        _LIMITS[name] if name in _LIMITS and isinstance(item, int | float) else name: item
        for name, item in names.items()
    }
