"""A run whose process is killed at any point, or whose queue does not answer, ends once and whole, or cancelled.

For each point (a commit of the store, a call of the queue, a rename) a process is killed there (SIGKILL), and another
one goes on where it was; for each call of the queue, it is refused once, before or after it has its effect. The engine
is `condor`, with a queue of files in place of the schedd.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from dynamo.engines.base import RunFolder
from dynamo.engines.condor import engine as condor
from dynamo.engines.condor.description import EVENT_LOG
from dynamo.errors import RetryableError
from dynamo.files import sha256_file
from dynamo.inspection.facts import facts_to_json
from dynamo.inspection.process import inspect
from dynamo.runs import ledger, patience
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.service import RunService
from dynamo.runs.settings import RunSettings
from dynamo.runs.states import FINAL
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now
from tests.integration.watch.watch_support import write_small
from tests.property.kill_queue import FileQueue
from tests.property.kill_site import Points
from tests.property.test_fleet_kills import in_a_process
from tests.waiting import PATIENCE

#: A process that waits for what never comes ends itself after this time.
LIMIT_S = 10
LEVELS = [30.0]
PARAMETERS = {"levels": LEVELS, "min_points": 4}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one created run, and its input."""
    folder = tmp_path_factory.mktemp("runs") / "before"
    folder.mkdir()
    path = write_small(folder, 0)
    known = path.stat()
    facts = inspect(path, LEVELS)
    digest = sha256_file(path)
    service = service_in(folder)
    workflow = service.planner.load("nowcast")
    arrival = Arrival(
        feed="f",
        path=str(path),
        size=known.st_size,
        mtime_ns=known.st_mtime_ns,
        sha256=digest,
        state="accepted",
        facts=facts_to_json(facts),
        detected_at=utc_now(),
        recorded_at=utc_now(),
    )
    with service.store.transaction() as session:
        session.add(arrival)
        session.flush()
        request = RunRequest(
            workflow=workflow,
            inputs=(InputFile("nowcast", path, digest, known.st_size, known.st_mtime_ns),),
            parameters=service.planner.parameters(workflow, PARAMETERS),
            engine="condor",
            arrival_id=arrival.id,
            valid_at=facts.issue_time,
        )
        ledger.create_run(session, request, runs_dir=folder.parent / "now" / "runs")
    service.store.close()
    return folder


@pytest.fixture(scope="module")
def under_way(before: Path) -> Path:
    """The same run while its work runs."""
    now, folder = before.parent / "now", before.parent / "under_way"
    shutil.copytree(before, now, symlinks=True)
    assert in_a_process(partial(limited, start, now, Points(), endless=True))
    return now.rename(folder)


@pytest.mark.slow
def test_killed_at_any_point(before: Path) -> None:
    assert for_each_point(before, finish, is_published) > 40


@pytest.mark.slow
def test_killed_at_any_point_of_a_cancellation(under_way: Path) -> None:
    assert for_each_point(under_way, cancel, is_cancelled) > 5


@pytest.mark.parametrize("after", [False, True], ids=["before-it-acts", "after-it-acted"])
def test_a_queue_that_refuses_any_one_call(before: Path, after: bool) -> None:
    assert for_each_refusal(before, finish, is_published, after=after) >= 1


@pytest.mark.parametrize("after", [False, True], ids=["before-it-acts", "after-it-acted"])
def test_cancelled_with_a_queue_that_refuses_any_one_call(under_way: Path, after: bool) -> None:
    assert for_each_refusal(under_way, cancel, is_cancelled, after=after) >= 1


def for_each_point(before: Path, work: Callable[..., None], check: Callable[[Path], None]) -> int:
    """Kill at the first point, the second, and so on until it ends by itself; return the number of points."""
    now = before.parent / "now"
    for point in range(1, 2000):
        shutil.copytree(before, now, symlinks=True)
        survived = in_a_process(partial(limited, work, now, Points(point)))
        if not survived:
            assert in_a_process(partial(limited, work, now, Points())), f"point {point}"
        checked(check, now, f"after a kill at point {point}")
        if survived:
            return point - 1
    pytest.fail("it never ends")


def for_each_refusal(before: Path, work: Callable[..., None], check: Callable[[Path], None], *, after: bool) -> int:
    """Refuse the first call of the queue, the second, and so on; return the number of calls."""
    now = before.parent / "now"
    for call in range(1, 100):
        shutil.copytree(before, now, symlinks=True)
        assert in_a_process(partial(limited, work, now, Points(), refused=call, after=after)), f"call {call}"
        calls = int((now / "calls").read_text())
        checked(check, now, f"call {call} refused")
        if calls < call:
            return call - 1
    pytest.fail("it never ends")


def checked(check: Callable[[Path], None], now: Path, what: str) -> None:
    try:
        check(now)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error
    shutil.rmtree(now)


