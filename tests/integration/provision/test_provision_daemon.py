"""The daemon's threads, and commands that wait, with simulated sites on the clock of life."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from dynamo.errors import BusyError, NotFoundError
from dynamo.provision.fleets import scale
from dynamo.provision.keeping.attending import Glance, NotSettledError, attend, glance_of
from dynamo.provision.keeping.daemon import Daemon
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.keeping.presence import ANY_FLEET, cared_for, daemon_lease
from dynamo.provision.orders import end_fleet
from dynamo.provision.states import lease_name
from dynamo.provision.status import fleet_status, looked_after_by
from dynamo.store.engine import Store, StoreUnavailableError, open_store
from dynamo.store.lease import StoreLease
from dynamo.store.models import ProcessLease
from dynamo.times import utc_now
from tests.unit.provision.quick_fleets import QUICK, put, spec_of
from tests.waiting import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "state" / "store.sqlite")
    yield opened
    opened.close()


class TestAttending:
    def test_it_watches_while_another_process_acts(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one", 2))
        seen: list[Glance] = []
        stop = threading.Event()
        daemon = Daemon(store)
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: looked_after_by(store, "one"))
            found = attend(store, "one", lambda glance: glance.settled, timeout_s=20, progress=seen.append)
            assert found.by is not None
            assert found.ready("a") == 2
            assert all(glance.by for glance in seen)
        finally:
            stop.set()
            thread.join(300)

    def test_the_end_of_the_time_says_what_is_missing(self, store: Store, tmp_path: Path) -> None:
        spec = spec_of("one", 3)
        spec["sites"]["Sim:A"]["options"] = {**QUICK, "boot": 300}
        put(store, tmp_path, spec)
        with pytest.raises(NotSettledError, match=r"a: 0 of 3 ready, 3 ") as caught:
            attend(store, "one", lambda glance: glance.settled, timeout_s=0.5)
        assert caught.value.exit_code == 9
        assert looked_after_by(store, "one") is None
        assert glance_of(fleet_status(store, "one")).missing().startswith("a: 0 of 3 ready")


class TestDaemon:
    def test_one_broken_fleet_does_not_stop_the_others(self, store: Store, tmp_path: Path) -> None:
        bad = spec_of("bad")
        bad["sites"]["Sim:A"]["options"] = {"colour": "red"}
        put(store, tmp_path, bad)
        put(store, tmp_path, spec_of("good"))
        stop = threading.Event()
        daemon = Daemon(store)
        assert daemon.claim() == ["bad", "good"]
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: fleet_status(store, "good").settled)
            put(store, tmp_path, spec_of("new"))
            wait_for(lambda: fleet_status(store, "new").settled)
            with store.transaction() as session:
                scale(session, "good", "a", 3, utc_now())
            wait_for(lambda: fleet_status(store, "good").settled and len(fleet_status(store, "good").workers) == 3)
            with store.transaction() as session:
                end_fleet(session, "new", utc_now())
            wait_for(lambda: fleet_status(store, "new").state == "ended")
            # What was wrong is put right.
            put(store, tmp_path, spec_of("bad"))
            wait_for(lambda: fleet_status(store, "bad").settled)
        finally:
            began = time.monotonic()
            stop.set()
            thread.join(300)
        assert not thread.is_alive()
        assert time.monotonic() - began < 100
        assert looked_after_by(store, "good") is None

    def test_it_goes_on_when_the_store_is_back(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, tmp_path, spec_of("one"))
        away = threading.Event()
        cycle = FleetLoop.cycle

        def cycle_or_not(loop: FleetLoop, *, wait_s: float = 0.0) -> Any:
            if away.is_set():
                raise StoreUnavailableError("store unavailable")
            return cycle(loop, wait_s=wait_s)

        monkeypatch.setattr(FleetLoop, "cycle", cycle_or_not)
        stop = threading.Event()
        daemon = Daemon(store)
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: fleet_status(store, "one").settled)
            away.set()
            with store.transaction() as session:
                scale(session, "one", "a", 2, utc_now())
            time.sleep(0.5)
            assert len(fleet_status(store, "one").workers) == 1
            away.clear()
            wait_for(lambda: fleet_status(store, "one").settled)
        finally:
            stop.set()
            thread.join(300)

    def test_a_second_daemon_has_nothing_to_do(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        first = Daemon(store)
        try:
            assert first.claim() == ["one"]
            with pytest.raises(BusyError, match="one: another daemon"):
                Daemon(store).claim()
            with pytest.raises(NotFoundError):
                Daemon(store, ["two"]).claim()
            put(store, tmp_path, spec_of("two"))
            second = Daemon(store)
            assert second.claim() == ["two"]
            second.close()
        finally:
            first.close()
        third = Daemon(store)
        assert third.claim() == ["one", "two"]
        third.close()

    def test_a_new_fleet_is_left_to_the_daemon(self, store: Store, tmp_path: Path) -> None:
        daemon = Daemon(store)
        assert not cared_for(store, "one")
        daemon.claim()
        stop = threading.Event()
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        try:
            put(store, tmp_path, spec_of("one"))
            assert cared_for(store, "one")
            assert attend(store, "one", lambda glance: glance.settled, timeout_s=20).by is not None
        finally:
            stop.set()
            thread.join(300)
        assert not cared_for(store, "one")

    def test_it_waits_for_a_command_that_looks_after_the_fleet(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        command = StoreLease(store, lease_name("one"))
        command.take()
        daemon = Daemon(store)
        try:
            assert daemon.claim() == ["one"]
            with pytest.raises(BusyError):
                StoreLease(store, daemon_lease("one")).take()
            command.give_back()
            wait_for(lambda: fleet_status(store, "one").settled)
        finally:
            daemon.close()

    def test_it_takes_back_leases_that_nobody_has_and_names_who_has_them(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("daemon", "keeper", "fleet_loop"):
            monkeypatch.setattr(f"dynamo.provision.keeping.{module}.RENEW_S", 0.0)
        put(store, tmp_path, spec_of("one"))
        names = {lease_name("one"), daemon_lease("one"), ANY_FLEET}
        stop = threading.Event()
        daemon = Daemon(store)
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: set(_leases(store)) == names)
            before = _leases(store)
            # Another machine's daemon had them while this one slept, and has ended.
            with store.transaction() as session:
                session.execute(delete(ProcessLease))
            wait_for(lambda: set(_leases(store)) == names)
            assert _leases(store) == before
            with pytest.raises(BusyError, match=rf"another daemon holds fleet one: process {os.getpid()} on "):
                Daemon(store).claim()
        finally:
            stop.set()
            thread.join(300)
        assert _leases(store) == {}


def test_a_fleet_stays_held_until_the_last_call_of_a_site_has_ended(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, tmp_path, spec_of("one", 0))
    loop = FleetLoop(store, "one")
    (runner,) = loop.reconciler.runners.values()
    end = runner.driver.close

    def slowly() -> None:
        with store.transaction() as session:
            session.execute(update(ProcessLease).values(expires_at=utc_now()))
        wait_for(lambda: _expires_at(store) > utc_now(), what="renewed while it is slow")
        end()

    monkeypatch.setattr("dynamo.store.lease.RENEW_S", 0.05)
    monkeypatch.setattr(runner.driver, "close", slowly)
    loop.close()
    assert _leases(store) == {}


def _expires_at(store: Store) -> datetime:
    with store.reading() as session:
        return session.scalars(select(ProcessLease)).one().expires_at


def _leases(store: Store) -> dict[str, str]:
    with store.reading() as session:
        return {lease.name: lease.token for lease in session.scalars(select(ProcessLease))}
