"""Background work in engine `local`: it comes last, and never occupies every worker."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo.engines import local
from dynamo.engines.base import BACKGROUND
from tests.waiting import wait_for


class GatedWorker:
    """A worker without a process, whose tasks last until the gate opens."""

    gate = threading.Event()
    begun: list[str] = []  # noqa: RUF012 - of all workers

    def run(self, _root: Path, task: Any) -> local._Outcome:
        self.begun.append(task.id)
        self.gate.wait()
        return local._Outcome()

    def stop(self) -> None:
        self.gate.set()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> local.LocalEngine:
    monkeypatch.setattr(local, "_Worker", GatedWorker)
    GatedWorker.gate.clear()
    GatedWorker.begun.clear()
    return local.LocalEngine(workers=2)


def put(engine: local.LocalEngine, name: str, priority: int) -> None:
    task: Any = SimpleNamespace(id=name, jobs=())
    plan: Any = SimpleNamespace(priority=priority, by_id={})
    layout: Any = SimpleNamespace(tasks=[task])
    folder: Any = SimpleNamespace(root=Path(name))
    with engine._changed:
        engine._put(local._Execution(folder, plan, layout, {}, active={name}), task)


def test_background_work_leaves_a_worker_free(engine: local.LocalEngine) -> None:
    put(engine, "old", BACKGROUND)
    put(engine, "older", BACKGROUND)
    wait_for(lambda: GatedWorker.begun == ["old"], what="the first in the background")
    put(engine, "live", -1000)
    wait_for(lambda: GatedWorker.begun == ["old", "live"], what="the live one at once")
    GatedWorker.gate.set()
    wait_for(lambda: len(GatedWorker.begun) == 3, what="all")
    engine.close()


def test_one_worker_does_all_and_what_is_live_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_Worker", GatedWorker)
    GatedWorker.gate.clear()
    GatedWorker.begun.clear()
    engine = local.LocalEngine(workers=1)
    put(engine, "old", BACKGROUND)
    wait_for(lambda: GatedWorker.begun == ["old"], what="the only one")
    put(engine, "older", BACKGROUND)
    put(engine, "live", -1000)
    GatedWorker.gate.set()
    wait_for(lambda: GatedWorker.begun == ["old", "live", "older"], what="in order")
    engine.close()
