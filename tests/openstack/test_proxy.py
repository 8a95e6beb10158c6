"""The faulty proxy does to requests what its mode says."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.openstack.proxy import Mode, Proxy, server_creations

SERVED: list[tuple[str, str, bytes, str]] = []


class _Service(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        SERVED.append((self.command, self.path, body, self.headers["Host"]))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"done")

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    SERVED.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as service:
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with Proxy(int(service.server_address[1])).running() as running:
            yield running
        service.shutdown()


def _ask(
    proxy: Proxy, method: str = "GET", path: str = "/v2.1/servers", body: bytes | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{proxy.port}/v2.1/servers", data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=2) as answer:
        return answer.status, answer.read()


def test_passes_requests_with_the_clients_host(proxy: Proxy) -> None:
    assert _ask(proxy, "POST", body=b"x") == (202, b"done")
    assert [("POST", "/v2.1/servers", b"x", f"127.0.0.1:{proxy.port}")] == SERVED


def test_loses_only_the_chosen_answer_after_the_work_was_done(proxy: Proxy) -> None:
    proxy.become(Mode.LOSE_ANSWER, chosen=server_creations, remaining=1, delay_s=0.1)
    assert _ask(proxy)[0] == 202
    with pytest.raises(RemoteDisconnected):
        _ask(proxy, "POST", body=b"create")
    assert SERVED[-1][2] == b"create"
    assert _ask(proxy, "POST", body=b"again")[0] == 202


@pytest.mark.parametrize(("mode", "served"), [(Mode.RESET, 0), (Mode.RESET_AFTER, 1), (Mode.BLACK_HOLE, 0)])
def test_breaks_connections(proxy: Proxy, mode: Mode, served: int) -> None:
    proxy.become(mode, delay_s=0.1)
    with pytest.raises((ConnectionResetError, RemoteDisconnected, urllib.error.URLError)):
        _ask(proxy)
    assert len(SERVED) == served


def test_answers_in_the_services_place(proxy: Proxy) -> None:
    proxy.become(Mode.STATUS)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        _ask(proxy)
    assert not SERVED


def test_those_kept_waiting_are_let_go_when_the_fault_ends(proxy: Proxy) -> None:
    proxy.become(Mode.DELAY, delay_s=60)
    threading.Timer(0.1, proxy.become, [Mode.PASS]).start()
    assert _ask(proxy)[0] == 202
