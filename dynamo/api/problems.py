"""Errors as responses: ``application/problem+json`` (RFC 9457), or Mobius's envelope under ``/mobius``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dynamo.errors import (
    BusyError,
    DynamoError,
    InputError,
    MissingPartError,
    NotFoundError,
    RetryableError,
    UsageError,
)
from dynamo.provision.sites.errors import SiteError, SiteRetryableError
from dynamo.provision.spec.errors import SpecError, spec_path

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
MOBIUS = "/mobius"
MOBIUS_VERSION = "0.1"
_RETRY_S = "5"
_KINDS: tuple[tuple[type[DynamoError], int, str], ...] = (
    (SiteRetryableError, 503, "site-unavailable"),
    (SiteError, 502, "site-refused"),
    (InputError, 422, "invalid"),
    (UsageError, 400, "usage"),
    (NotFoundError, 404, "not-found"),
    (BusyError, 409, "busy"),
    (MissingPartError, 503, "part-missing"),
    (RetryableError, 503, "unavailable"),
)
#: Mobius knows fewer codes.
_MOBIUS_STATUS = {409: 503, 413: 400, 415: 400, 422: 400, 429: 503, 502: 500}


class Refusal(DynamoError):
    """A request refused up front; it carries its HTTP status."""

    exit_code = 2

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: object = None,
        expected: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, where=where, expected=expected, hint=hint)
        self.status = status
        self.headers = dict(headers or {})
        #: Further members of the problem, for programs.
        self.more = dict(more or {})


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON data as a response."""
    return Response(orjson.dumps(data), status, dict(headers or {}), media_type="application/json")


def envelope(value: Any = None, *, status: int = 200, message: str = "Success") -> Response:
    """Return a response in Mobius's envelope."""
    return answer({"status": status, "message": message, "value": value, "version": MOBIUS_VERSION}, status)


def status_of(error: DynamoError) -> tuple[int, str]:
    """Return the HTTP status of an error and the last part of its type URI."""
    if isinstance(error, Refusal):
        return error.status, HTTPStatus(error.status).phrase.lower().replace(" ", "-")
    return next(((status, word) for kind, status, word in _KINDS if isinstance(error, kind)), (500, "failed"))


def install(app: FastAPI) -> None:
    """Make the application answer all errors this way."""

    @app.exception_handler(DynamoError)
    async def _expected(request: Request, error: DynamoError) -> Response:
        return told(request, error)

    @app.exception_handler(HTTPException)
    async def _by_framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request.url.path)) or headers.get("Allow", "")
        return told(request, Refusal(error.status_code, str(error.detail), headers=headers))

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        names = [spec_path(item["loc"][1:]) for item in found]
        texts = [f"{name}: {item['msg'].lower()}" for name, item in zip(names, found, strict=True)]
        told_as = [
            {"path": name, "what": item["msg"], "expected": "", "nearest": ""}
            for name, item in zip(names, found, strict=True)
        ]
        return told(request, InputError("; ".join(texts), where="request parameters"), told_as)

    @app.exception_handler(Exception)
    async def _defect(request: Request, error: Exception) -> Response:
        log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
        return told(request, DynamoError("internal error: a bug in DyNamo", hint="see the server's log"))


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return all methods of a path; the framework names those of the first route that has it."""
    scope = {"type": "http", "method": "", "path": path, "root_path": ""}
    routes = [route for router in app.state.routers for route in router.routes]
    fitting = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    return sorted({method for route in fitting for method in route.methods})


def told(request: Request, error: DynamoError, errors: list[dict[str, str]] | None = None) -> Response:
    """Return the response for an error."""
    status, word = status_of(error)
    headers = dict(error.headers) if isinstance(error, Refusal) else {}
    if status == 503:
        headers.setdefault("Retry-After", _RETRY_S)
    if request.url.path == MOBIUS or request.url.path.startswith(f"{MOBIUS}/"):
        status = _MOBIUS_STATUS.get(status, status)
        response = envelope(status=status, message=str(error))
        response.headers.update(headers)
        return response
    problem: dict[str, Any] = {
        "type": f"urn:dynamo:problem:{word}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.what,
        "where": error.where,
        "expected": error.expected,
        "hint": error.hint,
    }
    if isinstance(error, Refusal):
        problem |= error.more
    if isinstance(error, SpecError):
        errors = [found.to_json() for found in error.problems]
    if errors is not None:
        problem["errors"] = errors
    return Response(orjson.dumps(problem), status, headers, media_type=MEDIA_TYPE)
