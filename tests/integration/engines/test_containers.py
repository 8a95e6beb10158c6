"""Container tasks in a pool with the runtime that `dynamo pool install --containers` brings.

HTCondor starts the containers of the engine `condor`; jobs that Pegasus planned start theirs themselves.

The image is a root folder with nothing of its own but a starter for Python; the pool lends it this machine's programs.
The image of `containers/` is built and run by `make test-containers`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynamo
from dynamo.engines.base import EngineError, RunFolder
from dynamo.engines.condor.engine import CondorEngine
from dynamo.engines.local import LocalEngine
from dynamo.engines.pegasus import PROGRAMS, PegasusEngine
from dynamo.errors import MissingPartError
from dynamo.modules.registry import contracts
from dynamo.pool.control import down, up
from dynamo.pool.install.installation import require_installation
from dynamo.pool.install.runtime import Runtime, install_runtime
from dynamo.pool.record import CONFIGURATION, STATE_VARIABLE
from dynamo.pool.report import pool_status
from dynamo.workflows.pegasus.settings import PegasusSettings
from dynamo.workflows.pegasus.write import write_plan
from tests.integration.engines import pegasus_lite
from tests.integration.engines.engine_runs import LayoutKind, checksums, make_input, prepare
from tests.integration.engines.test_pegasus_engine import REMOVE, RUN
from tests.integration.provision.fleet_support import Fleet, count
from tests.needs import CONTAINERS
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.condor

LONG_S = 60.0
PYTHON = "/opt/image/python"
MODULE = "/opt/image/dynamo-module"
CHECKOUT = Path(dynamo.__file__).parents[1]
#: What the image borrows: the system's programs, this Python, and this checkout.
LENT = sorted({"/usr", sys.base_prefix, sys.prefix, str(CHECKOUT)})
LEND = f'SINGULARITY_BIND_EXPR = "{" ".join(LENT)}"\n'


@pytest.fixture(scope="module")
def runtime(htcondor: None) -> Runtime:
    """The machine's or DyNamo's own, installed when it is missing, where it can be."""
    try:
        return install_runtime(require_installation(), None, lambda _stage, _done, _total: None)[0]
    except MissingPartError as error:
        CONTAINERS.lacking(str(error))


@pytest.fixture(scope="module")
def pool(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        use(state, patch)
        up(slots=2, state=state)
        with (state / CONFIGURATION).open("a") as config:
            # Read by the starter of each job.
            config.write(LEND)
        try:
            yield state
        finally:
            down(state)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("image")
    for folder in (*LENT, "/dev", "/etc", "/opt/image", "/proc", "/srv", "/sys", "/tmp", "/var/tmp"):
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name, module in ((PYTHON, ""), (MODULE, "-m dynamo.modules.command ")):
        program = root / name.lstrip("/")
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec "{sys.executable}" {module}"$@"\n')
        program.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def image_file(runtime: Runtime, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The planner would refuse this name.
    path = tmp_path_factory.mktemp("images") / "storms-1.0.sif"
    subprocess.run([runtime.program, "build", path, image], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_input(tmp_path_factory.mktemp("input"))


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_products_in_a_container_are_those_of_the_local_engine(
    kind: LayoutKind, pool: Path, image: Path, source: Path, tmp_path: Path
) -> None:
    engine = CondorEngine(container=str(image), python=PYTHON)
    folder, plan = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    status = engine.wait(folder, PATIENCE * LONG_S)
    engine.close()
    # Outside of the image there is no such Python.
    assert not Path(PYTHON).exists()
    assert (status.state, status.jobs_done) == ("succeeded", 7), (status, logs(folder))
    assert checksums(folder, plan) == local_checksums(tmp_path, source)


def test_products_of_jobs_that_pegasus_planned_are_those_of_the_local_engine(
    pool: Path, image_file: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    planner = f'#!/bin/sh\nexec "{sys.executable}" "{pegasus_lite.__file__}" "$@"\n'
    values = {"python": sys.executable, "checkout": str(CHECKOUT)}
    for name, text in zip(PROGRAMS, (planner, RUN.format(**values), REMOVE.format(**values)), strict=True):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv(pegasus_lite.LEND_VARIABLE, ",".join(LENT))
    # A file that has another name than jobs use.
    newest = tmp_path / "newest.nc"
    newest.symlink_to(source)
    folder, plan = prepare(tmp_path / "run", newest, "single")
    engine = PegasusEngine(image=str(image_file), container_type="singularity", executable=MODULE)
    engine.submit(folder)
    status = engine.wait(folder, PATIENCE * LONG_S)
    engine.close()
    assert (status.state, status.jobs_done) == ("succeeded", 7), (status, pegasus_logs(folder.root))
    assert checksums(folder, plan) == local_checksums(tmp_path, source)


def test_the_pool_says_which_runtime_it_has_and_which_images_it_takes(pool: Path, runtime: Runtime) -> None:
    status = wait_for(lambda: (status := pool_status(pool))["containers"] is not None and status)
    assert runtime.version.partition("-")[0] in status["containers"]
    environment = {**os.environ, "CONDOR_CONFIG": status["config"]}
    command = [str(require_installation().bin / "condor_status"), "-af", "HasContainer", "HasSandboxImage", "HasSIF"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert told.split()[:3] == ["true", "true", "true"]


def test_a_pool_without_a_runtime_refuses_before_anything_is_submitted(
    htcondor: None,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = tmp_path / "pool"
    monkeypatch.setattr("dynamo.pool.control.find_runtime", lambda _prefix: None)
    use(state, monkeypatch)
    up(slots=1, state=state)
    try:
        folder, _ = prepare(tmp_path / "run", source, "single")
        with pytest.raises(MissingPartError, match="no slot of the pool has a container runtime"):
            CondorEngine(container="docker://localhost/dynamo-modules:1").submit(folder)
        assert not folder.engine_file.exists()
        assert pool_status(state)["containers"] is None
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in PROGRAMS:
            (programs / name).write_text("#!/bin/sh\nexit 1\n")
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=":")
        with pytest.raises(MissingPartError, match="no slot of the pool has a container runtime"):
            PegasusEngine(image="docker://x/y:1", container_type="singularity").submit(folder)
        assert not folder.engine_file.exists()
        # Of Docker, HTCondor may not know: the planner is called.
        with pytest.raises(EngineError, match="pegasus-plan failed"):
            PegasusEngine(image="docker://x/y:1").submit(folder)
        assert "no slot of the pool says that it has Docker" in caplog.text
        assert pool_status(state)["jobs"] == []
    finally:
        down(state)


def test_workers_of_a_fleet_run_containers(
    runtime: Runtime, image: Path, image_file: Path, source: Path, tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path / "fleet")
    try:
        fleet.add("first")
        fleet.ready("first")
        assert "no container runtime" not in fleet.boot_log("first")
        with (fleet.folder("first") / "worker" / CONFIGURATION).open("a") as config:
            config.write(LEND)
        log = fleet.submit(
            tmp_path,
            "import os, pathlib; pathlib.Path('made').write_text(os.environ['APPTAINER_CONTAINER'])",
            universe="container",
            container_image=str(image),
            transfer_container="False",
            executable=PYTHON,
            transfer_executable="False",
            arguments="job.py",
            should_transfer_files="YES",
            transfer_input_files="job.py",
        )
        wait_for(lambda: count(log, "Job terminated of its own accord") == 1, 60.0)
        assert (tmp_path / "made").read_text() == str(image)
        # A job that Pegasus planned.
        folder, plan = prepare(tmp_path / "run", source, "single")
        settings = PegasusSettings(str(image_file), "singularity", MODULE)
        home = tmp_path / "plan"
        write_plan(plan, folder.read_layout(), contracts(), home, settings)
        description = pegasus_lite.plan(home, home / "submit", ",".join(LENT))
        done = fleet.run("condor_submit", str(description))
        assert done.returncode == 0, done.stderr
        log = description.with_suffix(".log")
        wait_for(lambda: count(log, "Job terminated of its own accord") == 1, 60.0, pegasus_logs(home))
        for name in plan.products:
            (folder.work / name).write_bytes((home / "products" / name).read_bytes())
        assert checksums(folder, plan) == local_checksums(tmp_path, source), pegasus_logs(home)
    finally:
        fleet.close()


def use(state: Path, patch: pytest.MonkeyPatch) -> None:
    """Let `use_pool` lead to this pool until the patch is undone."""
    # Set first, so that what `use_pool` sets is undone, too.
    patch.setenv("CONDOR_CONFIG", "")
    patch.delenv("CONDOR_CONFIG")
    patch.setenv(STATE_VARIABLE, str(state))


def local_checksums(base: Path, source: Path) -> dict[str, str]:
    folder, plan = prepare(base / "local", source, "single")
    engine = LocalEngine(workers=1)
    engine.submit(folder)
    assert engine.wait(folder, PATIENCE * LONG_S).state == "succeeded"
    engine.close()
    return checksums(folder, plan)


def pegasus_logs(root: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in root.rglob("all.err"))


def logs(folder: RunFolder) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.logs.glob("*.err"))
