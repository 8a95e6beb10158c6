"""The watch daemon on real folders: completeness, quarantine, triggers, backlog, trouble, a clean stop."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from dynamo.config.file import Config, parse_config
from dynamo.errors import BusyError, InputError, RetryableError
from dynamo.feeds.base import Sink
from dynamo.feeds.directory import DirectoryFeed
from dynamo.files import LONGEST_NAME
from dynamo.runs import slots
from dynamo.runs.events import RunEvent
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Cursor, ProcessLease, Run, RunDecision
from dynamo.times import utc_now
from dynamo.triggers.pausing import pause, resume
from dynamo.watch.watcher import Watcher
from tests.integration.watch.watch_support import (
    START,
    DaemonProcess,
    ThreadEngine,
    environment,
    factory,
    run_dynamo,
    write_small,
)
from tests.waiting import wait_for


def config_for(root: Path, **changes: Any) -> Config:
    (root / "incoming").mkdir(exist_ok=True)
    data: dict[str, Any] = {
        "runs": {"engine": "local", "min_free_mb": 0},
        "watch": {"stop_grace_s": 0.2},
        "feeds": [{"name": "nowcasts", "path": "incoming", "settle_s": 0.3, "rescan_s": 0.5}],
        "triggers": [
            {
                "name": "storms",
                "feed": "nowcasts",
                "workflow": "nowcast",
                "parameters": {"levels": [30], "min_points": 4},
            }
        ],
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(data.get(key), list):
            data[key][0] |= value
        elif isinstance(value, dict):
            data[key] = data.get(key, {}) | value
        else:
            data[key] = value
    return parse_config(data, base=root)


class Followed:
    """A watcher with its engine and everything that it told."""

    def __init__(self, config: Config) -> None:
        self.engine = ThreadEngine()
        self.watcher = Watcher(config, engine_factory=factory(self.engine))
        self.events: list[RunEvent] = []
        self.watcher.events.subscribe(self.events.append)

    def of(self, kind: str) -> list[RunEvent]:
        return [event for event in self.events if event.kind == kind]

    def wait(self, kind: str, count: int = 1, timeout_s: float = 20.0) -> list[RunEvent]:
        wait_for(lambda: len(self.of(kind)) >= count, timeout_s, f"{count} x {kind}")
        return self.of(kind)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "incoming").mkdir()
    # A project: commands that are started here work on its store.
    (tmp_path / ".dynamo").mkdir()
    return tmp_path


@pytest.fixture
def followed(root: Path) -> Iterator[Followed]:
    made = Followed(config_for(root))
    with made.watcher:
        yield made


def stored(root: Path, table: type[Any]) -> list[Any]:
    store = open_store(root / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        rows = list(session.scalars(select(table)))
    store.close()
    return rows


def test_a_file_that_is_moved_in_is_published_and_its_latencies_told(followed: Followed, root: Path) -> None:
    write_small(root / "incoming", 0)
    published = followed.wait("published")[0]
    assert published.data["products"] == 4
    assert 0 <= published.data["detection_s"] < 5
    kinds = [event.kind for event in followed.events]
    assert kinds.index("arrival") < kinds.index("decision") < kinds.index("run_created") < kinds.index("published")
    arrival = followed.of("arrival")[0]
    assert arrival.data["valid_at"] == START
    assert arrival.data["facts"].leads == (0, 1)


def test_a_file_is_taken_when_it_is_closed_and_not_before(followed: Followed, root: Path) -> None:
    content = write_small(root, 0).read_bytes()
    with (root / "incoming" / "slow.nc").open("wb") as stream:
        stream.write(content[: len(content) // 2])
        stream.flush()
        # Longer than it takes to be called stable, and over several rescans.
        time.sleep(1.5)
        assert followed.of("arrival") == followed.of("quarantined") == []
        stream.write(content[len(content) // 2 :])
    followed.wait("published")
    assert len(followed.of("run_created")) == 1


def test_what_came_while_the_daemon_was_down_is_found(root: Path) -> None:
    write_small(root / "incoming", 0)
    followed = Followed(config_for(root))
    with followed.watcher:
        followed.wait("published")
    again = Followed(config_for(root))
    again.watcher.run_once()
    assert again.of("arrival") == again.of("run_created") == []


def test_a_linked_file_is_found_by_the_rescan(followed: Followed, root: Path) -> None:
    # The kernel tells neither of closing nor of moving for a hard link; on NFS it tells of nothing at all.
    path = write_small(root, 0)
    (root / "incoming" / path.name).hardlink_to(path)
    followed.wait("published")


def test_the_same_content_again_is_a_duplicate_and_a_changed_file_a_new_arrival(followed: Followed, root: Path) -> None:
    first = write_small(root / "incoming", 0)
    followed.wait("published")
    (root / "incoming" / "copy.nc").write_bytes(first.read_bytes())
    assert "same content" in followed.wait("duplicate")[0].data["reason"]
    write_small(root / "incoming", 0, peak_dbz=50.0)
    followed.wait("published", 2)
    states = [row.state for row in stored(root, Arrival)]
    assert sorted(states) == ["accepted", "accepted", "duplicate"]


def test_hidden_partial_and_other_files_are_left_alone(followed: Followed, root: Path) -> None:
    content = write_small(root, 0).read_bytes()
    for name in (".hidden.nc", "a.nc.part", "a.txt"):
        (root / "incoming" / name).write_bytes(content)
    (root / "incoming" / "sub").mkdir()
    (root / "incoming" / "sub" / "b.nc").write_bytes(content)
    write_small(root / "incoming", 1)
    followed.wait("published")
    assert followed.watcher.wait_idle(300)
    assert len(followed.of("arrival")) == 1


def test_a_tree_is_watched_with_what_is_made_and_moved_into_it(root: Path) -> None:
    followed = Followed(config_for(root, feeds={"recursive": True}))
    with followed.watcher:
        below = root / "incoming" / "20260520" / "18"
        below.mkdir(parents=True)
        write_small(below, 0)
        followed.wait("arrival", 1)
        elsewhere = root / "made" / "19"
        elsewhere.mkdir(parents=True)
        write_small(elsewhere, 1)
        elsewhere.parent.rename(root / "incoming" / "made")
        followed.wait("arrival", 2)
        (root / "incoming" / "circle").symlink_to(root / "incoming")
        write_small(root / "incoming" / "made" / "19", 2)
        followed.wait("published", 3)
    assert len(followed.of("arrival")) == 3


def bad_files(folder: Path, good: bytes) -> dict[str, str]:
    """Make every kind of bad file; return names and a word of the reason."""
    (folder / "truncated.nc").write_bytes(good[: len(good) // 2])
    (folder / "garbage.nc").write_bytes(b"not a file of any kind")
    (folder / "empty.nc").write_bytes(b"")
    (folder / "folder.nc").mkdir()
    (folder / "folder.nc" / "inside.nc").write_bytes(good)
    os.mkfifo(folder / "pipe.nc")
    (folder / "circle.nc").symlink_to("circle.nc")
    (folder / "nowhere.nc").symlink_to("does-not-exist")
    _netcdf(folder / "flat.nc", (21, 21), 40.0)
    _netcdf(folder / "nothing.nc", (2, 21, 21), float("nan"))
    (folder / "huge.nc").write_bytes(_huge(good))
    return {
        "truncated.nc": "",
        "garbage.nc": "NetCDF",
        "empty.nc": "empty",
        "folder.nc": "directory",
        "pipe.nc": "pipe",
        "circle.nc": "circular",
        "nowhere.nc": "broken link",
        "flat.nc": "dimensions",
        "nothing.nc": "missing",
        "huge.nc": "",
    }


def _netcdf(path: Path, shape: tuple[int, ...], value: float) -> None:
    import netCDF4
    import numpy as np

    partial = path.with_suffix(".part")
    with netCDF4.Dataset(partial, "w", format="NETCDF3_CLASSIC") as dataset:
        names = ("Steps", "Lat", "Lon")[-len(shape) :]
        for name, length in zip(names, shape, strict=True):
            dataset.createDimension(name, length)
        dataset.createVariable("PredictedReflectivity", "f4", names)[:] = np.full(shape, value, dtype=np.float32)
        dataset.setncatts(
            {"Latitude": 33.5, "Longitude": -98.0, "LatGridSpacing": 0.01, "LonGridSpacing": 0.01, "Time": 1779300000}
        )
    partial.rename(path)


def _huge(good: bytes) -> bytes:
    """A file of 1 kB whose header declares 10 GB: the dimensions in the header of a good one are blown up."""
    return good.replace((21).to_bytes(4, "big"), (35_000).to_bytes(4, "big"))[:1024]


def test_bad_files_go_to_quarantine_with_a_reason_and_stop_nothing(root: Path) -> None:
    good = write_small(root, 0).read_bytes()
    reasons = bad_files(root / "incoming", good)
    followed = Followed(config_for(root))
    with followed.watcher:
        write_small(root / "incoming", 1)
        followed.wait("published")
        followed.wait("quarantined", len(reasons))
    quarantine = root / ".dynamo" / "quarantine"
    for name, word in reasons.items():
        assert (quarantine / name).exists() or (quarantine / name).is_symlink(), name
        text = (quarantine / f"{name}.reason").read_text()
        assert word in text
        assert text.strip()
        assert text.count("\n") == 1
    assert (quarantine / "folder.nc" / "inside.nc").read_bytes() == good
    assert [path.name for path in (root / "incoming").iterdir()] == ["MERGE_DARTS_202605201801.nc"]
    rows = [row for row in stored(root, Arrival) if row.state == "quarantined"]
    assert sorted(Path(row.path).name for row in rows) == sorted(reasons)
    assert all(row.moved_to for row in rows)


def test_bad_files_of_one_name_are_both_kept(followed: Followed, root: Path) -> None:
    for number in (1, 2):
        (root / "incoming" / "bad.nc").write_bytes(b"bad %d" % number)
        followed.wait("quarantined", number)
    quarantine = root / ".dynamo" / "quarantine"
    assert sorted(path.read_bytes() for path in quarantine.glob("bad.nc*") if path.suffix != ".reason") == [
        b"bad 1",
        b"bad 2",
    ]
    assert len(list(quarantine.glob("*.reason"))) == 2


def test_a_bad_file_that_was_mended_and_moved_back_is_taken(followed: Followed, root: Path) -> None:
    good = write_small(root, 0)
    path = root / "incoming" / "late.nc"
    path.write_bytes(b"")
    moved = Path(str(followed.wait("quarantined")[0].data["moved_to"]))
    moved.write_bytes(good.read_bytes())
    moved.rename(path)
    followed.wait("published")


def test_a_condition_that_is_not_met_is_a_stored_decision_with_its_numbers(root: Path) -> None:
    condition = {"area_km2": 5.0, "level_dbz": 45.0}
    followed = Followed(config_for(root, triggers={"condition": condition}))
    with followed.watcher:
        write_small(root / "incoming", 0, peak_dbz=30.0)
        write_small(root / "incoming", 1, peak_dbz=60.0)
        followed.wait("published")
        followed.wait("arrival", 2)
    decisions = {Path(row.subject).name: row for row in stored(root, RunDecision)}
    quiet = decisions["MERGE_DARTS_202605201800.nc"]
    assert quiet.action == "refuse"
    assert quiet.data["area_km2"] == 0
    assert quiet.data["wanted_km2"] == 5
    assert "45 dBZ" in quiet.reason
    assert decisions["MERGE_DARTS_202605201801.nc"].action == "start"
    assert len(stored(root, Run)) == 1


def test_a_schedule_starts_its_workflow_with_the_newest_arrival(root: Path) -> None:
    followed = Followed(config_for(root, triggers={"kind": "schedule", "every_min": 1}))
    with followed.watcher:
        for minute in (1, 0):
            write_small(root / "incoming", minute)
        followed.wait("arrival", 2)
        assert followed.of("run_created") == []
        # Put the schedule into the state of having slept for two minutes, instead of sleeping.
        wait_for(lambda: len(stored(root, Cursor)) == 1)
        with followed.watcher.service.store.transaction() as session:
            session.get_one(Cursor, "schedule storms").updated_at = utc_now() - timedelta(minutes=2)
        followed.wait("published")
    runs = stored(root, Run)
    assert [run.inputs[0]["path"] for run in runs] == [str(root / "incoming" / "MERGE_DARTS_202605201801.nc")]


def test_names_as_long_as_can_be_are_published_or_put_aside(root: Path) -> None:
    followed = Followed(config_for(root))
    made = write_small(root, 0)
    good, bad = (root / "incoming" / f"MERGE_DARTS_{letter * (LONGEST_NAME - 15)}.nc" for letter in "ab")
    with followed.watcher:
        made.rename(good)
        bad.write_bytes(b"no nowcast")
        (published,) = followed.wait("published")
        (aside,) = followed.wait("quarantined")
    assert stored(root, Run)[0].inputs[0]["path"] == str(good)
    assert (Path(published.data["product_dir"]) / "index.json").is_file()
    moved = Path(aside.data["moved_to"])
    assert moved.read_bytes() == b"no nowcast"
    assert moved.with_name(f"{moved.name}.reason").read_text()


def test_a_paused_trigger_starts_nothing_until_it_resumes(root: Path) -> None:
    followed = Followed(config_for(root))
    store = followed.watcher.service.store
    with followed.watcher:
        with store.transaction() as session:
            pause(session, "storms", "the radar is being calibrated", utc_now())
        write_small(root / "incoming", 0)
        (paused,) = followed.wait("decision")
        assert paused.data["action"] == "paused"
        assert "the radar is being calibrated" in paused.data["reason"]
        with store.transaction() as session:
            resume(session, "storms")
        write_small(root / "incoming", 1)
        followed.wait("published")
    runs = stored(root, Run)
    assert [run.inputs[0]["path"] for run in runs] == [str(root / "incoming" / "MERGE_DARTS_202605201801.nc")]


def test_with_a_backlog_the_newest_runs_first_and_the_stale_are_skipped(root: Path) -> None:
    for minute in range(6):
        write_small(root / "incoming", minute)
    followed = Followed(config_for(root, runs={"max_runs": 1}, triggers={"deadline_s": 0.05}))
    followed.watcher.dispatcher.pause()
    with followed.watcher:
        followed.wait("run_created", 6)
        time.sleep(0.1)
        followed.watcher.dispatcher.unpause()
        assert followed.watcher.wait_idle(300)
    runs = sorted(stored(root, Run), key=lambda run: str(run.valid_at))
    assert [run.state for run in runs] == ["skipped"] * 5 + ["succeeded"]
    assert all("superseded" in run.reason for run in runs[:5])


def test_a_second_daemon_is_refused_on_the_store_and_on_the_feed(root: Path) -> None:
    with Followed(config_for(root)).watcher:
        with pytest.raises(BusyError, match=r"another daemon holds this store: process \d+ on "):
            Followed(config_for(root))
        with pytest.raises(BusyError, match="watching this folder"):
            Followed(config_for(root, folders={"state": "other"}))
    Followed(config_for(root)).watcher.run_once()


def test_a_locked_store_is_waited_out_and_nothing_is_lost(followed: Followed, root: Path) -> None:
    write_small(root / "incoming", 0)
    followed.wait("published")
    holder = sqlite3.connect(root / ".dynamo" / "store.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    # The busy timeout is 10 s: the daemon is made impatient so that the test need not be patient.
    followed.watcher.service.store.engine.dispose()
    for minute in (1, 2):
        write_small(root / "incoming", minute)
    time.sleep(0.5)
    assert len(followed.of("run_created")) == 1
    holder.execute("ROLLBACK")
    holder.close()
    followed.wait("published", 3)


def test_a_store_that_cannot_be_written_is_reported_and_caught_up_with(root: Path) -> None:
    followed = Followed(config_for(root))
    with followed.watcher:
        write_small(root / "incoming", 0)
        followed.wait("published")
        pages = _limit_pages(root, followed)
        for minute in (1, 2, 3):
            write_small(root / "incoming", minute)
        assert "full" in followed.wait("trouble")[0].data["reason"]
        pages(2**30)
        followed.wait("published", 4)
    assert sorted(run.state for run in stored(root, Run)) == ["succeeded"] * 4


def _limit_pages(root: Path, followed: Followed) -> Any:
    """Make SQLite say that its disk is full, through its own limit of pages on every connection."""
    from sqlalchemy import event

    engine = followed.watcher.service.store.engine
    limit = {"pages": 1}

    @event.listens_for(engine, "begin")
    def _apply(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={limit['pages']}")

    def change(pages: int) -> None:
        limit["pages"] = pages

    return change


def test_no_run_starts_on_a_full_disk_and_all_do_when_there_is_room(root: Path) -> None:
    followed = Followed(config_for(root, runs={"min_free_mb": 10**9}))
    with followed.watcher:
        write_small(root / "incoming", 0)
        followed.wait("run_created")
        assert "MB free" in followed.wait("trouble")[0].data["reason"]
        assert stored(root, Run)[0].state == "created"
        from dataclasses import replace

        service = followed.watcher.service
        service.settings = replace(service.settings, min_free_mb=0)
        followed.wait("published")


def test_a_feed_that_hangs_holds_up_neither_the_start_nor_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in for a network file system whose server is gone.
    answers = threading.Event()
    scan = DirectoryFeed.scan

    def hang(feed: DirectoryFeed, sink: Sink) -> int:
        if feed.name == "hanging":
            answers.wait()
        return scan(feed, sink)

    monkeypatch.setattr(DirectoryFeed, "scan", hang)
    monkeypatch.setattr("dynamo.watch.watcher._FIRST_SCANS_S", 0.1)
    feeds = [{"name": name, "path": name, "settle_s": 0.3, "rescan_s": 0.5} for name in ("hanging", "well")]
    for feed in feeds:
        (root / str(feed["name"])).mkdir()
    # By a link, which only a scan finds.
    for minute, feed in enumerate(feeds):
        path = write_small(root, minute)
        (root / str(feed["name"]) / path.name).hardlink_to(path)
    followed = Followed(parse_config({"feeds": feeds}, base=root))
    with followed.watcher:
        assert followed.wait("arrival")[0].data["feed"] == "well"
        assert not followed.watcher.wait_idle(0.0)
        answers.set()
        assert followed.wait("arrival", 2)[1].data["feed"] == "hanging"


def test_a_daemon_all_of_whose_slots_wait_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slots, "STALLED_S", 0.0)
    engine, up = ThreadEngine(), threading.Event()

    def pool(_name: str, _options: Any) -> ThreadEngine:
        if not up.is_set():
            raise RetryableError("the pool is down")
        return engine

    watcher = Watcher(config_for(root, runs={"max_runs": 1}), engine_factory=pool)
    events: list[RunEvent] = []
    watcher.events.subscribe(events.append)

    def stalled() -> bool | None:
        watcher.dispatcher.look_at_slots()
        with watcher.service.store.reading() as session:
            return slots.read_stalled(session, utc_now())

    with watcher:
        for minute in (0, 1):
            write_small(root / "incoming", minute)
        wait_for(lambda: stalled() and _told(events, "slots", "the pool is down"), what="stalled")
        assert "all run slots wait: no run progresses" in caplog.text
        wait_for(lambda: "waiting: the pool is down" in {run.reason for run in stored(root, Run)}, what="the reason")
        up.set()
        wait_for(lambda: sum(event.kind == "published" for event in events) == 2, what="published")
        wait_for(lambda: stalled() is False, what="no stall")
        assert "runs progress again" in caplog.text
    assert {run.reason for run in stored(root, Run)} == {""}


def _told(events: list[RunEvent], subject: str, reason: str) -> bool:
    return any(event.subject == subject and reason in event.data.get("reason", "") for event in events)


def test_a_trigger_with_a_bad_parameter_is_named_at_the_start(root: Path) -> None:
    with pytest.raises(InputError, match="trigger storms"):
        Followed(config_for(root, triggers={"parameters": {"levles": [30]}}))
    # The refused daemon has given everything back.
    Followed(config_for(root)).watcher.run_once()


# -- real processes

TOML = """
[runs]
min_free_mb = 0
[[feeds]]
name = "nowcasts"
path = "incoming"
settle_s = 0.2
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [30], min_points = 4 }
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_quickly_and_cleanly(root: Path, number: signal.Signals) -> None:
    (root / "dynamo.toml").write_text(TOML)
    daemon = DaemonProcess(root)
    daemon.wait_watching()
    write_small(root / "incoming", 0)
    begin = time.monotonic()
    assert daemon.stop(number) == 0
    assert time.monotonic() - begin < 100
    text = daemon.log.read_text()
    assert "msg=stopped" in text
    assert "Traceback" not in text
    # What it had no time for is done by the next one.
    assert DaemonProcess(root, "--once").process.wait(300) == 0
    assert [run.state for run in stored(root, Run)] == ["succeeded"]


