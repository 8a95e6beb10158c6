"""Kinds of feeds and triggers from another package, in the real daemon; and broken ones, which never end it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Cursor, Run, RunDecision
from tests.integration.watch.watch_support import DaemonProcess, run_dynamo, write_small
from tests.waiting import wait_for

PACKAGE = "storm-kinds 1.2"
GOOD = '''
"""A feed that is a list of files, and a trigger that starts with each Nth of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from dynamo.config.feeds import FeedSection
from dynamo.config.triggers import TriggerSection
from dynamo.feeds.base import Candidate, FeedKind
from dynamo.times import utc_now
from dynamo.triggers.base import Trigger, TriggerKind
from dynamo.triggers.verdict import Verdict


class ListOptions(FeedSection):
    """Files that are named in a list, one on each line."""

    kind: Literal["list"] = "list"
    file: str = Field(description="The list.", examples=["files.txt"])


class ListFeed:
    def __init__(self, options, parts):
        self.name = options.name
        self._file = parts.config.path(options.file)

    def start(self, sink):
        pass

    def scan(self, sink):
        paths = [Path(line) for line in self._file.read_text().splitlines()]
        for path in paths:
            sink(Candidate(self.name, path, "scan", utc_now()))
        return len(paths)

    def healthy(self):
        return True

    def stop(self):
        pass


class NthOptions(TriggerSection):
    """Each Nth file of the feed."""

    kind: Literal["nth"] = "nth"
    n: int = Field(2, ge=1, description="Each Nth file.")


@dataclass(frozen=True)
class NthTrigger(Trigger):
    n: int

    def concerns(self, feed, path):
        return feed == self.feed

    def judge(self, facts, book):
        count = book.recall().data.get("count", 0) + 1
        book.keep({"count": count})
        return Verdict(count % self.n == 0, f"file {count}", {"count": count})


FEED = FeedKind(ListOptions, ListFeed)
TRIGGER = TriggerKind(NthOptions, lambda options, config: NthTrigger(options.feed, options.n))
'''
BAD = '''
from dataclasses import dataclass
from pathlib import Path

from dynamo.config.feeds import FeedSection
from dynamo.config.triggers import TriggerSection
from dynamo.feeds.base import FeedKind
from dynamo.triggers.base import Trigger, TriggerKind


class Options(FeedSection):
    """It fails."""

    calls: str


class FailingFeed:
    name = "failing"

    def __init__(self, options, parts):
        self._calls = Path(options.calls)

    def start(self, sink):
        raise KeyError("no news")

    def scan(self, sink):
        with self._calls.open("a") as stream:
            stream.write("scan\\n")
        raise ValueError("no scan")

    def healthy(self):
        return False

    def stop(self):
        raise ValueError("no end")


class NoOptions(TriggerSection):
    """It fails."""


@dataclass(frozen=True)
class FailingTrigger(Trigger):
    ask_s = 0.1

    def concerns(self, feed, path):
        return feed == self.feed

    def judge(self, facts, book):
        book.recall()
        book.keep({"never": "stored"})
        raise ZeroDivisionError("no verdict")

    def due(self, book):
        raise LookupError("nothing due")


def _fail(options, parts):
    raise RuntimeError("out of order")


