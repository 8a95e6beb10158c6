"""Daemons whose process or machine is suspended for longer than their lease, and the ones started meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.store.engine import Store, open_store
from dynamo.store.models import ProcessLease, Run
from dynamo.times import utc_now
from tests.integration.watch.watch_support import SHORT_LEASES, DaemonProcess, run_dynamo, write_small
from tests.waiting import wait_for

_CONFIG = """
[runs]
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
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "dynamo.toml").write_text(_CONFIG)
    started = DaemonProcess(tmp_path, code=SHORT_LEASES)
    started.wait_watching()
    yield started
    started.kill()


@pytest.fixture
def store(daemon: DaemonProcess, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / ".dynamo" / "store.sqlite")
    yield opened
    opened.close()


def _held(store: Store) -> ProcessLease | None:
    with store.reading() as session:
        return session.get(ProcessLease, "watch")


def _suspend_past_its_lease(daemon: DaemonProcess, store: Store) -> None:
    daemon.suspend()
    wait_for(lambda: (held := _held(store)) is not None and held.expires_at < utc_now(), what="an expired lease")


def _published(store: Store) -> bool:
    with store.reading() as session:
        return session.scalar(select(Run.state)) == "succeeded"


def test_a_daemon_suspended_past_its_lease_goes_on_and_the_others_name_it(
    daemon: DaemonProcess, store: Store, tmp_path: Path
) -> None:
    _suspend_past_its_lease(daemon, store)
    refused = run_dynamo(tmp_path, "watch")
    assert refused.returncode == 7
    assert f"process {daemon.process.pid} on " in refused.stderr
    assert f"(suspended) (continue it with `kill -CONT {daemon.process.pid}`, or kill it)" in refused.stderr
    # A daemon on another machine had the lease meanwhile and ended.
    with store.transaction() as session:
        session.delete(session.get_one(ProcessLease, "watch"))
    refused = run_dynamo(tmp_path, "watch")
    assert refused.returncode == 7
    assert "another daemon is watching this folder" in refused.stderr
    assert _held(store) is None
    daemon.wake()
    wait_for(lambda: (held := _held(store)) is not None and held.pid == daemon.process.pid, what="its lease again")
    write_small(tmp_path / "incoming", 0)
    wait_for(lambda: _published(store), 60.0, "the products")
    assert daemon.stop() == 0
    assert "took back" in daemon.log.read_text()


def test_a_daemon_leaves_the_store_to_another_machine_that_has_taken_over(daemon: DaemonProcess, store: Store) -> None:
    _suspend_past_its_lease(daemon, store)
    with store.transaction() as session:
        held = session.get_one(ProcessLease, "watch")
        held.token, held.host, held.pid = "t", "elsewhere/1", 1
        held.expires_at = utc_now() + timedelta(hours=1)
    daemon.wake()
    assert daemon.process.wait(300) == 7
    assert "another daemon holds this store: process 1 on elsewhere" in daemon.log.read_text()
    left = _held(store)
    assert left is not None
    assert left.host == "elsewhere/1"
