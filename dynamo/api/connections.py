"""Connections that may not wait forever: limits on time, and on how many a client may hold without a request."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dynamo.api.handshakes import Handshake
from dynamo.api.limits import WaitingRoom
from dynamo.api.settings import ApiSettings

log = logging.getLogger(__name__)
#: A body that comes at least this fast has the time that it needs: bytes per second.
_LEAST_BYTES_PER_S = 65_536
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol_for(settings: ApiSettings, tls: ssl.SSLContext | None = None) -> Callable[..., asyncio.Protocol]:
    """Return what makes uvicorn's protocol for HTTP/1.1 with the limits of ``settings``, for one server.

    uvicorn limits only the time between requests, and counts half-sent ones toward its limit of concurrent requests.
    With ``tls``, connections begin with a handshake, which has the same limits.
    """
    room: WaitingRoom[Any] = WaitingRoom(settings.waiting_per_client, settings.waiting)

    class LimitedProtocol(H11Protocol):
        _expected = ""
        _timer: asyncio.TimerHandle | None = None
        #: When the part must have come, by the loop's clock.
        _until = 0.0
        _reading_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect("headers")

        def connection_lost(self, exc: Exception | None) -> None:
            self._expect("")
            super().connection_lost(exc)
            self.resume_writing()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()
            if self._expected == "body":
                self._until += len(data) / _LEAST_BYTES_PER_S

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def pause_writing(self) -> None:
            super().pause_writing()
            # Closing would wait for the client to read the rest.
            self._reading_timer = self.loop.call_later(settings.reading_timeout_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._reading_timer is not None:
                self._reading_timer.cancel()
                self._reading_timer = None

        def _look(self) -> None:
            state = self.conn.their_state
            self._expect("headers" if state is h11.IDLE else "body" if state is h11.SEND_BODY else "")

        def _expect(self, part: str) -> None:
            """Wait for a part of a request, or for none; bytes that trickle in hardly prolong the time for it."""
            if part == self._expected:
                return
            self._expected = part
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            client = self.client[0] if self.client else ""
            if not part:
                room.leave(client, self)
                return
            limit_s = settings.headers_timeout_s if part == "headers" else settings.body_timeout_s
            self._until = self.loop.time() + limit_s
            self._timer = self.loop.call_at(self._until, self._late, part)
            crowded_out = room.enter(client, self)
            if crowded_out is not None:
                crowded_out.turn_away("its client has too many connections without a request")

        def _late(self, part: str) -> None:
            if self.loop.time() < self._until:
                self._timer = self.loop.call_at(self._until, self._late, part)
            else:
                self.turn_away(f"its {part} did not come in time")

        def turn_away(self, why: str) -> None:
            """Close the connection before its request has arrived."""
            if self.transport.is_closing():
                return
            log.debug("connection closed: %s", why)
            if self._expected == "body" and not self.cycle.response_started:
                self.transport.write(_TIMED_OUT)
            self.transport.close()

    if tls is None:
        return LimitedProtocol
    return lambda **parts: Handshake(LimitedProtocol(**parts), tls, settings.headers_timeout_s, room)
