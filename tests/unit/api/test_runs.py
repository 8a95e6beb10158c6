"""Runs, their logs and products over the whole application and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from dynamo.config.file import Config
from dynamo.runs.ledger import find_run
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Run
from tests.unit.api.serving import add_product, add_runs, client_of, run_row


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("runs")
    made = open_store(folder / "store.sqlite")
    add_runs(
        made,
        *(run_row(number) for number in range(5)),
        run_row(5, state="failed", reason="disk full", published_at=None, workflow="hail", run_dir=str(folder / "run")),
        run_row(6, state="running", published_at=None, finished_at=None, radar="KTLX", trigger="submit"),
        # Created together: their ids tell which comes first.
        *(run_row(number, created_at=run_row(6)["created_at"]) for number in (7, 8)),
    )
    logs = folder / "run" / "logs"
    logs.mkdir(parents=True)
    (logs / "one.out").write_text("first\nsecond\n")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("state")
    with client_of(store, folder, Config(base=folder)) as made:
        yield made


def test_pages_have_every_run_once_the_newest_first(client: TestClient) -> None:
    page = client.get("/v1/runs?limit=2").json()
    pages = [page]
    while page["next"] is not None:
        page = client.get("/v1/runs", params={"limit": 2, "after": page["next"]}).json()
        pages.append(page)
    assert [int(item["id"], 16) for page in pages for item in page["items"]] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert len(pages) == 5


def test_pages_of_several_states_have_every_run_once(client: TestClient) -> None:
    asked: dict[str, Any] = {"state": ["failed", "succeeded", "running", "failed"], "limit": 4}
    page = client.get("/v1/runs", params=asked).json()
    seen = [page]
    while page["next"] is not None:
        page = client.get("/v1/runs", params={**asked, "after": page["next"]}).json()
        seen.append(page)
    assert [int(item["id"], 16) for page in seen for item in page["items"]] == [8, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("state=failed", [5]),
        ("state=failed&state=running", [6, 5]),
        ("workflow=hail", [5]),
        ("trigger=submit", [6]),
        ("radar=KTLX", [6]),
        ("since=2026-06-10T12:05:00Z&until=2026-06-10T12:06:00Z", [5]),
        ("workflow=none", []),
    ],
)
def test_runs_are_filtered(client: TestClient, asked: str, numbers: list[int]) -> None:
    found = client.get(f"/v1/runs?{asked}").json()
    assert [int(item["id"], 16) for item in found["items"]] == numbers
    assert found["next"] is None


@pytest.mark.parametrize(
    "asked",
    ["state=broken", "since=yesterday", "after=xyz", "after=WzFd", "after=WzEsMl0", "limit=0", "since=0001-01-01"],
)
def test_wrong_parameters_are_told(client: TestClient, asked: str) -> None:
    answer = client.get(f"/v1/runs?{asked}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["where"]


def test_an_item_says_how_long_it_took(client: TestClient) -> None:
    items = {int(item["id"], 16): item for item in client.get("/v1/runs").json()["items"]}
    assert items[4]["duration_s"] == 10
    assert items[4]["ended_at"] == "2026-06-10T12:04:10Z"
    assert items[6]["ended_at"] is None
    assert items[6]["duration_s"] is None


def test_what_the_client_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/runs?limit=1")
    again = client.get("/v1/runs?limit=1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"
    other = client.get("/v1/runs?limit=2", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_one_run_has_everything(client: TestClient) -> None:
    run = run_row(5)["id"]
    found = client.get(f"/v1/runs/{run}").json()
    assert (found["state"], found["reason"]) == ("failed", "disk full")
    assert found["logs"] == [{"name": "logs/one.out", "bytes": 13}]
    assert found["times"]["valid"] == "2026-06-10T12:03:00Z"
    assert (found["attended"], found["cost"]) == (None, None)
    assert client.get("/v1/runs/nobody").status_code == 404
    assert client.get("/v1/runs/0000").status_code == 404


def test_a_run_is_found_without_reading_all(store: Store) -> None:
    asked: list[tuple[str, Any]] = []
    with store.reading() as session:
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
        assert find_run(session, run_row(3)["id"]).id == run_row(3)["id"]
        ((statement, values),) = asked
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert not any("SCAN runs" in row[-1] for row in plan), plan


def test_a_log_is_read_on_from_where_it_was(client: TestClient) -> None:
    place = f"/v1/runs/{run_row(5)['id']}/logs/logs/one.out"
    first = client.get(place)
    assert (first.text, first.headers["x-next-offset"]) == ("first\nsecond\n", "13")
    assert client.get(place, params={"offset": 6}).text == "second\n"
    assert client.get(place, params={"offset": -7}).text == "second\n"
    assert client.get(place, params={"offset": 13}).text == ""
    # It was begun anew.
    assert client.get(place, params={"offset": 99}).text == "first\nsecond\n"
    assert client.get(f"/v1/runs/{run_row(5)['id']}/logs/../../store.sqlite").status_code == 404
    assert client.get(f"/v1/runs/{run_row(5)['id']}/logs/%2e%2e/store.sqlite").status_code == 404


def test_a_log_is_never_cut_within_a_character(client: TestClient, store: Store) -> None:
    with store.reading() as session:
        log = Path(session.get_one(Run, run_row(5)["id"]).run_dir) / "logs" / "two.out"
    # 256 KiB, the most of one answer, end within the second storm.
    text = "x" * (2**18 - 4) + "⛈⛈ NUL: \x00 \x1b[31mred\x1b[0m \u202eturned\u202c <b>"
    log.write_text(text)
    place = f"/v1/runs/{run_row(5)['id']}/logs/logs/two.out"
    first = client.get(place)
    assert first.headers["x-next-offset"] == str(2**18 - 1)
    second = client.get(place, params={"offset": 2**18 - 1})
    log.unlink()
    assert (first.text + second.text).replace("x", "") == "⛈⛈ NUL: \ufffd red \ufffdturned\ufffd <b>"


def test_products_are_listed_and_sent(client: TestClient, store: Store, tmp_path: Path) -> None:
    run = run_row(3)["id"]
    (tmp_path / "a.geojson").write_text("{ }\n")
    number = add_product(store, run, tmp_path / "a.geojson", output="contours.out")
    gone = add_product(store, run, tmp_path / "gone.nc")
    listed = client.get("/v1/products").json()["items"]
    assert [item["id"] for item in listed] == [gone, number]
    assert client.get("/v1/products?kind=contours.out&radar=kfws").json()["items"] == [listed[1]]
    assert client.get(f"/v1/products/{number}").json() == listed[1]
    sent = client.get(f"/v1/products/{number}/file")
    assert (sent.text, sent.headers["etag"]) == ("{ }\n", f'"{"a" * 64}"')
    assert sent.headers["content-type"] == "application/geo+json"
    again = client.get(f"/v1/products/{number}/file", headers={"If-None-Match": sent.headers["etag"]})
    assert again.status_code == 304
    part = client.get(f"/v1/products/{number}/file", headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.text) == (206, "{ ")
    lost = client.get(f"/v1/products/{gone}/file")
    assert (lost.status_code, lost.json()["hint"]) == (410, f"dynamo runs retry {run}")
    assert client.get("/v1/products/999").status_code == 404
    assert {item["id"]: item["products"] for item in client.get("/v1/runs").json()["items"]}[run] == 2


def test_nothing_is_shown_without_the_scope(store: Store, tmp_path: Path) -> None:
    with store.transaction() as session:
        from dynamo.api.tokens import revoke_token

        revoke_token(session, "test")
    with client_of(store, tmp_path, None, "ping") as client:
        assert client.get("/v1/runs").status_code == 403
        assert client.get("/v1/products", headers={"Authorization": ""}).status_code == 401