def test_the_lease_is_renewed_while_runs_have_their_grace_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo.store.lease.RENEW_S", 0.05)
    followed = Followed(config_for(root, watch={"stop_grace_s": 600.0}))
    followed.engine.gate.clear()
    followed.watcher.start()
    write_small(root / "incoming", 0)
    wait_for(lambda: followed.engine.started)
    stopping = threading.Thread(target=followed.watcher.stop)
    stopping.start()
    try:
        wait_for(lambda: any(thread.name == "lease-watch" for thread in threading.enumerate()))
        (before,) = stored(root, ProcessLease)
        wait_for(lambda: stored(root, ProcessLease)[0].expires_at > before.expires_at)
    finally:
        followed.engine.gate.set()
        stopping.join(300)
    assert stored(root, ProcessLease) == []
    assert [run.state for run in stored(root, Run)] == ["succeeded"]


def test_a_second_process_leaves_with_exit_code_7(root: Path) -> None:
    (root / "dynamo.toml").write_text(TOML)
    daemon = DaemonProcess(root)
    daemon.wait_watching()
    refused = run_dynamo(root, "watch")
    assert refused.returncode == 7
    assert "another daemon" in refused.stderr
    daemon.kill()
    assert run_dynamo(root, "watch", "--once").returncode == 0


