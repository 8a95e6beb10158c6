"""State of everything, load, timeline and costs over the application and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dynamo.autoscale.decisions import INPUTS, subject
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Worker, WorkerHour, WorkerUse
from dynamo.store.lease import StoreLease
from dynamo.store.models import RunDecision
from dynamo.times import to_iso, utc_now
from tests.unit.api.serving import NOON, add_product, add_runs, client_of, run_row

SPEC: dict[str, Any] = {
    "name": "storms",
    "sites": {"Simulated:a": {"driver": "simulated"}},
    "compute": [{"site": "Simulated:a", "name": "one", "count": 1, "costPerHour": 0.5}],
    "budget": {"per_day": 20, "currency": "SU"},
}
DAY = "since=2026-06-10T12:00:00Z&until=2026-06-10T13:00:00Z"


def _worker(name: str, **values: Any) -> Worker:
    texts = dict.fromkeys(("reason", "flavor"), "")
    numbers = dict.fromkeys(("ram_mb", "attempts", "busy_cpus", "jobs", "jobs_killed"), 0)
    facts: dict[str, Any] = {"state": "ready", "unsure": False, "revoked": False, "addresses": [], "cost_per_hour": 0.5}
    place = {"fleet": "storms", "site": "Simulated:a", "group": "one", "cpus": 4, "since": NOON, "requested_at": NOON}
    return Worker(name=name, **texts, **numbers, **facts, **place, **values)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("live")
    made = open_store(folder / "store.sqlite")
    now = utc_now()
    lasting = [NOON + timedelta(minutes=number, seconds=2 + number) for number in range(10)]
    add_runs(
        made,
        *(run_row(number, published_at=end) for number, end in enumerate(lasting)),
        run_row(10, state="failed", published_at=None, finished_at=NOON + timedelta(minutes=11, seconds=40)),
        run_row(11, state="running", published_at=None, finished_at=None, workflow="hail"),
        run_row(12, state="running", published_at=None, finished_at=None, created_at=now),
    )
    add_product(made, run_row(0)["id"], Path("/products/a.nc"))
    with made.transaction() as session:
        apply_fleet(session, load_spec(SPEC, name="storms"), base=folder, now=NOON)
        session.add(_worker("one-1", ready_at=NOON + timedelta(minutes=5), ended_at=NOON + timedelta(minutes=20)))
        session.add(_worker("one-2", ready_at=now - timedelta(hours=1)))
        paid = {
            "hour": NOON,
            "site": "Simulated:a",
            "group": "one",
            "flavor": "m",
            "cost_per_hour": 0.5,
            "seconds": 3600.0,
        }
        session.add(WorkerHour(fleet="storms", worker="one-1", cost=0.5, core_s=14_400.0, **paid))
        used = {"worker": "one-1", "core_s": 1440.0, "wall_s": 360.0, "ok": True, "workflow": "nowcast"}
        end = NOON + timedelta(minutes=10)
        session.add(WorkerUse(fleet="storms", job="1.0", ended_at=end, run=run_row(0)["id"], **used))
        work = [
            {"core_s": 600.0, "ready": to_iso(now - timedelta(hours=1))},
            {"core_s": 300.0, "ready": to_iso(now + timedelta(minutes=20))},
        ]
        data = {"inputs": {"horizon_s": 3600.0, "work": work}}
        about = subject("storms")
        session.add(RunDecision(time=now, subject=about, action=INPUTS, reason="enough", data=data))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(store, tmp_path_factory.mktemp("state")) as made:
        yield made


def test_the_status_knows_daemons_runs_and_who_asks(client: TestClient, store: Store) -> None:
    lease = StoreLease(store)
    lease.take()
    found = client.get("/v1/status").json()
    lease.give_back()
    daemons = {daemon["name"]: (daemon["alive"], daemon["needed"]) for daemon in found["daemons"]}
    assert daemons == {"watch": (True, False), "fleet-daemon:*": (False, True)}
    assert found["troubles"] == ["dynamo-provision daemon is down"]
    assert (found["runs"], found["at_work"]) == ({"running": 1}, 2)
    assert [fleet["cpus"] for fleet in found["fleets"]] == [8]
    assert found["you"] == {"name": "test", "roles": ["viewer", "researcher", "operator"]}


def test_a_timeline_counts_runs_and_workers_in_the_same_buckets(client: TestClient) -> None:
    found = client.get(f"/v1/timeline?{DAY}").json()
    assert found["bucket_s"] == 60
    assert sum(one["count"] for one in found["runs"]) == 12
    assert {one["at"] for one in found["workers"]} == {f"2026-06-10T12:{minute:02}:00Z" for minute in range(5, 21)}
    day = client.get("/v1/timeline?since=2026-06-10T00:00:00Z&until=2026-06-11T00:00:00Z").json()
    assert (day["bucket_s"], len({one["at"] for one in day["runs"]})) == (300, 3)
    week = client.get("/v1/timeline?since=2026-06-08T00:00:00Z&until=2026-06-15T00:00:00Z").json()
    runs = {(one["workflow"], one["state"]): one for one in week["runs"]}
    assert len(week["runs"]) == 3
    # They took 2 to 11 seconds.
    assert runs["nowcast", "succeeded"] == {
        "at": "2026-06-10T12:00:00Z",
        "workflow": "nowcast",
        "state": "succeeded",
        "count": 10,
        "p50_s": 6,
        "p95_s": 11,
    }
    assert runs["nowcast", "failed"]["p95_s"] == 100
    assert runs["hail", "running"]["p50_s"] is None
    assert client.get("/v1/timeline?since=2026-06-10T12:00:00Z&until=2026-06-10T11:00:00Z").status_code == 422


def test_the_load_has_what_was_and_what_comes(client: TestClient) -> None:
    found = client.get("/v1/load").json()
    past = [point for point in found["points"] if point["kind"] == "past"]
    ahead = [point for point in found["points"] if point["kind"] == "forecast"]
    assert [(point["demand_cores"], point["capacity_cores"]) for point in past] == [(0.25, 4.0)]
    assert [(point["demand_cores"], point["capacity_cores"]) for point in ahead] == [(2.0, None), (1.0, None)]
    assert found["sentence"] == "storms: enough"


def test_costs_are_told_by_site_and_by_product(client: TestClient) -> None:
    found = client.get(f"/v1/costs?{DAY}").json()
    assert [(item["key"], item["cost"], item["currency"]) for item in found["items"]] == [("Simulated:a", 0.5, "SU")]
    (budget,) = found["budgets"]
    assert (budget["fleet"], budget["per_day"], budget["spent"]) == ("storms", 20, 0.5)
    products = {item["key"]: item for item in client.get(f"/v1/costs?by=product&{DAY}").json()["items"]}
    assert (products["nowcast"]["cost"], products["nowcast"]["products"]) == (0.05, 1)
    assert products["nowcast"]["cost_each"] == 0.05


def test_a_run_knows_its_cost(client: TestClient) -> None:
    found = client.get(f"/v1/runs/{run_row(0)['id']}").json()
    assert (found["cost"], found["currency"]) == (0.05, "SU")


def test_groups_are_held_and_released(client: TestClient) -> None:
    held = client.post("/v1/fleets/storms/hold", json={"target": "all"})
    assert (held.status_code, held.json()["groups"]) == (202, {"one": 1}), held.text
    (group,) = client.get("/v1/fleets/storms").json()["groups"]
    assert (group["wanted"], group["source"]) == (1, "operator")
    assert client.post("/v1/fleets/storms/release", json={"target": "one"}).json()["groups"] == {"one": None}
    assert client.post("/v1/fleets/storms/release", json={"target": "one"}).json()["groups"] == {}
    for what in ("hold", "release"):
        assert client.post(f"/v1/fleets/storms/{what}", json={"target": "none"}).status_code == 404
        assert client.post(f"/v1/fleets/{what}/{what}", json={"target": "all"}).status_code == 404
        assert client.post(f"/v1/fleets/storms/{what}", json={}).status_code == 422