def limited(work: Callable[..., None], now: Path, points: Points, **queue: Any) -> None:
    """Do something in this process, whose every commit and rename is a point, within the time limit."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE * LIMIT_S)
    patience.FIRST_WAIT_S = 0.01
    # As silence lasts longer than the test, nothing is mended by asking about it.
    condor.SILENCE_S = 2.0 * PATIENCE * LIMIT_S
    points.watch_commits()
    for name in ("rename", "replace"):
        setattr(Path, name, between(getattr(Path, name), points))
    work(now, points, **queue)


def between(call: Callable[..., Any], points: Points) -> Callable[..., Any]:
    def pointed(*arguments: Any) -> Any:
        points.reached()
        result = call(*arguments)
        points.reached()
        return result

    return pointed


def service_in(folder: Path, queue: FileQueue | None = None) -> RunService:
    def engine(_name: str, _options: Any) -> condor.CondorEngine:
        setattr(condor, "Queue", lambda: queue)  # noqa: B010 - in a process of its own
        return condor.CondorEngine()

    settings = RunSettings(folder / "runs", folder / "products", fsync=False, min_free_mb=0, tick_s=0.05)
    return RunService(open_store(folder / "store.sqlite"), settings, planner=DocumentPlanner(), engine_factory=engine)


def finish(now: Path, points: Points, **queue: Any) -> None:
    """Take the run to its end."""
    jobs = FileQueue(now / "queue", points, **queue)
    service = service_in(now, jobs)
    service.execute(only_run(service).id)
    (now / "calls").write_text(str(jobs.calls))


def start(now: Path, points: Points, **queue: Any) -> None:
    """Take the run to where its work runs, and leave it."""
    service, stop = service_in(now, FileQueue(now / "queue", points, **queue)), threading.Event()
    service.events.subscribe(lambda event: stop.set() if event.data.get("state") == "running" else None)
    service.execute(only_run(service).id, stop)


def cancel(now: Path, points: Points, **queue: Any) -> None:
    """Cancel the run, on which nobody works; what this does not come to is left to who takes the run up."""
    jobs = FileQueue(now / "queue", points, endless=True, **queue)
    service = service_in(now, jobs)
    run = only_run(service)
    if run.state not in FINAL:
        with contextlib.suppress(RetryableError):
            service.cancel(run.id, "not wanted")
    service.execute(run.id)
    (now / "calls").write_text(str(jobs.calls))


def only_run(service: RunService) -> Run:
    with service.store.reading() as session:
        return session.scalars(select(Run)).one()


def is_published(now: Path) -> None:
    service = service_in(now)
    run = only_run(service)
    with service.store.reading() as session:
        rows = {row.lfn: row.sha256 for row in ledger.products_of(session, run.id)}
    service.store.close()
    assert (run.state, run.reason) == ("succeeded", "")
    folders = [path.parent for path in (now / "products" / "nowcast").glob("*/*/index.json")]
    assert folders == [Path(str(run.product_dir))]
    index = orjson.loads((folders[0] / "index.json").read_bytes())
    assert {item["name"]: item["sha256"] for item in index["products"]} == rows
    assert {name: sha256_file(folders[0] / name) for name in rows} == rows
    assert len(rows) == 4
    assert (now / "products" / "nowcast" / "latest").resolve() == folders[0]
    assert not list((now / "products" / "nowcast" / ".staging").iterdir())
    assert len(FileQueue(now / "queue", Points()).bodies()) == 1, "the work was submitted more than once"


def is_cancelled(now: Path) -> None:
    service = service_in(now)
    run = only_run(service)
    service.store.close()
    assert (run.state, run.reason) == ("cancelled", "not wanted")
    jobs = FileQueue(now / "queue", Points()).bodies()
    assert len(jobs) <= 1, "the work was submitted more than once"
    assert not [job for job in jobs if job["status"] != 3], "a job is left in the queue"


@pytest.mark.parametrize("logged", [True, False])
def test_a_submission_that_was_cut_off_is_lost_when_the_queue_knows_nothing_of_it(
    before: Path, logged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = before.parent / "now"
    shutil.copytree(before, now, symlinks=True)
    assert in_a_process(partial(limited, give_up, now, Points(), refused=1))
    jobs = FileQueue(now / "queue", Points())
    monkeypatch.setattr(condor, "Queue", lambda: jobs)
    service = service_in(now)
    run = only_run(service)
    service.store.close()
    assert run.state == "submitted"
    assert run.reason.startswith("waiting: HTCondor's queue does not respond")
    folder, engine = RunFolder(Path(run.run_dir)), condor.CondorEngine()
    if not logged:
        (folder.root / EVENT_LOG).unlink()
    assert engine.status(folder).state == "pending"
    monkeypatch.setattr(condor, "SILENCE_S", 0.0)
    assert engine.status(folder).state == "lost"
    engine.submit(folder)
    engine.submit(folder)
    assert engine.wait(folder, PATIENCE * 5.0).state == "succeeded"
    engine.close()
    assert len(jobs.bodies()) == 1
    shutil.rmtree(now)


def give_up(now: Path, points: Points, **queue: Any) -> None:
    """Leave the run at the first trouble, as a daemon does that is stopped then."""
    service, stop = service_in(now, FileQueue(now / "queue", points, **queue)), threading.Event()
    service.events.subscribe(lambda event: stop.set() if event.kind == "trouble" else None)
    service.execute(only_run(service).id, stop)
