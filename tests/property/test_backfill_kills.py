"""A backfill and its promotion, killed at any commit or rename, make each run once and lose nothing.

The process that creates runs, or promotes them, is killed (SIGKILL) at each point; another one goes on where it was.
The steps of a run itself are killed in `test_run_kills`.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.archive.caretaker import Caretaker
from dynamo.archive.listing import ProductFilter
from dynamo.archive.verify import strays, verify
from dynamo.backfill import order as orders
from dynamo.backfill import worker
from dynamo.backfill.promotion import promote
from dynamo.config.file import Config, parse_config
from dynamo.feeds.completeness import look
from dynamo.files import sha256_file
from dynamo.inspection.facts import facts_to_json
from dynamo.inspection.process import inspect
from dynamo.places.bucket import Bucket
from dynamo.runs.service import RunService, has_products
from dynamo.runs.setup import make_service
from dynamo.store.backfills import Backfill
from dynamo.store.models import Arrival, Run, Series
from dynamo.store.retention import ProductMove
from dynamo.times import utc_now
from tests.integration.watch.watch_support import START, ThreadEngine, factory, write_small
from tests.property.kill_site import Points
from tests.property.test_fleet_kills import in_a_process
from tests.property.test_retention_histories import HISTORIES
from tests.s3_server import KEYS, content_of, make_bucket, s3_server
from tests.waiting import PATIENCE

LIMIT_S = 10
FILES = 3
END = START + timedelta(hours=1)


BUCKET = "promoted"


def config_of(folder: Path, server: str = "") -> Config:
    trigger = {"name": "storms", "feed": "n", "workflow": "nowcast", "parameters": {"levels": [30.0], "min_points": 4}}
    feeds = [{"name": "n", "path": "incoming"}]
    runs = {"fsync": False, "min_free_mb": 0}
    data = {"feeds": feeds, "triggers": [trigger], "runs": runs}
    if server:
        warm = {"kind": "s3", "bucket": BUCKET, "endpoint": server, "region": "us-east-1"}
        data["retention"] = {"rules": [{"name": "all", "hot_days": 30.0}], "warm": warm}
    return parse_config(data, base=folder)


def service_in(folder: Path) -> RunService:
    return make_service(config_of(folder), engine_factory=factory(ThreadEngine()))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with arrivals and a backfill of them that nobody has begun to work on."""
    now = tmp_path_factory.mktemp("backfill") / "now"
    (now / "incoming").mkdir(parents=True)
    service = service_in(now)
    with service.store.transaction() as session:
        for minute in range(FILES):
            path = write_small(now / "incoming", minute)
            seen, facts = look(path), inspect(path, [30.0])
            assert seen is not None
            session.add(
                Arrival(
                    feed="n",
                    path=str(path),
                    size=seen.size,
                    mtime_ns=seen.mtime_ns,
                    sha256=sha256_file(path),
                    state="accepted",
                    valid_at=facts.issue_time,
                    facts=facts_to_json(facts),
                    detected_at=utc_now(),
                    recorded_at=utc_now(),
                )
            )
        config = config_of(now)
        order = orders.compose(config, service.planner, "storms", since=START, until=END, variant="new")
        orders.start(session, order)
    service.store.close()
    return now.rename(now.parent / "before")


@pytest.fixture(scope="module")
def beside(before: Path) -> Path:
    """The same when it is done: its products are published beside the current ones."""
    now = before.parent / "now"
    shutil.copytree(before, now, symlinks=True)
    assert in_a_process(partial(limited, work, now, Points()))
    return now.rename(before.parent / "beside")


@pytest.mark.slow
def test_killed_at_any_commit_of_a_backfill(before: Path) -> None:
    assert for_each_point(before, work, is_made_once) > FILES


@pytest.mark.slow
def test_killed_at_any_point_of_a_promotion(beside: Path) -> None:
    assert for_each_point(beside, promote_it, is_current) > 2 * FILES


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        make_bucket(running, BUCKET)
        yield running


@pytest.fixture(scope="module")
def tiered(beside: Path, server: str) -> Path:
    """The same when there are current products, too, and of both all but the newest are in a bucket."""
    now = beside.parent / "now"
    shutil.copytree(beside, now, symlinks=True)

    def replaced_and_aged() -> None:
        service = service_in(now)
        with service.store.transaction() as session:
            orders.start(session, orders.compose(config_of(now), service.planner, "storms", since=START, until=END))
        work(now)
        done = Caretaker(service.store, config_of(now, server)).tend(utc_now() + timedelta(days=40))
        assert done.moved == 2 * (FILES - 1)

    assert in_a_process(partial(limited, lambda _now: replaced_and_aged(), now, Points()))
    return now.rename(beside.parent / "tiered")


