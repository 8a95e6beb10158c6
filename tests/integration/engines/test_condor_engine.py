"""The engine `condor` on real HTCondor daemons."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import dynamo
from dynamo.engines.base import RunFolder
from dynamo.engines.condor import engine as condor_module
from dynamo.engines.condor import track
from dynamo.engines.condor.description import TAG
from dynamo.engines.condor.engine import CondorEngine
from dynamo.engines.condor.handle import read_handle
from dynamo.engines.condor.queue import Queue, equals
from dynamo.engines.local import LocalEngine
from dynamo.engines.logs import log_files, read_log
from dynamo.errors import UsageError
from dynamo.modules.branching import why_not_made
from dynamo.pool.environment import use_pool
from dynamo.pool.record import PoolRecord
from dynamo.runs.results import read_results, skipped_jobs
from tests.integration.engines.engine_runs import LayoutKind, checksums, make_input, prepare, prepare_branches
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.condor

LONG_S = 60.0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_input(tmp_path_factory.mktemp("input"))


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The checksums of the products of engine `local`."""
    folder, plan = prepare(tmp_path_factory.mktemp("local") / "run", source, "single")
    engine = LocalEngine(workers=2)
    try:
        engine.submit(folder)
        assert engine.wait(folder, LONG_S).state == "succeeded"
    finally:
        engine.close()
    return checksums(folder, plan)


@pytest.fixture
def engine(condor_pool: PoolRecord) -> Iterator[CondorEngine]:
    engine = CondorEngine()
    yield engine
    engine.close()


