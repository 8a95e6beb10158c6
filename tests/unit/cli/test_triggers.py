"""`dynamo triggers`: lists, next runs of schedules, pauses that reach the decisions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from dynamo.errors import NotFoundError
from dynamo.store.engine import open_store
from dynamo.store.models import RunDecision
from dynamo.triggers.pausing import pause, pause_of, pauses, resume

CONFIG = """
[[feeds]]
name = "a"
path = "."

[[triggers]]
name = "storms"
feed = "a"
workflow = "nowcast"

[[triggers]]
name = "hourly"
kind = "schedule"
feed = "a"
workflow = "nowcast"
at_minutes = [0, 30]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two triggers."""
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    return tmp_path


def triggers(*words: str) -> str:
    result = CliRunner().invoke(register_all(), ["triggers", *words])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_schedules_show_their_next_runs_and_nothing_is_made(project: Path) -> None:
    storms, hourly = json.loads(triggers("list", "--next", "3", "--json"))
    assert (storms["name"], storms["state"], storms["next"]) == ("storms", "active", [])
    times = [datetime.fromisoformat(text) for text in hourly["next"]]
    assert [time.minute % 30 for time in times] == [0, 0, 0]
    assert times[1] - times[0] == times[2] - times[1] == timedelta(minutes=30)
    assert timedelta() < times[0] - datetime.now(UTC) + timedelta(minutes=1) <= timedelta(minutes=31)
    assert [path.name for path in project.iterdir()] == ["dynamo.toml"]
    assert "hourly" in triggers("list")


def test_a_pause_is_shown_until_it_ends() -> None:
    assert triggers("pause", "storms", "--reason", "radar down").rstrip().endswith(": radar down")
    assert "as before" in triggers("pause", "storms")
    storms, hourly = json.loads(triggers("list", "--json"))
    assert storms["state"] == "paused"
    assert storms["paused"].endswith(": radar down")
    assert hourly["state"] == "active"
    assert triggers("resume", "storms") == "trigger storms: active\n"
    assert "as before" in triggers("resume", "storms")
    assert {item["state"] for item in json.loads(triggers("list", "--json"))} == {"active"}


def test_an_unknown_trigger_is_named_with_the_nearest() -> None:
    for action in ("pause", "resume"):
        with pytest.raises(NotFoundError, match="did you mean storms"):
            triggers(action, "storm")


def test_pauses_are_kept_with_a_decision_each(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    now = datetime(2026, 5, 20, tzinfo=UTC)
    with store.transaction() as session:
        assert pause(session, "t_1", "", now)
        assert not pause(session, "t_1", "again", now)
        assert pause_of(session, "tx1") is None
        assert {name: item.since for name, item in pauses(session).items()} == {"t_1": now}
        assert resume(session, "t_1")
        assert not resume(session, "t_1")
        assert session.scalars(select(RunDecision.action).order_by(RunDecision.id)).all() == ["pause", "resume"]
    store.close()
