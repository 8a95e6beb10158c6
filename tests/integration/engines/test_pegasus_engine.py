"""The engine `pegasus` on real HTCondor daemons.

The planner is a Java program that no package registry has, so a short stand-in takes its place: it reads the files that
the engine wrote for pegasus-plan and makes a submit directory of one node, which runs all jobs in order. What it cannot
show is that pegasus-plan accepts those files; their form is tested in ``tests/unit/workflows/test_pegasus.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

import dynamo
from dynamo.config.file import parse_config
from dynamo.engines.base import EngineError
from dynamo.engines.condor.queue import Queue
from dynamo.engines.local import LocalEngine
from dynamo.engines.pegasus import PROGRAMS, PegasusEngine
from dynamo.errors import RetryableError
from dynamo.files import sha256_file
from dynamo.pool.record import PoolRecord
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.setup import make_service
from dynamo.store.checks import CheckResult
from tests.integration.engines.engine_runs import checksums, make_input, prepare
from tests.property.test_review_kills import write_stuck

pytestmark = pytest.mark.condor

PLAN = """#!{python}
import os, shlex, sys, yaml
from pathlib import Path
sys.path.insert(0, {checkout!r})
if os.environ.get("STAND_IN_REFUSES") == "plan":
    print("2026.11.27 19:00:00.614 UTC: [FATAL ERROR]", file=sys.stderr)
    sys.exit(" [1] java.lang.RuntimeException: no site can run it at edu.isi.pegasus.A.b(A.java:1)")
home, submit = Path.cwd(), Path(sys.argv[sys.argv.index("--dir") + 1]) / "user" / "run0001"
submit.mkdir(parents=True)
workflow = yaml.safe_load((home / "workflow.yml").read_text())
replicas = yaml.safe_load((home / "replicas.yml").read_text())["replicas"]
(home / "products").mkdir(exist_ok=True)
lines = ["#!/bin/sh -e", f"cd {{shlex.quote(str(home / 'products'))}}", os.environ.get("STAND_IN_FIRST", ":")]
for item in replicas:
    lines.append("ln -sf " + shlex.join([item["pfns"][0]["pfn"].removeprefix("file://"), item["lfn"]]))
for job in workflow["jobs"]:
    words = [str(word) for word in job["arguments"]]
    lines.append("PYTHONPATH={checkout} " + shlex.join(["{python}", "-m", "dynamo.modules.command", *words]))
(submit / "all.sh").write_text("\\n".join(lines) + "\\n")
(submit / "all.sh").chmod(0o755)
commands = ("executable = all.sh", "log = all.log", "error = all.err", "should_transfer_files = NO", "queue", "")
(submit / "all.sub").write_text("\\n".join(commands))
(submit / "nowcast-0.dag").write_text("JOB all all.sub\\n")
(submit / "braindump.yml").write_text("dag: nowcast-0.dag\\n")
"""
RUN = """#!{python}
import os, sys
if os.environ.get("STAND_IN_REFUSES") == "run":
    sys.exit("ERROR: Can't find address of local schedd")
