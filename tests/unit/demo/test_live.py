"""The demo that goes on: what its feeds get and when, and that radars and nowcasts see the same storms."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dynamo.config.file import load_config
from dynamo.demo.live import PAST, RADARS, LiveSource
from dynamo.demo.setup import set_up
from dynamo.demo.sources import SimulatedSource
from dynamo.formats.nowcast import NowcastReader
from dynamo.simulate.network import NetworkSimulator
from dynamo.simulate.radar import RadarSimulator, to_plane
from dynamo.times import utc_now

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def _network() -> NetworkSimulator:
    radars = RadarSimulator("cells", NOON, radars=2, sweeps_per_minute=1, minutes=3, shape=(36, 60))
    return NetworkSimulator(radars, leads=2)


def test_each_minute_brings_a_nowcast_and_a_sweep_of_each_radar(tmp_path: Path) -> None:
    found = list(_network().deliveries())
    assert [one.feed for one in found] == ["nowcasts", "radars", "radars"] * 3
    assert [one.due for one in found if one.feed == "nowcasts"] == [NOON + timedelta(minutes=m) for m in range(3)]
    # A sweep is there once its last ray is measured.
    assert found[1].due == NOON + timedelta(seconds=15)
    for one in found[:2]:
        assert one.write(tmp_path).parent == tmp_path


def test_nowcasts_are_strong_where_the_radars_have_hail(tmp_path: Path) -> None:
    network = _network()
    with NowcastReader(network.write_nowcast(1, tmp_path)) as reader:
        assert reader.header.issue_time == NOON + timedelta(minutes=1)
        grid, field = reader.header.grid, reader.read(1)
    hail = [core for core in network.radars.scene().cores if core.has_hail(2)]
    seen = []
    for core in hail:
        x, y = core.place(2)
        east = np.array([to_plane(32.98, lon)[0] for lon in grid.longitudes])
        north = np.array([to_plane(lat, -96.8391)[1] for lat in grid.latitudes])
        if east[0] < x < east[-1] and north[0] < y < north[-1]:
            seen.append(float(field[np.abs(north - y).argmin(), np.abs(east - x).argmin()]))
    assert seen
    assert min(seen) > 50


def test_no_time_of_the_demo_is_ahead(tmp_path: Path) -> None:
    now = utc_now()
    storms, live = SimulatedSource(now, (20, 20), each=1), LiveSource(now, (20, 20), seed=1)
    for source in (storms, live):
        last = source.write(len(source.labels) - 1, tmp_path, lambda *_: None)
        with NowcastReader(last) as reader:
            assert timedelta(0) <= now - reader.header.issue_time < timedelta(minutes=1)
    assert len(live.labels) == PAST
    assert len(live.radars) == RADARS


def test_live_feeds_begin_where_the_demo_ended_and_leave_out_what_is_late(tmp_path: Path) -> None:
    """As on a machine that was busy for an hour: it gets what there is now, not sixty nowcasts at once."""
    now = utc_now()
    source = LiveSource(now - timedelta(hours=1), (20, 20), seed=1)
    stop = threading.Event()
    for name in ("nowcasts", "radars"):
        (tmp_path / name).mkdir()
    feeding = threading.Thread(target=source.feed, args=(tmp_path, stop))
    feeding.start()
    for _ in itertools.count():
        if list((tmp_path / "nowcasts").iterdir()) or not feeding.is_alive():
            break
        feeding.join(0.05)
    stop.set()
    feeding.join()
    for path in (tmp_path / "nowcasts").glob("MERGE*"):
        with NowcastReader(path) as reader:
            assert now - reader.header.issue_time < timedelta(minutes=3)


@pytest.mark.parametrize("radars", [(), ("addison.tx",)])
def test_the_demo_leaves_a_configuration_that_other_commands_read(tmp_path: Path, radars: tuple[str, ...]) -> None:
    made = set_up(tmp_path / "demo", radars=radars)
    assert made == load_config(tmp_path / "demo" / "dynamo.toml")
    assert [feed.name for feed in made.feeds] == ["nowcasts", *(["radars"] if radars else [])]
    assert all((made.base / feed.name).is_dir() for feed in made.feeds)
