"""Answers to requests that only look: a model as JSON with an ETag, or 304 if the client has it."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from dynamo.api.documented import failures
from dynamo.api.service import Service

#: Kept by the client for itself, but asked for again each time.
_REVALIDATE = "private, no-cache"


def show(request: Request, model: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as the answer to a GET."""
    return show_bytes(request, model.model_dump_json().encode(), "application/json", headers)


def shared(route: Callable[..., Response]) -> Callable[..., Response]:
    """Have a route answer all who ask the same within a moment with what it made once: see `Shared`.

    It must show the same to everybody who may look.
    """

    @functools.wraps(route)
    def answer(*, request: Request, service: Service, **asked: Any) -> Response:
        # Whether a client has the answer is for `show_bytes` to say.
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"if-none-match"]
        anyone = Request({**request.scope, "headers": headers})
        key = f"{request.url.path}?{request.url.query}"
        body = service.shared.get(key, lambda: bytes(route(request=anyone, service=service, **asked).body))
        return show_bytes(request, body, "application/json")

    # FastAPI would look for the names of the parameters' types here.
    answer.__signature__ = inspect.signature(route, eval_str=True)  # type: ignore[attr-defined]
    return answer


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
