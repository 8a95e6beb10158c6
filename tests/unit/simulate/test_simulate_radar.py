"""A simulated network: the same for the same seed, read by our reader, and its hail is where the truth says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from dynamo.errors import InputError, UsageError
from dynamo.formats.radar.casa_writer import CasaHeader, casa_name, encode_casa, write_casa
from dynamo.formats.radar.read import read_volume
from dynamo.simulate.radar import NETWORK, RadarSimulator, run, to_lonlat, to_plane
from dynamo.simulate.radar_storms import REGIMES, RegimeName
from dynamo.times import parse_time

START = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)
SMALL = (360, 240)


def simulator(regime: RegimeName = "cells", **options: Any) -> RadarSimulator:
    return RadarSimulator(regime, START, **options, shape=SMALL)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    files = []
    for folder in ("a", "b"):
        made = simulator(radars=2, seed=4)
        files.append([made.write(tmp_path / folder, sweep).read_bytes() for sweep in made.sweeps()])
    assert files[0] == files[1]
    other = simulator(radars=2, seed=5)
    assert other.write(tmp_path, next(other.sweeps())).read_bytes() != files[0][0]


def test_our_reader_reads_what_the_radar_measured(tmp_path: Path) -> None:
    made = simulator(radars=1, seed=2)
    sweep = list(made.sweeps())[1]
    path = made.write(tmp_path, sweep)
    assert path.name == "addison.tx-20190610-002020.netcdf.gz"
    volume = read_volume(path)
    (found,) = volume.sweeps
    moments = made.moments(sweep)
    assert volume.site.radar == "addison.tx"
    assert volume.site.band == "X"
    assert volume.flags == ()
    assert found.attrs["fixed_angle_deg"] == sweep.elevation_deg
    assert parse_time(found.attrs["start_time"]) == sweep.time
    for name, step in (("DBZH", 0.5), ("ZDR", 0.0625), ("RHOHV", 1 / 256), ("VRADH", 0.125)):
        values = found[name].values
        np.testing.assert_array_equal(np.isnan(values), np.isnan(moments[name]))
        assert np.nanmax(np.abs(values - moments[name])) <= step / 2 + 1e-5
    assert np.nanmax(np.abs(found["VRADH"].values)) <= found.attrs["nyquist_m_s"] + 0.07


def test_the_network_is_spread_over_the_minute() -> None:
    sweeps = list(simulator(radars=7, sweeps_per_minute=3, minutes=2).sweeps())
    assert len(sweeps) == 42
    assert [sweep.time for sweep in sweeps] == sorted(sweep.time for sweep in sweeps)
    assert len({(sweep.radar.radar, sweep.time) for sweep in sweeps}) == 42
    assert {sweep.elevation_deg for sweep in sweeps} == {1.0, 2.0, 3.0}
    assert all(to_lonlat(*to_plane(33.1, -97.2)) == (-97.2, 33.1) for _ in NETWORK)
    with pytest.raises(UsageError, match="1 to 7 radars"):
        simulator(radars=8)


def test_regimes_differ_as_weather_does() -> None:
    echo = {}
    for regime in REGIMES:
        made = simulator(regime, radars=1)
        dbz = made.moments(next(made.sweeps()))["DBZH"]
        echo[regime] = (dbz >= 20).mean()
    assert echo["clear"] < 0.02 < echo["cells"] < 0.3 < echo["wide"]


@pytest.mark.parametrize("regime", ["cells", "wide"])
def test_hail_lies_where_the_truth_says(regime: RegimeName) -> None:
    made = simulator(regime, radars=1, sweeps_per_minute=1)
    moments = made.moments(next(made.sweeps()))
    hail = [
        feature["properties"]
        for feature in made.truth()["features"]
        if feature["properties"]["hail"] and parse_time(feature["properties"]["time"]) == START
    ]
    assert len(hail) >= 3
    azimuth, ground = np.radians(np.arange(360) + 0.5), (np.arange(240) + 0.5) * 0.25
    inside = np.zeros(SMALL, dtype=bool)
    for core in hail:
        east, north = to_plane(core["latitude_deg"], core["longitude_deg"])
        squared = (np.sin(azimuth)[:, np.newaxis] * ground - east) ** 2 + (
            np.cos(azimuth)[:, np.newaxis] * ground - north
        ) ** 2
        inside |= squared <= (0.7 * core["radius_km"]) ** 2
    assert inside.sum() > 20
    assert np.median(moments["DBZH"][inside]) > 56
    assert np.median(moments["ZDR"][inside]) < 0.8
    assert np.median(moments["RHOHV"][inside]) < 0.97
    rain = ~inside & (moments["DBZH"] > 35) & (moments["DBZH"] < 45) & (ground > 20)
    assert np.median(moments["ZDR"][rain]) > 0.7
    assert np.median(moments["RHOHV"][rain]) > 0.97


def test_run_keeps_the_pace_and_writes_the_truth(tmp_path: Path) -> None:
    waits: list[float] = []
    made = simulator("clear", radars=2, sweeps_per_minute=1)
    paths = run(made, tmp_path, speed=10, sleep=waits.append)
    assert [path.name for path in paths] == [
        "addison.tx-20190610-002000.netcdf.gz",
        "midlothian.tx-20190610-002030.netcdf.gz",
    ]
    # The last ray of a sweep is measured 15 s after the first; nobody slept here, so the second wait is the whole.
    assert waits[0] == pytest.approx(1.5, abs=0.5)
    assert waits[1] == pytest.approx(4.5, abs=1.0)
    truth = orjson.loads((tmp_path / "truth.geojson").read_bytes())
    assert truth["features"] == []
    assert len(truth["radars"]) == 2
    run(made, tmp_path, speed=0, sleep=waits.append)
    assert len(waits) == 2


def test_the_writer_checks_shapes(tmp_path: Path) -> None:
    header = CasaHeader("A", "A", 33.0, -97.0, 100.0)
    azimuths, elevations, seconds = np.arange(4.0) * 90, np.full(4, 0.5), np.arange(4.0)
    with pytest.raises(InputError, match="no reflectivity"):
        encode_casa(header, azimuths, elevations, seconds, {"ZDR": np.zeros((4, 5))})
    with pytest.raises(InputError, match="differ in shape"):
        encode_casa(header, azimuths, elevations, seconds, {"DBZH": np.zeros((3, 5))})
    path = tmp_path / casa_name("A", START, packed=False)
    write_casa(path, header, azimuths, elevations, START.timestamp() + seconds, {"DBZH": np.full((4, 6), np.nan)})
    assert np.isnan(read_volume(path).sweeps[0]["DBZH"].values).all()
