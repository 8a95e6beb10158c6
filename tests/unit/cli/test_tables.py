"""Tables at 80 columns: IDs and names stay on one line; lists without entries say where they looked."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dynamo.cli import console
from dynamo.cli.console import VisibleConsole
from dynamo.cli.fleet.main import register_all as provision
from dynamo.cli.fleet.tables import status_tables
from dynamo.cli.main import register_all
from dynamo.cli.tables import Column, Rows, extra, fitted, located, named, print_table, prose, worded
from dynamo.errors import NotFoundError
from dynamo.provision.status import FleetStatus, GroupStatus, WorkerStatus
from dynamo.runs import ledger
from dynamo.store.engine import open_store
from dynamo.store.models import Run, StoredDocument

NOW = datetime(2026, 5, 20, tzinfo=UTC)
REASON = "superseded by run 680cd4aaeb1c, whose input is newer than that of this one"


@pytest.fixture(autouse=True)
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns, outside any project, and a user's state that is empty."""
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name, stderr in (("out", False), ("err", True)):
        made = VisibleConsole(highlight=False, emoji=False, soft_wrap=True, width=80, stderr=stderr)
        monkeypatch.setattr(console, name, made)


def text_of(renderable: object) -> list[str]:
    narrow = Console(width=80, soft_wrap=True, record=True, file=io.StringIO())
    narrow.print(renderable)
    return narrow.export_text().splitlines()


def put_runs(file: Path, *runs: tuple[str, str]) -> None:
    store = open_store(file)
    with store.transaction() as session:
        session.add(StoredDocument(sha256="d", name="nowcast", version="1", body={}, recorded_at=NOW))
        session.flush()
        for index, (name, reason) in enumerate(runs):
            session.add(
                Run(
                    id=name,
                    key=name,
                    workflow="composite-nowcast",
                    version="1",
                    document="d",
                    trigger="a-trigger-with-a-long-name",
                    engine="condor",
                    state="skipped" if reason else "succeeded",
                    reason=reason,
                    inputs=[],
                    parameters={},
                    layout="3 clusters: 1000 jobs",
                    jobs_total=1000,
                    jobs_done=1000,
                    run_dir=f"{file.parent}/{name}",
                    software="x",
                    valid_at=NOW,
                    created_at=NOW + timedelta(seconds=index),
                    updated_at=NOW,
                )
            )
    store.close()


def test_one_row_is_one_line_and_the_path_gives_way_before_the_cause() -> None:
    run, path = "68" * 6, "/data/incoming/KFWS_20260520_000000.nc"
    columns = ("run", named("workflow"), "valid", worded("why"), located("path"))
    rows = [(run, "nowcast", NOW, REASON, path), (run, "nowcast", NOW - timedelta(days=400), "", None)]
    head, _, *lines = text_of(Rows(columns, rows, now=NOW))
    assert head.split() == ["run", "workflow", "valid", "why", "path"]
    assert [len(line) for line in lines] == [80, 80]
    assert lines[0].startswith(f"{run}  nowcast   00:00:00          {REASON[:20]}")
    assert "\N{HORIZONTAL ELLIPSIS}" in lines[0]
    assert lines[0].endswith("  \N{HORIZONTAL ELLIPSIS}" + path[-11:])
    assert lines[1].split() == [run, "nowcast", "2025-04-15", "00:00"]
    (_, _, line, _) = text_of(Rows(columns, rows, now=NOW, whole=True))
    assert line == f"{run}  nowcast   2026-05-20T00:00:00Z  {REASON}  {path}"


def test_what_goes_first_where_there_is_no_room() -> None:
    columns = (Column("run"), named("workflow"), extra("radar"), worded("why"), located("path"))
    natural = (12, 20, 4, 60, 40)
    assert fitted(columns, natural, 200) == [12, 20, 4, 60, 40]
    assert fitted(columns, natural, 120) == [12, 20, 4, 56, 20]
    assert fitted(columns, natural, 80) == [12, 20, 4, 24, 12]
    assert fitted(columns, natural, 75) == [12, 20, 0, 25, 12]
    assert fitted(columns, natural, 50) == [12, 20, 0, 14, 0]
    assert fitted(columns, natural, 30) == [12, 12, 0, 2, 0]
    # Descriptions take more lines instead.
    lines = text_of(Rows(("module", prose("what it does")), [("contour", "word " * 40)]))
    assert sum(line.count("word") for line in lines) == 40


def test_columns_without_contents_take_no_room() -> None:
    rows = [("a", "", None), ("b", "", "")]
    assert text_of(Rows(("run", extra("radar"), worded("why")), rows))[0].split() == ["run"]
    assert text_of(Rows(("run", extra("radar"), worded("why")), rows, whole=True))[0].split() == ["run", "radar", "why"]


