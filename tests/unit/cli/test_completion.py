from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from dynamo.runs.series import count_arrival
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run, StoredDocument

CONFIG = """
[alerts]
places = "places.geojson"
[[alerts.channels]]
name = "desk"
kind = "file"
path = "alerts.jsonl"
[[feeds]]
name = "nowcasts"
path = "incoming"
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    return tmp_path


def complete(words: str) -> list[str]:
    count = len(words.split()) + (1 if words.endswith(" ") else 0)
    environment = {"_DYNAMO_COMPLETE": "complete_bash", "COMP_WORDS": f"dynamo {words}", "COMP_CWORD": str(count)}
    result = CliRunner().invoke(register_all(), [], prog_name="dynamo", env=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


def run_named(name: str, when: datetime) -> Run:
    return Run(
        id=name,
        key=name,
        workflow="nowcast",
        version="1",
        document="doc",
        engine="local",
        state="created",
        inputs=[],
        parameters={},
        run_dir="",
        software="",
        closed_at=when,
        created_at=when,
        updated_at=when,
    )


def test_names_of_parts_and_of_the_configuration() -> None:
    assert complete("submit now") == ["nowcast"]
    assert complete("workflow plan hail_") == ["hail_composite"]
    assert complete("submit nowcast --engine co") == ["condor"]
    assert "contour" in complete("module show c")
    assert complete("autoscale policies pre") == ["predictive"]
    assert complete("alerts test ") == ["desk"]
    assert complete("triggers pause s") == ["storms"]


def test_workflow_files_and_folders(here: Path) -> None:
    (here / "mine.json").write_text("{}")
    (here / "notes.txt").write_text("")
    (here / "my").mkdir()
    (here / "my" / "other.yml").write_text("")
    assert complete("submit m") == ["mine.json", "my/"]
    assert complete("submit my/") == ["my/other.yml"]


def test_runs_of_an_existing_store(here: Path) -> None:
    assert complete("runs show ") == []
    assert not (here / ".dynamo").exists()
    store = open_store(here / ".dynamo" / "store.sqlite")
    when = datetime(2026, 5, 20, tzinfo=UTC)
    with store.transaction() as session:
        session.add(StoredDocument(sha256="doc", name="nowcast", version="1", body={}, recorded_at=when))
        session.flush()
        for name in ("abc123", "abd456"):
            session.add(run_named(name, when))
    store.close()
    assert sorted(complete("runs show ab")) == ["abc123", "abd456"]
    assert complete("runs cancel abc") == ["abc123"]


def test_what_lists_are_narrowed_by(here: Path) -> None:
    assert complete("runs list --state s") == ["submitted", "succeeded", "skipped"]
    assert complete("store arrivals --state d") == ["duplicate", "dropped"]
    assert complete("freshness --state s") == ["silent"]
    assert complete("backfill list --state a") == ["active"]
    assert complete("products list --tier ") == ["hot", "warm"]
    assert complete("runs list --feed ") == ["nowcasts"]
    assert complete("store decisions --trigger ") == ["storms"]
    assert complete("runs list --workflow n") == ["nowcast"]
    assert complete("backfill start n") == ["nowcast"]
    assert complete("backfill start s") == ["storms"]
    assert complete("runs list --radar ") == []
    assert complete("assets show ") == []
    store = open_store(here / ".dynamo" / "store.sqlite")
    when = datetime(2026, 5, 20, tzinfo=UTC)
    times = dict.fromkeys(("valid_at", "closed_at", "detected_at", "recorded_at"), when)
    with store.transaction() as session:
        for number, state in enumerate(("accepted", "quarantined")):
            words = {"feed": "nowcasts", "path": f"{number}", "state": state, "radar": "KFWS"}
            arrival = Arrival(size=1, mtime_ns=1, **words, **times)
            session.add(arrival)
            session.flush()
            count_arrival(session, arrival)
    store.close()
    assert complete("runs list --radar K") == ["KFWS"]
    assert complete("backfill start storms --radar ") == ["KFWS"]
    assert complete("assets show nowcasts") == ["nowcasts"]
    assert complete("quarantine show ") == ["2"]


@pytest.mark.parametrize("words", ["runs show ", "alerts test "])
def test_a_broken_configuration_completes_nothing(here: Path, words: str) -> None:
    (here / "dynamo.toml").write_text("[broken")
    assert complete(words) == []
