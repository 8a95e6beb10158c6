"""Who may use a server that needs no token on loopback, and where one does not start at all."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dynamo.api.access.neighbors import is_own_user
from dynamo.api.access.users import add_user, set_disabled
from dynamo.api.opening import open_api
from dynamo.api.server import ApiServer
from dynamo.api.tokens import create_token
from dynamo.config.file import Config, parse_config
from dynamo.errors import UsageError
from dynamo.store.engine import Store, open_store

PASSWORD = "rain on the radome"
#: Servers start and stop.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("serve")
    store = open_store(folder / "store.sqlite")
    made = open_api(store, Config(base=folder), "127.0.0.1:0")
    yield made
    made.stop()
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


def test_the_user_of_this_machine_needs_no_token(server: ApiServer) -> None:
    assert httpx.get(f"{server.url}/v1/fleets").json() == {"fleets": []}
    assert httpx.get(f"http://localhost:{server.port}/v1/fleets").status_code == 200
    # To view and to order, but not to manage tokens.
    assert httpx.get(f"{server.url}/v1/tokens").status_code == 403


def test_a_wrong_token_is_not_better_than_none(server: ApiServer) -> None:
    answer = httpx.get(f"{server.url}/v1/fleets", headers={"Authorization": "Bearer dyn_wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_pages_of_other_sites_and_proxies_get_nothing(server: ApiServer, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{server.url}/v1/fleets", headers=headers)
        assert answer.status_code == 403, answer.text
        assert answer.json()["type"] == "urn:dynamo:problem:forbidden"


def test_another_server_of_this_machine_is_another_site(server: ApiServer) -> None:
    answer = httpx.post(f"{server.url}/v1/fleets", headers={"Origin": f"http://127.0.0.1:{server.port + 1}"})
    assert answer.status_code == 403


def test_a_link_may_be_followed_but_not_be_an_order(server: ApiServer) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx.get(f"{server.url}/v1/fleets", headers=headers).status_code == 200
    assert httpx.post(f"{server.url}/v1/fleets", headers=headers).status_code == 403


def test_own_pages_may_do_all(server: ApiServer) -> None:
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert httpx.get(f"{server.url}/v1/fleets", headers=own).status_code == 200
    assert httpx.post(f"{server.url}/v1/fleets", headers=own, json=[]).status_code == 422


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_user_of_a_connection_is_known(family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(family) as listener:
        listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]) as mine:
            ends = mine.getsockname()[:2], mine.getpeername()[:2]
            assert is_own_user(*ends)
            # Its other direction is the server's own socket, not the client's.
            assert not is_own_user((ends[0][0], 1), ends[1])
            monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
            assert not is_own_user(*ends)
    assert not is_own_user(None, ("127.0.0.1", 80))
    assert not is_own_user(("testclient", 1), ("127.0.0.1", 80))
    assert not is_own_user(("192.0.2.1", 1), ("127.0.0.1", 80))


def test_others_are_served_only_with_tls_and_logins(store: Store, tmp_path: Path) -> None:
    config = Config(base=tmp_path)
    with pytest.raises(UsageError, match="no TLS"):
        open_api(store, config, "0.0.0.0:0")
    for address in ("0.0.0.0:0", "127.0.0.1:0"):
        with pytest.raises(UsageError, match="there is no user, and no token that may look") as told:
            open_api(store, config, address, behind_proxy=True)
        assert told.value.hint == "dynamo users add NAME --role admin"
    with pytest.raises(UsageError, match="nobody could log in"):
        open_api(store, parse_config({"serve": {"login": "always"}}, base=tmp_path), "127.0.0.1:0")
    with store.transaction() as session:
        create_token(session, "jobs", ["ping"], None)
        add_user(session, "ada", "admin")
        add_user(session, "gone", "admin", password=PASSWORD)
        set_disabled(session, "gone", True)
    with pytest.raises(UsageError, match="nobody could log in"):
        open_api(store, config, "127.0.0.1:0", behind_proxy=True)


def test_behind_a_proxy_everybody_needs_a_token(store: Store, tmp_path: Path) -> None:
    with store.transaction() as session:
        token = create_token(session, "web", ["read"], None)
    server = open_api(store, Config(base=tmp_path), "127.0.0.1:0", behind_proxy=True)
    try:
        assert httpx.get(f"{server.url}/v1/fleets").status_code == 401
        answer = httpx.get(f"{server.url}/v1/fleets", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    finally:
        server.stop()


def test_this_machine_may_be_asked_to_log_in_too(store: Store, tmp_path: Path) -> None:
    with store.transaction() as session:
        add_user(session, "ada", "admin", password=PASSWORD)
    server = open_api(store, parse_config({"serve": {"login": "always"}}, base=tmp_path), "127.0.0.1:0")
    try:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/v1/fleets").status_code == 401
            assert client.get("/v1/session").json()["name"] is None
            login = client.post("/v1/session", json={"name": "ada", "password": PASSWORD})
            assert login.status_code == 200, login.text
            assert login.headers["set-cookie"].startswith("dynamo=")
            assert "Secure" not in login.headers["set-cookie"]
            assert client.get("/v1/audit").json()["items"][0]["address"] == "127.0.0.1"
            # The cookie goes with whatever any page has the browser ask for.
            user = {"name": "eve", "role": "admin"}
            for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                assert client.post("/v1/users", json=user, headers=headers).status_code == 403, headers
            assert client.get("/v1/fleets", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
            assert client.post("/v1/users", json=user, headers={"Origin": server.url}).status_code == 201
            assert client.delete("/v1/session", headers={"Origin": server.url}).status_code == 204
            assert client.get("/v1/fleets").status_code == 401
    finally:
        server.stop()


def test_a_login_on_this_machine_gives_more_than_none(server: ApiServer) -> None:
    assert httpx.get(f"{server.url}/v1/session").json()["role"] == "operator"
    stale = httpx.get(f"{server.url}/v1/session", cookies={"dynamo": "x"}).json()
    assert (stale["role"], stale["how"]) == ("operator", "this machine")
    assert httpx.get(f"{server.url}/v1/users").status_code == 403
