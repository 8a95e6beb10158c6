"""What waits for a person over the application: seen with its reasons, released and dropped once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from dynamo.api.run.ordering import Repeatable
from dynamo.config.file import parse_config
from dynamo.store.checks import CheckResult, CheckReview
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Run, RunDecision
from dynamo.watch import decisions
from tests.unit.api.serving import NOON, add_runs, client_of, run_row

RUN = run_row(1, state="failed", reason="azimuth_gap", published_at=None)
HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.nc"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    add_runs(made, {**RUN, "run_dir": str(tmp_path / "runs" / RUN["id"])})
    (tmp_path / "in").mkdir()
    with made.transaction() as session:
        for number, name in enumerate(("a.nc", HOSTILE)):
            moved = tmp_path / f"moved-{number}"
            moved.write_bytes(b"no radar")
            times = dict.fromkeys(("closed_at", "detected_at", "recorded_at"), NOON + timedelta(minutes=number))
            place = {"feed": "dfw", "path": str(tmp_path / "in" / name), "moved_to": str(moved)}
            facts = {
                "size": 8,
                "mtime_ns": moved.stat().st_mtime_ns,
                "sha256": "b" * 64,
                "state": "quarantined",
                "reason": "no sweep",
            }
            session.add(Arrival(**place, **facts, **times, radar=""))
        review = {"check": "azimuth_gap", "reason": "azimuth_gap 9 over 5 at 0.5 deg", "state": "waiting"}
        session.add(CheckReview(run_id=RUN["id"], opened_at=NOON, **review))
        shown = {"run_id": RUN["id"], "series": "KFWS", "file": "2.nc", "time": NOON}
        session.add(CheckResult(**shown, check="mean", flag=3, severity="warn", value=4.0, limit=3.0, place=""))
        bad = {"check": "azimuth_gap", "flag": 4, "severity": "block", "value": 9.0, "limit": 5.0, "place": "0.5 deg"}
        session.add(CheckResult(**shown, **bad))
    yield made
    made.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that a process was started for."""
    found: list[str] = []
    monkeypatch.setattr(decisions, "detach", lambda run, _config: found.append(run.id))
    return found


@pytest.fixture
def client(store: Store, tmp_path: Path, started: list[str]) -> Iterator[TestClient]:
    config = parse_config({"feeds": [{"name": "dfw", "path": "in"}]}, base=tmp_path)
    with client_of(store, tmp_path, config) as made:
        yield made


def decide(client: TestClient, name: str, word: str, key: str | None = None, reason: str = "a wind farm") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/v1/reviews/{name}/{word}", json={"reason": reason}, headers=headers)


def test_a_run_that_waits_says_which_values_kept_it_back(client: TestClient) -> None:
    found = {item["id"]: item for item in client.get("/v1/reviews").json()["items"]}
    assert len(found) == 3
    checks = found[RUN["id"]]["checks"]
    assert [(one["check"], one["value"], one["limit"], one["place"]) for one in checks] == [
        ("azimuth_gap", 9.0, 5.0, "0.5 deg"),
        ("mean", 4.0, 3.0, ""),
    ]
    assert client.get(f"/v1/reviews/{RUN['id']}").json() == found[RUN["id"]]
    assert {item["kind"] for item in client.get("/v1/reviews?feed=dfw").json()["items"]} == {"file"}


def test_a_file_is_released_once(client: TestClient, store: Store, tmp_path: Path) -> None:
    first = decide(client, "2", "release", "r")
    assert (first.status_code, first.json()["state"]) == (202, "released"), first.text
    assert (tmp_path / "in" / HOSTILE).read_bytes() == b"no radar"
    assert decide(client, "2", "release", "r").json() == first.json()
    refused = decide(client, "2", "release")
    assert (refused.status_code, refused.json()["detail"]) == (400, "it was released before")
    with store.reading() as session:
        (decision,) = session.scalars(select(RunDecision).where(RunDecision.action == "release"))
    assert decision.reason == "test by the API: a wind farm"


def test_a_file_is_dropped_for_good(client: TestClient, tmp_path: Path) -> None:
    assert decide(client, "1", "drop").json()["state"] == "dropped"
    assert not (tmp_path / "moved-0").exists()
    (item,) = client.get("/v1/reviews?state=dropped").json()["items"]
    assert item["reason"] == "no sweep; dropped: test by the API: a wind farm"


def test_a_run_goes_on_when_it_is_released(client: TestClient, store: Store, started: list[str]) -> None:
    assert decide(client, RUN["id"], "release", "r").json()["state"] == "released"
    assert decide(client, RUN["id"], "release", "r").status_code == 202
    assert started == [RUN["id"]]
    assert decide(client, RUN["id"], "drop").status_code == 400
    with store.reading() as session:
        assert session.get_one(CheckReview, RUN["id"]).note == "test by the API: a wind farm"
        assert session.get_one(Run, RUN["id"]).state == "created"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "a\nb"}, {"reason": 1}, {"reason": "x" * 256}, []])
def test_a_decision_has_a_reason(client: TestClient, body: Any) -> None:
    for word in ("release", "drop"):
        assert client.post(f"/v1/reviews/1/{word}", json=body).status_code == 422
    assert decide(client, "99", "drop").status_code == 404


def test_the_same_order_at_the_same_time_is_carried_out_once(store: Store) -> None:
    together, done = threading.Barrier(4), []

    def carry_out() -> dict[str, Any]:
        done.append(1)
        return {"number": len(done)}

    def give(_number: int) -> dict[str, Any]:
        together.wait()
        return Repeatable(store, "me", "key", ["order"]).once(carry_out)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(give, range(4))) == [{"number": 1}] * 4
    assert done == [1]
