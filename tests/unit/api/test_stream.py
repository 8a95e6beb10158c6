"""The stream over real HTTP: every event once and in order, from the last one seen on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import update

from dynamo.api.live import stream
from dynamo.api.opening import open_api
from dynamo.api.server import ApiServer
from dynamo.api.tokens import create_token, revoke_token
from dynamo.config.file import Config
from dynamo.runs.ledger import decide
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Run
from dynamo.store.stream import KEPT, StreamRow, prune_stream
from dynamo.times import utc_now
from tests.unit.api.serving import add_runs, run_row
from tests.waiting import PATIENCE, wait_for

#: A server with viewers that come and go.
pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[ApiServer]:
    made = open_api(store, Config(base=tmp_path), "127.0.0.1:0")
    yield made
    made.stop()
    assert not made.running


def write(store: Store, *subjects: str) -> None:
    for subject in subjects:
        with store.transaction() as session:
            decide(session, subject, "start", "why")


class Viewer(threading.Thread):
    """Watches until it has seen an event about a subject."""

    def __init__(self, server: ApiServer, last: str, last_id: str = "") -> None:
        super().__init__(daemon=True)
        self._url, self._last = f"{server.url}/v1/stream", last
        self.headers = {"Last-Event-ID": last_id} if last_id else {}
        self.entered = threading.Event()
        self.first: dict[str, str] = {}
        self.seen: list[dict[str, Any]] = []

    def run(self) -> None:
        with httpx.stream("GET", self._url, headers=self.headers, timeout=PATIENCE * 10) as answer:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "event" in fields:
                    self.first = fields
                    self.entered.set()
                elif "data" in fields:
                    self.seen.append(orjson.loads(fields["data"]))
                    assert self.seen[-1]["id"] == fields["id"]
                    if self.seen[-1]["subject"] == self._last:
                        return
                fields = {}

    @property
    def subjects(self) -> list[str]:
        """What it has seen, once it has ended."""
        self.join(PATIENCE * 10)
        assert not self.is_alive()
        return [event["subject"] for event in self.seen]


def entered(viewer: Viewer) -> Viewer:
    viewer.start()
    assert viewer.entered.wait(PATIENCE * 10)
    return viewer


def test_all_who_watch_see_each_event_once_in_order(server: ApiServer, store: Store) -> None:
    write(store, "before")
    viewers = [entered(Viewer(server, "last")) for _ in range(5)]
    told = [f"line {number}\nid: 9-9\n" for number in range(40)]
    write(store, *told, "last")
    for viewer in viewers:
        assert viewer.first["event"] == "ready"
        assert viewer.subjects == [*told, "last"]
    assert viewers[0].seen[0]["kind"] == "decision"
    assert viewers[0].seen[0]["data"]["action"] == "start"


def test_events_of_runs_bring_them_as_lists_show_them(server: ApiServer, store: Store) -> None:
    viewer = entered(Viewer(server, "last"))
    add_runs(store, run_row(1, state="running"), run_row(2, state="failed"))
    with store.transaction() as session:
        session.execute(update(Run).where(Run.state == "running").values(state="publishing"))
    write(store, "last")
    assert viewer.subjects[-1] == "last"
    last = {event["subject"]: event.get("item") for event in viewer.seen}
    assert last.pop("last") is None
    listed = httpx.get(f"{server.url}/v1/runs", headers=viewer.headers).json()["items"]
    assert {item["id"]: item for item in listed} == last
    assert sorted(item["state"] for item in listed) == ["failed", "publishing"]


def test_a_viewer_goes_on_where_it_was(server: ApiServer, store: Store) -> None:
    first = entered(Viewer(server, "b"))
    write(store, "a", "b", "c", "d")
    assert first.subjects == ["a", "b"]
    # Something else goes on watching, so that the server remembers more than this one asks for.
    other = entered(Viewer(server, "e"))
    again = entered(Viewer(server, "e", first.seen[-1]["id"]))
    assert again.first == {"id": first.seen[-1]["id"], "event": "ready", "data": "{}"}
    write(store, "e")
    assert again.subjects == ["c", "d", "e"]
    assert other.subjects == ["e"]
    # From the place of its first event, before anything was told.
    assert entered(Viewer(server, "c", other.first["id"].replace("4", "2"))).subjects == ["c"]


def test_who_may_look_no_more_is_told_no_more(server: ApiServer, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KNOWN_S", 0.0)
    with store.transaction() as session:
        token = create_token(session, "screen", ["read"])
    stays, goes = Viewer(server, "last"), Viewer(server, "last")
    goes.headers["Authorization"] = f"Bearer {token}"
    for viewer in (entered(stays), entered(goes)):
        assert viewer.first["event"] == "ready"
    write(store, "one")
    wait_for(lambda: len(goes.seen) == 1, what="the first event")
    with store.transaction() as session:
        revoke_token(session, "screen")
    write(store, "two", "last")
    assert stays.subjects == ["one", "two", "last"]
    assert goes.subjects == ["one"]


def test_who_was_away_for_too_long_begins_anew(server: ApiServer, store: Store) -> None:
    write(store, "a", "b", "c")
    with store.transaction() as session:
        session.execute(update(StreamRow).where(StreamRow.id < 3).values(at=utc_now() - KEPT - timedelta(minutes=1)))
    prune_stream(store, utc_now())
    late = entered(Viewer(server, "d", "0-1"))
    alien = entered(Viewer(server, "d", "7-77"))
    write(store, "d")
    for viewer in (late, alien):
        assert viewer.first["event"] == "reset"
        assert viewer.subjects == ["d"]
    answer = httpx.get(f"{server.url}/v1/stream", headers={"Last-Event-ID": "nonsense"})
    assert answer.status_code == 422


def test_a_server_that_stops_lets_its_viewers_go(store: Store, tmp_path: Path) -> None:
    server = open_api(store, Config(base=tmp_path), "127.0.0.1:0")
    viewer = entered(Viewer(server, "never"))
    server.stop()
    assert not server.running
    assert viewer.subjects == []
