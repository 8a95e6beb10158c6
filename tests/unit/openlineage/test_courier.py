"""OpenLineage events leave in their own time, at least once, whatever the other side does."""

from __future__ import annotations

import http.server
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from dynamo.config.provenance import ProvenanceSection
from dynamo.errors import NotFoundError, RetryableError
from dynamo.openlineage import courier as courier_module
from dynamo.openlineage.courier import LineageCourier
from dynamo.openlineage.targets import Target, make_target
from dynamo.runs.ledger import TELLS_STEPS, move
from dynamo.store.engine import Store, open_store
from dynamo.store.lineage import UntoldStep
from dynamo.store.models import Run, StoredDocument
from dynamo.times import utc_now

NOW = datetime(2026, 4, 1, 18, 2, tzinfo=UTC)


def store_runs(path: Path, count: int, *, tells: bool = True) -> Store:
    """Return a store in which ``count`` runs have been submitted and have failed."""
    store = open_store(path)
    store.info[TELLS_STEPS] = tells
    with store.transaction() as session:
        session.add(StoredDocument(sha256="d", name="nowcast", version="1", body={}, recorded_at=NOW))
    for number in range(count):
        name = f"{number:012}"
        with store.transaction() as session:
            run = Run(id=name, key=name, workflow="nowcast", version="1", document="d", engine="local")
            run.state, run.inputs, run.parameters, run.run_dir, run.software = "planned", [], {}, "/x", "dynamo 0.1.0"
            run.created_at = run.updated_at = NOW
            session.add(run)
        with store.transaction() as session:
            assert move(session, name, "submitted", attempts=1, submitted_at=utc_now())
        with store.transaction() as session:
            assert move(session, name, "failed", reason="disk full")
            assert not move(session, name, "failed", reason="a second time")
    return store


class Memory:
    """A target that refuses some runs."""

    def __init__(self, *refused: str) -> None:
        self.got: list[tuple[str, str]] = []
        self.refused = refused

    def send(self, event: Mapping[str, Any]) -> None:
        run = event["run"]["facets"]["dynamo_run"]["run"]
        if run in self.refused or "*" in self.refused:
            raise RetryableError("the server answered 422")
        self.got.append((run, event["eventType"]))


def courier(store: Store, target: Target, keep_days: float = 30.0) -> LineageCourier:
    return LineageCourier(store, target, namespace="test", keep_days=keep_days)


def waiting(store: Store) -> list[str]:
    with store.reading() as session:
        return list(session.scalars(select(UntoldStep.run_id).order_by(UntoldStep.id)))


def test_each_step_is_told_once_and_in_order(tmp_path: Path) -> None:
    store, memory = store_runs(tmp_path / "s", 2), Memory()
    assert courier(store, memory).deliver() == 4
    runs = ("000000000000", "000000000001")
    assert memory.got == [(run, kind) for run in runs for kind in ("START", "FAIL")]
    assert waiting(store) == []
    assert courier(store, memory).deliver() == 0


def test_nothing_is_stored_where_nobody_is_told(tmp_path: Path) -> None:
    assert waiting(store_runs(tmp_path / "s", 2, tells=False)) == []


def test_what_the_server_refuses_does_not_hold_up_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "_FIRST_PAUSE_S", 0.0)
    store, memory = store_runs(tmp_path / "s", 3), Memory("000000000000")
    sender = courier(store, memory)
    for _ in range(3):
        # What it gives up for now is tried again only behind the others.
        sender._send(sender._next())
    assert [run for run, _ in memory.got] == ["000000000001"] * 2 + ["000000000002"] * 2
    assert waiting(store) == ["000000000000"] * 2


def test_after_a_failure_it_waits_and_loses_nothing(tmp_path: Path) -> None:
    store, memory = store_runs(tmp_path / "s", 1), Memory("*")
    sender = courier(store, memory)
    assert (sender.deliver(), sender.deliver(), memory.got) == (0, 0, [])
    assert len(waiting(store)) == 2
    memory.refused = ()
    assert courier(store, memory).deliver() == 2


def test_what_cannot_be_told_for_too_long_is_given_up(tmp_path: Path) -> None:
    store, memory = store_runs(tmp_path / "s", 1), Memory()
    with store.transaction() as session:
        for step in session.scalars(select(UntoldStep).where(UntoldStep.kind == "START")):
            step.at = utc_now() - timedelta(days=31)
    courier(store, memory).deliver()
    assert memory.got == [("000000000000", "FAIL")]
    assert waiting(store) == []


def deliver_and_die(path: Path, out: Path) -> None:
    """Be killed when three events have been written, and none is known to have been."""
    target = make_target(ProvenanceSection(openlineage=f"file:{out}"), path.parent)
    assert target is not None
    send = target.send
    sent: list[object] = []

    class Dying:
        def send(self, event: Mapping[str, Any]) -> None:
            send(event)
            sent.append(event)
            if len(sent) == 3:
                os._exit(9)

    courier(open_store(path), Dying()).deliver()


def test_a_killed_courier_loses_nothing_and_a_file_gets_nothing_twice(tmp_path: Path) -> None:
    path, out = tmp_path / "s", tmp_path / "events.jsonl"
    store = store_runs(path, 3)
    child = multiprocessing.get_context("spawn").Process(target=deliver_and_die, args=(path, out))
    child.start()
    child.join()
    assert (child.exitcode, len(waiting(store))) == (9, 6)
    target = make_target(ProvenanceSection(openlineage="file:events.jsonl"), tmp_path)
    assert target is not None
    courier(store, target).deliver()
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [event["eventType"] for event in events] == ["START", "FAIL"] * 3
    assert len({event["run"]["runId"] for event in events}) == 3


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    """An HTTP server, and what it got: path, authorization, body."""
    got: list[tuple[str, str | None, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Authorization"], body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}", got
    listening.shutdown()
    listening.server_close()


def test_a_server_gets_events_with_the_token_of_the_moment(
    server: tuple[str, list[Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, got = server
    caplog.set_level(logging.DEBUG)
    token = tmp_path / "token"
    section = ProvenanceSection(openlineage=url, token_file="token")
    target = make_target(section, tmp_path)
    assert target is not None
    with pytest.raises(NotFoundError, match="token_file"):
        target.send({})
    for secret in ("swordfish", "hunter22"):
        token.write_text(secret + "\n")
        target.send({"eventType": "START"})
    assert got == [
        ("/api/v1/lineage", f"Bearer {secret}", {"eventType": "START"}) for secret in ("swordfish", "hunter22")
    ]
    assert "swordfish" not in caplog.text


def test_an_address_with_a_path_is_taken_as_it_is(server: tuple[str, list[Any]], tmp_path: Path) -> None:
    url, got = server
    target = make_target(ProvenanceSection(openlineage=f"{url}/own/path?x=1"), tmp_path)
    assert target is not None
    target.send({})
    assert got[0][:2] == ("/own/path?x=1", None)


def test_without_an_address_nobody_is_told(tmp_path: Path) -> None:
    assert make_target(ProvenanceSection(), tmp_path) is None
