"""A small HTTP server that answers as S3 does when something is wrong, which the server of `tests.s3_server` never is.

Objects are kept; what is asked for is not checked.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>as told</Message></Error>'
_TAGS = {"ETag": '"x"', "Last-Modified": "Wed, 20 May 2026 18:00:00 GMT"}
_LIST = "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>"
_ITEM = (
    "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-05-20T18:00:00Z</LastModified><ETag>x</ETag></Contents>"
)


@dataclass(frozen=True)
class Fault:
    """What is answered instead.

    Attributes
    ----------
    status, code
        The HTTP status, and the code in the XML body; without a code there is no body.
    body, tagged
        Sent as it is, instead of the XML; and whether with an ETag, as a server of other things may.
    silent
        Nothing is answered until the server ends.
    cut
        Half of what was announced is sent, then the connection is closed.
    """

    status: int = 200
    code: str = ""
    body: str = ""
    tagged: bool = False
    silent: bool = False
    cut: bool = False


@dataclass
class FaultyServer:
    """The server: its address, its objects by path, and what is wrong.

    Attributes
    ----------
    fault, times, methods, skip
        What is answered, how many times yet (None: always), to which requests, and after how many of them.
    """

    address: str
    objects: dict[str, bytes] = field(default_factory=dict)
    fault: Fault | None = None
    times: int | None = None
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    skip: int = 0
    ends: threading.Event = field(default_factory=threading.Event)
    _lock: Any = field(default_factory=threading.Lock)

    def wrong(self, method: str) -> Fault | None:
        """Return what is wrong with a request."""
        with self._lock:
            if self.fault is None or self.times == 0 or method not in self.methods:
                return None
            if self.skip:
                self.skip -= 1
                return None
            if self.times is not None:
                self.times -= 1
            return self.fault


@contextlib.contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Run a server without a fault yet."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: Any) -> None:
            pass

        def answer(self) -> None:
            parts = urlsplit(self.path)
            path, query = unquote(parts.path), parse_qs(parts.query)
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = state.wrong(self.command)
            if fault is not None and fault.silent:
                state.ends.wait()
                self.close_connection = True
            elif fault is not None and not fault.cut:
                body = fault.body or (_ERROR.format(fault.code) if fault.code else "")
                self.send(fault.status, body.encode(), _TAGS if fault.tagged else None)
            elif self.command == "PUT":
                state.objects[path] = data
                self.send(200, b"", {"ETag": '"x"'})
            elif self.command == "DELETE":
                state.objects.pop(path, None)
                self.send(204, b"")
            elif self.command == "POST":
                names = re.findall("<Key>(.*?)</Key>", data.decode())
                for name in names:
                    state.objects.pop(f"{path.rstrip('/')}/{name}", None)
                told = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
                self.send(200, f"<DeleteResult>{told}</DeleteResult>".encode())
            elif "list-type" in query:
                prefix = f"{path.rstrip('/')}/{query.get('prefix', [''])[0]}"
                found = {name: size for name, size in self.sizes().items() if name.startswith(prefix)}
                start = len(path.rstrip("/")) + 1
                items = (_ITEM.format(escape(name[start:]), size) for name, size in sorted(found.items()))
                self.send(200, _LIST.format("".join(items)).encode())
            elif path in state.objects:
                self.send(200, state.objects[path], _TAGS, cut=fault is not None)
            else:
                self.send(404, _ERROR.format("NoSuchKey").encode())

        do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = answer

        def sizes(self) -> dict[str, int]:
            return {name: len(data) for name, data in list(state.objects.items())}

        def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = FaultyServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.ends.set()
        server.shutdown()
        server.server_close()
        thread.join()