def test_once_with_json_tells_what_it_did(root: Path) -> None:
    (root / "dynamo.toml").write_text(TOML)
    write_small(root / "incoming", 0)
    (root / "incoming" / "bad.nc").write_bytes(b"")
    result = run_dynamo(root, "watch", "--once", "--json")
    assert result.returncode == 0, result.stderr
    counts = orjson.loads(result.stdout)
    assert (counts["arrivals"], counts["quarantined"], counts["published"]) == (1, 1, 1)
    assert all(orjson.loads(line)["msg"] for line in result.stderr.splitlines())


def test_once_tells_by_its_exit_code_that_a_run_failed(root: Path) -> None:
    (root / "dynamo.toml").write_text(TOML + '[folders]\nproducts = "blocked/products"\n')
    (root / "blocked").write_text("a file where a folder should be")
    write_small(root / "incoming", 0)
    failed = run_dynamo(root, "watch", "--once", "--json")
    assert failed.returncode == 6, failed.stderr
    assert orjson.loads(failed.stdout)["failed"] == 1
    *lines, last = failed.stderr.splitlines()
    assert "1 run failed" in last
    log = [orjson.loads(line) for line in lines if line.startswith("{")]
    assert [one["level"] for one in log if one["msg"] == "run failed"] == ["error"]


