"""Runs on request over the application: what is named, ordered twice, cancelled and retried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dynamo.api.run import orders
from dynamo.config.file import parse_config
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Run
from tests.integration.watch.watch_support import write_small
from tests.unit.api.serving import add_product, add_runs, client_of, run_row

FAILED, WAITING = run_row(1, state="failed", published_at=None), run_row(2, state="created", published_at=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    add_runs(made, *({**run, "run_dir": str(tmp_path / "runs" / run["id"])} for run in (FAILED, WAITING)))
    yield made
    made.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that a process was started for; what it does is shown in the tests of `dynamo submit`."""
    found: list[str] = []
    monkeypatch.setattr(orders, "detach", lambda run, _config: found.append(run.id))
    return found


@pytest.fixture
def client(store: Store, tmp_path: Path, started: list[str]) -> Iterator[TestClient]:
    with client_of(store, tmp_path, parse_config({}, base=tmp_path)) as made:
        yield made


def nowcast(client: TestClient, ref: dict[str, Any], key: str | None = None, **more: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"workflow": "nowcast", "inputs": {"nowcast": [ref]}, **more}
    return client.post("/v1/runs", json=body, headers=headers)


def test_an_uploaded_file_becomes_a_run_once(client: TestClient, tmp_path: Path, started: list[str]) -> None:
    path = write_small(tmp_path, 0)
    sent = client.post("/v1/uploads", params={"name": path.name}, content=path.read_bytes())
    assert sent.status_code == 201, sent.text
    ref = {"upload": sent.json()["upload"]}
    first = nowcast(client, ref, "one", parameters={"levels": [30.0]})
    assert (first.status_code, first.json()["new"]) == (202, True), first.text
    assert started == [first.json()["id"]]
    # The answer was lost on the way: the client asks again.
    assert nowcast(client, ref, "one", parameters={"levels": [30.0]}).json() == first.json()
    assert started == [first.json()["id"]]
    assert nowcast(client, ref, "one").status_code == 422
    # Without the key it is the same run, too, but not a new one.
    again = nowcast(client, ref, parameters={"levels": [30.0]}).json()
    assert (again["id"], again["new"]) == (first.json()["id"], False)
    run = client.get(first.headers["location"]).json()
    assert (run["trigger"], run["decisions"][0]["reason"]) == ("submit", "test by the API")
    assert run["inputs"][0]["path"].endswith(path.name)


def test_files_of_the_server_are_for_its_user(client: TestClient, tmp_path: Path, store: Store) -> None:
    path = write_small(tmp_path, 0)
    assert nowcast(client, {"path": str(path)}).status_code == 403
    service = client.app.state.service  # type: ignore[attr-defined]
    client.app.state.service = replace(service, settings=replace(service.settings, open_to_user=True))  # type: ignore[attr-defined]
    assert nowcast(client, {"path": str(path)}).status_code == 202
    assert nowcast(client, {"path": str(tmp_path / "none.nc")}).status_code == 404


def test_a_product_or_arrival_is_named_by_its_number(client: TestClient, store: Store, tmp_path: Path) -> None:
    number = add_product(store, FAILED["id"], write_small(tmp_path, 0))
    assert nowcast(client, {"product": number}).status_code == 202
    for ref in ({"product": 999}, {"arrival": 999}, {"upload": "../../etc"}, {"upload": "0" * 32}):
        assert nowcast(client, ref).status_code == 404, ref


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"workflow": "../nowcast", "inputs": {}}, 404),
        ({"workflow": "nowcast"}, 422),
        ({"workflow": "nowcast", "inputs": {"nowcast": [{}]}}, 422),
        ({"workflow": "nowcast", "inputs": {"nowcast": [{"path": "/a", "arrival": 1}]}}, 422),
        ({"workflow": "nowcast", "inputs": {"other": []}}, 422),
        ({"workflow": "nowcast", "engine": "none"}, 404),
        ({}, 422),
    ],
)
def test_wrong_orders_make_nothing(client: TestClient, started: list[str], body: dict[str, Any], status: int) -> None:
    answer = client.post("/v1/runs", json=body)
    assert answer.status_code == status, answer.text
    assert started == []


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "", "a\tb", "x" * 201])
def test_uploads_have_plain_names(client: TestClient, name: str) -> None:
    assert client.post("/v1/uploads", params={"name": name}, content=b"x").status_code in (400, 422)


def test_a_full_disk_is_no_defect(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file where the folder should be")
    answer = client.post("/v1/uploads?name=a.nc", content=b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "cannot be stored" in answer.json()["detail"]


def test_runs_are_cancelled_and_retried(client: TestClient, store: Store, started: list[str]) -> None:
    done = client.post(f"/v1/runs/{WAITING['id']}/cancel?reason=calm", headers={"Idempotency-Key": "c"})
    assert (done.status_code, done.json()["state"]) == (202, "cancelled"), done.text
    with store.reading() as session:
        assert session.get_one(Run, WAITING["id"]).cancel_reason == "test by the API: calm"
    again = client.post(f"/v1/runs/{WAITING['id']}/cancel?reason=calm", headers={"Idempotency-Key": "c"})
    assert again.json() == done.json()
    assert client.post(f"/v1/runs/{WAITING['id']}/cancel").status_code == 400
    assert client.post(f"/v1/runs/{FAILED['id']}/retry").json()["state"] == "created"
    assert started == [FAILED["id"]]
    assert client.post("/v1/runs/ffff/retry").status_code == 404


def test_workflows_say_what_they_need(client: TestClient) -> None:
    told = client.get("/v1/workflows").json()
    found = {item["name"]: item for item in told["items"]}
    assert (told["engine"], told["upload_limit_bytes"]) == ("local", 1 << 30)
    assert {"local", "condor"} <= set(told["engines"])
    (port,) = found["nowcast"]["inputs"]
    assert (port["name"], port["format"], port["required"], port["many"]) == ("nowcast", "casa-nowcast", True, False)
    optional = {port["name"]: port["required"] for port in found["hail"]["inputs"]}
    assert optional == {"volume": True, "sounding": False}
    parameters = {one["name"]: one for one in found["hail"]["parameters"]}
    assert parameters["grid_method"]["choices"] == ["maximum", "nearest"]
    sizes = parameters["sizes"]
    assert (sizes["type"], sizes["default"], sizes["unit"], sizes["minimum"]) == ("floats", [5, 25, 50], "mm", 1)


def test_orders_need_the_scope(store: Store, tmp_path: Path) -> None:
    with client_of(store, tmp_path, None, "read") as client:
        assert client.post(f"/v1/runs/{WAITING['id']}/cancel").status_code == 403
        assert client.post("/v1/uploads?name=a", content=b"x").status_code == 403
        assert client.post("/v1/runs", json={}).status_code == 403
