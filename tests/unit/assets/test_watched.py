"""What is watched, judged from a store that is filled as the daemon fills it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from dynamo.assets.freshness import Freshness, State
from dynamo.assets.problems import ProblemBook
from dynamo.assets.watched import Watched
from dynamo.cli import console
from dynamo.cli.console import VisibleConsole
from dynamo.cli.main import register_all
from dynamo.config.file import Config, parse_config
from dynamo.runs.series import count_arrival, count_publication
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run, StoredDocument
from dynamo.store.problems import JobReport, ProblemRecord
from dynamo.times import utc_now
from dynamo.watch.freshness import FreshnessWatch
from tests.waiting import wait_for

NOW = datetime(2026, 6, 6, 3, 0, tzinfo=UTC)
FILE: dict[str, Any] = {
    "feeds": [{"name": "sweeps", "path": "in"}],
    "triggers": [{"name": "each", "feed": "sweeps", "workflow": "hail"}],
}


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


class World:
    """A store, and data that come into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_store(folder / ".dynamo" / "store.sqlite")
        self._numbers = itertools.count()
        with self.store.transaction() as session:
            session.add(StoredDocument(sha256="d", name="hail", version="1", body={}, recorded_at=NOW))

    def arrive(self, *valid: datetime, radar: str = "KFWS") -> None:
        """Store that files of these valid times came, each half a minute later."""
        with self.store.transaction() as session:
            for at in valid:
                came = at + timedelta(seconds=30)
                times = {"valid_at": at, "closed_at": came, "detected_at": came, "recorded_at": came}
                path = f"{next(self._numbers)}.nc"
                arrival = Arrival(feed="sweeps", path=path, size=1, mtime_ns=1, state="accepted", radar=radar, **times)
                session.add(arrival)
                session.flush()
                count_arrival(session, arrival)

    def publish(self, at: datetime, came: datetime, *, origin: str = "live", variant: str = "") -> None:
        """Store that a run published the products of a valid time."""
        name = f"run{next(self._numbers)}"
        times = {"valid_at": at, "created_at": came, "published_at": came, "updated_at": came}
        words = {"origin": origin, "variant": variant, "trigger": "each", "radar": "KFWS", "state": "succeeded"}
        rest: dict[str, Any] = {"inputs": [], "parameters": {}, "run_dir": "", "software": "", "engine": "local"}
        with self.store.transaction() as session:
            run = Run(id=name, key=name, workflow="hail", version="1", document="d", **words, **times, **rest)
            session.add(run)
            session.flush()
            count_publication(session, run, 1)

    def config(self, **more: Any) -> Config:
        return parse_config({**FILE, **more}, base=self.folder)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


Judge = Callable[[datetime], dict[str, Freshness]]


def judge(world: World, config: Config, since: datetime = NOW) -> Judge:
    """Return what judges everything at a time, and remembers habits as the daemon does."""
    watched = Watched(config, since)

    def at(now: datetime) -> dict[str, Freshness]:
        with world.store.reading() as session:
            return {str(subject): found for subject, found in watched.judge(session, now).items()}

    return at


FEED, LINE = "feed:sweeps/KFWS", "workflow:hail/each/KFWS"


@pytest.mark.parametrize(("origin", "variant"), [("backfill", ""), ("backfill", "new"), ("live", "new")])
def test_a_backfill_never_makes_anything_fresh(world: World, origin: str, variant: str) -> None:
    for number in range(10):
        world.arrive(NOW - minutes(600 + 5 * number))
        world.publish(NOW - minutes(600 + 5 * number), NOW - minutes(599 + 5 * number))
    ask = judge(world, world.config())
    before = ask(NOW)
    assert before[FEED].state is State.SILENT
    # Made again up to now, and of a time that is ahead.
    for minute in (300, 60, 5, 0, -5):
        world.publish(NOW - minutes(minute), NOW, origin=origin, variant=variant)
    assert ask(NOW) == before
    assert judge(world, world.config())(NOW) == before
    world.arrive(NOW)
    world.publish(NOW, NOW)
    after = judge(world, world.config())(NOW)
    assert (after[FEED].state, after[LINE].state) == (State.FRESH, State.FRESH)


def test_clear_air_mode_is_slower_and_not_late(world: World) -> None:
    world.arrive(*(NOW - minutes(4.5 * number) for number in range(30)))
    ask = judge(world, world.config())
    assert ask(NOW + minutes(14))[FEED].state is State.FRESH
    # Precipitation mode would be late after 14 minutes: so it is, in the first scans of clear air.
    assert ask(NOW + minutes(15))[FEED].state is State.LATE
    for number in range(1, 5):
        world.arrive(NOW + minutes(10 * number))
        assert ask(NOW + minutes(10 * number + 9))[FEED].state is State.FRESH
    # By now two missing scans are not late; the radar is silent after two hours.
    newest = NOW + minutes(40)
    assert ask(newest + minutes(29))[FEED].state is State.FRESH
    assert ask(newest + minutes(31))[FEED].state is State.LATE
    assert ask(newest + minutes(121))[FEED].state is State.SILENT
    # Back in precipitation mode, the faster cadence counts once most of what is remembered has it.
    world.arrive(*(newest + minutes(130 + 4.5 * number) for number in range(70)))
    newest += minutes(130 + 4.5 * 69)
    assert ask(newest + minutes(15))[FEED].state is State.LATE


