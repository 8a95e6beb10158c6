"""The engine `local`: real worker processes, killed, hung, cancelled and orphaned."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from dynamo.engines.base import RunFolder
from dynamo.engines.local import LocalEngine
from dynamo.inspection.look import inspect_input
from dynamo.modules.execute import execute
from dynamo.modules.registry import contracts, find_module
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Layout, Plan, Resources, Task
from dynamo.workflows.workflow import plan_run, read_workflow


@pytest.fixture(scope="module")
def nowcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = datetime(2019, 6, 10, tzinfo=UTC)
    return NowcastSimulator("wide", (120, 140), start, leads=7, seed=3).write(tmp_path_factory.mktemp("feed"), 0)


@pytest.fixture(scope="module")
def plan(nowcast: Path) -> Plan:
    facts = inspect_input(nowcast, [35.0, 45.0])
    workflow = read_workflow("nowcast", contracts())
    return plan_run(workflow, {"nowcast": nowcast}, {"levels": [35.0, 45.0]}, {"nowcast": facts}, contracts())


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(workers=2)
    yield engine
    engine.close()


def prepared(root: Path, plan: Plan, layout: Layout) -> RunFolder:
    folder = RunFolder(root)
    folder.prepare(plan, layout)
    return folder


def alone(plan: Plan, *, max_seconds: int = 600, retries: int = 0) -> tuple[Plan, Layout]:
    """One task with the first job of ``plan``."""
    resources = Resources(max_seconds=max_seconds)
    job = replace(plan.jobs[0], retries=retries, resources=resources)
    small = Plan("small", "1", (job,), plan.replicas, job.writes)
    return small, Layout("single", (Task("run", (job.id,), (), resources),), "one job")


@pytest.fixture
def frozen() -> Iterator[LocalEngine]:
    """An engine whose only worker hangs: the kernel has stopped it."""
    engine = LocalEngine(workers=1)
    os.kill(engine.pids()[0], signal.SIGSTOP)
    yield engine
    engine.close()


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_products_are_those_of_the_modules(
    tmp_path: Path, engine: LocalEngine, plan: Plan, nowcast: Path, slots: int
) -> None:
    layout = choose_layout(plan, slots=slots, job_overhead_s=0.0, single_threshold_s=0.0)
    folder = prepared(tmp_path / "run", plan, layout)
    engine.submit(folder)
    engine.submit(folder)  # a second time: nothing happens
    status = engine.wait(folder, 60)
    assert (status.state, status.jobs_done, status.jobs_failed, status.jobs_total) == ("succeeded", 15, 0, 15)
    direct = [tmp_path / f"{lead}.geojson" for lead in range(7)]
    execute(find_module("contour"), {"grid": [nowcast]}, {"geojson": direct}, {"levels": [35.0, 45.0]})
    made = [folder.work / f"mrt_STORM_CASA_{lead}_20190610-000000.geojson" for lead in range(7)]
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in direct]


def test_a_killed_worker_is_replaced_and_its_task_tried_again(tmp_path: Path, frozen: LocalEngine, plan: Plan) -> None:
    folder = prepared(tmp_path / "run", *alone(plan, retries=1))
    frozen.submit(folder)
    assert frozen.wait(folder, 0.5).state in ("pending", "running")
    os.kill(frozen.pids()[0], signal.SIGKILL)
    assert frozen.wait(folder, 30).state == "succeeded"


def test_a_task_without_retries_fails_with_its_worker(tmp_path: Path, frozen: LocalEngine, plan: Plan) -> None:
    folder = prepared(tmp_path / "run", *alone(plan))
    frozen.submit(folder)
    os.kill(frozen.pids()[0], signal.SIGKILL)
    status = frozen.wait(folder, 30)
    assert status.state == "failed"
    assert "worker process exited" in status.reason
    after = prepared(tmp_path / "after", *alone(plan))
    frozen.submit(after)
    assert frozen.wait(after, 30).state == "succeeded"


def test_a_task_that_hangs_is_stopped(tmp_path: Path, frozen: LocalEngine, plan: Plan) -> None:
    folder = prepared(tmp_path / "run", *alone(plan, max_seconds=1))
    frozen.submit(folder)
    status = frozen.wait(folder, 20)
    assert (status.state, status.reason) == ("failed", "task run: killed at its time limit of 1 s")


def test_a_limit_that_no_clock_can_hold_is_no_limit(tmp_path: Path, engine: LocalEngine, plan: Plan) -> None:
    folder = prepared(tmp_path / "run", *alone(plan, max_seconds=10**12))
    engine.submit(folder)
    assert engine.wait(folder, 30).state == "succeeded"


def test_a_defect_of_a_worker_fails_its_task_and_not_the_engine(tmp_path: Path, plan: Plan) -> None:
    small, layout = alone(plan)

    class Wrong(RunFolder):
        def read_layout(self) -> Layout:
            # Not a time at all: no wait takes it.
            resources = Resources(max_seconds=float("nan"))  # type: ignore[arg-type]
            return replace(layout, tasks=(replace(layout.tasks[0], resources=resources),))

    engine = LocalEngine(workers=1)
    try:
        folder = Wrong(prepared(tmp_path / "run", small, layout).root)
        engine.submit(folder)
        status = engine.wait(folder, 30)
        assert status.state == "failed"
        assert "task run: ValueError" in status.reason
        after = prepared(tmp_path / "after", *alone(plan))
        engine.submit(after)
        assert engine.wait(after, 30).state == "succeeded"
    finally:
        engine.close()


def test_cancel(tmp_path: Path, frozen: LocalEngine, plan: Plan) -> None:
    running = prepared(tmp_path / "running", *alone(plan))
    frozen.submit(running)
    queued = prepared(tmp_path / "queued", *alone(plan))
    frozen.submit(queued)
    frozen.cancel(queued, "the operator said so")
    status = frozen.wait(queued, 5)
    assert (status.state, status.reason, status.jobs_done) == ("cancelled", "the operator said so", 0)
    frozen.cancel(running, "enough")
    assert frozen.status(running).state == "cancelled"


def test_a_failing_job_fails_its_run_with_the_reason(tmp_path: Path, engine: LocalEngine, plan: Plan) -> None:
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"CDF")
    replicas = dict.fromkeys(plan.replicas, broken)
    broken_plan = Plan(plan.name, plan.version, plan.jobs, replicas, plan.products)
    layout = choose_layout(broken_plan, slots=2, job_overhead_s=0.0, single_threshold_s=9)
    folder = prepared(tmp_path / "run", broken_plan, layout)
    engine.submit(folder)
    status = engine.wait(folder, 60)
    assert status.state == "failed"
    assert "job split" in status.reason
    assert "not a readable NetCDF file" in status.reason


def test_an_unknown_run_is_lost(tmp_path: Path, engine: LocalEngine, plan: Plan) -> None:
    layout = choose_layout(plan, slots=1, job_overhead_s=0.0, single_threshold_s=9)
    status = engine.status(prepared(tmp_path / "run", plan, layout))
    assert status.state == "lost"


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "engine.py"
    script.write_text(
        "import json, sys\n"
        "from dynamo.engines.local import LocalEngine\n"
        "if __name__ == '__main__':\n"
        "    engine = LocalEngine(workers=2)\n"
        "    print(json.dumps(engine.pids()), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        pids = orjson.loads(process.stdout.readline())
        handles = [os.pidfd_open(pid) for pid in pids]
        process.kill()
    for handle in handles:
        # A pidfd becomes readable when its process has ended.
        assert select.select([handle], [], [], 120)[0], "a worker process outlived its parent"
        os.close(handle)
