"""Backfills: what they make, what they leave alone, and whom they never hold up."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from dynamo.archive.folder_tier import FolderTier
from dynamo.archive.moving import Mover
from dynamo.archive.verify import strays
from dynamo.assets.lineage import lineage_of
from dynamo.backfill import order as orders
from dynamo.backfill.control import cancel, pause, resume
from dynamo.backfill.planning import plan
from dynamo.backfill.promotion import Promoted, promote
from dynamo.backfill.worker import BackfillWorker
from dynamo.config.file import Config, parse_config
from dynamo.engines.base import BACKGROUND
from dynamo.errors import InputError, NotFoundError, UsageError
from dynamo.feeds.base import Candidate
from dynamo.feeds.products import ProductFeed
from dynamo.inspection.facts import InputFacts, facts_to_json
from dynamo.runs import ledger
from dynamo.runs.events import RunEvent
from dynamo.runs.folder import claimed
from dynamo.runs.publish import point_latest
from dynamo.runs.service import RunService
from dynamo.runs.setup import make_service
from dynamo.store.backfills import Backfill
from dynamo.store.models import Arrival, Cursor, Run, Series
from dynamo.store.retention import COPIED, INTENDED, ProductMove
from dynamo.times import utc_now
from dynamo.triggers.rules import make_rules
from dynamo.watch.watcher import Watcher
from tests.integration.watch.watch_support import START, ThreadEngine, factory
from tests.waiting import wait_for

#: Runs are made, with their products.
pytestmark = pytest.mark.slow

END = START + timedelta(hours=1)
#: A workflow of one job; its files are whatever they are for `ThreadEngine`.
DATA: dict[str, Any] = {
    "feeds": [{"name": "n", "path": "incoming"}],
    "triggers": [
        {"name": "storms", "feed": "n", "workflow": "nowcast", "parameters": {"levels": [30.0]}, "shed": "never"},
        {"name": "hourly", "kind": "schedule", "feed": "n", "workflow": "nowcast", "every_min": 2},
    ],
    "runs": {"fsync": False, "min_free_mb": 0},
    "provenance": {"prov": True},
}


class World:
    """A store with arrivals at minutes 0 to 3, and an engine without processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: Config = parse_config(DATA, base=folder)
        self.engine = ThreadEngine()
        self.service: RunService = make_service(self.config, engine_factory=factory(self.engine))
        self.events: list[RunEvent] = []
        self.service.events.subscribe(self.events.append)
        (folder / "incoming").mkdir()
        for minute in range(4):
            self.arrive(minute)

    def arrive(self, minute: int) -> None:
        path = self.folder / "incoming" / f"{minute}.nc"
        path.write_bytes(b"nowcast %d" % minute)
        at = START + timedelta(minutes=minute)
        crossings = {30.0: (9, 9), 35.0: (9, 9), 45.0: (9, 9)}
        facts = InputFacts("casa-nowcast", at, (0, 1), (21, 21), crossings=crossings)
        with self.service.store.transaction() as session:
            session.add(
                Arrival(
                    feed="n",
                    path=str(path),
                    size=path.stat().st_size,
                    mtime_ns=path.stat().st_mtime_ns,
                    sha256=f"{minute:064d}",
                    state="accepted",
                    valid_at=at,
                    facts=facts_to_json(facts),
                    detected_at=utc_now(),
                    recorded_at=utc_now(),
                )
            )

    def order(self, name: str = "storms", since: datetime = START, until: datetime = END, **more: Any) -> orders.Order:
        return orders.compose(self.config, self.service.planner, name, since=since, until=until, **more)

    def start(self, *arguments: Any, **more: Any) -> str:
        with self.service.store.transaction() as session:
            return orders.start(session, self.order(*arguments, **more)).id

    def work(self, *, may_start: bool = True) -> None:
        stop = threading.Event()
        BackfillWorker(self.service, self.config, may_start=lambda: may_start, stop=stop).work()

    def live(self) -> list[Run]:
        """Make the runs that the trigger would have made as the data came."""
        rule = make_rules(self.config, self.service.planner)[0]
        with self.service.store.transaction() as session:
            arrivals = session.scalars(select(Arrival).order_by(Arrival.id)).all()
            requests = [rule.request([one], utc_now()) for one in arrivals]
        return [self.service.create(request)[0] for request in requests]

    def row(self, name: str) -> Backfill:
        with self.service.store.reading() as session:
            return session.get_one(Backfill, name)

    def runs(self, name: str) -> list[Run]:
        with self.service.store.reading() as session:
            return list(session.scalars(select(Run).where(Run.backfill == name).order_by(Run.valid_at)))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("dynamo.backfill.judging.sha256_file", lambda _path: "")
    monkeypatch.setattr("dynamo.runs.execution.inputs.sha256_file", lambda _path: "")
    world = World(tmp_path)
    yield world
    world.service.close()
    world.service.store.close()