def test_what_never_came_is_silent_if_it_must_come(world: World) -> None:
    feed = {"name": "sweeps", "path": "in", "expect": ["KFWS", "klot"], "cadence_s": 300}
    found = judge(world, world.config(feeds=[feed]))(NOW + minutes(16))
    assert {name: state.state for name, state in found.items()} == {
        "feed:sweeps/KFWS": State.SILENT,
        "feed:sweeps/KLOT": State.SILENT,
    }
    assert all(state.is_problem(NOW + minutes(16)) for state in found.values())
    assert not any(state.is_problem(NOW + minutes(14)) for state in found.values())
    assert judge(world, world.config())(NOW + minutes(900))["feed:sweeps"].state is State.NOT_EXPECTED
    # A radar that nobody expected is watched from its first file on.
    world.arrive(NOW + minutes(16), radar="KLBB")
    assert set(judge(world, world.config(feeds=[feed]))(NOW)) == {f"feed:sweeps/{r}" for r in ("KFWS", "KLOT", "KLBB")}


def test_an_expected_radar_is_the_one_that_comes_however_its_name_is_written(world: World) -> None:
    """CASA's radars have names in small letters; they were silent forever beside themselves."""
    feed = {"name": "sweeps", "path": "in", "expect": ["addison.tx", "klot"], "cadence_s": 300}
    world.arrive(NOW, radar="addison.tx")
    found = judge(world, world.config(feeds=[feed]))(NOW)
    assert set(found) == {"feed:sweeps/addison.tx", "feed:sweeps/KLOT"}
    assert found["feed:sweeps/addison.tx"].state is State.FRESH


def test_a_declared_asset_says_the_cadence_of_its_feed(world: World) -> None:
    assets = [{"name": "radar", "of": "sweeps", "cadence_s": 3600}]
    world.arrive(NOW)
    config = world.config(assets=assets)
    assert judge(world, config)(NOW + minutes(180))[FEED].state is State.FRESH
    assert judge(world, config)(NOW + minutes(181))[FEED].state is State.LATE
    assert judge(world, world.config())(NOW + minutes(181))[FEED].state is State.NOT_EXPECTED


def test_maintenance_excuses_only_what_it_names_and_ends(world: World) -> None:
    for radar in ("KFWS", "KLBB"):
        world.arrive(*(NOW - minutes(5 * number) for number in range(10)), radar=radar)
    # Every Saturday from a week ago, from 3:10 to 4:10.
    window = {"start": "2026-05-30T03:10:00Z", "end": "2026-05-30T04:10:00Z", "every": "week", "radars": ["kfws"]}
    config = world.config(maintenance=[{**window, "reason": "new disks"}])
    book, ask = ProblemBook(world.store), Watched(config, NOW)

    def states(minute: float) -> dict[str, State]:
        now = NOW + minutes(minute)
        with world.store.reading() as session:
            found = ask.judge(session, now)
        book.settle(found, now)
        return {subject.radar: state.state for subject, state in found.items() if subject.kind == "feed"}

    assert states(5) == {"KFWS": State.FRESH, "KLBB": State.FRESH}
    assert states(20) == {"KFWS": State.NOT_EXPECTED, "KLBB": State.LATE}
    assert states(69) == {"KFWS": State.NOT_EXPECTED, "KLBB": State.SILENT}
    assert states(70) == {"KFWS": State.SILENT, "KLBB": State.SILENT}
    # What was late before its maintenance is excused by it: that problem ends, too.
    assert states(7 * 24 * 60 + 20) == {"KFWS": State.NOT_EXPECTED, "KLBB": State.SILENT}
    with world.store.reading() as session:
        found = session.query(ProblemRecord).order_by(ProblemRecord.id).all()
    assert [(p.subject[-4:], p.kind, p.ending) for p in found] == [
        ("KLBB", "silent", ""),
        ("KFWS", "silent", "not expected, new disks"),
    ]


