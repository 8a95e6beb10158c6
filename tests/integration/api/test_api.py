"""The API over real HTTP: a server on a free port, stores on SQLite and PostgreSQL, fleets that are looked after."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import update

from dynamo.api.fleet.asking import refuse_unknown_names
from dynamo.api.server import ApiServer, start
from dynamo.api.service import Service
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import SCOPES, create_token
from dynamo.errors import BusyError, InputError, UsageError
from dynamo.provision import ledger
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import ApiToken
from dynamo.times import utc_now
from tests.integration import test_store
from tests.unit.api.test_needs import OPEN
from tests.waiting import PATIENCE, wait_for

# The databases of the store's own tests.
url = test_store.url

QUICK = {"boot": 0, "join": 0, "delete": 0}
SPEC: dict[str, Any] = {
    "name": "storms",
    "sites": {"Simulated:a": {"driver": "simulated", "options": QUICK}},
    "compute": [{"site": "Simulated:a", "name": "one", "count": 1, "max": 9, "costPerHour": 0.5}],
    "policy": {"cycle_s": 0.1, "collector_grace_s": 0, "max_removal_share": 1.0},
}
FAST = ApiSettings(requests_per_s=1e6, burst=1e6, failures_per_s=1e6, failures_burst=1e6)


class Client(httpx.Client):
    """Talks to the server with a token of all scopes."""

    def ok(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """Ask and return the data of the answer, which must have this status."""
        response = self.request(method, path, **more)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def problem(self, method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
        """Ask and return the problem that is told."""
        response = self.request(method, path, **more)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = response.json()
        assert found["status"] == status
        assert {"type", "title", "detail", "where", "expected", "hint"} <= set(found)
        return found


def token_of(store: Store, *scopes: str, name: str = "test") -> str:
    with store.transaction() as session:
        return create_token(session, name, scopes or SCOPES, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, ApiServer, Path]]:
    folder = tmp_path_factory.mktemp("api")
    store = open_store(folder / "store.sqlite")
    server = start(store, folder, port=0, settings=FAST)
    yield store, server, folder
    server.stop()
    assert not server.running
    store.close()


@pytest.fixture(scope="module")
def client(shared: tuple[Store, ApiServer, Path]) -> Iterator[Client]:
    store, server, _ = shared
    with Client(base_url=server.url, headers={"Authorization": f"Bearer {token_of(store)}"}, timeout=300) as made:
        yield made


@pytest.fixture
def store(shared: tuple[Store, ApiServer, Path]) -> Store:
    return shared[0]


def settle(loop: FleetLoop, what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE * 15
    while not what():
        assert time.monotonic() < deadline, "the order is not carried out"
        loop.cycle(wait_s=0.2)
        loop.wait(0.05)


def test_orders_by_the_api_are_carried_out(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    server = start(store, tmp_path, port=0, settings=FAST)
    try:
        with Client(base_url=server.url, headers={"Authorization": f"Bearer {token_of(store)}"}) as client:
            assert client.ok("GET", "/healthz")["status"] == "ok"
            assert client.ok("GET", "/v1/fleets") == {"fleets": []}
            applied = client.ok("POST", "/v1/fleets", 202, json=SPEC)
            assert applied == {
                "fleet": "storms",
                "state": "active",
                "looked_after_by": None,
                "status": "/v1/fleets/storms",
                "changed": True,
            }
            assert client.ok("POST", "/v1/fleets", 202, json=SPEC)["changed"] is False

            def ready() -> int:
                return int(client.ok("GET", "/v1/fleets/storms")["groups"][0]["states"].get("ready", 0))

            with FleetLoop(store, "storms") as loop:
                settle(loop, lambda: ready() == 1)
                told = client.ok("PUT", "/v1/fleets/storms/groups/one", 202, json={"wanted": 3})
                assert told["looked_after_by"]
                settle(loop, lambda: ready() == 3)
                shown = client.ok("GET", "/v1/fleets/storms")
                assert shown["groups"][0]["source"] == "operator"
                first = shown["workers"][0]["name"]
                drained = client.ok("POST", "/v1/fleets/storms/drain", 202, json={"worker": first, "deadline_s": 0})
                assert drained["workers"] == {first: "draining"}
                gone = {"released"}
                settle(
                    loop,
                    lambda: (
                        gone
                        == {w["state"] for w in client.ok("GET", "/v1/fleets/storms")["workers"] if w["name"] == first}
                        and ready() == 3
                    ),
                )
                assert client.ok("GET", "/v1/fleets")["fleets"][0]["workers"]["ready"] == 3
                client.ok("POST", "/v1/fleets/storms/drain", 202, json={"site": "Simulated:a", "deadline_s": 0})
                settle(loop, lambda: ready() == 0)
                client.ok("PUT", "/v1/fleets/storms/groups/Simulated:a", 202, json={"wanted": 1})
                settle(loop, lambda: ready() == 1)
                client.ok("DELETE", "/v1/fleets/storms?now=true", 202)
                settle(loop, lambda: client.ok("GET", "/v1/fleets/storms")["state"] == "ended")
            page = client.ok("GET", "/v1/fleets/storms/events?after_id=0&limit=3")
            pages = [event["id"] for event in page["events"]]
            while page["events"]:
                page = client.ok("GET", f"/v1/fleets/storms/events?after_id={page['next_after_id']}&limit=3")
                pages += [event["id"] for event in page["events"]]
            newest = client.ok("GET", "/v1/fleets/storms/events?limit=1000")["events"]
            assert pages == [event["id"] for event in newest]
            asked = [event["reason"] for event in newest if event["action"] == "api"]
            assert asked[0] == "test by the API: apply"
            assert asked[-1] == "test by the API: end at once"
            assert client.ok("GET", f"/v1/fleets/storms/events?about={first}&action=ready")["events"]
            cost = client.ok("GET", "/v1/fleets/storms/cost?by=worker&since=2026-01-01T00:00:00Z")
            assert cost["by"] == "worker"
            assert len(cost["rows"]) == cost["total"]["workers"]
    finally:
        server.stop()
        store.close()


def test_orders_at_once_are_all_kept(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    server = start(store, tmp_path, port=0, settings=FAST)
    auth = {"Authorization": f"Bearer {token_of(store)}"}
    try:
        with Client(base_url=server.url, headers=auth, timeout=300) as client, ThreadPoolExecutor(8) as threads:
            # Two that make the same fleet: none fails.
            applied = list(threads.map(lambda _: client.ok("POST", "/v1/fleets", 202, json=SPEC), range(6)))
            assert [answer["changed"] for answer in applied].count(True) == 1
            list(
                threads.map(
                    lambda n: client.ok("PUT", "/v1/fleets/storms/groups/one", 202, json={"wanted": n}), range(6)
                )
            )
            made = list(threads.map(lambda _: client.post("/mobius/workflow?workflowID=Casa_1").status_code, range(6)))
            assert sorted(made) == [200, 400, 400, 400, 400, 400]

            def post(number: int) -> Any:
                body = {"site": "Simulated:a", "cpus": "2", "hostNamePrefix": f"w{number}"}
                return client.ok("POST", "/mobius/compute?workflowID=Casa_1", json=body)

            list(threads.map(post, range(12)))
            (name,) = [f["name"] for f in client.ok("GET", "/v1/fleets")["fleets"] if f["name"] != "storms"]
            spec = client.ok("GET", f"/v1/fleets/{name}/spec")
            assert {group["name"] for group in spec["compute"]} == {f"w{number}" for number in range(12)}
    finally:
        server.stop()
        store.close()


# -- who may


def test_every_route_but_health_and_the_documents_needs_a_token(client: Client) -> None:
    document = client.ok("GET", "/openapi.json")
    asked = 0
    for path, item in document["paths"].items():
        for method in item:
            filled = path.replace("{name}", "x").replace("{group}", "g")
            response = httpx.request(method, f"{client.base_url}{filled}", content=b"[" * 100)
            if (method.upper(), path) in OPEN:
                assert response.status_code not in (401, 500)
                assert "security" not in item[method]
                continue
            asked += 1
            assert response.status_code == 401, (method, path, response.text)
            assert response.headers["www-authenticate"].startswith("Bearer")
            need = item[method]["security"][0]["token"]
            assert item[method]["security"] == [{"token": need}, {"session": need}]
    assert asked > 20


def test_scopes_are_roles(store: Store, shared: tuple[Store, ApiServer, Path]) -> None:
    server = start(store, shared[2], port=0, settings=FAST)
    roles = {"read": 1, "write": 3, "admin": 4}
    try:
        for scope, method, path, status in (
            ("read", "GET", "/v1/fleets", 200),
            ("read", "GET", "/mobius/listWorkflows", 200),
            ("write", "POST", "/v1/fleets", 422),
            ("write", "DELETE", "/v1/fleets/nothing", 404),
            ("admin", "GET", "/v1/tokens", 200),
            ("admin", "GET", "/v1/users", 200),
            ("write", "DELETE", "/mobius/workflow?workflowID=x", 404),
            ("ping", "GET", "/ping/none", 404),
        ):
            for other in ("read", "write", "admin", "ping"):
                name = f"{other}-{method}-{path.split('?')[0].replace('/', '.')}"
                headers = {"Authorization": f"Bearer {token_of(store, other, name=name)}"}
                body: dict[str, Any] | None = {} if method == "POST" else None
                response = httpx.request(method, f"{server.url}{path}", headers=headers, json=body)
                enough = other == scope if "ping" in (other, scope) else roles[other] >= roles[scope]
                assert response.status_code == (status if enough else 403), (scope, other, path, response.text)
    finally:
        server.stop()


def test_expired_revoked_and_wrong_tokens(store: Store, shared: tuple[Store, ApiServer, Path]) -> None:
    server = start(store, shared[2], port=0)
    try:
        with Client(base_url=server.url) as client:
            expired = token_of(store, "read", name="expired")
            with store.transaction() as session:
                session.execute(
                    update(ApiToken).where(ApiToken.name == "expired").values(expires_at=utc_now() - timedelta(1))
                )
            for header in (
                f"Bearer {expired}",
                "Bearer dyn_x",
                "Bearer",
                "Basic eDp5",
                f"Basic {expired}",
                "Negotiate",
            ):
                client.problem("GET", "/v1/fleets", 401, headers={"Authorization": header})
            statuses = [client.get("/v1/fleets").status_code for _ in range(40)]
            assert statuses[-1] == 429
            assert 401 in statuses
            valid = {"Authorization": f"Bearer {token_of(store, 'read', name='late')}"}
            # Who has a token is not held up by others of the same address.
            assert client.get("/v1/fleets", headers=valid).status_code == 200
            assert client.get("/healthz").status_code == 200
    finally:
        server.stop()


def test_a_token_that_asks_too_often_waits(store: Store, shared: tuple[Store, ApiServer, Path]) -> None:
    server = start(store, shared[2], port=0, settings=ApiSettings(requests_per_s=0.5, burst=3))
    try:
        headers = {"Authorization": f"Bearer {token_of(store, 'read', name='hasty')}"}
        with Client(base_url=server.url, headers=headers) as client:
            for _ in range(3):
                client.ok("GET", "/v1/fleets")
            response = client.get("/v1/fleets")
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
    finally:
        server.stop()


def test_tokens_are_managed_and_never_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("dynamo").propagate = True
    with caplog.at_level(logging.DEBUG, logger="dynamo"), caplog.at_level(logging.DEBUG):
        made = client.ok("POST", "/v1/tokens", 201, json={"name": "board", "scopes": ["read"], "days": 1})
        headers = {"Authorization": f"Bearer {made['token']}"}
        client.ok("GET", f"/v1/fleets?token={made['token']}", headers=headers)
        client.problem("GET", "/v1/tokens", 403, headers=headers)
        client.problem("POST", "/v1/tokens", 409, json={"name": "board", "scopes": ["read"]})
        client.problem("POST", "/v1/tokens", 422, json={"name": "b", "scopes": ["root"]})
        client.problem("POST", "/v1/tokens", 400, json={"name": "not a name", "scopes": ["read"]})
        listed = {token["name"]: token for token in client.ok("GET", "/v1/tokens")["tokens"]}
        assert listed["board"]["last_used_at"]
        assert made["token"] not in json.dumps(listed)
        assert client.delete("/v1/tokens/board").status_code == 204
        client.problem("DELETE", "/v1/tokens/board", 404)
        client.problem("GET", "/v1/fleets", 401, headers=headers)
    # What this test's own client logs is not ours.
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    records = " ".join(f"{vars(record)}" for record in ours)
    assert "caller" in records
    assert "'board'" in records
    assert made["token"] not in records
    assert "dyn_" not in records.replace("dyn_...", "")


# -- what is refused


def test_errors_of_specs_have_their_json_paths(client: Client) -> None:
    body = {"name": "x", "compute": [{"site": "Nowhere", "count": 1, "imge": "a"}, {"site": "A:b"}]}
    for path in ("/v1/fleets", "/v1/validate", "/v1/plan"):
        found = client.problem("POST", path, 422, json=body)
        errors = {error["path"]: error for error in found["errors"]}
        assert set(errors) == {"compute[0].site", "compute[0].imge", "compute[1]"}
        assert errors["compute[0].imge"]["nearest"] == "image"
    assert client.problem("POST", "/v1/fleets", 422, json={"compute": []})["errors"][0]["path"] == "name"
    late = {**SPEC, "name": "late", "compute": [{**SPEC["compute"][0], "leaseEnd": "1557733832"}]}
    assert "lease ended" in client.problem("POST", "/v1/fleets", 422, json=late)["detail"]


def test_names_that_a_site_does_not_know_are_refused_and_a_slow_site_is_not_waited_for(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"name": "small", "cpus": 1, "ram_mb": 1024}
    sites = {"Simulated:a": {"driver": "simulated", "options": {**QUICK, "flavors": [small]}}}
    typo = {**SPEC, "name": "typo", "sites": sites, "compute": [{**SPEC["compute"][0], "flavor": "smal"}]}
    (error,) = client.problem("POST", "/v1/fleets", 422, json=typo)["errors"]
    assert error["path"] == "compute[0]"
    assert "small" in str(error)
    assert client.get("/v1/fleets/typo").status_code == 404
    service, spec = Service(store, tmp_path), load_spec(typo)
    with service.asking.one(), service.asking.one():
        (told,) = refuse_unknown_names(service, spec)
    assert told.startswith("names were not checked: too many slow requests")
    hung = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("dynamo.api.fleet.asking._ask", lambda *_: hung.wait(PATIENCE))
        (told,) = refuse_unknown_names(service, spec, patience_s=0.1)
        hung.set()
    assert told == "1 site did not answer in 0.1 s, so names were not checked"


def test_specs_from_afar_name_no_files_of_the_server(client: Client, store: Store, tmp_path: Path) -> None:
    local = {"site": "Local:here", "count": 1}
    bodies: dict[str, dict[str, Any]] = {
        "pool.state": {"compute": [local], "pool": {"state": "/etc"}},
        "pool.condor_config": {"compute": [local], "pool": {"kind": "existing", "condor_config": "/etc/condor"}},
        "compute[0].postBootScript.file": {"compute": [{**local, "postBootScript": {"file": "/etc/shadow"}}]},
        "compute[0].postBootScript": {"compute": [{**local, "postBootScript": "id"}]},
        "script[0]": {"compute": [local], "script": [{"target": "local-here-1", "name": "id", "script": "id"}]},
        'sites["A:b"].options.config_file': {
            "sites": {"A:b": {"driver": "openstack", "options": {"config_file": "/root/clouds.yaml"}}},
            "compute": [{"site": "A:b", "count": 1}],
        },
        "sites": {"compute": [local, {"site": "Simulated:a", "count": 1}]},
    }
    for path, body in bodies.items():
        found = client.problem("POST", "/v1/fleets", 422, json={"name": "afar", **body})
        assert [error["path"] for error in found["errors"]] == [path], found
    client.problem("GET", "/v1/fleets/afar", 404)
    # A text is no path: the file of a spec on the server is not read.
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({**SPEC, "name": "afar"}))
    for no_object in (str(spec), "", "\0", 1, None, True):
        for path in ("/v1/fleets", "/v1/validate", "/v1/plan"):
            client.problem("POST", path, 422, content=json.dumps(no_object))
    client.problem("GET", "/v1/fleets/afar", 404)
    server = start(store, tmp_path, port=0, settings=ApiSettings(local_files=True))
    try:
        client.ok("POST", f"{server.url}/v1/validate", json={"name": "afar", **bodies["compute[0].postBootScript"]})
    finally:
        server.stop()


def test_what_is_not_there_and_what_is_not_allowed(client: Client) -> None:
    client.ok("POST", "/v1/fleets", 202, json={**SPEC, "name": "errors"})
    fleet = "/v1/fleets/errors"
    for path in ("/v1/fleets/none", "/v1/fleets/none/spec", "/v1/fleets/none/events", "/v1/fleets/none/cost", "/v1/x"):
        client.problem("GET", path, 404)
    assert "errors" in (client.problem("GET", "/v1/fleets/none", 404)["expected"] or "")
    client.problem("DELETE", "/v1/fleets/none", 404)
    client.problem("PATCH", "/v1/fleets", 405)
    client.problem("PUT", f"{fleet}/groups/none", 404, json={"wanted": 1})
    client.problem("PUT", f"{fleet}/groups/one", 400, json={"wanted": 10})
    client.problem("PUT", f"{fleet}/groups/one", 422, json={"wanted": -1})
    client.problem("PUT", f"{fleet}/groups/one", 422, json={"wanted": "1"})
    client.problem("PUT", f"{fleet}/groups/one", 422, json={"wanted": 1, "wnated": 2})
    client.problem("POST", f"{fleet}/drain", 404, json={"worker": "none"})
    client.problem("POST", f"{fleet}/drain", 422, json={"worker": "a", "site": "b"})
    client.problem("POST", f"{fleet}/drain", 422, json={})
    client.problem("POST", f"{fleet}/leases/extend", 404, json={"target": "none", "by_s": 60})
    client.problem("POST", f"{fleet}/leases/extend", 400, json={"target": "one", "by_s": 60})
    client.problem("POST", f"{fleet}/leases/extend", 422, json={"target": "one", "until": "soon"})
    client.problem("GET", f"{fleet}/events?limit=0", 422)
    client.problem("GET", f"{fleet}/events?after_id=99999999999999999999", 422)
    client.problem("GET", f"{fleet}/cost?by=moon", 400)
    client.problem("GET", f"{fleet}/cost?since=yesterday", 422)
    client.problem("GET", f"{fleet}/cost?until=9999-12-31T23:59:59Z", 422)
    client.problem("GET", f"{fleet}/cost?since=0001-01-01T00:00:00%2B23:59", 422)
    client.ok("DELETE", fleet, 202)
    assert client.ok("DELETE", f"{fleet}?now=true", 202)["state"] == "ending-now"
    # It can be hurried, not slowed.
    assert client.ok("DELETE", fleet, 202)["state"] == "ending-now"
    client.problem("POST", "/v1/fleets", 409, json={**SPEC, "name": "errors"})


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 422),
        (b"{", {}, 422),
        (b"\xff\xfe", {}, 422),
        (b"[" * 100_000, {}, 422),
        (b'{"a":' * 50 + b"1" + b"}" * 50, {}, 422),
        (b'{"name": "a", "name": "b"}', {}, 422),
        (b'{"wanted": NaN}', {}, 422),
        (b'{"wanted": 1e999}', {}, 422),
        (b'{"wanted": ' + b"9" * 5000 + b"}", {}, 422),
        (b'{"wanted": 36893488147419103232}', {}, 422),
        (b'{"name": "\\ud800"}', {}, 422),
        (b'{"name": "\\u0000"}', {}, 422),
        (b" " * (1024 * 1024 + 1), {}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
    ],
)
def test_hostile_bodies(client: Client, content: bytes, headers: dict[str, str], status: int) -> None:
    headers = {"Content-Type": "application/json", **headers}
    for method, path in (("POST", "/v1/fleets"), ("PUT", "/v1/fleets/storms/groups/one"), ("POST", "/v1/tokens")):
        client.problem(method, path, status, content=content, headers=headers)
    response = client.post("/mobius/compute?workflowID=x", content=content, headers=headers)
    assert response.json()["status"] == response.status_code == 400


def test_a_body_that_does_not_tell_its_length_is_cut(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    try:
        response = client.post("/v1/validate", content=endless(), headers={"Content-Type": "application/json"})
    except httpx.WriteError:
        return  # The server has closed the connection by then.
    assert response.status_code == 413


@pytest.mark.parametrize("path", ["/v1/fleets/%00", "/v1/fleets/a%0ab/events", "/mobius/workflow?workflowID=%00"])
def test_hostile_addresses(client: Client, path: str) -> None:
    assert client.get(path).status_code == 400


def test_long_and_odd_names_are_only_not_found(client: Client) -> None:
    for name in ("..%2f..%2fetc", "%C3%A4", "%ff", "a" * 60, "'; drop table fleets"):
        assert client.get(f"/v1/fleets/{name}").status_code == 404
    assert client.get(f"/v1/fleets/{'a' * 100}").status_code == 422
    assert client.get(f"/v1/fleets/{'a' * 5000}").status_code == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["name", "site", "sites", "compute", "cpus", "count", "pool", "target", "size", "source", "leaseEnd", "policy"]  # noqa: RUF005
    + ["wanted", "worker", "deadline_s", "by_s", "until", "action", "mountPoint", "script", "postBootScript", "options"]
)
NEAR = st.dictionaries(
    WORDS, JSON | st.lists(st.dictionaries(WORDS, JSON, max_size=4), max_size=2) | st.sampled_from(["A:b", "x", "1"])
)
PATHS = [
    ("POST", "/v1/fleets?name=any"),
    ("POST", "/v1/validate?name=any"),
    ("PUT", "/v1/fleets/property/groups/one"),
    ("POST", "/v1/fleets/property/drain"),
    ("POST", "/v1/fleets/property/leases/extend"),
    ("POST", "/v1/tokens"),
    *(
        ("POST", f"/mobius/{kind}?workflowID=property")
        for kind in ("compute", "storage", "network", "stitch", "script")
    ),
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | NEAR)
def test_no_body_is_a_defect(client: Client, body: Any) -> None:
    try:
        content = json.dumps(body)
    except ValueError:
        return
    if not test_no_body_is_a_defect.__dict__.get("made"):
        client.ok("POST", "/v1/fleets", 202, json={**SPEC, "name": "property"})
        test_no_body_is_a_defect.__dict__["made"] = True
    for method, path in PATHS:
        response = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code < 500, (path, content, response.text)
        assert response.headers["content-type"] in ("application/json", "application/problem+json")


# -- documents


def test_the_openapi_document_is_whole(client: Client) -> None:
    document = client.ok("GET", "/openapi.json")
    assert document["openapi"].startswith("3.1")
    scheme = document["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    schemas = document["components"]["schemas"]

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    for ref in walk(document):
        assert ref.startswith("#/components/schemas/"), ref
        assert ref.rpartition("/")[2] in schemas, ref
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    checked = 0
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["description"]

            for content in operation.get("requestBody", {}).get("content", {}).values():
                example = content.get("example", content["schema"].get("example"))
                assert example is not None
                whole = {**content["schema"], "components": document["components"]}
                Draft202012Validator(whole).validate(example)
                checked += 1
    assert checked >= 12


def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    response = client.get("/docs")
    assert response.status_code == 200
    assert "script" not in response.headers["content-security-policy"]
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "<script" not in response.text
    assert "src=" not in response.text
    assert "/v1/fleets/{name}/drain" in response.text


# -- the server itself


def test_addresses_that_do_not_work(store: Store, shared: tuple[Store, ApiServer, Path], tmp_path: Path) -> None:
    with pytest.raises(BusyError, match="listen"):
        start(store, tmp_path, port=shared[1].port)
    with pytest.raises(UsageError):
        start(store, tmp_path, host="192.0.2.1", port=0)
    with pytest.raises(UsageError):
        start(store, tmp_path, host="no-such-host.invalid", port=0)
    with pytest.raises(InputError, match="TLS"):
        start(store, tmp_path, port=0, certificate=tmp_path / "none.pem")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]  # noqa: RUF005
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls_and_the_warning_without(
    store: Store, tmp_path: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = self_signed(tmp_path)
    server = start(store, tmp_path, port=0, certificate=certificate, key=key)
    try:
        assert server.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(f"{server.url}/healthz", verify=context).status_code == 200
    finally:
        server.stop()
    logging.getLogger("dynamo").propagate = True
    open_to_all = start(store, tmp_path, host="0.0.0.0", port=0)
    try:
        assert "without TLS" in open_to_all.warning
        assert "without TLS" in caplog.text
        assert httpx.get(f"http://127.0.0.1:{open_to_all.port}/healthz").status_code == 200
    finally:
        open_to_all.stop()


def test_the_server_ends_in_order_while_requests_come(store: Store, tmp_path: Path) -> None:
    server = start(store, tmp_path, port=0, settings=FAST)
    headers = {"Authorization": f"Bearer {token_of(store, 'read', name='busy')}"}
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, headers=headers) as client:
            while not over.is_set():
                try:
                    answers.append(client.get("/v1/fleets").status_code)
                except httpx.TransportError:
                    return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) >= 10)
    began = time.monotonic()
    server.stop()
    took_s = time.monotonic() - began
    over.set()
    for thread in threads:
        thread.join(300)
    assert not server.running
    assert took_s < PATIENCE * 10
    assert set(answers) == {200}


def test_a_store_that_is_away_is_a_503(tmp_path: Path, client: Client) -> None:
    store = open_store(tmp_path / "store.sqlite", busy_timeout_s=0.2)
    headers = {"Authorization": f"Bearer {token_of(store)}"}
    server = start(store, tmp_path, port=0, settings=FAST)
    try:
        with Client(base_url=server.url, headers=headers) as here:
            here.ok("POST", "/v1/fleets", 202, json=SPEC)
            with store.transaction() as session:
                # Another writer that does not end: reads are answered, orders are not.
                ledger.fleet_named(session, "storms")
                here.ok("GET", "/v1/fleets/storms")
                response = here.put("/v1/fleets/storms/groups/one", json={"wanted": 2})
                assert response.status_code == 503
                assert int(response.headers["retry-after"]) > 0
            here.ok("PUT", "/v1/fleets/storms/groups/one", 202, json={"wanted": 2})
    finally:
        server.stop()
        store.close()
