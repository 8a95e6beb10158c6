"""The state folder removed under running daemons: they notice, say so, and end in order."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.alerts.service import AlertService
from dynamo.autoscale.setup import scale
from dynamo.config.file import parse_config
from dynamo.provision.keeping.daemon import Daemon
from dynamo.store.engine import StoreGoneError, open_store
from dynamo.store.models import ProcessLease
from tests.integration.watch.watch_support import DaemonProcess
from tests.unit.provision.quick_fleets import put, spec_of
from tests.waiting import wait_for


def test_watch_ends_in_order_and_leaves_no_new_state(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "places.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "dynamo.toml").write_text(
        '[alerts]\nplaces = "places.geojson"\n[[feeds]]\nname = "nowcasts"\npath = "incoming"\n'
    )
    daemon = DaemonProcess(tmp_path)
    try:
        daemon.wait_watching()
        shutil.rmtree(tmp_path / ".dynamo")
        assert daemon.process.wait(300) == 5
    finally:
        daemon.kill()
    text = daemon.log.read_text()
    assert ".dynamo/store.sqlite: the store was removed or replaced while it was open" in text
    assert "msg=stopped" in text
    assert "Traceback" not in text
    assert not (tmp_path / ".dynamo").exists()


def test_the_daemon_of_fleets_ends_in_order(tmp_path: Path) -> None:
    store = open_store(tmp_path / "state" / "store.sqlite")
    put(store, tmp_path, spec_of("one"))
    daemon = Daemon(store)
    assert daemon.claim() == ["one"]
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(StoreGoneError):
        daemon.run(threading.Event())
    assert not any(thread.name == "fleet-one" for thread in threading.enumerate())
    with pytest.raises(StoreGoneError):
        scale(parse_config({}, base=tmp_path), store, threading.Event(), fleet="one")
    store.close()


def test_the_daemon_of_fleets_ends_where_the_store_is_elsewhere_too(tmp_path: Path) -> None:
    # As with PostgreSQL: the store outlives the state folder with the fleets' pools.
    store = open_store(tmp_path / "server" / "store.sqlite")
    state = tmp_path / "state"
    state.mkdir()
    put(store, state, spec_of("one"))
    daemon = Daemon(store, state_dir=state)
    assert daemon.claim() == ["one"]
    shutil.rmtree(state)
    with pytest.raises(StoreGoneError, match="the state folder was removed"):
        daemon.run(threading.Event())
    assert not any(thread.name == "fleet-one" for thread in threading.enumerate())
    with store.reading() as session:
        assert session.scalars(select(ProcessLease)).all() == []
    store.close()


def test_the_process_that_alerts_ends(tmp_path: Path) -> None:
    (tmp_path / "places.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    settings = parse_config({"alerts": {"places": "places.geojson"}}, base=tmp_path).alerts
    store = open_store(tmp_path / "state" / "store.sqlite")
    with AlertService(store, settings, base=tmp_path, poll_s=0.1) as service:
        shutil.rmtree(tmp_path / "state")
        failure = wait_for(lambda: service.failure or False, what="the end")
    assert isinstance(failure, StoreGoneError)
    store.close()
