"""Serve the API from a thread of this process: beside a daemon's loops, or alone."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dynamo.api.access.neighbors import is_loopback
from dynamo.api.settings import ApiSettings
from dynamo.config.file import Config
from dynamo.errors import BusyError, InputError, MissingPartError, UsageError
from dynamo.extras import need
from dynamo.store.engine import Store

log = logging.getLogger(__name__)
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
_START_S = 15.0
#: Time for pending responses when the server is stopped.
_END_S = 5
#: Requests in progress.
_AT_ONCE = 200
_BACKLOG = 128


@dataclass
class ApiServer:
    """A running server, created by `start`.

    Attributes
    ----------
    url
        Where it answers.
    warning
        A warning about how it is reached; empty if none.
    """

    url: str
    port: int
    warning: str
    _server: Any
    _thread: threading.Thread
    _stopping: threading.Event

    def stop(self) -> None:
        """Finish pending responses, then stop; safe to repeat."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(_END_S + 2)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_END_S)

    @property
    def running(self) -> bool:
        """Whether it is serving."""
        return self._thread.is_alive()


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``HOST``, ``:PORT`` or ``PORT``; an IPv6 address must be in brackets.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon and not host:
        host, port = ("", text) if text.isdigit() else (text, "")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UsageError(
            f"invalid address: {text!r:.80}", where="address", expected="HOST:PORT, such as 127.0.0.1:8080"
        )
    return host.strip("[]") or DEFAULT_HOST, int(port) if port else DEFAULT_PORT


def start(
    store: Store,
    state_dir: Path,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    settings: ApiSettings | None = None,
    config: Config | None = None,
) -> ApiServer:
    """Serve the API from a thread of this process; return once it responds.

    Parameters
    ----------
    store, state_dir
        The store of the fleets, and the daemon's state folder.
    host, port
        Address to listen on; port 0 selects a free one.
    certificate, key
        PEM files for TLS; the key may be in the certificate's file.
    settings, config
        Limits of the API; what is watched, and where products and runs are.

    Raises
    ------
    MissingPartError
        If the libraries of the extra ``api`` are not installed.
    BusyError
        If the port is taken.
    UsageError
        If the address does not belong to this machine.
    InputError
        If the certificate or key cannot be used.
    """
    uvicorn = need("uvicorn", extra="api")
    need("fastapi", extra="api")
    from dynamo.api.app import make_app
    from dynamo.api.connections import protocol_for

    settings = settings or ApiSettings()
    settings = replace(settings, secured=settings.secured or certificate is not None)
    if key is not None and certificate is None:
        raise UsageError("key without certificate", where=key, expected="both")
    tls = None if certificate is None else _tls(certificate, key)
    app = make_app(store, state_dir, settings, config)
    server_config = uvicorn.Config(
        app,
        log_config=None,
        # Its access log contains the query, which may hold a token by mistake; `Gate` writes ours.
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        # Counts connections; those without a request have a limit of their own, see `connections`.
        limit_concurrency=_AT_ONCE + settings.waiting,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_END_S,
        h11_max_incomplete_event_size=32 * 1024,
        http=protocol_for(settings, tls),
        ws="none",
    )
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    server = uvicorn.Server(server_config)
    thread = threading.Thread(target=server.run, args=([listener],), name="api", daemon=True)
    thread.start()
    _wait(server, thread, listener)
    scheme = "https" if certificate is not None else "http"
    shown = f"[{host}]" if ":" in host else host
    url, warning = f"{scheme}://{shown}:{port}", _warning(host, certificate)
    made = ApiServer(url, port, warning, server, thread, app.state.stopping)
    log.info("API ready", extra={"url": made.url})
    if made.warning:
        log.warning("%s", made.warning)
    return made


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise InputError(f"not usable for TLS: {error}", where=certificate, expected="PEM files") from error
    return context


def _wait(server: Any, thread: threading.Thread, listener: socket.socket) -> None:
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            server.should_exit = True
            listener.close()
            raise MissingPartError("the API server does not start", hint="see its log")
        time.sleep(0.01)


def _listen(host: str, port: int) -> socket.socket:
    where = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except socket.gaierror as error:
        raise UsageError(f"no such host: {error.strerror}", where=where) from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError("not an address of this machine", where=where) from error
        raise BusyError(f"cannot listen: {error.strerror}", where=where, hint="use another port") from error
    return listener


def _warning(host: str, certificate: Path | None) -> str:
    if certificate is not None:
        return ""
    if is_loopback(host):
        return ""
    return f"the API listens on {host} without TLS, which exposes tokens; use a certificate or a proxy"
