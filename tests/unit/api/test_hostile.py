"""Names and texts of feeds, programs and other sites' pages that mean harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from dynamo.api import auth
from dynamo.api.app import make_app
from dynamo.api.settings import ApiSettings
from dynamo.config.file import Config
from dynamo.runs.ledger import decide
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Run, RunDecision
from tests.unit.api.serving import NOON, add_product, add_runs, client_of, run_row

HOSTILE = "<img src=x onerror=alert(1)>\u202e\u2066⛈\ntwo\r\x1b[31mred\x1b]0;title\x07\"'&</script>"
LISTS = ("runs", "products", "arrivals", "decisions", "problems", "feeds", "assets", "status", "timeline", "alerts")
ORDERS = ("POST /v1/runs", "POST /v1/uploads?name=x", "POST /v1/runs/0000/cancel", "POST /v1/fleets")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("hostile")
    made = open_store(folder / "store.sqlite")
    row = run_row(1, workflow=HOSTILE, trigger=HOSTILE, radar=HOSTILE, reason=HOSTILE * 100, parameters={HOSTILE: "x"})
    add_runs(made, row, run_row(2, state="running", run_dir=str(folder / "gone")))
    add_product(made, row["id"], folder / "a.geojson", output=HOSTILE)
    times: dict[str, Any] = dict.fromkeys(("valid_at", "detected_at", "recorded_at"), NOON)
    with made.transaction() as session:
        decide(session, HOSTILE, HOSTILE[:50], HOSTILE, **{HOSTILE: HOSTILE})
        facts: dict[str, Any] = {"size": 1, "mtime_ns": 1, "radar": HOSTILE, "state": "quarantined", "reason": HOSTILE}
        session.add(Arrival(feed=HOSTILE, path=f"/in/{HOSTILE}", sha256="a" * 64, **facts, **times))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("state")
    with client_of(store, folder, Config(base=folder)) as made:
        yield made


@pytest.mark.parametrize("name", LISTS)
def test_lists_tell_odd_names_as_they_are(client: TestClient, name: str) -> None:
    answer = client.get(f"/v1/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer.json()


def test_a_run_with_odd_names_is_found_and_told(client: TestClient) -> None:
    (run,) = client.get("/v1/runs", params={"state": "succeeded"}).json()["items"]
    assert (run["workflow"], run["radar"]) == (HOSTILE, HOSTILE)
    assert client.get(f"/v1/runs/{run['id']}").json()["parameters"] == {HOSTILE: "x"}
    # Line breaks and orders to a terminal are in no name that is asked for.
    assert client.get("/v1/runs", params={"workflow": HOSTILE}).status_code == 400
    plain = "<img src=x onerror=alert(1)>\u202e⛈"
    assert client.get("/v1/runs", params={"workflow": plain, "trigger": plain}).json()["items"] == []


def test_an_odd_name_in_an_address_is_not_in_the_answers_headers(client: TestClient) -> None:
    for text in ("a%0d%0aSet-Cookie:%20x=1", "%e2%80%ae%F0%9F%8C%A9", "%00", "%ff%fe", "x" * 5000):
        for path in (f"/v1/runs/{text}", f"/v1/assets/{text}", f"/v1/runs?radar={text}", f"/runs/{text}"):
            answer = client.get(path)
            assert answer.status_code in (200, 400, 404, 422, 503)
            assert "set-cookie" not in answer.headers


def test_a_run_whose_folder_is_gone_is_canceled(client: TestClient) -> None:
    answer = client.post(f"/v1/runs/{run_row(2)['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


@pytest.fixture
def neighbor(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client that needs no token: the kernel says that it is run by the server's user."""
    monkeypatch.setattr(auth, "is_own_user", lambda *_: True)
    app = make_app(store, tmp_path, ApiSettings(open_to_user=True), Config(base=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8080") as made:
        yield made


def changes(store: Store) -> tuple[int, ...]:
    with store.reading() as session:
        counts = [session.scalar(select(func.count()).select_from(table)) or 0 for table in (Run, RunDecision)]
    return tuple(counts)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8080.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        # A link of another page, or a form that it sends by itself.
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        # A name that was made to lead to this machine (DNS rebinding).
        {"Host": "evil.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"X-Forwarded-For": "127.0.0.1"},
    ],
    ids=str,
)
def test_pages_of_others_order_nothing(neighbor: TestClient, store: Store, headers: dict[str, str]) -> None:
    before = changes(store)
    for order in ORDERS:
        method, path = order.split()
        # What a form can send without asking first.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
            content = '{"workflow": "nowcast", "inputs": {}}'
            answer = neighbor.request(method, path, content=content, headers={**headers, "Content-Type": kind})
            assert answer.status_code == 403, order
            assert "access-control-allow-origin" not in answer.headers
    assert changes(store) == before


def test_a_form_of_our_own_is_no_order(neighbor: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}
    assert neighbor.post("/v1/runs", content="{}", headers=headers).status_code == 415
    assert neighbor.get("/v1/status", headers=headers).status_code == 200
