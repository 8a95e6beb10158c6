"""TLS handshakes that may not wait forever, and count as connections without a request."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from dynamo.api.limits import WaitingRoom

log = logging.getLogger(__name__)
#: Time for the other side to confirm the end of TLS, in seconds.
_GOODBYE_S = 5.0


class Handshake(asyncio.Protocol):
    """A connection until both sides agree on TLS; from then on ``inner`` has it.

    A server that asyncio itself makes secure knows nothing of a connection before that, and gives it a minute.

    Parameters
    ----------
    inner
        The protocol inside TLS.
    context
        Certificate and key.
    timeout_s
        Time for the handshake, in seconds.
    room
        Where it waits.
    """

    def __init__(
        self, inner: asyncio.Protocol, context: ssl.SSLContext, timeout_s: float, room: WaitingRoom[Any]
    ) -> None:
        self._inner = inner
        self._context = context
        self._timeout_s = timeout_s
        self._room = room
        self._early: list[bytes] = []
        self._lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        self._task = asyncio.get_running_loop().create_task(self._agree())
        crowded_out = self._room.enter(self._client, self)
        if crowded_out is not None:
            crowded_out.turn_away("its client has too many connections without a request")

    def data_received(self, data: bytes) -> None:
        """Keep what comes with the last part of the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        """Forget the connection."""
        self._lost = True
        self._room.leave(self._client, self)

    def turn_away(self, why: str) -> None:
        """Close the connection before the handshake has ended."""
        log.debug("connection closed: %s", why)
        self._transport.abort()

    async def _agree(self) -> None:
        secured = None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except OSError as error:
            log.debug("no TLS with %s: %s", self._client, error)
        finally:
            self._room.leave(self._client, self)
            if secured is None:
                self._transport.abort()
        if secured is None or self._lost:
            return
        secured.set_protocol(self._inner)
        self._inner.connection_made(secured)
        for data in self._early:
            self._inner.data_received(data)
