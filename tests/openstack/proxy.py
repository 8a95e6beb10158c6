"""A faulty way to an HTTP API: a proxy on loopback that a test can make slow, deaf, or rude.

It stands between the SDK and one service (see `faults.proxied_clouds`). Requests are passed whole, one to a connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, SO_LINGER, SOL_SOCKET
from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"})


class Mode(Enum):
    """What the proxy does to a request."""

    PASS = "pass"
    """Pass it, and its answer."""
    DELAY = "delay"
    """Wait `Proxy.delay_s`, then pass it."""
    LOSE_ANSWER = "lose-answer"
    """Pass it, and keep the answer to itself: the service did the work, the client never learns of it."""
    BLACK_HOLE = "black-hole"
    """Take it and do nothing with it."""
    RESET = "reset"
    """Reset the connection before anything is passed."""
    RESET_AFTER = "reset-after"
    """Pass it, then reset the connection in place of the answer."""
    STATUS = "status"
    """Answer `Proxy.status` without passing it."""


def everything(method: str, path: str) -> bool:
    """The default choice: every request is treated."""
    return True


def server_creations(method: str, path: str) -> bool:
    """Only requests that create a server."""
    return method == "POST" and path.partition("?")[0].endswith("/servers")


def server_deletions(method: str, path: str) -> bool:
    """Only requests that delete a server."""
    return method == "DELETE" and "/servers/" in path


@dataclass
class Proxy:
    """The proxy and what it is told to do; change the fields at any time.

    Parameters
    ----------
    target_port
        The service's port on loopback.
    mode
        What is done to the chosen requests; the others are passed.
    chosen
        Which requests, by method and path with query.
    remaining
        To how many more it is done; unlimited if None.
    delay_s
        Seconds that ``DELAY`` waits; how long ``LOSE_ANSWER`` and ``BLACK_HOLE`` keep the client waiting at most before
        the connection is closed.
    status
        The answer of ``STATUS``.
    """

    target_port: int
    mode: Mode = Mode.PASS
    chosen: Callable[[str, str], bool] = everything
    remaining: int | None = None
    delay_s: float = 60.0
    status: int = 503
    seen: list[tuple[str, str, Mode]] = field(default_factory=list)
    """Every request so far: method, path, and what was done."""
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calm: threading.Event = field(default_factory=threading.Event)

    def become(
        self,
        mode: Mode,
        *,
        chosen: Callable[[str, str], bool] = everything,
        remaining: int | None = None,
        delay_s: float = 60.0,
    ) -> None:
        """Change what is done, in one step; those who are kept waiting are let go."""
        with self._lock:
            self.mode, self.chosen, self.remaining, self.delay_s = mode, chosen, remaining, delay_s
            self._calm.set()
            self._calm = threading.Event()

    def decide(self, method: str, path: str) -> tuple[Mode, threading.Event]:
        """What to do with a request, counted; and the event that ends a wait."""
        with self._lock:
            mode = Mode.PASS
            if self.mode is not Mode.PASS and self.remaining != 0 and self.chosen(method, path):
                mode = self.mode
                if self.remaining is not None:
                    self.remaining -= 1
            self.seen.append((method, path, mode))
            return mode, self._calm

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Listen on a free port of loopback."""
        proxy = self

        class Handler(_Handler):
            told = proxy

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.port = int(server.server_address[1])
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.become(Mode.PASS)
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request: decide, pass, answer."""

    told: Proxy
    protocol_version = "HTTP/1.1"

    def _treat(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode, calm = self.told.decide(self.command, self.path)
        match mode:
            case Mode.RESET:
                self._reset()
            case Mode.BLACK_HOLE:
                calm.wait(self.told.delay_s)
                self._close()
            case Mode.STATUS:
                self._answer(self.told.status, [], b"{}")
            case Mode.LOSE_ANSWER:
                self._pass(body)
                calm.wait(self.told.delay_s)
                self._close()
            case Mode.RESET_AFTER:
                self._pass(body)
                self._reset()
            case _:
                if mode is Mode.DELAY:
                    calm.wait(self.told.delay_s)
                answer, content = self._pass(body)
                self._answer(answer.status, answer.getheaders(), content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _treat

    def _pass(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        upstream = HTTPConnection("127.0.0.1", self.told.target_port, timeout=300)
        try:
            # The service writes links with the host it was asked at: keep the client's, so that they lead back here.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers["Host"] = self.headers.get("Host", "")
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has given up

    def _close(self) -> None:
        with suppress(OSError):  # the client was first
            self.connection.shutdown(SHUT_RDWR)

    def _reset(self) -> None:
        # A linger of zero: closing sends RST in place of FIN.
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        """Stay silent: `Proxy.seen` has it."""