def slow_python(folder: Path, seconds: float = 60.0) -> str:
    """Return an interpreter that takes its time to start, so that a test can act on a running job."""
    path = folder / "slow-python"
    path.write_text(f'#!/bin/sh\nsleep {seconds} & wait $!\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def waiting_python(folder: Path, *tasks: str) -> str:
    """Return an interpreter that runs these tasks only when a file `go` is beside it."""
    path = folder / "waiting-python"
    # Not for ever: a test that failed must not keep the pool's slots.
    wait = f'n=0; while [ ! -e "{folder}/go" ] && [ $n -lt 1200 ]; do sleep 0.1; n=$((n+1)); done'
    path.write_text(f'#!/bin/sh\ncase "$3" in {"|".join(tasks)}) {wait};; esac\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def hung_python(folder: Path) -> str:
    """Return an interpreter in which the task's science never ends."""
    code = (
        "import sys, time, dynamo.modules.runner as runner; runner.run_task = lambda *_: time.sleep(60); "
        "import dynamo.engines.condor.worker as worker; sys.argv[:] = sys.argv[2:]; worker.main()"
    )
    path = folder / "hung-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def talking_python(folder: Path) -> str:
    """Return an interpreter in which the task's science talks; on its first start it does not end."""
    (folder / "talk.py").write_text(
        "import os, time, pathlib, sys, dynamo.modules.runner as runner\n"
        "def talk(root, task):\n"
        f"    started = pathlib.Path('{folder}/started')\n"
        "    again = started.exists()\n"
        "    started.touch()\n"
        "    print('again' if again else f'\\x1b[1mpid {os.getppid()} token=swordfish \\x07')\n"
        "    print('on the other stream', file=sys.stderr)\n"
        "    again or time.sleep(120)\n"
        "    return True\n"
        "runner.run_task = talk\n"
        "import dynamo.engines.condor.worker as worker\n"
        "sys.argv[:] = sys.argv[2:]\n"
        "worker.main()\n"
    )
    path = folder / "talking-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/talk.py" "$@"\n')
    path.chmod(0o755)
    return str(path)


def submitted(folder: RunFolder) -> int:
    """Return how many jobs with the run's tag the pool has ever seen, DAG nodes left out."""
    handle = read_handle(folder)
    assert handle is not None
    queue = Queue()
    jobs = {job.cluster for job in (*queue.find(TAG, handle.tag), *queue.past(TAG, handle.tag))}
    return len(jobs)


def in_queue(folder: RunFolder) -> list[Any]:
    handle = read_handle(folder)
    assert handle is not None
    return Queue().find(TAG, handle.tag)


def running(folder: RunFolder) -> set[str]:
    """Return the run's tasks that the pool is running."""
    use_pool()
    import htcondor2

    handle = read_handle(folder)
    assert handle is not None
    found = htcondor2.Schedd().query(f"{equals(TAG, handle.tag)} && JobStatus == 2", ["DynamoTask"])
    return {str(ad["DynamoTask"]) for ad in found if "DynamoTask" in ad}


def act(action: str, folder: RunFolder, reason: str = "a test", *, task: str = "") -> None:
    """Do with the run's jobs what a person can do with HTCondor's own tools."""
    use_pool()
    import htcondor2

    handle = read_handle(folder)
    assert handle is not None
    constraint = equals(TAG, handle.tag) + (f" && {equals('DynamoTask', task)}" if task else "")
    htcondor2.Schedd().act(htcondor2.JobAction[action], constraint, (reason, 0))


@pytest.mark.parametrize("kind", ["single", "clusters", "jobs"])
def test_products_are_those_of_the_local_engine(
    kind: LayoutKind, engine: CondorEngine, source: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    folder, plan = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert (status.state, status.jobs_done, status.jobs_failed, status.jobs_total) == ("succeeded", 7, 0, 7)
    assert checksums(folder, plan) == expected
    # The event is written a moment before the job leaves the queue.
    wait_for(lambda: not in_queue(folder))


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_workers_without_our_file_system_get_and_give_back_files(
    kind: LayoutKind, condor_pool: PoolRecord, source: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    engine = CondorEngine(transfer="yes")
    before = source.read_bytes()
    folder, plan = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert (status.state, status.jobs_done) == ("succeeded", 7), status
    assert checksums(folder, plan) == expected
    assert source.read_bytes() == before
    assert "Finished transferring output files" in (folder.root / "condor.log").read_text()
    engine.close()


def test_decisions_travel_through_dagman_without_our_file_system(
    condor_pool: PoolRecord, source: Path, tmp_path: Path
) -> None:
    engine = CondorEngine(transfer="yes")
    folder, plan = prepare_branches(tmp_path / "run", source)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert (status.state, status.jobs_done, status.jobs_failed) == ("succeeded", 4, 0), status
    results = read_results(folder)
    assert {job for job, result in results.items() if result.succeeded} == {"split", "weak"}
    why = f"split.max_dbz is {results['split'].metrics['max_dbz']:.6g}, not >= 90"
    assert skipped_jobs(folder, plan, results) == {"strong": why, "plot": f"0.nc was not made: {why}"}
    assert (folder.work / "weak.png").read_bytes().startswith(b"\x89PNG")
    assert why_not_made(folder.work / "strong.png") == why
    engine.close()


@pytest.mark.parametrize(("kind", "name"), [("single", "it's a $(odd) run"), ("clusters", "it's an odd run")])
def test_path_with_blanks_and_quotes(
    kind: LayoutKind, name: str, engine: CondorEngine, source: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    folder, plan = prepare(tmp_path / name, source, kind)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert status.state == "succeeded", status
    assert checksums(folder, plan) == expected


def test_path_that_dagman_would_misread(engine: CondorEngine, source: Path, tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path / "a $(odd) run", source, "clusters")
    with pytest.raises(UsageError, match=r"\$\("):
        engine.submit(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from dynamo.engines.base import RunFolder
from dynamo.engines.condor.engine import CondorEngine

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

where, root = sys.argv[1:]
engine = CondorEngine()
if where == "after":
    engine._record = die
else:
    engine._write = die
engine.submit(RunFolder(Path(root)))
"""


def killed_submission(where: str, folder: RunFolder) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(dynamo.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(folder.root)], env=environment, check=False, timeout=300
    )
    assert done.returncode == -signal.SIGKILL
    handle = read_handle(folder)
    assert handle is not None
    assert handle.cluster is None


@pytest.mark.parametrize("kind", ["single", "clusters"])
@pytest.mark.parametrize("pause_s", [0.0, 6.0], ids=["while-queued-or-running", "after-its-end"])
def test_kill_between_submission_and_record_submits_once(
    kind: LayoutKind, pause_s: float, engine: CondorEngine, source: Path, tmp_path: Path
) -> None:
    folder, _ = prepare(tmp_path / "run", source, kind)
    killed_submission("after", folder)
    time.sleep(pause_s)
    engine.submit(folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    tasks = len(folder.read_layout().tasks)
    assert submitted(folder) == (1 if kind == "single" else 1 + tasks)


def test_kill_before_submission_submits_once(engine: CondorEngine, source: Path, tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path / "run", source, "single")
    killed_submission("before", folder)
    assert engine.status(folder).state == "pending"
    engine.submit(folder)
    engine.submit(folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    assert submitted(folder) == 1


def test_many_threads_submit_and_wait(engine: CondorEngine, source: Path, tmp_path: Path) -> None:
    folders = [prepare(tmp_path / f"run{index}", source, "single", leads=(0,))[0] for index in range(3)]
    states: list[str] = []

    def follow(folder: RunFolder) -> None:
        engine.submit(folder)
        states.append(engine.wait(folder, LONG_S).state)

    # Each run is followed by two threads at once.
    threads = [threading.Thread(target=follow, args=(folder,)) for folder in folders * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["succeeded"] * 6
    assert [submitted(folder) for folder in folders] == [1, 1, 1]


def test_another_process_finds_the_run_and_sees_its_end(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    first = CondorEngine(python=slow_python(tmp_path, 2.0))
    folder, _ = prepare(tmp_path / "run", source, "single")
    first.submit(folder)
    first.close()
    second = CondorEngine()
    second.submit(folder)
    assert second.wait(folder, 0.2).state in ("pending", "running")
    assert second.wait(folder, LONG_S).state == "succeeded"
    assert first.status(folder).state == "succeeded"
    second.close()


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_cancel_leaves_no_job_behind(kind: LayoutKind, condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=slow_python(tmp_path))
    folder, _ = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).state == "running")
    engine.cancel(folder, "a newer nowcast is here")
    status = engine.wait(folder, LONG_S)
    assert (status.state, status.reason) == ("cancelled", "a newer nowcast is here")
    assert in_queue(folder) == []
    # A cancelled run is not started by a call that comes late.
    engine.submit(folder)
    assert engine.status(folder).state == "cancelled"
    assert in_queue(folder) == []
    # Another process was told as well.
    assert CondorEngine().wait(folder, 5.0).reason == "a newer nowcast is here"
    engine.close()


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_removed_by_a_person(kind: LayoutKind, condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=slow_python(tmp_path))
    folder, _ = prepare(tmp_path / "run", source, kind)
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).state == "running")
    act("Remove", folder, "makes room")
    status = engine.wait(folder, LONG_S)
    assert status.state == "cancelled"
    assert "makes room" in status.reason
    wait_for(lambda: not in_queue(folder))
    engine.close()


def test_held_by_a_person_and_released(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=slow_python(tmp_path, 1.0))
    folder, _ = prepare(tmp_path / "run", source, "single")
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).state == "running")
    act("Hold", folder, "wait for the disk")
    held = wait_for(lambda: (status := engine.status(folder)).state == "held" and status)
    assert "wait for the disk" in held.reason
    act("Release", folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    engine.close()


def test_evicted_job_starts_again(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=slow_python(tmp_path, 2.0))
    folder, _ = prepare(tmp_path / "run", source, "single")
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).state == "running")
    act("VacateFast", folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    assert "Job was evicted" in (folder.root / "condor.log").read_text()
    engine.close()


@pytest.mark.parametrize("transfer", ["no", "yes"])
def test_what_a_killed_worker_wrote_is_readable_before_and_after(
    transfer: Any, condor_pool: PoolRecord, source: Path, tmp_path: Path
) -> None:
    engine = CondorEngine(python=talking_python(tmp_path), transfer=transfer)
    folder, _ = prepare(tmp_path / "run", source, "single", retries=1)
    engine.submit(folder)

    def written() -> str:
        return "\n".join(read_log(path) for path in log_files(folder.root) if path.suffix != ".sub")

    wait_for(lambda: "pid " in written() and "on the other stream" in written(), PATIENCE)
    first = next(line for line in written().splitlines() if line.startswith("pid "))
    assert first.endswith(" token=*** \ufffd")
    os.kill(int(first.split()[1]), signal.SIGKILL)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    engine.close()
    wait_for(lambda: "again" in written(), PATIENCE)
    assert first in written()


@pytest.mark.parametrize("kind", ["single", "clusters"])
def test_time_limit(kind: LayoutKind, condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=hung_python(tmp_path), transfer="yes" if kind == "single" else "no")
    folder, _ = prepare(tmp_path / "run", source, kind, retries=0, max_seconds=1)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert status.state == "failed"
    assert "time limit of" in status.reason
    wait_for(lambda: not in_queue(folder))
    engine.close()


@pytest.mark.parametrize("transfer", ["no", "yes"])
def test_failed_job_is_retried_and_named(transfer: Any, condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(transfer=transfer)
    broken = tmp_path / source.name
    broken.write_bytes(source.read_bytes()[:1000])
    folder, _ = prepare(tmp_path / "run", broken, "single", retries=1, like=source)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert status.state == "failed"
    assert status.reason.startswith("job split: ")
    assert (status.jobs_done, status.jobs_failed) == (0, 1)
    log = (folder.root / "condor.log").read_text()
    assert log.count("Job executing on host") == 2
    engine.close()


def test_program_that_does_not_exist(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=str(tmp_path / "nowhere" / "python"))
    folder, _ = prepare(tmp_path / "run", source, "single", retries=0)
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert status.state == "failed"
    assert "nowhere" in status.reason
    wait_for(lambda: not in_queue(folder))
    engine.close()


def test_failed_dag_goes_on_from_its_rescue(engine: CondorEngine, source: Path, tmp_path: Path) -> None:
    folder, plan = prepare(tmp_path / "run", source, "jobs", retries=0)
    # A folder where a product belongs makes one job fail, whoever runs it.
    obstacle = folder.work / plan.products[-1]
    obstacle.mkdir()
    engine.submit(folder)
    status = engine.wait(folder, LONG_S)
    assert status.state == "failed"
    assert (status.jobs_done, status.jobs_failed) == (6, 1)
    assert list(folder.root.glob("*.rescue001"))
    obstacle.rmdir()
    folder.engine_file.unlink()
    engine.submit(folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    assert submitted(folder) == 2  # DAGMan and the one node that was missing


def test_a_new_attempt_ends_the_earlier_one(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    slow = CondorEngine(python=slow_python(tmp_path))
    folder, _ = prepare(tmp_path / "run", source, "single")
    slow.submit(folder)
    wait_for(lambda: slow.status(folder).state == "running")
    old = read_handle(folder)
    assert old is not None
    folder.engine_file.unlink()
    engine = CondorEngine()
    engine.submit(folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    assert Queue().find(TAG, old.tag) == []
    slow.close()
    engine.close()


def test_job_that_the_pool_has_forgotten_is_lost(
    engine: CondorEngine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = prepare(tmp_path / "run", source, "single")
    handle = {"engine": "condor", "tag": "no-such-run", "created": "2026-01-01T00:00:00Z", "cluster": 999999}
    folder.engine_file.write_bytes(orjson.dumps(handle))
    (folder.root / "condor.log").touch()
    assert engine.status(folder).state == "pending"
    monkeypatch.setattr(condor_module, "SILENCE_S", 0.0)
    status = engine.status(folder)
    assert status.state == "lost"
    assert "999999" in status.reason


@pytest.mark.parametrize(("kind", "task"), [("single", ""), ("jobs", "task split: ")])
def test_request_that_no_slot_can_satisfy_is_told(
    kind: LayoutKind, task: str, engine: CondorEngine, source: Path, tmp_path: Path
) -> None:
    folder, _ = prepare(tmp_path / "run", source, kind, leads=(0,), memory_mb=999_999)
    engine.submit(folder)
    status = wait_for(lambda: (status := engine.wait(folder, 0.5)).reason != "" and status)
    assert status.state == "pending"
    assert status.reason.startswith(f"{task}no slot has 999,999 MB of memory, the largest has ")
    engine.cancel(folder, "the test is over")


@pytest.fixture
def no_scratch(condor_pool: PoolRecord) -> Iterator[None]:
    """The pool's worker cannot make a job's scratch folder, so its starter ends before the job begins."""
    execute = Path(condor_pool.state) / "execute"
    mode = execute.stat().st_mode
    execute.chmod(0o500)
    yield
    execute.chmod(mode)


@pytest.mark.parametrize("kind", ["single", "jobs"])
def test_starter_that_fails_again_and_again(
    kind: LayoutKind,
    no_scratch: None,
    engine: CondorEngine,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(track, "MAX_BAD_STARTS", 3)
    folder, _ = prepare(tmp_path / "run", source, kind, leads=(0,), retries=0)
    engine.submit(folder)
    wait_for(lambda: "2 starts in a row failed, the last: " in engine.wait(folder, 0.2).reason)
    status = engine.wait(folder, PATIENCE * LONG_S)
    assert status.state == "failed"
    task = "run" if kind == "single" else "split"
    assert status.reason.startswith(f"task {task}: 3 starts in a row failed, the last: ")
    wait_for(lambda: not in_queue(folder))


def test_held_task_is_told_while_another_runs(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=waiting_python(tmp_path, "contour-0", "plot-0"))
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,))
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).jobs_done == 1 and running(folder) == {"contour-0", "plot-0"})
    act("Hold", folder, "wait for the disk", task="plot-0")
    told = "task plot-0 is held: wait for the disk"
    status = wait_for(lambda: (status := engine.status(folder)).reason.startswith(told) and status)
    assert status.state == "running"
    act("Release", folder, task="plot-0")
    (tmp_path / "go").touch()
    assert engine.wait(folder, PATIENCE * LONG_S).state == "succeeded"
    engine.close()


def test_removing_a_task_of_a_dag_uses_up_an_attempt(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=waiting_python(tmp_path, "contour-0", "plot-0"))
    folder, _ = prepare(tmp_path / "run", source, "jobs", leads=(0,), retries=1)
    engine.submit(folder)
    wait_for(lambda: engine.status(folder).jobs_done == 1 and running(folder) == {"contour-0", "plot-0"})
    act("Remove", folder, "makes room", task="plot-0")
    (tmp_path / "go").touch()
    assert engine.wait(folder, PATIENCE * LONG_S).state == "succeeded"
    assert (folder.root / "condor.log").read_text().count("DAG Node: plot-0") == 2
    engine.close()


def test_priority_reaches_jobs_in_the_queue_and_those_to_come(
    condor_pool: PoolRecord, source: Path, tmp_path: Path
) -> None:
    import htcondor2

    def priorities() -> dict[str, int]:
        ads = htcondor2.Schedd().query(equals(TAG, tag), ["JobPrio", "DynamoTask"])
        return {str(ad.get("DynamoTask", "DAGMan")): int(ad["JobPrio"]) for ad in ads}

    # Each job waits for a person.
    engine = CondorEngine(submit={"hold": "true"})
    folder, _ = prepare(tmp_path / "run", source, "jobs")
    engine.submit(folder)
    handle = read_handle(folder)
    assert handle is not None
    tag = handle.tag
    wait_for(lambda: set(priorities()) == {"DAGMan", "split"})
    assert engine.prioritize(folder, 77)
    assert priorities() == {"DAGMan": 77, "split": 77}
    act("Release", folder)
    found = wait_for(lambda: (now := priorities()) and any(name.startswith("contour") for name in now) and now)
    assert set(found.values()) == {77}
    engine.cancel(folder, "the test is over")
    assert not engine.prioritize(folder, 78)
    engine.close()


def test_status_does_not_wait_for_a_thread_that_waits(condor_pool: PoolRecord, source: Path, tmp_path: Path) -> None:
    engine = CondorEngine(python=slow_python(tmp_path, 4.0))
    folder, _ = prepare(tmp_path / "run", source, "single", leads=(0,))
    engine.submit(folder)
    waiting = threading.Thread(target=engine.wait, args=(folder, LONG_S))
    waiting.start()
    wait_for(lambda: engine.status(folder).state == "running")
    slowest = 0.0
    for _ in range(20):
        started = time.monotonic()
        assert engine.status(folder).state == "running"
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.05)
    assert slowest < 0.5
    waiting.join()
    assert engine.status(folder).state == "succeeded"
    engine.close()


def test_relative_run_folder(
    engine: CondorEngine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = prepare(Path("run"), source, "single", leads=(0,))
    engine.submit(folder)
    assert engine.wait(folder, LONG_S).state == "succeeded"
    assert engine.status(RunFolder(tmp_path / "run")).state == "succeeded"