def test_submit_waits_exports_and_is_one_run(root: Path) -> None:
    path = write_small(root, 0)
    arguments = (
        "submit",
        "nowcast",
        "--input",
        f"nowcast={path}",
        "--param",
        "levels=30,45",
        "--param",
        "min_points=4",
    )
    first = run_dynamo(root, *arguments, "--wait", "--out", "out", "--json")
    assert first.returncode == 0, first.stderr
    run = orjson.loads(first.stdout)
    assert run["state"] == "succeeded"
    assert run["new"] is True
    names = {item.name for item in (root / "out").iterdir()}
    assert len(names) == 5
    assert "index.json" in names
    again = orjson.loads(run_dynamo(root, *arguments, "--wait", "--json").stdout)
    assert (again["id"], again["new"]) == (run["id"], False)
    shown = orjson.loads(run_dynamo(root, "runs", "show", run["id"][:6], "--json").stdout)
    assert len(shown["products"]) == 4
    logs = orjson.loads(run_dynamo(root, "runs", "logs", run["id"], "--json").stdout)
    assert len(logs["jobs"]) == 5
    listed = orjson.loads(run_dynamo(root, "runs", "list", "--json", "--state", "succeeded").stdout)
    assert [item["id"] for item in listed] == [run["id"]]
    refused = run_dynamo(root, "runs", "cancel", run["id"])
    assert refused.returncode == 2
    assert "succeeded" in refused.stderr