def test_an_empty_table_says_so_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("a", "b"), [], empty="no [a] in b")
    assert capsys.readouterr() == ("", "no [a] in b\n")


def test_ids_of_runs_can_be_copied_from_the_list(tmp_path: Path) -> None:
    file = tmp_path / "home" / "dynamo" / "store.sqlite"
    put_runs(file, ("680cd4aaeb1c", ""), ("680cd4aaeb1d", REASON))
    result = CliRunner().invoke(register_all(), ["runs", "list"])
    assert result.exception is None
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= 80
    copied = [line.split()[0] for line in lines if line.startswith("680c")]
    assert copied == ["680cd4aaeb1d", "680cd4aaeb1c"]
    store = open_store(file)
    with store.reading() as session:
        assert [ledger.find_run(session, name).id for name in copied] == copied
    store.close()
    shown = CliRunner().invoke(register_all(), ["runs", "show", "680cd4aaeb1c"]).output
    assert f"run_dir    {file.parent}/680cd4aaeb1c\n" in shown
    assert "3 clusters" not in shown
    assert "3 clusters" in CliRunner().invoke(register_all(), ["runs", "show", "680cd4aaeb1c", "--verbose"]).output
    for word in ("a-trigger-with-a-long-name", "condor"):
        assert word not in result.output
        assert word in CliRunner().invoke(register_all(), ["runs", "list", "--wide"]).output


def test_workers_and_sites_are_whole_in_the_status() -> None:
    workers = tuple(
        WorkerStatus(
            name=f"chameleon-baremetal-{number}",
            site="Chameleon:KVM@TACC",
            group="chameleon-baremetal",
            state="ready",
            since="2026-05-20T00:00:00.5Z",
            reason=REASON,
            flavor="m1.large",
            cpus=48,
            busy_cpus=12,
            jobs=12,
            server="",
            addresses=(),
            cost_per_hour=1.5,
            requested_at="",
            ready_at=None,
            seen_at=None,
            drain_deadline=None,
            lease_end=None,
            jobs_killed=0,
        )
        for number in (1, 12)
    )
    group = GroupStatus("chameleon-baremetal", "Chameleon:KVM@TACC", 2, "autoscaler", {"ready": 2}, 96, 24)
    status = FleetStatus("storm", "1", "active", True, "", None, "/pool", "SU", 3.0, 0, (group,), (), workers)
    lines = text_of(status_tables(status, workers=True, ended=False))
    assert max(map(len, lines[1:])) <= 80
    rows = [line.split() for line in lines]
    assert [row[0] for row in rows if row[1:2] == ["ready"]] == [worker.name for worker in workers]
    assert ["chameleon-baremetal", "Chameleon:KVM@TACC", "2", "autoscaler", "24/96", "2", "ready"] in rows
    wide = "\n".join(text_of(status_tables(status, workers=True, ended=False, wide=True)))
    assert wide.count("Chameleon:KVM@TACC") == 3
    assert "lease end" in wide


def test_without_runs_the_list_says_where_it_looked_and_where_there_are_some(tmp_path: Path) -> None:
    users = tmp_path / "home" / "dynamo" / "store.sqlite"
    open_store(users).close()
    result = CliRunner().invoke(register_all(), ["runs", "list"])
    assert result.output == f"no runs in sqlite:///{users}\n"
    put_runs(users, ("680cd4aaeb1c", ""))
    (tmp_path / "dynamo.toml").touch()
    result = CliRunner().invoke(register_all(), ["runs", "list"])
    assert isinstance(result.exception, NotFoundError)
    assert f"1 run made outside any project is in {users}" in str(result.exception)
    open_store(tmp_path / ".dynamo" / "store.sqlite").close()
    result = CliRunner().invoke(register_all(), ["runs", "list"])
    assert f"no runs in sqlite:///{tmp_path}/.dynamo/store.sqlite; 1 run made outside" in result.output
    result = CliRunner().invoke(register_all(), ["triggers", "list"])
    assert result.output == f"no [[triggers]] in {tmp_path}/dynamo.toml\n"


def test_a_fleet_command_without_a_store_names_the_command_that_makes_it() -> None:
    result = CliRunner().invoke(provision(), ["status"])
    assert isinstance(result.exception, NotFoundError)
    assert "dynamo-provision apply SPEC.json" in str(result.exception)


def test_a_check_in_the_list_takes_two_lines_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    from dynamo.cli.data.checks import list_checks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dynamo.cli.data.checks.out", console.out)
        list_checks(config=None, wide=False, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    (row,) = (number for number, line in enumerate(lines) if "elevation_spread" in line)
    assert lines[row].split()[:5] == ["elevation_spread", "warn", ">", "0.5,", "1"]
    continued = [bool(line.strip()) and line.startswith(" " * 12) for line in lines]
    assert not any(one and two for one, two in itertools.pairwise(continued))
