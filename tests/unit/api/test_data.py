"""Feeds, arrivals, assets, problems, decisions, alerts and checks over the application and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from dynamo.config.file import parse_config
from dynamo.files import sha256_file
from dynamo.inspection import process
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.checks import CheckResult
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, RunDecision, Series, SeriesDay
from dynamo.store.problems import ProblemRecord
from dynamo.times import utc_now
from tests.integration.watch.watch_support import write_small
from tests.unit.api.serving import NOON, add_product, add_runs, client_of, run_row

PLACES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "Hospital <b>", "lead_min": 15},
            "geometry": {"type": "Point", "coordinates": [-97.0, 32.7]},
        }
    ],
}
CONFIG: dict[str, Any] = {
    "feeds": [{"name": "dfw", "path": "in", "cadence_s": 300, "expect": ["KTLX"]}],
    "triggers": [
        {"name": "storms", "feed": "dfw", "workflow": "nowcast"},
        {"name": "hail", "feed": "dfw", "workflow": "hail"},
    ],
    "alerts": {"places": "places.geojson"},
}


def _arrival(number: int, **values: Any) -> Arrival:
    at = NOON + timedelta(minutes=number)
    facts: dict[str, Any] = {"state": "accepted", "radar": "KFWS", "valid_at": at, "reason": "", **values}
    times = {"closed_at": at, "detected_at": at, "recorded_at": at}
    return Arrival(feed="dfw", path=f"/in/{number}.nc", size=9, mtime_ns=number, sha256="b" * 64, **times, **facts)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("data")
    made = open_store(folder / "store.sqlite")
    add_runs(made, run_row(0), run_row(1, state="created", published_at=None, finished_at=None))
    now = utc_now()
    with made.transaction() as session:
        session.add_all(_arrival(number) for number in range(3))
        session.add(_arrival(3, state="quarantined", reason="no sweep", radar="", valid_at=None))
        counters = {
            "slots": 3,
            "made": 3,
            "bytes": 27,
            "oldest_at": NOON,
            "newest_at": NOON + timedelta(minutes=2),
            "live_at": now,
            "heard_at": now,
        }
        series = Series(kind="feed", name="dfw", radar="KFWS", **counters)
        session.add(series)
        session.flush()
        session.add(SeriesDay(series_id=series.id, day="20260610", slots=3, made=3, bytes=27))
        for closed in (None, now):
            subject = "feed:dfw/KTLX" if closed is None else "job:copy"
            session.add(
                ProblemRecord(subject=subject, kind="silent", reason="r", opened_at=now, closed_at=closed, told=True)
            )
        about = {"time": NOON, "subject": run_row(0)["id"]}
        session.add(RunDecision(**about, action="start", reason="55 dBZ over 100%_of", data={"trigger": "storms"}))
        session.add(RunDecision(time=now, subject="/in/2.nc", action="skip", reason="calm", data={"trigger": "storms"}))
        session.add(RunDecision(time=now, subject="fleet:f", action="scale", reason="+1", data={}))
        message = AlertMessage(
            key="k",
            place="hospital",
            hazard="storm",
            event=1,
            kind="begin",
            text="t",
            payload={},
            created_at=now,
            expires_at=now,
        )
        session.add(message)
        session.flush()
        sent = {"channel": "file", "state": "sent", "attempts": 2, "error": "", "next_at": now, "updated_at": now}
        session.add(AlertDelivery(message_id=message.id, **sent))
        found = {"series": "KFWS", "file": "2.nc", "check": "azimuth_gap", "severity": "warn", "place": "", "time": now}
        session.add(CheckResult(run_id=run_row(0)["id"], flag=4, value=9.0, limit=5.0, **found))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("state")
    (folder / "places.geojson").write_bytes(orjson.dumps(PLACES))
    with client_of(store, folder, parse_config(CONFIG, base=folder)) as made:
        yield made


def items(client: TestClient, path: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/{path}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_feed_says_how_each_of_its_radars_comes(client: TestClient) -> None:
    (feed,) = items(client, "feeds")
    radars = {radar["radar"]: radar for radar in feed.pop("per_radar")}
    assert {name: radar["state"] for name, radar in radars.items()} == {"KFWS": "fresh", "KTLX": "silent"}
    assert radars["KFWS"]["last_valid_at"] == "2026-06-10T12:02:00Z"
    assert (feed["state"], feed["waiting"], feed["quarantined"]) == ("silent", 1, 1)


def test_arrivals_are_listed_and_filtered(client: TestClient) -> None:
    assert [item["path"] for item in items(client, "arrivals?limit=2")] == ["/in/3.nc", "/in/2.nc"]
    (refused,) = items(client, "arrivals?state=quarantined")
    assert (refused["reason"], refused["bytes"], refused["valid_at"]) == ("no sweep", 9, None)
    assert len(items(client, "arrivals?radar=KFWS&feed=dfw&since=2026-06-10T12:01:00Z")) == 2


def test_what_was_refused_waits_for_a_person(client: TestClient) -> None:
    (item,) = items(client, "reviews")
    assert (item["kind"], item["reason"], item["drawable"]) == ("file", "no sweep", False)
    assert client.get(f"/v1/reviews/{item['id']}/picture").status_code == 410
    assert client.get("/v1/reviews/999/picture").status_code == 404
    assert items(client, "reviews?state=dropped") == []


def test_a_refused_file_is_drawn_as_far_as_it_can_be(client: TestClient, store: Store, tmp_path: Path) -> None:
    path = write_small(tmp_path, 0)
    with store.transaction() as session:
        arrival = session.scalars(select(Arrival).where(Arrival.state == "quarantined")).one()
        arrival.moved_to = str(path)
    try:
        answer = client.get(f"/v1/reviews/{arrival.id}/picture")
    finally:
        process.close()
        with store.transaction() as session:
            session.get_one(Arrival, arrival.id).moved_to = None
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_problems_are_open_or_over(client: TestClient) -> None:
    assert [item["subject"] for item in items(client, "problems")] == ["job:copy", "feed:dfw/KTLX"]
    assert [item["subject"] for item in items(client, "problems?state=open")] == ["feed:dfw/KTLX"]
    assert [item["subject"] for item in items(client, "problems?state=closed")] == ["job:copy"]
    assert [item["state"] for item in items(client, "problems?radar=ktlx")] == ["silent"]
    assert client.get("/v1/problems?state=odd").status_code == 422


def test_assets_are_feeds_and_outputs_of_workflows(client: TestClient) -> None:
    found = {item["name"]: item for item in items(client, "assets")}
    assert found["dfw"]["state"] == "silent"
    assert [(one["radar"], one["state"], one["slots"]) for one in found["dfw"]["series"]] == [("KFWS", "fresh", 3)]
    outputs = [name for name in found if name.startswith("hail/")]
    assert outputs
    assert client.get(f"/v1/assets/{outputs[0]}").json()["of"] == outputs[0]


def test_an_asset_has_days_gaps_and_a_history(client: TestClient) -> None:
    day = "since=2026-06-10T00:00:00Z&until=2026-06-10T12:15:00Z"
    found = client.get(f"/v1/assets/dfw?{day}").json()
    assert found["days"] == [{"radar": "KFWS", "trigger": "", "day": "2026-06-10", "slots": 3, "made": 3, "bytes": 27}]
    assert [(gap["begin"], gap["end"], gap["missing"]) for gap in found["gaps"]] == [
        ("2026-06-10T12:03:00Z", "2026-06-10T12:15:00Z", 12)
    ]
    history = items(client, "assets/dfw/history?limit=2")
    assert [(item["name"], item["standing"]) for item in history] == [("2.nc", "current"), ("1.nc", "current")]
    assert client.get("/v1/assets/nothing").status_code == 404
    assert client.get("/v1/assets/dfw?since=2026-06-10T00:00:00Z&until=2026-06-09T00:00:00Z").status_code == 422


def test_the_lineage_of_a_product_leads_to_its_run(client: TestClient, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / f"120000-{run_row(0)['key'][:12]}"
    folder.mkdir()
    (folder / "p.nc").write_text("data")
    number = add_product(store, run_row(0)["id"], folder / "p.nc", sha256=sha256_file(folder / "p.nc"))
    found = client.get(f"/v1/lineage?product={number}").json()
    assert (found["file"]["role"], found["file"]["run"]["id"]) == ("product", run_row(0)["id"])
    # The store knows it even if the file is gone; nothing is read.
    (folder / "p.nc").unlink()
    assert client.get(f"/v1/lineage?product={number}").json()["file"]["facts"]["there"] is False
    arrival = client.get("/v1/lineage?arrival=1").json()["file"]
    assert (arrival["role"], arrival["path"], arrival["facts"]["there"]) == ("arrival", "/in/0.nc", False)
    assert client.get("/v1/lineage?product=999").status_code == 404
    assert client.get("/v1/lineage").status_code == 422


def test_decisions_are_searched(client: TestClient) -> None:
    assert [item["action"] for item in items(client, "decisions")] == ["scale", "skip", "start"]
    assert [item["action"] for item in items(client, f"decisions?run={run_row(0)['id']}&q=DBZ")] == ["start"]
    assert [item["action"] for item in items(client, "decisions?since=2026-06-01T00:00:00Z&q=100%25_of")] == ["start"]
    # What a person types is no pattern; and without a range, only the last days are searched.
    assert items(client, "decisions?since=2026-06-01T00:00:00Z&q=5%25d") == []
    assert [item["action"] for item in items(client, "decisions?trigger=storms")] == ["skip"]
    assert [item["action"] for item in items(client, "decisions?verdict=scale")] == ["scale"]


def test_alerts_say_how_they_fared(client: TestClient) -> None:
    (alert,) = items(client, "alerts")
    assert alert["deliveries"] == [{"channel": "file", "state": "sent", "attempts": 2, "error": ""}]
    assert items(client, "alerts?place=elsewhere") == []


def test_places_have_their_geometry(client: TestClient) -> None:
    for path in ("places", "map/places"):
        (place,) = items(client, path)
        assert (place["name"], place["lead_min"]) == ("Hospital <b>", 15)
        assert place["geometry"] == {"type": "Point", "coordinates": [-97.0, 32.7]}


def test_checks_have_limits_and_results(client: TestClient) -> None:
    assert "azimuth_gap" in {item["name"] for item in items(client, "checks")}
    (result,) = items(client, "checks/results?flag=4&series=KFWS")
    assert (result["check"], result["value"]) == ("azimuth_gap", 9.0)
    assert items(client, f"checks/results?run={run_row(0)['id']}") == [result]
    assert items(client, "checks/results?flag=3") == []


def test_every_answer_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    vague = [
        path
        for path, item in document["paths"].items()
        if path.startswith("/v1/")
        and not path.startswith(("/v1/fleets", "/v1/spec"))
        and "get" in item
        and "200" in item["get"]["responses"]  # others lead elsewhere
        and not item["get"]["responses"]["200"].get("content")
    ]
    assert vague == []
