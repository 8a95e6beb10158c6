"""A channel that sends messages by one HTTP POST, with the standard library: no redirects, no proxies."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import orjson
from pydantic import Field, SecretStr

from dynamo.alerts.channels.addresses import AddressOptions
from dynamo.alerts.channels.base import ChannelKind, Note
from dynamo.errors import InputError, RetryableError


class WebhookOptions(AddressOptions):
    """One HTTP POST."""

    TOGETHER = 100

    kind: Literal["webhook"] = "webhook"
    url: SecretStr | None = Field(None, description="http or https address, where it holds no secret.")

    def _text(self, base: Path) -> str:
        return super()._text(base) if self.url is None else self.url.get_secret_value()


class WebhookChannel:
    """HTTP POST of ``{"messages": [...]}`` with the header ``Idempotency-Key``; any 2xx answer means received.

    Certificates are verified. A redirect is a failure: it would turn the POST into a GET, or lead the message
    elsewhere. A message sent alone has its own key in the header; each message also carries its key in the body.

    Parameters
    ----------
    name, section
        See `Channel`.
    address
        http or https URL; may hold a secret, and is never shown.

    Raises
    ------
    InputError
        If the URL is invalid.
    """

    def __init__(self, name: str, section: WebhookOptions, address: str) -> None:
        self.name = name
        self.section = section
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise InputError("invalid URL", where=f"channel {name}", expected="http://HOST/... or https://HOST/...")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(self, notes: Sequence[Note]) -> None:
        """Post the notes; see `Channel.send`."""
        body = orjson.dumps({"messages": [note.payload for note in notes]})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": _common_key(notes),
            "User-Agent": "dynamo-alerts",
            "Connection": "close",
        }
        connection = self._connection()
        late = threading.Event()

        def give_up() -> None:
            # A server that answers one byte at a time never trips the socket's own timeout.
            late.set()
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.section.timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", self._target, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = "timed out" if late.is_set() or isinstance(error, TimeoutError) else _reason(error)
            raise RetryableError(reason, where=f"channel {self.name}") from None
        finally:
            timer.cancel()
            connection.close()
        if not 200 <= status < 300:
            raise RetryableError(f"the server answered {status}", where=f"channel {self.name}", expected="2xx")

    def _connection(self) -> http.client.HTTPConnection:
        timeout = self.section.timeout_s
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _common_key(notes: Sequence[Note]) -> str:
    if len(notes) == 1:
        return notes[0].key
    return hashlib.sha256("".join(note.key for note in notes).encode()).hexdigest()[:32]


def _reason(error: Exception) -> str:
    """Return what went wrong, without the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"untrusted certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"connection failed ({type(error).__name__})"


def _open(section: WebhookOptions, base: Path) -> list[WebhookChannel]:
    return [WebhookChannel(name, section, address) for name, address in section.addresses(base)]


KIND = ChannelKind(WebhookOptions, _open)
