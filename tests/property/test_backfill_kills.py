"""A backfill and its promotion, killed at any commit or rename, make each run once and lose nothing.

The process that creates runs, or promotes them, is killed (SIGKILL) at each point; another one goes on where it was.
The steps of a run itself are killed in `test_run_kills`.
"""

from __future__ import annotations

import shutil
import signal
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.backfill import order as orders
from dynamo.backfill import worker
from dynamo.backfill.promotion import promote
from dynamo.config.file import Config, parse_config
from dynamo.feeds.completeness import look
from dynamo.files import sha256_file
from dynamo.inspection.facts import facts_to_json
from dynamo.inspection.process import inspect
from dynamo.runs.service import RunService, has_products
from dynamo.runs.setup import make_service
from dynamo.store.backfills import Backfill
from dynamo.store.models import Arrival, Run, Series
from dynamo.times import utc_now
from tests.integration.watch.watch_support import START, ThreadEngine, factory, write_small
from tests.property.kill_site import Points
from tests.property.test_fleet_kills import in_a_process
from tests.waiting import PATIENCE

LIMIT_S = 10
FILES = 3
END = START + timedelta(hours=1)


def config_of(folder: Path) -> Config:
    trigger = {"name": "storms", "feed": "n", "workflow": "nowcast", "parameters": {"levels": [30.0], "min_points": 4}}
    feeds = [{"name": "n", "path": "incoming"}]
    runs = {"fsync": False, "min_free_mb": 0}
    return parse_config({"feeds": feeds, "triggers": [trigger], "runs": runs}, base=folder)


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


def for_each_point(before: Path, act: Any, check: Any) -> int:
    now = before.parent / "now"
    for point in range(1, 500):
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
    act(now)


def work(now: Path) -> None:
    service = service_in(now)
    worker.BackfillWorker(service, config_of(now), may_start=lambda: True, stop=threading.Event()).work()


def promote_it(now: Path) -> None:
    service = service_in(now)
    with service.store.reading() as session:
        name = session.scalars(select(Backfill.id)).one()
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