def counters(row: Backfill) -> tuple[int, int, int, int]:
    return row.made, row.had, row.refused, row.gone


def test_makes_each_slot_once_behind_everything_live(world: World) -> None:
    name = world.start(until=START + timedelta(minutes=3))
    world.work()
    runs = world.runs(name)
    assert [run.valid_at for run in runs] == [START + timedelta(minutes=minute) for minute in range(3)]
    assert {(run.state, run.origin, run.priority, run.deadline_at) for run in runs} == {
        ("succeeded", "backfill", BACKGROUND, None)
    }
    # The trigger's runs are never skipped and go first in a pool, but not those of a backfill.
    assert {world.service.folder(run).read_plan().priority for run in runs} == {BACKGROUND}
    row = world.row(name)
    assert (row.state, counters(row)) == ("done", (3, 0, 0, 0))
    again = world.start()
    world.work()
    assert counters(world.row(again)) == (1, 3, 0, 0)


def test_makes_nothing_fresh_and_feeds_no_live_trigger(world: World) -> None:
    name = world.start()
    world.work()
    with world.service.store.reading() as session:
        assert [one.live_at for one in session.scalars(select(Series))] == [None]
        assert list(ledger.unfinished(session)) == []
    feed = ProductFeed("p", workflow="nowcast", patterns=["*"], store=world.service.store, events=world.service.events)
    offered: list[Any] = []
    feed.start(offered.append)
    published = [event for event in world.events if event.kind == "published"]
    assert {event.data["origin"] for event in published} == {"backfill"}
    for event in published:
        world.service.events.emit("published", event.subject, **event.data)
    assert feed.scan(offered.append) == 0
    assert offered == []
    assert len(world.runs(name)) == 4


def test_starts_nothing_while_live_runs_wait(world: World) -> None:
    name = world.start()
    stop = threading.Event()
    looks = 0

    def may_start() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            stop.set()
        return False

    BackfillWorker(world.service, world.config, may_start=may_start, stop=stop).work()
    assert world.runs(name) == []
    assert world.row(name).state == "active"


def test_makes_submits_and_concludes_runs_each_in_a_turn_behind_live_work(world: World) -> None:
    seen: list[tuple[list[str], int]] = []

    def calm() -> bool:
        seen.append(([run.state for run in world.runs(name)], len(world.engine.started)))
        return True

    world.service.courtesy.calm = calm
    name = world.start(until=START + timedelta(minutes=1))
    world.work()
    # Before it is made, planned, submitted, concluded, and published. Its work may have ended before anybody looked.
    assert seen[3][0] in (["submitted"], ["running"])
    del seen[3]
    assert [(states, started) for states, started in seen if states != ["succeeded"]] == [
        ([], 0),
        (["created"], 0),
        (["submitted"], 0),
        (["publishing"], 1),
    ]