@pytest.mark.slow
def test_killed_at_any_point_of_a_promotion_from_a_bucket(tiered: Path, server: str) -> None:
    config_of(tiered, server)
    # With more histories every point.
    assert for_each_point(tiered, promote_it, replaced_is_kept, step=1 if HISTORIES > 100 else 4) > 2 * FILES
    now = tiered.rename(tiered.parent / "now")

    def tidy_and_verify() -> None:
        promote_it(now)
        store = service_in(now).store
        Caretaker(store, config_of(now, server)).tend(utc_now(), clock_is_right=True)
        assert [item for one in verify(store, ProductFilter()) for item in one.findings] == []

    # In a child, too: the client's threads do not survive a fork.
    assert in_a_process(tidy_and_verify)
    service = service_in(now)
    with service.store.reading() as session:
        assert session.scalars(select(ProductMove)).all() == []
        warm = set(session.scalars(select(Run.product_dir).where(Run.tier == "warm")))
    assert {f"s3://{BUCKET}/{name}".rpartition("/")[0] for name in content_of(server, BUCKET)} == warm


def for_each_point(before: Path, act: Any, check: Any, step: int = 1) -> int:
    now = before.parent / "now"
    for point in range(1, 500, step):
        shutil.copytree(before, now, symlinks=True)
        survived = in_a_process(partial(limited, act, now, Points(point)))
        if not survived:
            assert in_a_process(partial(limited, act, now, Points())), f"point {point}"
        check(now, f"after a kill at point {point}")
        shutil.rmtree(now)
        if survived:
            return point - 1
    pytest.fail("it never ends")


def limited(act: Any, now: Path, points: Points) -> None:
    """Act within the time limit; points are the commits and renames of this thread, not those of its runs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE * LIMIT_S)
    worker._PAUSE_S = 0.01
    main, reached = threading.current_thread(), points.reached

    def mine(*_arguments: Any, **_options: Any) -> None:
        if threading.current_thread() is main:
            reached()

    points.reached = mine  # type: ignore[method-assign]
    points.watch_commits()
    rename = Path.rename

    def renamed(self: Path, target: Any) -> Any:
        mine()
        found = rename(self, target)
        mine()
        return found

    Path.rename = renamed  # type: ignore[method-assign]
    chunks = Bucket.chunks

    def read(self: Bucket, key: str) -> Iterator[bytes]:
        mine()
        return chunks(self, key)

    Bucket.chunks = read  # type: ignore[method-assign]
    act(now)


def work(now: Path) -> None:
    service = service_in(now)
    worker.BackfillWorker(service, config_of(now), may_start=lambda: True, stop=threading.Event()).work()


def promote_it(now: Path) -> None:
    service = service_in(now)
    with service.store.reading() as session:
        name = session.scalars(select(Backfill.id).where(Backfill.variant != "")).one()
    promote(service, name)


def is_made_once(now: Path, what: str) -> None:
    service = service_in(now)
    with service.store.reading() as session:
        row = session.scalars(select(Backfill)).one()
        runs = session.scalars(select(Run)).all()
        series = session.scalars(select(Series)).one()
    service.store.close()
    assert (row.state, row.slots, row.made, row.had, row.gone) == ("done", FILES, FILES, 0, 0), what
    assert [(run.state, run.variant, run.standing) for run in runs] == FILES * [("succeeded", "new", "current")], what
    assert all(map(has_products, runs)), what
    assert len(list((now / "products" / "nowcast@new").glob("[0-9]*/*-*"))) == FILES, what
    assert (series.slots, series.made, series.live_at) == (FILES, FILES, None), what


def is_current(now: Path, what: str) -> None:
    service = service_in(now)
    with service.store.reading() as session:
        row = session.scalars(select(Backfill)).one()
        runs = session.scalars(select(Run)).all()
        counts = {one.variant: (one.slots, one.made) for one in session.scalars(select(Series))}
    service.store.close()
    assert row.promoted_at is not None, what
    assert [(run.state, run.variant, run.standing) for run in runs] == FILES * [("succeeded", "", "current")], what
    assert all(map(has_products, runs)), what
    folders = {str(path) for path in (now / "products" / "nowcast").glob("[0-9]*/*-*")}
    assert folders == {run.product_dir for run in runs}, what
    assert list((now / "products" / "nowcast@new").glob("[0-9]*/*-*")) == [], what
    assert counts == {"": (FILES, FILES), "new": (0, 0)}, what


def replaced_is_kept(now: Path, what: str) -> None:
    service = service_in(now)
    with service.store.reading() as session:
        runs = session.scalars(select(Run)).all()
        moves = session.scalars(select(ProductMove)).all()
        counts = {one.variant: (one.slots, one.made) for one in session.scalars(select(Series))}
    left = [*strays(now / "products", service.store)]
    service.store.close()
    states = [(run.variant, run.standing, run.tier) for run in runs]
    warm, hot = (FILES - 1) * [("", "superseded", "warm")], [("", "superseded", "hot")]
    assert sorted(states) == sorted([*FILES * [("", "current", "hot")], *warm, *hot]), what
    # What is still in the bucket is retention's to remove.
    assert [(move.state, move.tier) for move in moves] == (FILES - 1) * [("copied", "hot")], what
    assert left == [], what
    assert not (now / "products" / "nowcast@new").exists(), what
    assert not (now / "products" / ".fetched").exists(), what
    assert counts == {"": (FILES, 2 * FILES), "new": (0, 0)}, what
