"""Clients that hold connections without a request, send slowly, or do not read: they keep nobody out."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dynamo.api.server import ApiServer, start
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.ledger import note
from dynamo.provision.notes import FleetNote
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import Store, open_store
from dynamo.times import utc_now
from tests.integration.api.test_api import FAST, SPEC, self_signed, token_of
from tests.waiting import PATIENCE, wait_for

#: More than the server takes from one client, and in total.
MANY = 300
HALF = b"GET /v1/fleets HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = b"POST /v1/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n%s\r\n{"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


@contextlib.contextmanager
def serving(store: Store, folder: Path, tls: tuple[Path, Path] | None = None, **limits: float) -> Iterator[ApiServer]:
    settings = replace(FAST, **limits)  # type: ignore[arg-type]
    certificate, key = tls or (None, None)
    server = start(store, folder, port=0, certificate=certificate, key=key, settings=settings)
    try:
        yield server
    finally:
        server.stop()
        assert not server.running


@contextlib.contextmanager
def half_sent(server: ApiServer, count: int, text: bytes) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as held:
        sockets = []
        for _ in range(count):
            sockets.append(held.enter_context(socket.create_connection(("127.0.0.1", server.port))))
            sockets[-1].sendall(text)
        yield sockets


def _connections(server: ApiServer) -> set[object]:
    found: set[object] = server._server.server_state.connections
    return found


def closed(connection: socket.socket) -> bool:
    """Return whether the server has closed a connection; what it sent before is read."""
    while select.select([connection], [], [], 0)[0]:
        try:
            if not connection.recv(65536):
                return True
        except ConnectionResetError:
            return True
    return False


@pytest.mark.parametrize("body", [False, True])
def test_half_sent_requests_keep_nobody_out(store: Store, tmp_path: Path, body: bool) -> None:
    # The default times are longer than this test: room comes from the limits alone.
    with serving(store, tmp_path) as server:
        headers = {"Authorization": f"Bearer {token_of(store)}"}
        text = HALF_BODY % f"Authorization: {headers['Authorization']}\r\n".encode() if body else HALF
        with half_sent(server, MANY, text) as sockets:
            for path in ("/v1/fleets", "/healthz"):
                answer = httpx.get(server.url + path, headers=headers, timeout=PATIENCE)
                assert answer.status_code == 200, answer.text
            wait_for(lambda: sum(closed(one) for one in sockets) >= MANY - FAST.waiting_per_client)


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_half_open_handshakes_keep_nobody_out(store: Store, tmp_path: Path, hello: bytes) -> None:
    files = self_signed(tmp_path)
    trusted = ssl.create_default_context(cafile=str(files[0]))
    with serving(store, tmp_path, files) as server, half_sent(server, MANY, hello) as sockets:
        headers = {"Authorization": f"Bearer {token_of(store)}"}
        url = f"https://localhost:{server.port}/v1/fleets"
        assert httpx.get(url, headers=headers, verify=trusted, timeout=PATIENCE).status_code == 200
        wait_for(lambda: sum(closed(one) for one in sockets) >= MANY - FAST.waiting_per_client)


def test_slow_handshakes_end(store: Store, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    trusted = ssl.create_default_context(cafile=str(files[0]))
    with serving(store, tmp_path, files, headers_timeout_s=0.2) as server:
        with half_sent(server, 1, b"\x16\x03\x01") as (connection,):
            connection.settimeout(PATIENCE)
            assert connection.recv(65536) == b""
        # Not TLS at all: the server says so, and ends it.
        with half_sent(server, 1, HALF) as (connection,):
            wait_for(lambda: closed(connection))
        # Headers have their time after the handshake.
        with (
            socket.create_connection(("localhost", server.port)) as plain,
            trusted.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.settimeout(PATIENCE)
            assert connection.recv(65536) == b""


def test_slow_headers_and_bodies_end(store: Store, tmp_path: Path) -> None:
    with serving(store, tmp_path, headers_timeout_s=0.2, body_timeout_s=0.2) as server:
        authorized = f"Authorization: Bearer {token_of(store)}\r\n".encode()
        for text, answer in ((b"", b""), (HALF, b""), (HALF_BODY % authorized, b"HTTP/1.1 408 ")):
            with half_sent(server, 1, text) as (connection,):
                connection.settimeout(PATIENCE)
                assert connection.recv(65536)[: len(answer) or None] == answer


def test_a_large_body_has_the_time_that_it_needs(store: Store, tmp_path: Path) -> None:
    with serving(store, tmp_path, body_timeout_s=0.2) as server:
        headers = f"Authorization: Bearer {token_of(store)}\r\nContent-Length: {16 * 65_536}\r\n\r\n"
        text = f"POST /v1/uploads?name=a.nc HTTP/1.1\r\nHost: x\r\n{headers}"
        with half_sent(server, 1, text.encode()) as (connection,):
            for _ in range(16):
                connection.sendall(bytes(65_536))
                # Slower than the limit alone allows: 0.8 s in all.
                time.sleep(0.05)
            connection.settimeout(10 * PATIENCE)
            assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_a_request_that_trickles_in_ends_too(store: Store, tmp_path: Path) -> None:
    with serving(store, tmp_path, headers_timeout_s=0.5) as server, half_sent(server, 1, HALF) as (connection,):

        def cut_off() -> bool:
            try:
                connection.sendall(b"X: y\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return closed(connection)

        wait_for(cut_off)


def test_a_client_that_does_not_read_its_answers_is_cut_off(store: Store, tmp_path: Path) -> None:
    with store.transaction() as session:
        apply_fleet(session, load_spec(SPEC), base=tmp_path, now=utc_now())
        note(session, "storms", [FleetNote("note", "x" * 4000) for _ in range(1000)], utc_now())
    with serving(store, tmp_path, reading_timeout_s=0.2) as server, socket.socket() as connection:
        # Less than the answer of 4 MB fits in the sockets' buffers.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        asks = f"GET /v1/fleets/storms/events?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of(store)}"
        connection.sendall(asks.encode() + b"\r\n\r\n")
        wait_for(lambda: bool(_connections(server)), what="the request has arrived")
        wait_for(lambda: not _connections(server), what="the server let go")