def test_inspects_each_file_of_a_folder_in_a_turn_behind_live_work(world: World) -> None:
    looks = 0

    def calm() -> bool:
        nonlocal looks
        looks += 1
        return True

    world.service.courtesy.calm = calm
    archive = world.folder / "archive"
    archive.mkdir()
    for number in range(3):
        (archive / f"{number}.nc").write_bytes(b"not a nowcast %d" % number)
    name = world.start(folder=archive)
    world.work()
    assert world.row(name).state == "done"
    # One turn for each file, and one for the look for what to make.
    assert looks == 3 + 1


def test_files_that_come_in_are_live_work_to_a_daemon(world: World) -> None:
    watcher = Watcher(world.config, engine_factory=factory(world.engine))
    try:
        calm = watcher.service.courtesy.calm
        assert calm()
        file = world.folder / "incoming" / "new.nc"
        file.write_bytes(b"new")
        watcher._intake.candidates.offer(Candidate("n", file, "closed", utc_now()))
        assert not calm()
        candidate = watcher._intake.candidates.take()
        assert candidate is not None
        assert not calm()
        watcher._intake.candidates.done(candidate)
        assert calm()
    finally:
        watcher.stop()


def test_makes_skipped_runs_and_those_whose_products_are_gone(world: World) -> None:
    live = world.live()
    for run in live[:2]:
        world.service.execute(run.id)
    world.service.skip(live[2], "overload")
    published = Path(str(world.service.get(live[1].id).product_dir))
    for path in published.iterdir():
        path.unlink()
    before = plan(world.service, world.order())
    assert (before.runs, before.up_to_date) == (2, 2)
    name = world.start()
    world.work()
    # One was up to date, and one waits for its live turn.
    assert counters(world.row(name)) == (2, 2, 0, 0)
    assert [world.service.get(run.id).state for run in live] == ["succeeded", "succeeded", "succeeded", "created"]
    assert [run.id for run in world.runs(name)] == [live[1].id, live[2].id]


def test_tells_which_input_is_gone(world: World) -> None:
    (world.folder / "incoming" / "1.nc").unlink()
    (world.folder / "incoming" / "2.nc").write_bytes(b"longer than it was")
    found = plan(world.service, world.order(), price=0.5)
    assert (found.slots, found.runs, found.gone) == (4, 2, 2)
    assert ["is gone" in reason for reason in found.gone_inputs] == [True, False]
    name = world.start()
    world.work()
    assert counters(world.row(name)) == (2, 0, 0, 2)


def test_keeps_the_parameters_it_was_started_with(world: World) -> None:
    name = world.start(parameters={"levels": "45"})
    changed = {**DATA, "triggers": [{**DATA["triggers"][0], "parameters": {"levels": [20.0]}}]}
    world.config = parse_config(changed, base=world.folder)
    world.work()
    assert {tuple(run.parameters["levels"]) for run in world.runs(name)} == {(45.0,)}


def test_a_schedule_takes_the_newest_of_each_slot(world: World) -> None:
    name = world.start("hourly")
    world.work()
    # Slots end at 18:00, 18:02 and 18:04.
    assert [run.valid_at for run in world.runs(name)] == [START + timedelta(minutes=minute) for minute in (0, 2, 3)]
    with world.service.store.reading() as session:
        assert list(session.scalars(select(Cursor.name).where(Cursor.name.contains(name)))) == []


def test_pauses_resumes_and_cancels(world: World) -> None:
    name = world.start()
    pause(world.service.store, name, "noon")
    world.work()
    assert world.runs(name) == []
    with pytest.raises(UsageError, match="paused"):
        pause(world.service.store, name, "again")
    resume(world.service.store, name[:4])
    cancel(world.service, name, "not wanted")
    world.work()
    assert (world.row(name).state, world.runs(name)) == ("cancelled", [])
    with pytest.raises(UsageError, match="cancelled"):
        resume(world.service.store, name)


