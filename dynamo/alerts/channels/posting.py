"""One HTTP POST to an address that may be a secret, with the standard library: no redirects, no proxies."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

from dynamo.errors import InputError, RetryableError


class Address:
    """An http or https URL that is posted to and never shown.

    Certificates are verified. A redirect is a failure: it would turn the POST into a GET, or lead it elsewhere.

    Parameters
    ----------
    url
        The address; may hold a secret.
    where
        What errors name in place of it.
    timeout_s
        Time limit of a POST, from connecting to the answer.

    Raises
    ------
    InputError
        If the URL is invalid.
    """

    def __init__(self, url: str, *, where: str, timeout_s: float) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise InputError("invalid URL", where=where, expected="http://HOST/... or https://HOST/...")
        self._where = where
        self._timeout_s = timeout_s
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._path = parts.path
        self._query = f"?{parts.query}" if parts.query else ""

    def post(self, body: bytes, headers: Mapping[str, str], *, below: str = "") -> None:
        """Post a body; return once a 2xx answer says that it was received.

        Parameters
        ----------
        below
            A path that is added to the address, such as ``/start``.

        Raises
        ------
        RetryableError
            If it was not received, or that is not certain; the text does not have the address.
        """
        connection = self._connection()
        late = threading.Event()

        def give_up() -> None:
            # A server that answers one byte at a time never trips the socket's own timeout.
            late.set()
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, give_up)
        timer.daemon = True
        timer.start()
        path = self._path.rstrip("/") + below if below else self._path or "/"
        try:
            connection.request("POST", path + self._query, body, {**headers, "Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = "timed out" if late.is_set() or isinstance(error, TimeoutError) else _reason(error)
            raise RetryableError(reason, where=self._where) from None
        finally:
            timer.cancel()
            connection.close()
        if not 200 <= status < 300:
            raise RetryableError(f"the server answered {status}", where=self._where, expected="2xx")

    def _connection(self) -> http.client.HTTPConnection:
        timeout = self._timeout_s
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _reason(error: Exception) -> str:
    """Return what went wrong, without the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"untrusted certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"connection failed ({type(error).__name__})"
