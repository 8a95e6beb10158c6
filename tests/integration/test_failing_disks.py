"""Runs wait while a file system fails, and those that it failed start again."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from dynamo.config.file import load_config
from dynamo.engines.base import RunFolder, Status
from dynamo.runs.events import RunEvent
from dynamo.runs.execution import engine_step
from dynamo.runs.setup import make_service
from dynamo.store.models import Run
from tests.integration.test_submit import ask
from tests.integration.watch.watch_support import ThreadEngine, environment, factory, write_small
from tests.needs import NAMESPACES

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
EXPECTED = {
    "run folder read-only": "Read-only file system",
    "run folder full": "No space left on device",
    "run folder full under way": "No space left on device",
    "no room for outputs": "No space left on device",
    "products read-only": "Read-only file system",
}


def test_full_and_read_only_disks_are_waited_out(tmp_path: Path) -> None:
    if (
        shutil.which("unshare") is None
        or subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode
    ):
        NAMESPACES.lacking()
    command = [*NAMESPACE, sys.executable, "-m", "tests.integration.failing_disks", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    cases = {item["case"]: item for item in map(orjson.loads, done.stdout.splitlines())}
    assert set(cases) == set(EXPECTED)
    for name, reason in EXPECTED.items():
        found = cases[name]
        assert (found["state"], found["reason"]) == ("succeeded", ""), found
        assert found["whole"] == [True] * 4, found
        assert any(reason in trouble for trouble in found["troubles"]), found


class FailingDiskEngine(ThreadEngine):
    """Fails a number of attempts as a disk would, or as the work itself."""

    def __init__(self, attempts: int, *, transient: bool) -> None:
        super().__init__()
        self.left = attempts
        self._transient = transient

    def submit(self, folder: RunFolder) -> None:
        self.failing = {"split"} if self.left > 0 else set()
        self.left -= not folder.engine_file.exists()
        super().submit(folder)

    def status(self, folder: RunFolder) -> Status:
        status = super().status(folder)
        return replace(status, transient=self._transient and status.state == "failed")


@pytest.mark.parametrize(
    ("attempts", "transient", "state", "submitted"),
    [(2, True, "succeeded", 3), (9, True, "failed", 4), (1, False, "failed", 1)],
    ids=["passes", "passes-never", "own-fault"],
)
def test_work_that_a_file_system_failed_is_done_again_but_not_for_ever(
    attempts: int, transient: bool, state: str, submitted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_step, "_MOST_FAULTS", 3)
    (tmp_path / "dynamo.toml").write_text("[runs]\nmin_free_mb = 0\n")
    run = ask(tmp_path, write_small(tmp_path, 0))
    engine = FailingDiskEngine(attempts, transient=transient)
    service = make_service(load_config(tmp_path / "dynamo.toml"), engine_factory=factory(engine))
    events: list[RunEvent] = []
    service.events.subscribe(events.append)
    ended = service.execute(run.id, threading.Event())
    assert isinstance(ended, Run)
    assert ended.state == state
    assert len(engine.started) == submitted
    assert sum(event.kind == "trouble" for event in events) == submitted - 1
    service.close()
    service.store.close()


def test_the_disk_is_judged_by_writing_to_it(tmp_path: Path) -> None:
    (tmp_path / "dynamo.toml").write_text("[runs]\nmin_free_mb = 0\n")
    service = make_service(load_config(tmp_path / "dynamo.toml"))
    service.check_disk()
    assert stat.S_IMODE((tmp_path / ".dynamo" / "runs").stat().st_mode) == 0o700
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(".probe")]
    assert not left
    # No fault that passes: the run itself will fail with it.
    shutil.rmtree(tmp_path / "products")
    (tmp_path / "products").write_text("a file where a folder should be")
    service.check_disk()
    service.store.close()
