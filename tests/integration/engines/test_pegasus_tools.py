"""Pegasus's own monitoring tools read the run folders of the engine `condor`."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from dynamo.engines.base import RunFolder
from dynamo.engines.condor.engine import CondorEngine
from dynamo.pool.record import PoolRecord
from tests.integration.engines.engine_runs import LayoutKind, make_input, prepare

pytestmark = [pytest.mark.condor, pytest.mark.timeout(600)]

#: They need an SQLAlchemy that DyNamo's own environment cannot have.
REQUIREMENTS = ("pegasus-wms==5.1.3", "SQLAlchemy<1.4")
#: The number of logical jobs of a run with three leads: 1 split, 3 contours, 3 images.
TASKS = 7
PHYSICAL = {"single": 1, "clusters": 3, "jobs": 7}


@pytest.fixture(scope="session")
def pegasus_python() -> Path:
    """A Python with Pegasus's tools, made once and kept beside the user's other caches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynamo" / "pegasus-tools-5.1.3"
    python, ready = cache / "bin" / "python", cache / "ready"
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.is_file():
            venv.create(cache, clear=True, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True, timeout=500)
            ready.touch()
    return python


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_input(tmp_path_factory.mktemp("input"))


@pytest.fixture
def engine(condor_pool: PoolRecord) -> Iterator[CondorEngine]:
    engine = CondorEngine()
    yield engine
    engine.close()


def tool(python: Path, home: Path, name: str, *arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [python, "-m", f"Pegasus.cli.pegasus-{name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        # Pegasus keeps a database of all workflows below HOME.
        env={**os.environ, "HOME": str(home), "PYTHONPATH": ""},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def replay(python: Path, home: Path, folder: RunFolder) -> tuple[dict[str, list[int]], str]:
    """Replay a run; return the rows of the statistics (succeeded, failed, incomplete, total) and what was logged."""
    home.mkdir(exist_ok=True)
    told = tool(python, home, "monitord", "--replay", folder.root / "nowcast-0.dag.dagman.out")
    text = tool(python, home, "statistics", "-s", "summary", folder.root)
    found = re.findall(r"^(Tasks|Jobs)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", text, re.MULTILINE)
    return {name: [int(number) for number in numbers] for name, *numbers in found}, told


def counted(python: Path, home: Path, folder: RunFolder) -> tuple[int, int, int, float]:
    """Return what pegasus-status counts: succeeded, failed and all jobs, and the percentage done."""
    told = orjson.loads(tool(python, home, "status", "--jsonrv", "--noqueue", folder.root))["totals"]
    return told["succeeded"], told["failed"], told["total"], told["percent_done"]


@pytest.mark.parametrize("kind", ["single", "clusters", "jobs"])
def test_succeeded(kind: LayoutKind, engine: CondorEngine, source: Path, pegasus_python: Path, tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    assert engine.wait(folder, 60).state == "succeeded"
    rows, told = replay(pegasus_python, tmp_path / "home", folder)
    assert rows == {"Tasks": [TASKS, 0, 0, TASKS], "Jobs": [PHYSICAL[kind], 0, 0, PHYSICAL[kind]]}
    assert "ERROR" not in told
    report = tool(pegasus_python, tmp_path / "home", "analyzer", folder.root)
    assert re.search(r"Workflow Status\s*:\s*success", report)
    assert re.search(rf"# jobs succeeded\s*:\s*{PHYSICAL[kind]} \(100", report)
    assert counted(pegasus_python, tmp_path / "home", folder) == (PHYSICAL[kind], 0, PHYSICAL[kind], 100.0)


@pytest.mark.parametrize("kind", ["single", "clusters", "jobs"])
def test_failed(kind: LayoutKind, engine: CondorEngine, source: Path, pegasus_python: Path, tmp_path: Path) -> None:
    folder, plan = prepare(tmp_path / "run", source, kind, retries=0)
    (folder.work / plan.products[-1]).mkdir()
    engine.submit(folder)
    status = engine.wait(folder, 60)
    assert (status.state, status.jobs_done, status.jobs_failed) == ("failed", TASKS - 1, 1)
    rows, _ = replay(pegasus_python, tmp_path / "home", folder)
    assert rows["Tasks"] == [TASKS - 1, 1, 0, TASKS]
    assert rows["Jobs"] == [PHYSICAL[kind] - 1, 1, 0, PHYSICAL[kind]]
    report = tool(pegasus_python, tmp_path / "home", "analyzer", folder.root, code=2)
    assert re.search(r"# jobs failed\s*:\s*1 ", report)
    done, failed, total, _ = counted(pegasus_python, tmp_path / "home", folder)
    assert (done, failed, total) == (PHYSICAL[kind] - 1, 1, PHYSICAL[kind])
    # What the module said is shown.
    assert plan.products[-1] in report


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_retried(kind: LayoutKind, engine: CondorEngine, source: Path, pegasus_python: Path, tmp_path: Path) -> None:
    """An obstacle that goes away while the run is tried again: what failed first counts as succeeded in the end."""
    folder, plan = prepare(tmp_path / "run", source, kind, retries=0)
    obstacle = folder.work / plan.products[-1]
    obstacle.mkdir()
    engine.submit(folder)
    assert engine.wait(folder, 60).state == "failed"
    obstacle.rmdir()
    folder.engine_file.unlink()
    engine.submit(folder)
    assert engine.wait(folder, 60).state == "succeeded"
    rows, _ = replay(pegasus_python, tmp_path / "home", folder)
    assert rows["Tasks"] == [TASKS, 0, 0, TASKS]
    assert rows["Jobs"] == [PHYSICAL[kind], 0, 0, PHYSICAL[kind]]
