"""A provisioner killed at every point of growing, draining and ending leaves no server alone and makes none twice.

For each point a process is killed there (SIGKILL), and another one goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.provision.cycle.reconcile import CycleReport, Reconciler
from dynamo.provision.fleets import apply_fleet, scale, set_fleet_state
from dynamo.provision.ledger import fleet_named
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ENDING
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Worker
from tests.property.kill_site import FileClock, FilePool, FileSite, Points

SPEC = load_spec(
    {
        "name": "fleet",
        "sites": {"File:A": {"driver": "simulated", "timeout_s": 30}},
        "compute": [{"name": "a", "site": "File:A", "count": 2, "min": 0, "max": 3}],
        "policy": {"drain_deadline_s": 600},
    }
)
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S = 4.0
CYCLES = 60


@pytest.mark.slow
def test_killed_while_it_grows(tmp_path: Path) -> None:
    prepare(tmp_path / "before")
    assert killed_everywhere(tmp_path, wanted=2) > 60


@pytest.mark.slow
def test_killed_when_requests_take_longer_than_they_should(tmp_path: Path) -> None:
    prepare(tmp_path / "before")
    assert killed_everywhere(tmp_path, wanted=2, queue_s=40.0) > 5


@pytest.mark.slow
def test_killed_while_it_shrinks(tmp_path: Path) -> None:
    ready(tmp_path / "before")
    with stored(tmp_path / "before") as session:
        scale(session, "fleet", "a", 1, START)
    assert killed_everywhere(tmp_path, wanted=1) > 40


@pytest.mark.slow
def test_killed_while_it_ends(tmp_path: Path) -> None:
    ready(tmp_path / "before")
    with stored(tmp_path / "before") as session:
        set_fleet_state(session, "fleet", ENDING, START)
    assert killed_everywhere(tmp_path, wanted=0) > 40


def killed_everywhere(folder: Path, *, wanted: int, queue_s: float = 0.0) -> int:
    """Kill at the first point, the second, and so on until a run ends by itself; return the number of points."""
    for point in range(1, 2000):
        now = folder / "now"
        shutil.copytree(folder / "before", now)
        deadly = Points(point, only_creations=queue_s > 0)
        survived = in_a_process(partial(go_on, now, deadly, wanted, queue_s))
        if not survived:
            assert in_a_process(partial(go_on, now, Points(), wanted)), f"point {point}"
        try:
            check(now, wanted)
        except AssertionError as error:
            raise AssertionError(f"after a kill at point {point}: {error}") from error
        shutil.rmtree(now)
        if survived:
            return point - 1
    pytest.fail("it never ends")


def in_a_process(work: Callable[[], None]) -> bool:
    """Do something in a child; tell whether it came to its end, or was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, left = os.waitpid(child, 0)
    if os.WIFSIGNALED(left):
        assert os.WTERMSIG(left) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(left) == 0, "the loop failed, see above"
    return True


def open_world(folder: Path, points: Points, queue_s: float = 0.0) -> tuple[Store, FileClock, FileSite, FilePool]:
    clock = FileClock(folder / "clock")
    site = FileSite(folder / "site", clock, points, queue_s)
    return open_store(folder / "store.sqlite"), clock, site, FilePool(site, clock, points)


def go_on(folder: Path, points: Points, wanted: int, queue_s: float = 0.0) -> None:
    """Open everything anew and go through cycles until all is as it should be."""
    store, clock, site, pool = open_world(folder, points, queue_s)
    points.watch_commits()
    with store.reading() as session:
        fleet = fleet_named(session, "fleet")
    runner = SiteRunner(site, fleet.id, parallel=0, clock=clock.now)
    loop = Reconciler(store, fleet, SPEC, {"File:A": runner}, pool, clock=clock.now)
    for _ in range(CYCLES):
        if is_done(loop.cycle(), wanted):
            return
        clock.advance(STEP_S)
    raise AssertionError("it did not come to what is wanted")


def is_done(report: CycleReport, wanted: int) -> bool:
    return report.ended or (report.settled and report.target == {"a": wanted} and wanted > 0)


def prepare(folder: Path) -> None:
    """A fleet that was applied and nothing more."""
    folder.mkdir()
    FileClock(folder / "clock", START)
    with stored(folder) as session:
        apply_fleet(session, SPEC, base=folder, now=START)


def ready(folder: Path) -> None:
    """A fleet of two ready workers."""
    prepare(folder)
    # In a process of its own: what listens to commits must not stay in this one.
    assert in_a_process(lambda: go_on(folder, Points(), 2))


@contextmanager
def stored(folder: Path) -> Iterator[Session]:
    store = open_store(folder / "store.sqlite")
    try:
        with store.transaction() as session:
            yield session
    finally:
        store.close()


def check(folder: Path, wanted: int) -> None:
    """Store and site agree, nothing is left over, and nothing was made twice."""
    store, _clock, site, _pool = open_world(folder, Points())
    with store.reading() as session:
        workers = list(session.scalars(select(Worker)))
        fleet = fleet_named(session, "fleet")
    store.close()
    servers = {server.name: server.id for server in site.list(fleet.id)}
    assert servers == {worker.name: worker.server_id for worker in workers if worker.state == "ready"}
    assert len(servers) == wanted
    assert {worker.state for worker in workers} <= {"ready", "released"}
    made = Counter((folder / "site" / "log").read_text().split())
    assert set(made.values()) == {1}, "a server was made twice"
    assert len(made) == len(workers) == 2
