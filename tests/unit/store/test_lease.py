"""The lease of a store, held by real processes that are suspended, killed, and woken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.errors import BusyError
from dynamo.store.engine import Store, open_store
from dynamo.store.lease import StoreLease, machine
from dynamo.store.models import ProcessLease
from dynamo.times import utc_now
from tests.waiting import wait_for

#: Takes the lease for a moment only, so that it expires while the process lives.
_HOLDER = """
import sys, time
import dynamo.store.lease as lease
from dynamo.store.engine import open_store
lease.TERM_S = 0.01
lease.StoreLease(open_store(sys.argv[1])).take()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def holder(store: Store, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A living process whose lease has expired."""
    arguments = [sys.executable, "-c", _HOLDER, str(tmp_path / "store.sqlite")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        wait_for(lambda: _held(store).expires_at < utc_now(), what="the lease's end")
        yield process
        process.kill()


def _held(store: Store) -> ProcessLease:
    with store.reading() as session:
        return session.get_one(ProcessLease, "watch")


def _put(store: Store, *, seconds: float) -> None:
    """Give the lease to a daemon on another machine."""
    with store.transaction() as session:
        expires = utc_now() + timedelta(seconds=seconds)
        session.merge(
            ProcessLease(name="watch", token="t", host="elsewhere/1", pid=1, pid_started="1", expires_at=expires)
        )


def test_an_expired_lease_is_not_free_while_its_process_lives(store: Store, holder: subprocess.Popen[bytes]) -> None:
    mine = StoreLease(store)
    with pytest.raises(BusyError, match=rf"process {holder.pid} on \S+ .*\(stop it\)"):
        mine.take()
    os.kill(holder.pid, signal.SIGSTOP)
    wait_for(lambda: "T" in Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0])
    with pytest.raises(BusyError, match=rf"process {holder.pid} on \S+ \(suspended\).*kill -CONT {holder.pid}"):
        mine.check()
    holder.kill()
    holder.wait()
    mine.check()
    mine.take()
    assert _held(store).pid == os.getpid()


def test_the_one_that_wakes_takes_back_what_nobody_has(store: Store) -> None:
    mine = StoreLease(store)
    mine.take()
    token = _held(store).token
    # Another machine's daemon had it meanwhile, and has ended: in order, or not.
    _put(store, seconds=600)
    with store.transaction() as session:
        session.delete(session.get_one(ProcessLease, "watch"))
    mine.renew()
    assert (_held(store).token, _held(store).host) == (token, machine())
    _put(store, seconds=-1)
    mine.renew()
    assert (_held(store).token, _held(store).host) == (token, machine())


def test_the_one_that_wakes_leaves_it_to_a_living_daemon_and_names_it(store: Store) -> None:
    mine = StoreLease(store)
    mine.take()
    _put(store, seconds=600)
    with pytest.raises(BusyError, match=r"process 1 on elsewhere .*if its machine crashed, wait until"):
        mine.renew()
    mine.give_back()
    assert _held(store).host == "elsewhere/1"


def test_a_container_of_this_machine_is_judged_by_time_and_not_by_our_processes(store: Store) -> None:
    name, boot, _ = machine().split("/")
    for host, free in ((f"{name}/{boot}/1", False), (f"{name}/{boot}", False), (f"{name}/an-earlier-boot/1", True)):
        with store.transaction() as session:
            held = ProcessLease(name="watch", token="t", host=host, pid=os.getpid(), pid_started="1")
            held.expires_at = utc_now() + timedelta(seconds=600)
            session.merge(held)
        if free:
            StoreLease(store).check()
        else:
            with pytest.raises(BusyError, match=f"process {os.getpid()} on {name}"):
                StoreLease(store).check()


def test_what_this_process_left_behind_is_free_once_expired(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dynamo.store.lease.TERM_S", -1.0)
        StoreLease(store).take()
    StoreLease(store).take()
