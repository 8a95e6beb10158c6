"""Answers to requests that only look: a model as JSON with an ETag, or 304 if the client has it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from dynamo.api.documented import failures

#: Kept by the client for itself, but asked for again each time.
_REVALIDATE = "private, no-cache"


def show(request: Request, model: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as the answer to a GET."""
    return show_bytes(request, model.model_dump_json().encode(), "application/json", headers)


def show_bytes(request: Request, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return bytes as the answer to a GET, with the ETag of their content."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    told = {**(headers or {}), "ETag": tag, "Cache-Control": _REVALIDATE}
    if knows(request, tag):
        return Response(status_code=304, headers=told)
    return Response(body, headers=told, media_type=kind)


def knows(request: Request, tag: str) -> bool:
    """Return whether the client says that it has the content of an ETag."""
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or tag in {part.strip().removeprefix("W/") for part in asked.split(",")}


def shown(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the answers of a route that shows a model."""
    return {200: {"model": model}, 304: {"description": "As the client has it."}, **failures(*statuses)}