def test_a_clock_that_is_set_opens_no_problem_at_once_and_none_for_ever(world: World) -> None:
    world.arrive(*(NOW - minutes(5 * number) for number in range(10)))
    now, steady = [NOW], [0.0]
    watch = FreshnessWatch(
        world.store,
        world.config(freshness={"settle_s": 60}),
        clock=lambda: now[0],
        steady=lambda: steady[0],
    )

    def look(wall_s: float, steady_s: float) -> int:
        now[0] += timedelta(seconds=wall_s)
        steady[0] += steady_s
        return watch.look()

    assert look(120, 120) == 0
    # An hour forward in ten seconds: all looks late, and nobody is told before it has settled.
    assert look(3600, 10) == 0
    assert look(50, 50) == 0
    assert look(10, 10) == 1
    # Back again: it was never late, and the data are from now.
    assert look(-3600, 10) == 1
    assert look(60, 60) == 0
    # Back by a day: newest data are ahead of the clock, which is no reason to be late.
    assert look(-86_400, 10) == 0
    assert look(600, 600) == 0
    with world.store.reading() as session:
        (problem,) = session.query(ProblemRecord).all()
    assert problem.closed_at is not None


def test_operators_are_told_once_and_places_never(world: World) -> None:
    channels = [
        {"name": "ops", "kind": "file", "path": "ops.jsonl", "audience": "operators"},
        {"name": "people", "kind": "file", "path": "people.jsonl"},
    ]
    jobs = [{"name": "copy", "period_s": 3600, "grace_s": 0}]
    # Couriers go by the real clock, and send nothing that is old.
    now = [utc_now() - minutes(90)]
    world.arrive(*(now[0] - minutes(5 * number) for number in range(10)))
    config = world.config(alerts={"channels": channels}, jobs=jobs, freshness={"settle_s": 0})

    def watch() -> FreshnessWatch:
        made = FreshnessWatch(world.store, config, clock=lambda: now[0])
        made.start()
        return made

    def told() -> list[str]:
        file = world.folder / "ops.jsonl"
        return [orjson.loads(line)["text"] for line in file.read_bytes().splitlines()] if file.exists() else []

    first = watch()
    assert first.look() == 0
    now[0] += minutes(90)
    assert [first.look() for _ in range(3)] == [2, 0, 0]
    wait_for(lambda: len(told()) == 2, what="both problems")
    first.stop()
    # The next daemon goes on with them.
    second = watch()
    assert second.look() == 0
    world.arrive(now[0])
    with world.store.transaction() as session:
        session.get_one(JobReport, "copy").succeeded_at = now[0]
    assert [second.look() for _ in range(3)] == [2, 0, 0]
    wait_for(lambda: len(told()) == 4, what="both ends")
    second.stop()
    starts, ends = sorted(told()[:2]), sorted(told()[2:])
    assert [text.partition(":")[2].partition(":")[0] for text in starts] == ["sweeps/KFWS is silent", "copy is silent"]
    assert ends[0].startswith("feed:sweeps/KFWS is no longer silent: fresh, ")
    assert ends[1].startswith("job:copy is no longer silent: fresh, ")
    assert not (world.folder / "people.jsonl").exists()


def test_both_lists_fit_80_columns_and_can_be_narrowed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stderr in (("out", False), ("err", True)):
        made = VisibleConsole(highlight=False, emoji=False, soft_wrap=True, width=80, stderr=stderr)
        monkeypatch.setattr(console, name, made)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.chdir(world.folder)
    (world.folder / "dynamo.toml").write_text(
        '[[feeds]]\nname = "sweeps"\npath = "in"\nexpect = ["KLOT"]\n'
        '[[triggers]]\nname = "each"\nfeed = "sweeps"\nworkflow = "hail"\n'
    )
    now = utc_now()

    def ask(*words: str) -> str:
        result = CliRunner().invoke(register_all(), words)
        assert result.exception is None, result.exception
        return result.output

    assert "no open problems in " in ask("problems", "list")
    world.arrive(*(now - minutes(5 * number) for number in range(10)))
    world.arrive(*(now - minutes(3000 + 5 * number) for number in range(10)), radar="KLBB")
    world.publish(now, now)
    text = ask("freshness")
    assert max(map(len, text.splitlines())) <= 80
    for subject in (FEED, "feed:sweeps/KLBB", "feed:sweeps/KLOT", LINE):
        assert f" {subject} " in f" {text} ".replace("\n", " ")
    assert ask("freshness", "--radar", "klbb").count("sweeps/") == 1
    assert ask("freshness", "--since", "1d", "--json").count('"subject"') == 2
    assert "no such feeds, workflows or jobs in " in ask("freshness", "--radar", "KTLX")
    book = ProblemBook(world.store)
    with world.store.reading() as session:
        states = Watched(world.config(), now).judge(session, now)
    book.settle(states, now - minutes(2000))
    book.settle({}, now - minutes(1000))
    book.settle(states, now)
    assert ask("problems", "list").count("KLBB") == 1
    text = ask("problems", "list", "--all")
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("KLBB") == 2
    assert ask("problems", "list", "--since", "1d").count("KLBB") == 2
    assert ask("problems", "list", "--since", "2h", "--json").count('"subject"') == 1
    assert "no such problems in" in ask("problems", "list", "--radar", "KFWS", "--all")
