"""Daemons whose process or machine is suspended for longer than their lease, and the ones started meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from dynamo.provision.fleets import scale
from dynamo.provision.status import fleet_status, looked_after_by
from dynamo.store.engine import Store, StoreUnavailableError, open_store
from dynamo.store.models import ProcessLease, Run
from dynamo.times import utc_now
from tests.integration.watch.watch_support import SHORT_LEASES, DaemonProcess, run_dynamo, write_small
from tests.unit.provision.quick_fleets import put, spec_of
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


def _suspend(daemon: DaemonProcess, store: Store) -> None:
    """Suspend a daemon while it does not hold SQLite's lock: with that, all others just wait for the store."""
    daemon.suspend()
    while not _is_free(store):
        daemon.wake()
        # Suspended again at once, it would never get to the end of its transaction.
        wait_for(lambda: _is_free(store), what="the end of the daemon's transaction")
        daemon.suspend()


def _is_free(store: Store) -> bool:
    try:
        with store.transaction() as session:
            session.execute(update(ProcessLease).values(token=ProcessLease.token))
    except StoreUnavailableError:
        return False
    return True


def _suspend_past_its_lease(daemon: DaemonProcess, store: Store) -> None:
    _suspend(daemon, store)
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


def test_a_suspended_daemon_of_fleets_keeps_them_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "dynamo.toml").write_text("")
    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    put(store, tmp_path, spec_of("one"))
    first = DaemonProcess(tmp_path, code=SHORT_LEASES, command="dynamo-provision daemon")
    try:
        wait_for(lambda: looked_after_by(store, "one"), what="a managed fleet")
        _suspend(first, store)
        wait_for(lambda: all(lease.expires_at < utc_now() for lease in _leases(store)), what="expired leases")
        assert looked_after_by(store, "one") == f"{first.process.pid} on {socket.gethostname()} (suspended)"
        second = DaemonProcess(tmp_path, "one", log="second.log", command="dynamo-provision daemon")
        assert second.process.wait(300) == 7
        assert f"another daemon holds fleet one: process {first.process.pid} on " in second.log.read_text()
        with store.transaction() as session:
            session.execute(delete(ProcessLease))
            scale(session, "one", "a", 2, utc_now())
        first.wake()
        wait_for(lambda: fleet_status(store, "one").settled and looked_after_by(store, "one"), 60.0, "the order")
        assert {lease.pid for lease in _leases(store)} == {first.process.pid}
        assert first.stop() == 0
    finally:
        first.kill()
        store.close()


def _leases(store: Store) -> list[ProcessLease]:
    with store.reading() as session:
        return list(session.scalars(select(ProcessLease)))