def test_a_second_one_of_the_same_range_is_refused(world: World) -> None:
    first = world.start(until=START + timedelta(minutes=2))
    with pytest.raises(UsageError, match=first):
        world.start(since=START + timedelta(minutes=1))
    world.start(since=START + timedelta(minutes=2))
    world.start(variant="beside")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"until": START}, InputError),
        ({"since": START + timedelta(days=40_000), "until": START + timedelta(days=40_001)}, InputError),
        ({"name": "storm"}, NotFoundError),
        ({"name": "nowcast", "feed": "m"}, NotFoundError),
        ({"variant": "../x"}, UsageError),
        ({"parameters": {"level": "4"}}, InputError),
        ({"folder": Path("nowhere")}, NotFoundError),
    ],
)
def test_refuses_nonsense(world: World, change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        world.order(**change)


def test_a_range_without_data_is_done_at_once(world: World) -> None:
    name = world.start(until=START - timedelta(days=1), since=START - timedelta(days=2))
    world.work()
    assert (world.row(name).state, counters(world.row(name))) == ("done", (0, 0, 0, 0))


def test_publishes_beside_and_promotes(world: World) -> None:
    live = world.live()
    for run in live:
        world.service.execute(run.id)
    name = world.start(parameters={"levels": "45"}, variant="new")
    world.work()
    beside = world.folder / "products" / "nowcast@new"
    assert len(list(beside.glob("[0-9]*/*-*"))) == 4
    assert {world.service.get(run.id).standing for run in live} == {"current"}
    latest = (world.folder / "products" / "nowcast" / "latest").readlink()
    assert promote(world.service, name).runs == 4
    assert promote(world.service, name).runs == 0
    assert {world.service.get(run.id).standing for run in live} == {"superseded"}
    assert {(run.variant, run.standing) for run in world.runs(name)} == {("", "current")}
    assert not beside.exists()
    assert (world.folder / "products" / "nowcast" / "latest").readlink().parent == latest.parent
    # It counts as what it is now.
    assert plan(world.service, world.order(parameters={"levels": "45"})).up_to_date == 4
    with pytest.raises(UsageError, match="current"):
        promote(world.service, world.start())
    # The same order again finds them, though their keys have changed; so does the name of a folder.
    again = world.start(parameters={"levels": "45"}, variant="new")
    world.work()
    assert (world.row(again).state, world.row(again).had, world.runs(again)) == ("done", 4, [])
    assert list(strays(world.folder / "products", world.service.store)) == []
    run = world.runs(name)[0]
    origin = orjson.loads((Path(run.product_dir or "") / "prov.json").read_bytes())
    assert {made["prov:entity"].partition("/")[0] for made in origin["wasGeneratedBy"].values()} == {
        f"product:{run.key}"
    }
    product = min(Path(run.product_dir or "").glob("*.geojson"))
    product.unlink()
    with world.service.store.reading() as session:
        assert (lineage_of(session, product).file.run or {})["id"] == run.id


def test_promotes_nothing_that_was_changed_or_that_somebody_works_on(world: World) -> None:
    name = world.start(variant="new")
    world.work()
    runs = world.runs(name)
    damaged = min(Path(runs[0].product_dir or "").glob("*.geojson"))
    damaged.chmod(0o644)
    damaged.write_bytes(b"?" * damaged.stat().st_size)
    with claimed(Path(runs[1].run_dir)):
        assert promote(world.service, name) == Promoted(runs=2, gone=1, busy=1)
    assert promote(world.service, name) == Promoted(runs=1, gone=1, busy=0)
    assert [run.variant for run in world.runs(name)] == ["new", "", "", ""]
    # A run folder that was tidied is not made again for the lock.
    again = world.start(variant="more")
    world.work()
    for run in world.runs(again):
        shutil.rmtree(run.run_dir)
    assert promote(world.service, again).runs == 4
    assert [Path(run.run_dir).exists() for run in world.runs(again)] == 4 * [False]


def test_what_waits_to_move_from_a_tier_is_promoted_all_the_same(world: World) -> None:
    name = world.start(until=START + timedelta(minutes=2), variant="new")
    world.work()
    warm = world.folder / "warm"
    for run, state in zip(world.runs(name), (INTENDED, COPIED), strict=True):
        # As after a move to the warm tier, of which the second has not removed the source yet.
        source, target = Path(run.product_dir or ""), warm / Path(run.product_dir or "").name
        shutil.copytree(source, target)
        if state == INTENDED:
            shutil.rmtree(source)
        now = utc_now()
        waits = ProductMove(
            run_id=run.id,
            source=str(target if state == INTENDED else source),
            target="" if state == INTENDED else str(target),
            tier="gone" if state == INTENDED else "warm",
            state=state,
            rule="r",
            bytes=1,
            created_at=now,
            updated_at=now,
        )
        with world.service.store.transaction() as session:
            session.add(waits)
            session.execute(update(Run).where(Run.id == run.id).values(product_dir=str(target), tier="warm"))
    assert promote(world.service, name) == Promoted(runs=2, gone=0, busy=0)
    with world.service.store.reading() as session:
        left = session.scalars(select(ProductMove)).all()
    assert {(move.state, move.tier, Path(move.source).parent) for move in left} == {(COPIED, "hot", warm)}
    mover = Mover(world.service.store, world.service.settings.products_dir, FolderTier(warm))
    assert [mover.go_on(move.run_id) for move in mover.unfinished()] == [True, True]
    assert list(warm.glob("*-*")) == []
    assert not (world.folder / "products" / "nowcast@new").exists()
    assert {run.tier for run in world.runs(name)} == {"hot"}
    assert list(strays(world.folder / "products", world.service.store)) == []


def test_takes_the_files_of_a_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = world.folder / "archive"
    for day, minute in (("a", 10), ("b", 11), ("b", 90)):
        (archive / day).mkdir(parents=True, exist_ok=True)
        (archive / day / f"{minute}.nc").write_bytes(b"%d" % minute)

    def inspect(path: Path, _levels: Any) -> InputFacts:
        at = START + timedelta(minutes=int(path.stem))
        return InputFacts("casa-nowcast", at, (0, 1), (21, 21), crossings={30.0: (9, 9)})

    monkeypatch.setattr("dynamo.backfill.listing.inspect", inspect)
    monkeypatch.setattr("dynamo.backfill.listing._FILES", 2)
    name = world.start(folder=archive)
    world.work()
    assert [run.valid_at for run in world.runs(name)] == [START + timedelta(minutes=minute) for minute in (10, 11)]
    assert (world.row(name).state, world.row(name).listed) == ("done", "b/90.nc")


def test_the_daemon_works_on_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo.watch.watcher._BACKFILL_S", 0.1)
    name = world.start()
    with Watcher(world.config, engine_factory=factory(world.engine)):
        wait_for(lambda: world.row(name).state == "done", what="the end of the backfill")
    assert [(run.state, run.origin) for run in world.runs(name)] == [("succeeded", "backfill")] * 4


def test_a_portion_of_another_process_is_not_made_twice(world: World) -> None:
    from dynamo.backfill import judging, making

    name = world.start()
    order = world.order()

    def while_another_moves(*arguments: Any) -> Any:
        with world.service.store.transaction() as session:
            session.execute(update(Backfill).values(cursor_at=START + timedelta(minutes=2), cursor_id=3))
        return judging.judge(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "judge", while_another_moves)
        assert making.make_portion(world.service, order, name, 4) == []
    assert world.runs(name) == []


def test_latest_does_not_go_back_to_old_products_when_the_newest_are_gone(tmp_path: Path) -> None:
    for name in ("20260520/180000-aa", "20260521/180000-bb"):
        (tmp_path / name).mkdir(parents=True)
    assert point_latest(tmp_path, tmp_path / "20260521/180000-bb", old=True)
    (tmp_path / "20260521/180000-bb").rmdir()
    assert not point_latest(tmp_path, tmp_path / "20260520/180000-aa", old=True)
    assert point_latest(tmp_path, tmp_path / "20260520/180000-aa")
