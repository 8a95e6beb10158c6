"""Every route says which role it needs, and that is what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from dynamo.api.access.roles import ROLES, Role
from dynamo.api.app import make_app
from dynamo.api.auth import NEEDS, anybody, caller_of
from dynamo.api.bodies import json_body
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token
from dynamo.config.file import Config
from dynamo.store.engine import open_store

#: What may be done by nobody known, on purpose: log in, see that one is not, ask for health.
OPEN = {("GET", "/v1/session"), ("POST", "/v1/session"), ("GET", "/healthz")}
OPEN |= {("GET", f"/v1/login{end}") for end in ("", "/oidc", "/oidc/callback")}
SCOPES = {"viewer": "read", "operator": "write", "admin": "admin", "reporter": "ping"}
LOOKING = ("GET", "HEAD")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("needs")
    store = open_store(folder / "store.sqlite")
    fast = ApiSettings(requests_per_s=1e6, burst=1e6, failures_per_s=1e6, failures_burst=1e6)
    with store.transaction() as session:
        tokens = {role: create_token(session, role, [scope]) for role, scope in SCOPES.items()}
    app = make_app(store, folder, fast, Config(base=folder))
    app.state.tokens = tokens
    with TestClient(app) as made:
        yield made
    store.close()


def routes(client: TestClient) -> list[APIRoute]:
    state: Any = client.app.state  # type: ignore[attr-defined]
    return [route for router in state.routers for route in router.routes]


def calls(dependant: Dependant) -> list[Any]:
    """Return what a route depends on, in the order in which it is called."""
    return [call for part in dependant.dependencies for call in (*calls(part), part.call)]


def test_every_route_says_what_it_needs(client: TestClient) -> None:
    for route in routes(client):
        asked = [call for call in calls(route.dependant) if call in (caller_of, anybody)]
        assert len(asked) == 1, f"{route.path}: take one of Reader, Researcher, Writer, Admin, Pinger, Anybody"
        named = {(method, route.path) for method in route.methods or ()}
        assert (asked == [anybody]) == bool(named & OPEN), route.path


def test_nobody_is_read_from_before_it_is_known_who_asks(client: TestClient) -> None:
    for route in routes(client):
        found = calls(route.dependant)
        if json_body in found:
            assert found.index(json_body) > min(found.index(call) for call in (caller_of, anybody) if call in found)


def test_the_document_names_the_needs(client: TestClient) -> None:
    document = client.app.openapi()  # type: ignore[attr-defined]
    seen = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if (method.upper(), path) in OPEN:
                assert "security" not in operation
                continue
            (need,) = operation["security"][0]["token"]
            assert operation["security"] == [{"token": [need]}, {"session": [need]}], path
            assert need in NEEDS
            seen.add(need)
    assert seen == set(NEEDS)


def test_each_role_may_do_what_lesser_ones_may_and_no_more(client: TestClient) -> None:
    document = client.app.openapi()  # type: ignore[attr-defined]
    tokens: dict[str, str] = client.app.state.tokens  # type: ignore[attr-defined]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if (method.upper(), path) in OPEN or path == "/v1/stream":
                continue
            need = operation["security"][0]["token"][0]
            filled = path.replace("{name}", "x").replace("{group}", "g").replace("{code}", "0").replace("{number}", "0")
            # Its content type is refused only after it is known who asks.
            headers = {"Content-Type": "text/plain"}
            assert client.request(method, filled, headers=headers).status_code == 401, (method, path)
            for role, token in tokens.items():
                headers["Authorization"] = f"Bearer {token}"
                enough = role == need if "reporter" in (role, need) else at_least(role, need)  # type: ignore[arg-type]
                status = client.request(method, filled, headers=headers).status_code
                assert status < 500, (method, path, role)
                if not enough:
                    assert status == 403, (method, path, role)
                elif path != "/v1/tokens" and "tokens" not in path:
                    assert status not in (401, 403), (method, path, role)


def at_least(role: Role, need: Role) -> bool:
    return ROLES.index(role) >= ROLES.index(need)
