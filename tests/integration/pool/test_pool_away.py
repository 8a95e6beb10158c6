"""A pool that is away for a moment: the daemon's runs wait for it, a person who waits is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.errors import MissingPartError, RetryableError
from dynamo.pool.control import down, up
from dynamo.pool.environment import PoolAwayError, use_pool
from dynamo.pool.install.installation import install
from dynamo.pool.record import STATE_VARIABLE
from tests.integration.watch.watch_support import DaemonProcess, run_dynamo, write_small
from tests.waiting import wait_for

pytestmark = pytest.mark.condor

_CONFIG = """
[runs]
engine = "condor"
min_free_mb = 0
[[feeds]]
name = "nowcasts"
path = "incoming"
settle_s = 0.2
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [30], min_points = 4 }
"""


@pytest.fixture
def no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder of a pool that is not up, for this process and its children."""
    install(None, lambda _stage, _done, _total: None)
    state = tmp_path / "pool"
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv(STATE_VARIABLE, str(state))
    yield state
    down(state)


def test_a_run_of_the_daemon_waits_for_the_pool_and_a_person_is_told(tmp_path: Path, no_pool: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "dynamo.toml").write_text(_CONFIG)
    with pytest.raises(MissingPartError, match="dynamo pool up") as away:
        use_pool()
    assert isinstance(away.value, PoolAwayError)
    assert isinstance(away.value, RetryableError)
    told = run_dynamo(
        tmp_path, "submit", "nowcast", "--wait", "-i", f"nowcast={write_small(tmp_path, 5)}", "-p", "levels=30"
    )
    assert (told.returncode, told.stdout) == (5, "")
    assert "dynamo pool up" in told.stderr
    write_small(tmp_path / "incoming", 0)
    daemon = DaemonProcess(tmp_path)
    try:
        wait_for(lambda: b'msg="waiting: ' in daemon.log.read_bytes(), what="a run that waits")
        assert b"run failed" not in daemon.log.read_bytes()
        up(slots=1, state=no_pool)
        wait_for(lambda: b"msg=published" in daemon.log.read_bytes(), 60.0, what="the products")
    finally:
        assert daemon.stop() == 0


def test_a_run_that_waits_for_the_pool_can_be_cancelled(tmp_path: Path, no_pool: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "dynamo.toml").write_text(_CONFIG)
    write_small(tmp_path / "incoming", 0)
    daemon = DaemonProcess(tmp_path)
    try:
        wait_for(lambda: b'msg="waiting: ' in daemon.log.read_bytes(), what="a run that waits")
        runs = [path.parent.name for path in (tmp_path / ".dynamo" / "runs").rglob("lock")]
        assert run_dynamo(tmp_path, "runs", "cancel", runs[0]).returncode == 0
        wait_for(lambda: b"run cancelled" in daemon.log.read_bytes(), what="its end")
    finally:
        assert daemon.stop() == 0
