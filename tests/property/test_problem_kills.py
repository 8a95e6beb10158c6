"""A problem opens once and closes once, with one message each, wherever the daemon is killed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.assets.freshness import Freshness, State
from dynamo.assets.problems import ProblemBook
from dynamo.assets.watched import States, Subject
from dynamo.files import write_text
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.engine import open_store
from dynamo.store.problems import ProblemRecord
from tests.property.kill_site import Points
from tests.property.test_fleet_kills import in_a_process

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
RADARS = [Subject("feed", "sweeps", radar=radar) for radar in ("KFWS", "KLBB")]


def states(state: State, now: datetime) -> States:
    due_at = now if state in (State.LATE, State.SILENT) else None
    return dict.fromkeys(RADARS, Freshness(state, f"it is {state}", due_at))


def live(folder: Path, deadly: int) -> None:
    """Go through an outage from its beginning; what was done before a kill is done again."""
    points = Points(deadly)
    store = open_store(folder / "store.sqlite")
    points.watch_commits()
    book = ProblemBook(store, ["ops", "chat"])
    minutes = folder / "minute"
    begun = int(minutes.read_text()) if minutes.exists() else 0
    for minute, state in enumerate((State.FRESH, State.LATE, State.SILENT, State.FRESH)):
        if minute >= begun:
            # Time does not go back.
            write_text(minutes, str(minute))
            now = NOW + timedelta(minutes=minute)
            book.settle(states(state, now), now)
    store.close()


@pytest.mark.slow
def test_a_problem_opens_and_closes_once_wherever_the_daemon_is_killed(tmp_path: Path) -> None:
    empty = tmp_path / "store.sqlite"
    open_store(empty).close()
    deadly, ended = 0, False
    while not ended:
        deadly += 1
        folder = tmp_path / str(deadly)
        folder.mkdir()
        shutil.copy(empty, folder)
        ended = in_a_process(partial(live, folder, deadly))
        assert ended or in_a_process(partial(live, folder, 0))
        store = open_store(folder / "store.sqlite")
        with store.reading() as session:
            problems = session.scalars(select(ProblemRecord).order_by(ProblemRecord.subject)).all()
            messages = session.scalars(select(AlertMessage)).all()
            deliveries = session.scalars(select(AlertDelivery.channel)).all()
        store.close()
        assert [(p.subject, p.kind, p.closed_at is not None) for p in problems] == [
            ("feed:sweeps/KFWS", "silent", True),
            ("feed:sweeps/KLBB", "silent", True),
        ]
        assert sorted((m.place, m.kind) for m in messages) == [
            (f"feed:sweeps/{radar}", kind) for radar in ("KFWS", "KLBB") for kind in ("over", "start")
        ]
        assert sorted(deliveries) == ["chat"] * 4 + ["ops"] * 4
    # Each of six changes has a point before and after its commit.
    assert deadly > 12


def test_a_subject_with_a_very_long_name_has_one_problem(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    book = ProblemBook(store, ["ops"])
    late = {Subject("workflow", "w" * 200, "t" * 200, "KFWS"): Freshness(State.LATE, "late", NOW)}
    assert [book.settle(late, NOW) for _ in range(3)] == [1, 0, 0]
    assert [book.settle({}, NOW) for _ in range(2)] == [1, 0]
    store.close()


def test_two_daemons_open_one_problem(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    first, second = ProblemBook(store, ["ops"]), ProblemBook(store, ["ops"])
    late = states(State.LATE, NOW)
    assert first.settle(late, NOW, may_open=False) == 0
    assert first.settle(late, NOW) == 2
    assert second.settle(late, NOW) == 0
    with store.transaction() as session:
        assert not second._open(session, str(RADARS[0]), late[RADARS[0]], NOW)
    # What is no longer watched is over; nothing else says so.
    assert second.settle({}, NOW) == 2
    with store.reading() as session:
        assert set(session.scalars(select(ProblemRecord.ending))) == {"it is no longer watched"}
    second.tidy(NOW + timedelta(seconds=1))
    with store.reading() as session:
        assert not session.scalars(select(ProblemRecord)).all()
        assert not session.scalars(select(AlertDelivery)).all()
    store.close()
