"""Parts of the OpenAPI document shared by routes: bodies that routes parse themselves, and errors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from dynamo.api.models import Envelope
from dynamo.api.problems import MEDIA_TYPE

#: Location of the fleet spec schema in the document.
SPEC_REF = "#/components/schemas/FleetSpec"
#: Location of the error schema in the document.
PROBLEM_REF = "#/components/schemas/ProblemDetails"
EXAMPLE_SPEC = {
    "name": "storms",
    "sites": {"Chameleon:CHI@UC": {"max_workers": 20}},
    "compute": [{"site": "Chameleon:CHI@UC", "name": "chi", "count": 2, "image": "CC-Ubuntu24.04", "leaseEnd": "+1d"}],
    "budget": {"per_day": 200, "currency": "SU"},
}
_WORDS = {
    400: "The request is invalid.",
    401: "No valid token or session.",
    403: "Not with this role, or not from this page.",
    404: "Not found.",
    409: "Conflict: the fleet is about to end, or the name is taken.",
    410: "Gone, or at another place.",
    413: "Too large.",
    422: "The body or a parameter is invalid; `errors` lists every reason with its JSON path.",
    429: "Too many requests; see Retry-After.",
    501: "It would not be carried out: nothing here can do it.",
    502: "A site refused the request.",
    503: "The store or a site is unavailable; retry later.",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, including those common to all routes."""
    return {
        status: {
            "description": _WORDS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}},
        }
        for status in sorted({400, 401, 403, 422, 429, 503, *statuses})
    }


def mobius_failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a Mobius route."""
    return {
        status: {"model": Envelope, "description": _WORDS[status]} for status in sorted({400, 401, 403, 503, *statuses})
    }


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the documentation of an order's body."""
    return _body(model.model_json_schema())


def named_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the documentation of an order's body that has parts: the document has it among its models."""
    return _body({"$ref": f"#/components/schemas/{model.__name__}"}, model.model_json_schema()["example"])


def spec_body() -> dict[str, Any]:
    """Return the documentation of a fleet spec as the body."""
    requests: dict[str, Any] = {"type": "array", "items": {"type": "object"}, "description": "Plain Mobius requests."}
    return _body({"anyOf": [{"$ref": SPEC_REF}, requests]}, EXAMPLE_SPEC)


def object_body(description: str, example: dict[str, Any]) -> dict[str, Any]:
    """Return the documentation of a body that is described elsewhere."""
    return _body({"type": "object", "description": description}, example)


def _body(schema: dict[str, Any], example: dict[str, Any] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
