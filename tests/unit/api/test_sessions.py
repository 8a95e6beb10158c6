"""Logins: who gets a session, how long it lasts, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update

from dynamo.api.access import passwords, users
from dynamo.api.access.roles import Role
from dynamo.api.access.sessions import start_session
from dynamo.api.app import make_app
from dynamo.api.settings import ApiSettings
from dynamo.config.file import Config
from dynamo.store.access import User, WebSession
from dynamo.store.engine import Store, open_store
from dynamo.times import utc_now

PASSWORD = "rain on the radome"
OWN = {"Origin": "https://testserver"}
FAST: dict[str, Any] = {"requests_per_s": 1e6, "burst": 1e6, "failures_per_s": 1e6, "failures_burst": 1e6}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    with made.transaction() as session:
        users.add_user(session, "ada", "admin", password=PASSWORD)
        users.add_user(session, "vera", "viewer", password=PASSWORD)
    yield made
    made.close()


@contextmanager
def browser(store: Store, folder: Path, **settings: Any) -> Iterator[TestClient]:
    app = make_app(store, folder, ApiSettings(**{"secured": True, **FAST, **settings}), Config(base=folder))
    with TestClient(app, base_url="https://testserver", headers=OWN) as client:
        yield client


def log_in(client: TestClient, name: str = "ada", password: str = PASSWORD) -> Any:
    return client.post("/v1/session", json={"name": name, "password": password})


def test_a_login_begins_and_a_logout_ends(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path) as client:
        nobody = client.get("/v1/session").json()
        assert (nobody["name"], nobody["may"]["look"]) == (None, False)
        assert client.get("/v1/runs").status_code == 401
        answer = log_in(client)
        assert answer.status_code == 200, answer.text
        kept = answer.headers["set-cookie"]
        assert kept.startswith("__Host-dynamo=")
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert part in kept
        assert "Domain" not in kept
        me = client.get("/v1/session").json()
        assert (me["name"], me["role"], me["how"]) == ("ada", "admin", "session password")
        assert me["may"] == {"look": True, "submit": True, "order": True, "manage": True}
        assert client.get("/v1/users").status_code == 200
        told = client.get("/v1/audit").json()["items"][0]
        assert (told["who"], told["how"], told["route"], told["status"]) == ("ada", "password", "/v1/session", 200)
        value = client.cookies["__Host-dynamo"]
        assert client.delete("/v1/session").status_code == 204
        client.cookies.set("__Host-dynamo", value)
        assert client.get("/v1/runs").status_code == 401


def test_only_the_hashes_are_stored(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path) as client:
        log_in(client)
        value = client.cookies["__Host-dynamo"]
    with store.reading() as session:
        kept = "".join(str(session.execute(text(f"SELECT * FROM {name}")).all()) for name in ("users", "web_sessions"))
        kept += str(session.execute(text("SELECT * FROM audit")).all())
    assert "$argon2id$" in kept
    assert PASSWORD not in kept
    assert value not in kept


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "rain on the radom"), ("nobody", PASSWORD), ("ada", ""), ("ada", "x" * 5000), ("ADA", PASSWORD)],
)
def test_wrong_logins_are_answered_alike(store: Store, tmp_path: Path, name: str, password: str) -> None:
    with browser(store, tmp_path) as client:
        answer = log_in(client, name, password)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "no such user, or another password"
        assert "set-cookie" not in answer.headers


def test_who_guesses_waits_and_others_do_not(store: Store, tmp_path: Path) -> None:
    proxied = {"behind_proxy": True, "logins_per_s": 0.01, "logins_burst": 3}
    with browser(store, tmp_path, **proxied) as client:
        client.headers["X-Forwarded-For"] = "203.0.113.9, 192.0.2.1"
        statuses = [log_in(client, password="not the right one").status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        # Right or not is not told any more.
        waiting = log_in(client)
        assert waiting.status_code == 429
        assert int(waiting.headers["retry-after"]) > 60
        assert log_in(client, "vera").status_code == 200
        client.headers["X-Forwarded-For"] = "192.0.2.1, 192.0.2.2"
        assert log_in(client).status_code == 200


def test_guesses_from_everywhere_lock_nobody_out_at_home(store: Store, tmp_path: Path) -> None:
    proxied = {"behind_proxy": True, "logins_per_s": 0.001, "logins_burst": 2}
    with browser(store, tmp_path, **proxied) as client:

        def statuses(*addresses: str, password: str = PASSWORD) -> list[int]:
            found = []
            for address in addresses:
                client.headers["X-Forwarded-For"] = address
                found.append(log_in(client, password=password).status_code)
            return found

        assert statuses("192.0.2.1") == [200]
        guessing = statuses(*(f"203.0.113.{number}" for number in range(25)), password="not the right one")
        assert guessing == [401] * 19 + [429] * 6
        assert statuses("192.0.2.1", "192.0.2.2") == [200, 429]


@pytest.mark.parametrize(
    "change",
    [
        lambda session: users.set_password(session, "ada", "hail in the gauge"),
        lambda session: users.set_role(session, "ada", "viewer"),
        lambda session: users.set_disabled(session, "ada", True),
        lambda session: users.remove_user(session, "ada"),
        lambda session: session.execute(update(WebSession).values(expires_at=utc_now() - timedelta(seconds=1))),
        lambda session: session.execute(update(WebSession).values(seen_at=utc_now() - timedelta(hours=12))),
    ],
)
def test_what_ends_a_session(store: Store, tmp_path: Path, change: Any) -> None:
    with browser(store, tmp_path) as client:
        assert log_in(client).status_code == 200
        assert client.get("/v1/runs").status_code == 200
        with store.transaction() as session:
            change(session)
        assert client.get("/v1/runs").status_code == 401


def test_use_is_noted_and_keeps_a_session(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path) as client:
        log_in(client)
        with store.transaction() as session:
            session.execute(update(WebSession).values(seen_at=utc_now() - timedelta(hours=11)))
        assert client.get("/v1/runs").status_code == 200
        with store.reading() as session:
            assert utc_now() - session.scalars(select(WebSession.seen_at)).one() < timedelta(hours=1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": ""},
    ],
)
def test_pages_of_other_sites_order_nothing(store: Store, tmp_path: Path, headers: dict[str, str]) -> None:
    with browser(store, tmp_path) as client:
        log_in(client)
        del client.headers["Origin"]
        order = client.build_request("POST", "/v1/users", json={"name": "eve", "role": "admin"}, headers=headers)
        if not headers.get("Origin", "x"):
            del order.headers["Origin"]
        assert client.send(order).status_code == 403
        told = client.get("/v1/audit").json()["items"][0]
        assert [told[name] for name in ("who", "how", "route", "status")] == ["", "another site", "/v1/users", 403]
        fine = {"Sec-Fetch-Site": "same-origin"}
        assert client.post("/v1/users", json={"name": "eve", "role": "viewer"}, headers=fine).status_code == 201


def test_a_page_of_another_site_logs_nobody_in(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path) as client:
        client.headers["Origin"] = "https://evil.example"
        assert log_in(client).status_code == 403


def test_without_tls_only_this_machine_logs_in(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path, secured=False) as client:
        client.headers["Origin"] = "https://testserver"
        assert log_in(client).json()["detail"] == "no login without TLS"


def test_a_provider_is_asked_again_and_may_say_no(store: Store, tmp_path: Path) -> None:
    class Provider:
        every = timedelta(minutes=5)
        answers: list[tuple[Role, str] | None] = [("viewer", "second"), None]  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012

        def again(self, external: str) -> tuple[Role, str] | None:
            self.asked.append(external)
            return self.answers.pop(0)

    with browser(store, tmp_path) as client:
        provider: Any = Provider()
        client.app.state.doorkeeper.recheck = provider  # type: ignore[attr-defined]
        with store.transaction() as session:
            made = users.external_user(session, issuer="https://id.example", subject="7", name="ada", role="operator")
            value = start_session(session, made.name, "oidc", ApiSettings(), external="first")
        assert made.name == "ada-2"
        client.cookies.set("__Host-dynamo", value)
        assert client.get("/v1/session").json()["role"] == "operator"
        assert provider.asked == []

        def later() -> None:
            with store.transaction() as session:
                session.execute(update(WebSession).values(checked_at=utc_now() - timedelta(minutes=6)))

        later()
        assert client.get("/v1/session").json()["role"] == "viewer"
        assert client.get("/v1/session").json()["role"] == "viewer"
        assert provider.asked == ["first"]
        later()
        assert client.get("/v1/session").json()["role"] is None
        assert provider.asked == ["first", "second"]
        with store.reading() as session:
            assert session.scalars(select(WebSession)).all() == []
            assert session.get_one(User, "ada-2").role == "viewer"


def test_an_old_hash_is_made_anew(
    store: Store, tmp_path: Path, cheap_hashes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The users of this test have cheap hashes; from now on they are as dear as in life.
    monkeypatch.setattr(passwords, "_hasher", cheap_hashes)
    with browser(store, tmp_path) as client:
        assert log_in(client).status_code == 200
        with store.reading() as session:
            renewed = session.get_one(User, "ada").password
        assert renewed is not None
        assert renewed.split("$")[1:4] == ["argon2id", "v=19", "m=65536,t=3,p=4"]
        assert log_in(client).status_code == 200


def test_unknown_names_take_as_much_work_as_known_ones(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = passwords._verify

    def noted(password: str, hashed: str) -> bool:
        checked.append(hashed)
        return verify(password, hashed)

    monkeypatch.setattr(passwords, "_verify", noted)
    with store.transaction() as session:
        users.add_user(session, "tokens-only", "viewer")
        users.set_disabled(session, "vera", True)
    with browser(store, tmp_path) as client:
        for name in ("ada", "nobody", "tokens-only", "vera"):
            assert log_in(client, name, "not the right one").status_code == 401
        assert log_in(client, "vera").status_code == 401
    assert len(checked) == 5
    assert len({hashed.split("$")[3] for hashed in checked}) == 1


def test_one_changes_the_own_password(store: Store, tmp_path: Path) -> None:
    with browser(store, tmp_path) as client:
        assert log_in(client, "vera").status_code == 200
        path, new = "/v1/session/password", "hail in the gauge"
        assert client.put(path, json={"password": "not this", "new": new}).status_code == 401
        short = client.put(path, json={"password": PASSWORD, "new": "short"})
        assert (short.status_code, "short" in short.text) == (422, False)
        assert client.put(path, json={"password": PASSWORD, "new": new}).status_code == 204
        assert client.get("/v1/runs").status_code == 401
        assert log_in(client, "vera").status_code == 401
        assert log_in(client, "vera", new).status_code == 200