def test_submit_without_wait_is_done_by_a_process_of_its_own(root: Path) -> None:
    path = write_small(root, 0)
    result = run_dynamo(root, "submit", "nowcast", "-i", f"nowcast={path}", "-p", "min_points=4", "--json")
    assert result.returncode == 0, result.stderr
    run_id = orjson.loads(result.stdout)["id"]
    wait_for(lambda: stored(root, Run)[0].state == "succeeded", 30, "the detached run")
    assert stored(root, Run)[0].id == run_id


def test_a_submitted_run_that_fails_is_exit_code_6_with_the_reason(root: Path) -> None:
    path = write_small(root, 0)
    refused = run_dynamo(root, "submit", "nowcast", "-i", f"nowcast={path}", "-e", "condr", "--wait")
    assert refused.returncode == 4
    document = orjson.loads(run_dynamo(root, "config", "show").stdout)
    assert document["runs"]["engine"] == "local"
    config = '[engines.local]\noptions = { workers = 1 }\n[folders]\nproducts = "blocked/products"\n'
    (root / "dynamo.toml").write_text(config)
    (root / "blocked").write_text("a file where a folder should be")
    failed = run_dynamo(root, "submit", "nowcast", "-i", f"nowcast={path}", "-p", "min_points=4", "--wait")
    assert failed.returncode == 6, failed.stderr
    assert "failed" in failed.stderr
    (root / "blocked").unlink()
    run_id = stored(root, Run)[0].id
    retried = run_dynamo(root, "runs", "retry", run_id, "--wait", "--json")
    assert retried.returncode == 0, retried.stderr
    assert orjson.loads(retried.stdout)["state"] == "succeeded"


