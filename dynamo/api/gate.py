"""Process every request before and after its route: reject odd characters, log one line, add safe headers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynamo.api.access.auditing import AuditEntry
from dynamo.api.problems import Refusal, told

log = logging.getLogger(__name__)
_LONGEST = 4096
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]


class Gate:
    """The outermost layer of the application.

    Parameters
    ----------
    stopping
        Set when the server is to stop: each connection is closed with its next response, or a busy one would stay.
    """

    def __init__(self, app: ASGIApp, stopping: threading.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                more = [(name, value) for name, value in _HEADERS if name not in names]
                if self._stopping.is_set():
                    more.append((b"connection", b"close"))
                await _note_answer(scope, status, given)
                if scope["method"] not in ("GET", "HEAD") and status < 400 and "app" in scope:
                    scope["app"].state.service.shared.forget()
                message = {**message, "headers": given + more}
            await send(message)

        try:
            if _odd(scope):
                request = Request(scope)
                error = Refusal(400, "invalid or too many characters", where="the URL", expected="plain text")
                await told(request, error)(scope, receive, watched)
            else:
                await self._app(scope, receive, watched)
        except BaseException:
            await _note_answer(scope, status, ())
            raise
        finally:
            # Log neither headers nor the query: they may contain a token by mistake.
            facts = {
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "caller": scope.get("state", {}).get("caller", ""),
            }
            # Dashboards poll every second: only changes and failures are worth a line.
            quiet = scope["method"] == "GET" and status < 400
            log.log(logging.DEBUG if quiet else logging.INFO, "request", extra=facts)


async def _note_answer(scope: Scope, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Tell the audit how an order is answered, once."""
    entry: AuditEntry | None = scope.get("state", {}).pop("audit", None)
    if entry is not None:
        location = [value.decode("latin-1") for name, value in headers if name.lower() == b"location"]
        await entry.answered(status, "".join(location))


def _odd(scope: Scope) -> bool:
    query: bytes = scope.get("query_string", b"")
    path: str = scope["path"]
    if len(query) + len(path) > _LONGEST:
        return True
    told_bytes = unquote_to_bytes(query.replace(b"+", b" "))
    return any(byte < 32 or byte == 127 for byte in told_bytes) or any(ord(c) < 32 or ord(c) == 127 for c in path)
