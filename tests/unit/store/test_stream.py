"""What happens in a store is in its stream, in the order of commits, whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, inspect, text, update

from dynamo.errors import InputError
from dynamo.provision import ledger as fleet_ledger
from dynamo.provision.notes import FleetNote
from dynamo.runs.ledger import decide, move
from dynamo.store.engine import Store, open_store
from dynamo.store.migrations.versions.v0012_stream import _TRIGGERS
from dynamo.store.models import Arrival, Run
from dynamo.store.problems import ProblemRecord
from dynamo.store.stream import (
    KEPT,
    StreamPlace,
    StreamRow,
    begins_after,
    end_of_stream,
    place_in,
    prune_stream,
    read_stream,
)
from dynamo.times import utc_now
from tests.unit.api.serving import NOON, add_runs, run_row

START = StreamPlace(0, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


def happened(store: Store) -> list[tuple[str, str, dict[str, Any]]]:
    with store.reading() as session:
        return [(row.kind, row.subject, row.data) for row in read_stream(session, START, 1000)]


def test_a_run_is_told_from_its_creation_to_its_products(store: Store) -> None:
    run = run_row(1, state="running", published_at=None)
    add_runs(store, run)
    facts = {"workflow": "nowcast", "radar": "KFWS"}
    with store.transaction() as session:
        move(session, run["id"], "publishing")
    with store.transaction() as session:
        move(session, run["id"], "succeeded", published_at=NOON)
        # Nothing of this is news.
        session.execute(update(Run).values(priority=3, state="succeeded", published_at=NOON))
    assert sorted(map(str, happened(store))) == sorted(
        map(
            str,
            [
                ("run", run["id"], {"state": "running", **facts, "trigger": "storms"}),
                ("run", run["id"], {"state": "publishing", **facts, "trigger": "storms"}),
                ("run", run["id"], {"state": "succeeded", **facts, "trigger": "storms"}),
                ("product", run["id"], facts),
            ],
        )
    )


def test_what_is_rolled_back_is_not_told(store: Store) -> None:
    with store.transaction() as session:
        decide(session, "run", "start", "why")
        session.flush()
        session.rollback()
    assert happened(store) == []


def test_all_else_is_told_once(store: Store) -> None:
    now = utc_now()
    with store.transaction() as session:
        times = {"detected_at": now, "recorded_at": now}
        arrival = Arrival(feed="dfw", path="/a", size=1, mtime_ns=1, state="quarantined", radar="KFWS", **times)
        problem = ProblemRecord(subject="feed:dfw", kind="late", reason="r", opened_at=now, told=False)
        session.add_all([arrival, problem])
        session.flush()
        arrival.state = "released"
        problem.told = True
        session.flush()
        problem.closed_at = now
        session.flush()
        decide(session, "/a", "quarantine", "why")
        session.flush()
        fleet_ledger.note(session, "storms", [FleetNote("api", "scaled")], now)
    assert happened(store) == [
        ("arrival", "1", {"state": "quarantined", "feed": "dfw", "radar": "KFWS"}),
        ("problem", "feed:dfw", {"id": 1, "state": "late", "open": 1}),
        ("arrival", "1", {"state": "released", "feed": "dfw", "radar": "KFWS"}),
        ("problem", "feed:dfw", {"id": 1, "state": "late", "open": 0}),
        ("decision", "/a", {"id": 1, "action": "quarantine"}),
        ("fleet", "storms", {"id": 1, "action": "api", "site": "", "worker": ""}),
    ]


def test_reading_goes_on_from_a_place(store: Store) -> None:
    with store.reading() as session:
        assert end_of_stream(session) == START
    for number in range(5):
        with store.transaction() as session:
            decide(session, str(number), "start", "why")
    with store.reading() as session:
        first = read_stream(session, START, 2)
        place = StreamPlace(first[-1].xid, first[-1].id)
        assert [row.subject for row in read_stream(session, place, 9)] == ["2", "3", "4"]
        assert not begins_after(session, place)
        assert place_in(str(place)) == place
    for wrong in ("", "5", "-5", "a-b", "1-2-3", "1-" + "9" * 60):
        with pytest.raises(InputError):
            place_in(wrong)


def test_old_rows_go_and_their_numbers_do_not_come_back(store: Store) -> None:
    now = utc_now()
    for number in range(3):
        with store.transaction() as session:
            decide(session, str(number), "start", "why")
    with store.transaction() as session:
        session.execute(update(StreamRow).where(StreamRow.id < 3).values(at=now - KEPT - timedelta(minutes=1)))
    assert prune_stream(store, now) == 2
    with store.reading() as session:
        assert begins_after(session, StreamPlace(0, 2))
        assert not begins_after(session, StreamPlace(0, 3))
    with store.transaction() as session:
        session.execute(delete(StreamRow))
        decide(session, "next", "start", "why")
    with store.reading() as session:
        assert [row.id for row in read_stream(session, START, 9)] == [4]


def test_times_of_the_database_are_ours(store: Store) -> None:
    before = utc_now() - timedelta(seconds=1)
    with store.transaction() as session:
        decide(session, "x", "start", "why")
    with store.reading() as session:
        (row,) = read_stream(session, START, 9)
    assert before <= row.at <= utc_now() + timedelta(seconds=1)


def test_no_migration_has_lost_a_trigger(store: Store) -> None:
    with store.reading() as session:
        found = set(session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    assert found == {f"stream_{name}" for name, *_ in _TRIGGERS}
    tables = set(inspect(store.engine).get_table_names())
    assert {table for _, table, *_ in _TRIGGERS} <= tables