def test_wrong_words_are_explained(root: Path) -> None:
    path = write_small(root, 0)
    for arguments, code, word in (
        (("submit", "nowcats", "-i", f"nowcast={path}"), 4, "nowcast"),
        (("submit", "nowcast"), 3, "--input nowcast=PATH"),
        (("submit", "nowcast", "-i", f"nowcats={path}"), 3, "nowcast"),
        (("submit", "nowcast", "-i", "nowcast"), 2, "NAME=VALUE"),
        (("submit", "nowcast", "-i", f"nowcast={path}", "-p", "levles=3"), 3, "levels"),
        (("submit", "nowcast", "-i", f"nowcast={path}.not"), 4, "no such file"),
        (("runs", "show", "abc"), 4, "no run"),
        (("runs", "list", "--state", "done"), 2, "succeeded"),
        (("watch",), 3, "no feed"),
        (("watch", "-c", "none.toml"), 4, "none.toml"),
    ):
        result = run_dynamo(root, *arguments)
        assert result.returncode == code, (arguments, result.stderr)
        assert word in result.stderr
        assert "Traceback" not in result.stderr


def test_the_watching_process_starts_fast_enough_to_be_killed_often(root: Path) -> None:
    # Start-up imports neither Alembic nor Matplotlib: with them the commands would take seconds.
    code = "import dynamo.watch.watcher, dynamo.runs.setup, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"alembic", "matplotlib", "netCDF4", "shapely", "pysteps", "htcondor2"}


def test_events_come_from_threads_that_a_failing_listener_does_not_stop(followed: Followed, root: Path) -> None:
    names: set[str] = set()

    def fail(_event: RunEvent) -> None:
        names.add(threading.current_thread().name)
        raise RuntimeError("a display that is broken")

    followed.watcher.events.subscribe(fail)
    write_small(root / "incoming", 0)
    followed.wait("published")
    assert any(name.startswith("intake") for name in names)
