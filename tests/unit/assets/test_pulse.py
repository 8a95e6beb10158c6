"""The pulse over real HTTP: start, success, failure, and never the address in a log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dynamo.assets.pulse import Pulse
from dynamo.config.freshness import PulseSection
from tests.waiting import wait_for

SECRET = "/7c2e-secret"


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.got.append((self.path, body))  # type: ignore[attr-defined]
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 200  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_pulse_tells_start_success_and_failure(
    server: ThreadingHTTPServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "url").write_text(f"http://127.0.0.1:{server.server_port}{SECRET}?rid=1\n")
    trouble = [""]
    pulse = Pulse(PulseSection(url_file="url", every_s=1.0), tmp_path, lambda: trouble[0])
    pulse.start()
    got: list[tuple[str, str]] = server.got  # type: ignore[attr-defined]
    wait_for(lambda: (f"{SECRET}?rid=1", "") in got, what="success")
    assert got[0] == (f"{SECRET}/start?rid=1", "")
    trouble[0] = "the disk is full"
    wait_for(lambda: (f"{SECRET}/fail?rid=1", "the disk is full") in got, what="failure")
    server.status = 503  # type: ignore[attr-defined]
    wait_for(lambda: "the pulse is not received" in caplog.text, what="the log")
    pulse.stop("the store was removed")
    wait_for(lambda: got[-1] == (f"{SECRET}/fail?rid=1", "the store was removed"), what="last words")
    assert SECRET not in caplog.text
