"""`dynamo status`: one screen, whatever there is in the store, and while no daemon runs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dynamo.cli import console, status
from dynamo.cli.console import VisibleConsole
from dynamo.cli.main import register_all
from dynamo.cli.status import screen, shares
from dynamo.config.file import Config, parse_config
from dynamo.errors import RetryableError
from dynamo.overview import Overview, overview
from dynamo.runs.series import count_arrival
from dynamo.store.engine import Store, open_store
from dynamo.store.lease import StoreLease
from dynamo.store.models import Arrival, Run, StoredDocument
from dynamo.store.problems import ProblemRecord
from dynamo.times import utc_now

FILE = '[[feeds]]\nname = "sweeps"\npath = "in"\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    (tmp_path / "dynamo.toml").write_text(FILE)
    return open_store(tmp_path / ".dynamo" / "store.sqlite")


def config_of(folder: Path, radars: int = 0) -> Config:
    expect = [f"K{number:03}" for number in range(radars)]
    return parse_config({"feeds": [{"name": "sweeps", "path": "in", "expect": expect}]}, base=folder)


def put_run(store: Store, name: str, state: str, created_at: datetime) -> None:
    rest: dict[str, Any] = {"inputs": [], "parameters": {}, "run_dir": "", "software": "", "engine": "local"}
    with store.transaction() as session:
        if session.get(StoredDocument, "d") is None:
            session.add(StoredDocument(sha256="d", name="hail", version="1", body={}, recorded_at=created_at))
            session.flush()
        times = {"created_at": created_at, "updated_at": created_at}
        session.add(Run(id=name, key=name, workflow="hail", version="1", document="d", state=state, **times, **rest))


def seen_in(store: Store, config: Config, now: datetime) -> Overview:
    with store.reading() as session:
        return overview(config, session, now)


def lines_of(seen: Overview, lines: int = 23) -> list[str]:
    paper = Console(width=80, soft_wrap=True, file=io.StringIO(), record=True)
    paper.print(screen(seen, lines))
    return paper.export_text().splitlines()


def test_facts_of_the_store(store: Store, tmp_path: Path) -> None:
    now = utc_now()
    put_run(store, "old", "succeeded", now - timedelta(hours=25))
    put_run(store, "new", "succeeded", now - timedelta(hours=23))
    put_run(store, "left", "created", now - timedelta(days=3))
    put_run(store, "works", "running", now)
    seen = seen_in(store, config_of(tmp_path), now)
    assert seen.runs == {"succeeded": 1, "running": 1}
    assert (seen.waiting, seen.at_work, [run.id for run in seen.running]) == (1, 1, ["works"])
    assert [(d.name, d.alive, d.needed, d.seen_at) for d in seen.daemons] == [("watch", False, True, None)]
    assert seen.troubles == ("dynamo watch is down",)
    lease = StoreLease(store)
    lease.take()
    (daemon,) = seen_in(store, config_of(tmp_path), utc_now()).daemons
    assert daemon.alive
    assert daemon.since is not None
    assert daemon.since <= utc_now()
    assert not seen_in(store, config_of(tmp_path), utc_now()).troubles
    lease.give_back()
    # Without feeds and triggers nothing is missing.
    assert seen_in(store, parse_config({}, base=tmp_path), now).daemons == ()
    store.close()


def test_it_fits_24_lines_of_80_however_much_there_is(store: Store, tmp_path: Path) -> None:
    now = utc_now()
    for number in range(60):
        put_run(store, f"run{number:02}", "running", now - timedelta(seconds=number))
    with store.transaction() as session:
        for number in range(60):
            about = {"subject": f"job:{number}-{'long ' * 9}", "kind": "failed", "reason": "because " * 40}
            session.add(ProblemRecord(opened_at=now - timedelta(days=number), told=False, ending="", **about))
    seen = seen_in(store, config_of(tmp_path, radars=40), now)
    lines = lines_of(seen)
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert "dynamo watch is down; 60 open problems" in lines[1]
    # Of 12 rows, each list has 4, the last of which tells of the others.
    assert [line for line in map(str.strip, lines) if line.startswith("and ")] == [
        "and 37 more",
        "and 57 more",
        "and 57 more",
    ]
    assert any(line.startswith("run00 ") for line in lines)
    assert len(lines_of(seen, 200)) > 120
    store.close()


def test_room_is_shared() -> None:
    assert shares([2, 30, 9], 14) == [2, 6, 6]
    assert shares([1, 1], 14) == [1, 1]
    assert shares([5, 5, 5], 0) == [1, 1, 1]


def test_exit_codes_and_json(store: Store) -> None:
    store.close()
    result = CliRunner().invoke(register_all(), ["status"])
    assert result.exit_code == 1
    assert "dynamo watch down" in result.output
    result = CliRunner().invoke(register_all(), ["status", "--json"])
    assert result.exit_code == 1
    data = orjson.loads(result.stdout)
    assert data["troubles"] == ["dynamo watch is down"]
    assert data["now"].endswith("Z")
    Path("dynamo.toml").write_text("")
    result = CliRunner().invoke(register_all(), ["status"])
    assert (result.exit_code, "all is well" in result.output) == (0, True)


def test_watching_ends_cleanly_and_outlasts_a_store_that_does_not_answer(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = io.StringIO()
    terminal = VisibleConsole(file=paper, force_terminal=True, width=80, height=24, soft_wrap=True)
    monkeypatch.setattr(console, "out", terminal)
    now = datetime(2026, 5, 20, 18, 0, tzinfo=UTC)
    looks = itertools.count()

    def look() -> Overview:
        number = next(looks)
        if number == 1:
            raise RetryableError("the store does not answer")
        if number == 3:
            raise KeyboardInterrupt
        return seen_in(store, config_of(tmp_path), now + timedelta(seconds=number))

    class Looking:
        def __enter__(self) -> Callable[[], Overview]:
            return look

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(status, "_looking", lambda _config: Looking())
    result = CliRunner().invoke(register_all(), ["status", "--watch", "--every", "0.2"])
    assert (result.exit_code, result.exception) == (0, None)
    shown = paper.getvalue()
    for words in ("18:00:00 UTC", "the store does not answer", "18:00:02 UTC"):
        assert words in shown
    # In place: on the screen beside the user's, which comes back at the end, with its cursor.
    assert shown.count("\x1b[?1049h") == shown.count("\x1b[?1049l") == 1
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    store.close()


def test_data_that_are_late_are_told_while_the_daemon_is_down(store: Store, tmp_path: Path) -> None:
    now = utc_now()
    with store.transaction() as session:
        for number in range(6):
            at = now - timedelta(hours=3, minutes=number)
            times = dict.fromkeys(("valid_at", "closed_at", "detected_at", "recorded_at"), at)
            words = {"feed": "sweeps", "path": f"{number}", "state": "accepted", "radar": "K000"}
            arrival = Arrival(size=1, mtime_ns=1, **words, **times)
            session.add(arrival)
            session.flush()
            count_arrival(session, arrival)
    seen = seen_in(store, config_of(tmp_path, radars=1), now)
    assert [(item.subject, item.state, item.is_problem) for item in seen.data] == [("feed:sweeps/K000", "silent", True)]
    assert seen.troubles == ("dynamo watch is down", "1 overdue or failed")
    store.close()
