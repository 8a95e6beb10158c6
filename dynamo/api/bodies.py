"""Request bodies: JSON, at most 1 MiB, not too deep, and storable."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from dynamo.api.problems import Refusal
from dynamo.documents.loading import parse_json
from dynamo.documents.problems import Problems
from dynamo.errors import InputError
from dynamo.provision.spec.errors import SpecError, add_validation_errors

MAX_BYTES = 1024 * 1024
Asked = TypeVar("Asked", bound=BaseModel)


async def json_body(request: Request) -> Any:
    """Return the data of a request's body; the audit has it before it is acted on.

    Raises
    ------
    Refusal
        413 if it is too large, 415 if its content type is not JSON.
    InputError
        If it is not JSON, too deep, or has numbers or text that other JSON parsers reject.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if (kind != "application/json" and not kind.endswith("+json")) or "content-encoding" in request.headers:
        raise Refusal(415, "not JSON", where="Content-Type", expected="application/json, uncompressed")
    told = request.headers.get("content-length", "")
    if told.isdigit() and len(told) < 20 and int(told) > MAX_BYTES:
        raise _too_large()
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BYTES:
            raise _too_large()
    data = await run_in_threadpool(_parse, bytes(raw))
    if (entry := getattr(request.state, "audit", None)) is not None:
        await run_in_threadpool(entry.begin, data)
    return data


Body = Annotated[Any, Depends(json_body)]


def read_order(model: type[Asked], data: object) -> Asked:
    """Return the body as an order.

    Raises
    ------
    SpecError
        With all reasons and their JSON paths.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = Problems()
        add_validation_errors(problems, error, data, model=model)
        raise SpecError(problems.all) from None


def _parse(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where="body", expected="UTF-8 text") from None
    if not text.strip():
        raise InputError("empty", where="body", expected="JSON")
    try:
        data = parse_json(text)
    except InputError as error:
        raise InputError(error.what, where="body", expected=error.expected) from None
    try:
        orjson.dumps(data)
    except TypeError as error:
        # Lone surrogates, and numbers that PostgreSQL's JSON and other programs reject.
        raise InputError(str(error), where="body", expected="Unicode text and 64-bit integers") from None
    return data


def _too_large() -> Refusal:
    return Refusal(413, "body too large", expected=f"at most {MAX_BYTES:,} bytes", headers={"Connection": "close"})
