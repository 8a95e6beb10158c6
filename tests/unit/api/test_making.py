"""Services and backfills over the application and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from dynamo.api.making import backfills
from dynamo.config.file import parse_config
from dynamo.feeds.completeness import look
from dynamo.files import sha256_file
from dynamo.inspection import process
from dynamo.inspection.facts import facts_to_json
from dynamo.store.backfills import Backfill
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, RunDecision
from dynamo.times import to_iso, utc_now
from dynamo.triggers.pausing import pause
from tests.integration.watch.watch_support import START, write_small
from tests.unit.api.serving import add_product, add_runs, client_of, run_row

CONFIG: dict[str, Any] = {
    "feeds": [{"name": "dfw", "path": "in"}],
    "triggers": [
        {"name": "storms", "feed": "dfw", "workflow": "nowcast"},
        {"name": "trial", "feed": "dfw", "workflow": "nowcast", "parameters": {"levels": [30.0]}},
    ],
}
RANGE = {"since": to_iso(START - timedelta(hours=1)), "until": to_iso(START + timedelta(hours=1))}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    now = utc_now()
    times = {"created_at": now - timedelta(minutes=2), "published_at": now - timedelta(minutes=1)}
    add_runs(made, {**run_row(1), **times}, {**run_row(2), **times, "trigger": "submit"})
    add_product(made, run_row(1)["id"], write_small(tmp_path, 0))
    with made.transaction() as session:
        for number in range(3):
            path = write_small(tmp_path, number)
            seen = look(path)
            assert seen is not None
            facts = process.inspect(path, [45.0])
            times = dict.fromkeys(("closed_at", "detected_at", "recorded_at"), facts.issue_time)
            about = {"radar": facts.radar, "valid_at": facts.issue_time, "facts": facts_to_json(facts), "reason": ""}
            size = {"size": seen.size, "mtime_ns": seen.mtime_ns, "sha256": sha256_file(path)}
            session.add(Arrival(feed="dfw", path=str(path), state="accepted", **about, **size, **times))
    yield made
    made.close()


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / "in").mkdir()
    with client_of(store, tmp_path, parse_config(CONFIG, base=tmp_path)) as made:
        yield made


def order(client: TestClient, path: str = "", key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/v1/backfills{path}", json={"what": "storms", **RANGE, **body}, headers=headers)


def test_services_say_how_they_stand(client: TestClient, store: Store) -> None:
    with store.transaction() as session:
        pause(session, "trial", "too <b>many</b>", utc_now())
    assert order(client).status_code == 202
    found = {item["name"]: item for item in client.get("/v1/services").json()["items"]}
    storms, trial = found["storms"], found["trial"]
    assert (storms["kind"], storms["state"], storms["why"]) == ("continuous", "down", "dynamo watch is not running")
    assert (storms["waits_for"], storms["runs"], storms["products"]) == ("files of dfw", 1, 1)
    assert storms["last_run"]["id"] == run_row(1)["id"]
    assert (trial["state"], trial["last_run"], trial["runs"]) == ("paused", None, 0)
    assert (storms["parameters"], trial["parameters"]) == ({}, {"levels": [30.0]})
    assert trial["why"].endswith("too <b>many</b>")
    assert (found["nowcast"]["kind"], found["nowcast"]["runs"]) == ("instant", 1)
    (backfill,) = [item for item in found.values() if item["kind"] == "request"]
    assert (backfill["workflow"], backfill["state"]) == ("nowcast", "down")


def test_a_plan_tells_what_would_be_made_and_stores_nothing(client: TestClient, store: Store) -> None:
    told = order(client, "/plan", name="trial", parameters={"levels": [30.0, 50.0]})
    assert told.status_code == 200, told.text
    plan = told.json()
    assert (plan["slots"], plan["runs"], plan["up_to_date"], plan["gone"]) == (3, 3, 0, 0)
    assert plan["core_h"] > 0
    with store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Backfill)) == 0


def test_a_plan_that_takes_too_long_is_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "PLAN_LIMIT_S", -1.0)
    told = order(client, "/plan")
    assert (told.status_code, told.json()["where"]) == (422, "since")


def test_a_backfill_is_started_once_and_changed(client: TestClient, store: Store) -> None:
    first = order(client, key="one", name="trial", at_most=4)
    assert first.status_code == 202, first.text
    name = first.json()["id"]
    assert (first.json()["name"], first.json()["at_most"], first.json()["state"]) == ("trial", 4, "active")
    assert order(client, key="one", name="trial", at_most=4).json() == first.json()
    refused = order(client, name="trial")
    assert refused.status_code == 400
    assert f"backfill {name} is active" in refused.json()["detail"]
    (listed,) = client.get("/v1/backfills?state=active").json()["items"]
    assert listed == client.get(f"/v1/backfills/{name}").json() == first.json()

    def change(what: str) -> Any:
        return client.post(f"/v1/backfills/{name}/{what}?reason=calm")

    assert change("promote").json()["detail"] == "it is still at work"
    assert change("pause").json()["state"] == "paused"
    assert change("pause").status_code == 400
    assert change("resume").json()["state"] == "active"
    assert change("cancel").json()["state"] == "cancelled"
    assert change("promote").json() == {"runs": 0, "gone": 0, "busy": 0}
    with store.reading() as session:
        query = select(RunDecision).where(RunDecision.subject == f"backfill {name}").order_by(RunDecision.id)
        told = [(one.action, one.reason) for one in session.scalars(query)]
    by = "test by the API"
    assert told[1:5] == [("order", by), ("pause", f"{by}: calm"), ("resume", f"{by}: calm"), ("cancel", f"{by}: calm")]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"what": "none"}, 404, "what"),
        # A file of the server is no workflow to its callers.
        ({"what": "/etc/passwd", "feed": "dfw"}, 404, "what"),
        ({"what": "storms", "feed": "dfw"}, 404, "what"),
        ({"what": "nowcast", "feed": "none"}, 404, None),
        ({"engine": "none"}, 404, None),
        ({"until": RANGE["since"]}, 422, "until"),
        ({"since": "yesterday"}, 422, "since"),
        ({"since": "2999-01-01", "until": "3000-01-01"}, 422, "since"),
        ({"name": "../x"}, 400, "name"),
        ({"at_most": 0}, 422, None),
        ({"parameters": {"levels": "high"}}, 422, None),
        ({"folder": "/etc"}, 422, None),
    ],
)
def test_wrong_backfills_are_refused(client: TestClient, body: dict[str, Any], status: int, where: str | None) -> None:
    for path in ("", "/plan"):
        told = order(client, path, **body)
        assert told.status_code == status, told.text
        if where:
            assert told.json()["where"] == where
    assert client.get("/v1/backfills").json()["items"] == []
    assert client.get("/v1/backfills/none").status_code == 404
    assert client.post("/v1/backfills/none/pause").status_code == 404
    assert client.post("/v1/backfills/none/shout").status_code == 422


def test_a_workflow_takes_the_files_of_a_feed(client: TestClient) -> None:
    started = order(client, what="nowcast", feed="dfw", radars=["ktlx"])
    assert started.status_code == 202, started.text
    assert (started.json()["trigger"], started.json()["workflow"]) == ("backfill", "nowcast")
    assert started.json()["radars"] == ["KTLX"]