FEED = FeedKind(Options, FailingFeed)
TRIGGER = TriggerKind(NoOptions, lambda options, config: FailingTrigger(options.feed))
UNMADE = FeedKind(Options, _fail)
NO_FEED = FeedKind(Options, lambda options, parts: object())
NO_TRIGGER = TriggerKind(NoOptions, lambda options, config: object())
ELSE = FeedKind(NoOptions, _fail)
'''
COMMON = """
[runs]
engine = "local"
min_free_mb = 0
[engines.local]
options = { workers = 1 }
"""
ARRIVALS = """
[[feeds]]
name = "nowcasts"
path = "incoming"
settle_s = 0.1
rescan_s = 0.2
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [30], min_points = 4 }
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder from which the commands of this test import packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    (tmp_path / "incoming").mkdir()
    return folder


def install(site: Path, content: str, *, feeds: str = "", triggers: str = "") -> None:
    """Put a distribution with one module into the folder, as pip would."""
    (site / "storm_kinds.py").write_text(content)
    about = site / "storm_kinds-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: storm-kinds\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[dynamo.feeds]\n{feeds}\n[dynamo.triggers]\n{triggers}\n")


def test_kinds_of_another_package_process_files(tmp_path: Path, site: Path) -> None:
    install(site, GOOD, feeds="list = storm_kinds:FEED", triggers="nth = storm_kinds:TRIGGER")
    files = [write_small(tmp_path / "incoming", minute) for minute in range(4)]
    (tmp_path / "files.txt").write_text("\n".join(map(str, files)))
    config = """
[[feeds]]
name = "listed"
kind = "list"
file = "files.txt"
settle_s = 0.1
[[triggers]]
name = "some"
kind = "nth"
feed = "listed"
n = 2
workflow = "nowcast"
parameters = { levels = [30], min_points = 4 }
"""
    (tmp_path / "dynamo.toml").write_text(COMMON + config)
    checked = run_dynamo(tmp_path, "watch", "--check")
    assert "1 feed, 1 trigger: OK" in checked.stdout, checked.stderr
    done = run_dynamo(tmp_path, "watch", "--once", timeout_s=120)
    assert done.returncode == 0, done.stderr
    published = [
        path for path in (tmp_path / "products" / "nowcast").glob("*/*/index.json") if "latest" not in path.parts
    ]
    assert len(published) == 2
    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        assert session.scalars(select(Run.state)).all() == ["succeeded"] * 2
        decisions = session.scalars(select(RunDecision).order_by(RunDecision.id)).all()
        assert session.get_one(Cursor, "nth some").data == {"count": 4}
    store.close()
    assert [(one.action, one.data["count"]) for one in decisions] == [
        ("refuse", 1),
        ("start", 2),
        ("refuse", 3),
        ("start", 4),
    ]
    manual = run_dynamo(tmp_path, "config", "docs").stdout
    assert "| `n` | whole number, 1 or more | `2` | Each Nth file. |" in manual
    assert f"Files that are named in a list, one on each line. (Of the package {PACKAGE}.)" in manual
    example = run_dynamo(tmp_path, "config", "example").stdout
    assert '# kind = "list"' in example
    assert '# file = "files.txt"' in example
    (tmp_path / "dynamo.toml").write_text(COMMON + config + "patern = 3\nevery_min = 5\n")
    wrong = run_dynamo(tmp_path, "watch", "--check")
    assert wrong.returncode == 3
    assert "triggers[0].every_min: belongs to kind schedule" in wrong.stderr
    assert "expected one of deadline_s, engine, feed" in wrong.stderr


@pytest.mark.parametrize(
    ("content", "feeds", "words"),
    [
        ("import no_such_module", "odd = storm_kinds:FEED", ["ModuleNotFoundError", "no_such_module"]),
        ("raise SystemExit(9)", "odd = storm_kinds:FEED", ["SystemExit"]),
        ("FEED = 3", "odd = storm_kinds:FEED", ["is a int, not a dynamo.feeds.base.FeedKind"]),
        (BAD, "odd = storm_kinds:NONE", ["AttributeError"]),
        (BAD, "odd = storm_kinds:UNMADE", ["RuntimeError: out of order"]),
        (BAD, "odd = storm_kinds:NO_FEED", ["TypeError: makes a object, not a dynamo.feeds.base.Feed"]),
    ],
)
def test_a_feed_kind_that_is_broken_is_one_clear_line(
    tmp_path: Path, site: Path, content: str, feeds: str, words: list[str]
) -> None:
    install(site, content, feeds=feeds)
    section = '[[feeds]]\nname = "a"\nkind = "odd"\ncalls = "calls"\n'
    (tmp_path / "dynamo.toml").write_text(COMMON + section)
    done = run_dynamo(tmp_path, "watch", "--once")
    assert done.returncode in (3, 5)
    (line,) = [line for line in done.stderr.splitlines() if PACKAGE in line]
    assert all(word in line for word in ["feed kind odd", *words]), line
    assert "Traceback" not in done.stderr
    # It is in nobody's way who does not use it.
    (tmp_path / "dynamo.toml").write_text(COMMON + ARRIVALS)
    assert run_dynamo(tmp_path, "watch", "--check").returncode == 0


@pytest.mark.parametrize(
    ("content", "triggers", "words"),
    [
        ("import no_such_module", "odd = storm_kinds:TRIGGER", ["ModuleNotFoundError", "no_such_module"]),
        (BAD, "odd = storm_kinds:NO_TRIGGER", ["TypeError: makes a object, not a dynamo.triggers.base.Trigger"]),
        (BAD, "odd = storm_kinds:FEED", ["is a FeedKind, not a dynamo.triggers.base.TriggerKind"]),
    ],
)
def test_a_trigger_kind_that_is_broken_is_told_by_the_check(
    tmp_path: Path, site: Path, content: str, triggers: str, words: list[str]
) -> None:
    install(site, content, triggers=triggers)
    section = '[[triggers]]\nname = "a"\nkind = "odd"\nfeed = "nowcasts"\nworkflow = "nowcast"\n'
    (tmp_path / "dynamo.toml").write_text(COMMON + ARRIVALS + section)
    for command in (("watch", "--check"), ("watch", "--once")):
        done = run_dynamo(tmp_path, *command)
        assert done.returncode in (3, 5)
        (line,) = [line for line in done.stderr.splitlines() if PACKAGE in line]
        assert all(word in line for word in ["trigger kind odd", *words]), line
        assert "Traceback" not in done.stderr


def test_options_that_are_no_section_of_the_kind_are_told(tmp_path: Path, site: Path) -> None:
    install(site, BAD, feeds="odd = storm_kinds:ELSE")
    (tmp_path / "dynamo.toml").write_text('[[feeds]]\nname = "a"\nkind = "odd"\n')
    done = run_dynamo(tmp_path, "watch", "--check")
    assert done.returncode == 3
    assert "feeds[0].kind: feed kind odd: its options do not derive from FeedSection" in done.stderr


def test_a_daemon_goes_on_where_feeds_and_triggers_of_others_fail(tmp_path: Path, site: Path) -> None:
    install(site, BAD, feeds="failing = storm_kinds:FEED", triggers="failing = storm_kinds:TRIGGER")
    calls = tmp_path / "calls"
    section = f"""
[[feeds]]
name = "odd"
kind = "failing"
calls = "{calls}"
rescan_s = 0.1
[[triggers]]
name = "never"
kind = "failing"
feed = "nowcasts"
workflow = "nowcast"
"""
    # The failing ones come first, so that they would be in the way.
    feeds, triggers = ARRIVALS.split("[[triggers]]")
    odd_feed, odd_trigger = section.split("[[triggers]]")
    parts = (COMMON, odd_feed, feeds, "[[triggers]]", odd_trigger, "[[triggers]]", triggers)
    (tmp_path / "dynamo.toml").write_text("".join(parts))
    daemon = DaemonProcess(tmp_path)
    try:
        daemon.wait_watching()
        write_small(tmp_path / "incoming", 0)
        write_small(tmp_path / "incoming", 1)
        wait_for(lambda: len(list((tmp_path / "products" / "nowcast").glob("2*/*/index.json"))) == 2, 60, "products")
        wait_for(lambda: calls.read_text().count("scan") > 3, 30, "more scans")
    finally:
        assert daemon.stop() == 0
    log = daemon.log.read_text()
    reasons = {
        "feed odd": {"start": "no news", "scan": "no scan", "stop": "no end"},
        "trigger never": {"due": "nothing due", "judge": "no verdict"},
    }
    for who, told in reasons.items():
        for what, reason in told.items():
            # Once, however often it failed.
            (line,) = [line for line in log.splitlines() if f"{who}: kind failing of {PACKAGE}, {what}" in line]
            assert reason in line
    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        assert len(session.scalars(select(Arrival).where(Arrival.state == "accepted")).all()) == 2
        refused = session.scalars(select(RunDecision).where(RunDecision.action == "refuse")).all()
        assert {run.trigger for run in session.scalars(select(Run))} == {"storms"}
        assert session.get_one(Cursor, "failing never").data == {}
    store.close()
    assert len(refused) == 2
    assert f"kind failing of {PACKAGE}: ZeroDivisionError: no verdict" in refused[0].reason
