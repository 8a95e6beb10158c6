"""Background work in engine `local`: it comes last, and never occupies every worker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo.engines import local
from dynamo.engines.base import BACKGROUND
from dynamo.processes import HelperProcess, end_with_parent, yield_to_others
from tests.waiting import wait_for


class GatedWorker:
    """A worker without a process, whose tasks last until the gate opens."""

    gate = threading.Event()
    begun: list[str] = []  # noqa: RUF012 - of all workers

    def __init__(self, *, background: bool = False) -> None:
        self.name = "spare" if background else "live"

    def run(self, _root: Path, task: Any) -> local._Outcome:
        self.begun.append(task.id)
        self.gate.wait()
        return local._Outcome()

    def pause(self) -> None:
        self.begun.append(f"pause {self.name}")

    def go_on(self) -> None:
        self.begun.append(f"go on {self.name}")

    def stop(self) -> None:
        self.gate.set()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> local.LocalEngine:
    monkeypatch.setattr(local, "_Worker", GatedWorker)
    # However slow the machine is, the background stands still until the test ends the live tasks.
    monkeypatch.setattr(local, "_STANDS_S", 3600.0)
    GatedWorker.gate.clear()
    GatedWorker.begun.clear()
    return local.LocalEngine(workers=2)


def tasks() -> list[str]:
    return [name for name in GatedWorker.begun if " " not in name]


def put(engine: local.LocalEngine, name: str, priority: int) -> None:
    task: Any = SimpleNamespace(id=name, jobs=())
    plan: Any = SimpleNamespace(priority=priority, by_id={})
    layout: Any = SimpleNamespace(tasks=[task])
    folder: Any = SimpleNamespace(root=Path(name))
    with engine._changed:
        engine._put(local._Execution(folder, plan, layout, {}, active={name}), task)


def test_background_work_takes_no_worker_from_live_work(engine: local.LocalEngine) -> None:
    put(engine, "old", BACKGROUND)
    put(engine, "older", BACKGROUND)
    wait_for(lambda: GatedWorker.begun == ["old"], what="the first in the background")
    put(engine, "live", -1000)
    put(engine, "lively", -1000)
    wait_for(lambda: {"live", "lively"} <= {*GatedWorker.begun}, what="the live ones at once")
    assert GatedWorker.begun[:2] == ["old", "pause spare"]
    assert len(GatedWorker.begun) == 4
    GatedWorker.gate.set()
    wait_for(lambda: {"older", "go on spare"} <= {*GatedWorker.begun}, what="the background after them")
    engine.close()


def test_background_work_stands_still_while_live_work_is_on_its_way(engine: local.LocalEngine) -> None:
    put(engine, "old", BACKGROUND)
    wait_for(lambda: GatedWorker.begun == ["old"], what="the background")
    engine.give_way(True)
    put(engine, "live", -1000)
    wait_for(lambda: "live" in GatedWorker.begun, what="the live task")
    GatedWorker.gate.set()
    wait_for(lambda: engine._busy == 1, what="the end of the live task")
    assert GatedWorker.begun == ["old", "pause spare", "live"]
    engine.give_way(False)
    assert GatedWorker.begun[3:] == ["go on spare"]
    engine.close()


def test_background_work_goes_on_now_and_then_if_live_work_leaves_no_pause(
    engine: local.LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_STANDS_S", 0.01)
    monkeypatch.setattr(local, "_TURN_S", 0.01)
    put(engine, "live", -1000)
    wait_for(lambda: len(GatedWorker.begun) > 8, what="several turns")
    signals = [name for name in GatedWorker.begun if name.endswith("spare")]
    assert signals[:4] == ["pause spare", "go on spare", "pause spare", "go on spare"]
    GatedWorker.gate.set()
    wait_for(lambda: not engine._busy, what="the end of the live task")
    assert [name for name in GatedWorker.begun if name.endswith("spare")][-1] == "go on spare"
    engine.close()


def test_the_most_urgent_task_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_Worker", GatedWorker)
    GatedWorker.gate.clear()
    GatedWorker.begun.clear()
    engine = local.LocalEngine(workers=1)
    put(engine, "first", -1000)
    wait_for(lambda: "first" in GatedWorker.begun, what="the only one")
    put(engine, "later", -1000)
    put(engine, "urgent", 10)
    GatedWorker.gate.set()
    wait_for(lambda: tasks() == ["first", "urgent", "later"], what="in order")
    engine.close()


def policy_of(pipe: Connection) -> None:
    """Serve the scheduling policy of this process, once it yields."""
    end_with_parent()
    yield_to_others()
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.recv()
            pipe.send(os.sched_getscheduler(0))


def test_background_work_has_the_processor_when_nobody_else_wants_it() -> None:
    helper = HelperProcess(policy_of)
    try:
        assert helper.ask("policy", 60.0) == os.SCHED_IDLE
    finally:
        helper.stop()


_PARENT = """
import os, signal, sys
from dynamo.processes import HelperProcess
from tests.unit.engines.test_local_background import policy_of
helper = HelperProcess(policy_of)
helper.ask("policy", 60.0)
helper.send_signal(signal.SIGSTOP)
print(helper.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_stands_still_does_not_outlive_a_killed_daemon() -> None:
    done = subprocess.run([sys.executable, "-c", _PARENT], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or state_of(pid) == "Z", what="its end")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
