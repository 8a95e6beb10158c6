"""A run that a check blocks, and its release, killed at any commit: it waits once, and is published once or never."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from dynamo.config.file import parse_config
from dynamo.engines.base import RunFolder
from dynamo.errors import UsageError
from dynamo.files import sha256_file
from dynamo.formats.nowcast import NowcastHeader, nowcast_name, write_nowcast
from dynamo.modules.execute import execute as execute_module
from dynamo.modules.registry import find_module
from dynamo.modules.runner import run_task
from dynamo.radar.grid import LatLonGrid
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.service import RunService, has_products
from dynamo.runs.setup import make_service
from dynamo.store.checks import CheckDay, CheckResult, CheckReview
from dynamo.store.models import Product, Run, RunDecision, Series
from dynamo.watch.reviews import drop_run, release_run
from tests.integration.watch.watch_support import START, ThreadEngine, factory
from tests.property.kill_site import Points
from tests.property.test_backfill_kills import for_each_point, limited
from tests.property.test_fleet_kills import in_a_process

LEADS = 2


class TaskEngine(ThreadEngine):
    """Runs the real jobs in a thread."""

    def _run(self, folder: RunFolder) -> None:
        ended = [run_task(folder.root, task.id) for task in folder.read_layout().tasks]
        self._end(folder, "succeeded" if all(ended) else "failed")


def service_in(folder: Path) -> RunService:
    config = parse_config({"runs": {"fsync": False, "min_free_mb": 0}}, base=folder)
    return make_service(config, engine_factory=factory(TaskEngine()))


def write_stuck(folder: Path) -> Path:
    """Write a nowcast of one value everywhere, as a hung merger leaves it."""
    path = folder / nowcast_name(START)
    header = NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.01, 40, 40), START, LEADS)
    write_nowcast(path, header, LEADS * [np.full((40, 40), 35.0)])
    return path


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of damaged data that nobody has begun to work on."""
    now = tmp_path_factory.mktemp("review") / "now"
    now.mkdir()
    service, path = service_in(now), write_stuck(now)
    workflow = service.planner.load("nowcast")
    file = InputFile("nowcast", path, sha256_file(path), path.stat().st_size, path.stat().st_mtime_ns)
    parameters = service.planner.parameters(workflow, {"levels": [45.0]})
    service.create(RunRequest(workflow, (file,), parameters, "thread", valid_at=START))
    service.store.close()
    # The children share what this process has imported.
    assert facts_of(path)["check_flag"] == 4
    return now.rename(now.parent / "before")


def facts_of(path: Path) -> Mapping[str, float]:
    leads = [path.parent / f"lead-{lead}.nc" for lead in range(LEADS)]
    outcome = execute_module(find_module("split"), {"nowcast": [path]}, {"leads": leads}, {"leads": list(range(LEADS))})
    for lead in leads:
        lead.unlink()
    return outcome.metrics


@pytest.fixture(scope="module")
def blocked(before: Path) -> Path:
    """The same when it waits for review."""
    now = before.parent / "now"
    shutil.copytree(before, now, symlinks=True)
    assert in_a_process(partial(limited, execute, now, Points()))
    return now.rename(before.parent / "blocked")


@pytest.mark.slow
def test_killed_at_any_commit_until_it_waits(before: Path) -> None:
    assert for_each_point(before, execute, waits) > 3


@pytest.mark.slow
def test_killed_at_any_commit_of_its_release(blocked: Path) -> None:
    assert for_each_point(blocked, release, is_published_once) > 3


@pytest.mark.slow
def test_killed_at_any_commit_while_it_is_dropped(blocked: Path) -> None:
    assert for_each_point(blocked, drop, is_dropped) > 0


def execute(now: Path) -> None:
    service = service_in(now)
    service.execute(only_run(service).id)


def release(now: Path) -> None:
    service = service_in(now)
    # What was ordered before a kill is refused when it is ordered again, and changes nothing.
    with contextlib.suppress(UsageError):
        release_run(service.store, only_run(service).id, "a test signal")
    service.execute(only_run(service).id)


def drop(now: Path) -> None:
    service = service_in(now)
    with contextlib.suppress(UsageError):
        drop_run(service.store, only_run(service).id, "of no use")
    service.execute(only_run(service).id)


def only_run(service: RunService) -> Run:
    with service.store.reading() as session:
        return session.scalars(select(Run)).one()


def waits(now: Path, what: str, state: str = "waiting") -> None:
    service = service_in(now)
    run = only_run(service)
    with service.store.reading() as session:
        assert session.scalars(select(CheckReview)).one().state == state, what
        assert session.scalar(select(func.count()).select_from(Product)) == 0, what
        assert session.scalar(select(func.count()).select_from(RunDecision).where(RunDecision.action == "block")) == 1
        days = session.scalars(select(CheckDay)).all()
        rows = session.scalars(select(CheckResult)).all()
    service.store.close()
    assert (run.state, run.standing) == ("failed", ""), what
    assert run.reason.startswith("blocked by a check: stripes: 39, limit 15"), what
    assert not (now / "products").exists(), what
    assert len(rows) == len({(row.file, row.check) for row in rows}), what
    assert sum(day.bad for day in days) == sum(row.flag == 4 for row in rows), what


def is_published_once(now: Path, what: str) -> None:
    service = service_in(now)
    run = only_run(service)
    with service.store.reading() as session:
        review = session.scalars(select(CheckReview)).one()
        products = session.scalar(select(func.count()).select_from(Product))
        series = session.scalars(select(Series)).one()
        actions = session.scalars(select(RunDecision.action)).all()
        bad = session.scalar(select(func.sum(CheckDay.bad)))
        rows = session.scalars(select(CheckResult).where(CheckResult.flag == 4)).all()
    service.store.close()
    assert (review.state, review.note) == ("released", "a test signal"), what
    assert (run.state, run.standing, has_products(run)) == ("succeeded", "current", True), what
    assert products == 2 * LEADS, what
    assert (series.slots, series.made) == (1, 1), what
    assert (actions.count("release"), actions.count("block")) == (1, 1), what
    assert bad == len(rows), what


def is_dropped(now: Path, what: str) -> None:
    waits(now, what, "dropped")
