"""One answer for all who ask the same within a moment."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dynamo.api.app import make_app
from dynamo.api.kept.shared import Shared
from dynamo.api.run import orders
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token
from dynamo.store.engine import open_store
from tests.unit.api.serving import add_runs, run_row

LONG = 1e6


def test_who_asks_while_an_answer_is_made_waits_for_it() -> None:
    shared, begun, go_on = Shared(LONG), threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> bytes:
        begun.set()
        assert go_on.wait(60)
        made.append(1)
        return b"answer"

    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(shared.get("runs", make))) for _ in range(20)]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert (found, made) == (20 * [b"answer"], [1])
    assert shared.get("feeds", lambda: b"other") == b"other"


def test_a_failure_is_nobody_elses() -> None:
    shared = Shared(LONG)

    def fail() -> bytes:
        raise ValueError("no store")

    with pytest.raises(ValueError, match="no store"):
        shared.get("runs", fail)
    assert shared.get("runs", lambda: b"answer") == b"answer"


def test_what_is_old_or_forgotten_is_made_anew() -> None:
    answers = iter((b"1", b"2", b"3"))
    shared = Shared(LONG)
    assert [shared.get("runs", lambda: next(answers)) for _ in range(2)] == [b"1", b"1"]
    shared.forget()
    assert shared.get("runs", lambda: next(answers)) == b"2"
    assert Shared(0.0).get("runs", lambda: next(answers)) == b"3"


def test_answers_do_not_pile_up() -> None:
    shared = Shared(LONG)
    for number in range(1000):
        shared.get(str(number), lambda: b"")
    assert len(shared._known) == 100


def test_whoever_orders_sees_the_change_and_tags_are_each_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What works on a run is another process.
    monkeypatch.setattr(orders, "detach", lambda *_: None)
    store = open_store(tmp_path / "store.sqlite")
    add_runs(store, run_row(1, state="failed"))
    with store.transaction() as session:
        token = create_token(session, "test", ("write",))
    app = make_app(store, tmp_path, replace(ApiSettings(), shared_s=LONG))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        first = client.get("/v1/runs")
        assert [item["state"] for item in first.json()["items"]] == ["failed"]
        tag = {"If-None-Match": first.headers["etag"]}
        assert client.get("/v1/runs", headers=tag).status_code == 304
        add_runs(store, run_row(2, state="running"))
        assert client.get("/v1/runs").json() == first.json()
        assert client.post("/v1/runs/none/cancel").status_code == 404
        assert client.get("/v1/runs").json() == first.json()
        assert client.post("/v1/runs/" + first.json()["items"][0]["id"] + "/retry").status_code == 202
        assert len(client.get("/v1/runs").json()["items"]) == 2
        assert client.get("/v1/runs?limit=1").json()["next"]
    store.close()