sys.path.insert(0, {checkout!r})
import htcondor2
os.chdir(sys.argv[1])
htcondor2.Schedd().submit(htcondor2.Submit.from_dag("nowcast-0.dag", {{}}))
"""
REMOVE = """#!{python}
import sys, htcondor2
from pathlib import Path
event = next(iter(htcondor2.JobEventLog(str(Path(sys.argv[1]) / "nowcast-0.dag.dagman.log")).events(0)))
htcondor2.Schedd().act(htcondor2.JobAction.Remove, event.cluster, ("asked for", 0))
"""


@pytest.fixture
def engine(condor_pool: PoolRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PegasusEngine]:
    programs = tmp_path / "bin"
    programs.mkdir()
    values = {"python": sys.executable, "checkout": str(Path(dynamo.__file__).parents[1])}
    for name, text in zip(PROGRAMS, (PLAN, RUN, REMOVE), strict=True):
        (programs / name).write_text(text.format(**values))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    engine = PegasusEngine(image=None)
    yield engine
    engine.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_input(tmp_path)


def test_products_are_those_of_the_local_engine(engine: PegasusEngine, source: Path, tmp_path: Path) -> None:
    folder, plan = prepare(tmp_path / "run", source, "jobs", leads=(0, 1))
    engine.submit(folder)
    engine.submit(folder)
    status = engine.wait(folder, 60)
    assert (status.state, status.jobs_done, status.jobs_total) == ("succeeded", 5, 5)
    other, _ = prepare(tmp_path / "local", source, "single", leads=(0, 1))
    local = LocalEngine(workers=1)
    local.submit(other)
    assert local.wait(other, 60).state == "succeeded"
    local.close()
    assert checksums(folder, plan) == checksums(other, plan)
    # A process that starts later sees the same.
    assert PegasusEngine(image=None).status(folder).state == "succeeded"


def test_checks_block_what_its_jobs_made(engine: PegasusEngine, tmp_path: Path) -> None:
    """Its jobs leave no results: files are examined when they are back."""
    config = parse_config({"runs": {"min_free_mb": 0}}, base=tmp_path)
    service = make_service(config, engine_factory=lambda _name, _options: engine)
    found = []
    for path in (write_stuck(tmp_path), make_input(tmp_path)):
        workflow = service.planner.load("nowcast")
        file = InputFile("nowcast", path, sha256_file(path), path.stat().st_size, path.stat().st_mtime_ns)
        parameters = service.planner.parameters(workflow, {"levels": [45.0]})
        run, _ = service.create(RunRequest(workflow, (file,), parameters, "pegasus"))
        service.execute(run.id)
        found.append(service.get(run.id))
    with service.store.reading() as session:
        results = session.scalars(select(CheckResult).where(CheckResult.run_id == found[0].id)).all()
    service.store.close()
    stuck, sound = found
    assert (stuck.state, stuck.reason[:31]) == ("failed", "blocked by a check: stripes: 39")
    assert sound.state == "succeeded"
    assert {result.check for result in results if result.flag == 4} >= {"stripes", "flat_field"}


def test_failure_points_to_the_analyzer(engine: PegasusEngine, source: Path, tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,))
    source.write_bytes(b"no nowcast")
    engine.submit(folder)
    status = engine.wait(folder, 60)
    assert status.state == "failed"
    assert "pegasus-analyzer" in status.reason


def test_cancel(engine: PegasusEngine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_FIRST", "sleep 60")
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,))
    engine.submit(folder)
    assert engine.wait(folder, 1).state == "running"
    engine.cancel(folder, "not wanted")
    status = engine.wait(folder, 60)
    assert (status.state, status.reason) == ("cancelled", "not wanted")


def test_what_the_planner_says_is_told(
    engine: PegasusEngine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_REFUSES", "plan")
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,))
    with pytest.raises(EngineError, match=r"pegasus-plan failed: no site can run it$"):
        engine.submit(folder)
    # The same call may be repeated when the cause is gone.
    monkeypatch.delenv("STAND_IN_REFUSES")
    engine.submit(folder)
    assert engine.wait(folder, 60).state == "succeeded"


def test_a_queue_that_is_away_is_waited_out(
    engine: PegasusEngine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,))
    with monkeypatch.context() as patch:
        patch.setenv("STAND_IN_REFUSES", "run")
        # The queue is there: it is not why.
        with pytest.raises(EngineError, match=r"pegasus-run failed: ERROR: Can't find address"):
            engine.submit(folder)

        def find(*_: object) -> None:
            raise RetryableError("HTCondor's queue does not respond")

        patch.setattr(Queue, "find", find)
        with pytest.raises(RetryableError, match="does not respond"):
            engine.submit(folder)
    engine.submit(folder)
    assert engine.wait(folder, 60).state == "succeeded"
