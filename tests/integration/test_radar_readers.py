"""The readers on real files: the counts of the data's own description, and Py-ART gate by gate."""

from __future__ import annotations

import gzip
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dynamo.errors import InputError
from dynamo.extras import quiet
from dynamo.formats.radar import read_sweeps, read_volume
from dynamo.formats.radar.chunks import ChunkVolume
from dynamo.formats.radar.model import MOMENTS
from dynamo.formats.sounding import choose_sounding, read_sounding
from dynamo.inspection.look import inspect_input
from dynamo.times import parse_time
from tests.needs import peer

CHUNKS = "radar/nexrad_chunks/KLOT_20210729_123848"
TERREY = {
    5: (53.0, 0), 6: (61.5, 14), 7: (72.5, 421), 8: (75.0, 732), 9: (73.0, 842),
    10: (74.5, 495), 11: (70.5, 113), 12: (65.5, 82), 13: (75.5, 208), 14: (55.0, 0),
}  # fmt: skip
PYART_NAMES = {
    "DBZH": "reflectivity",
    "ZDR": "differential_reflectivity",
    "RHOHV": "cross_correlation_ratio",
    "PHIDP": "differential_phase",
    "VRADH": "velocity",
    "WRADH": "spectrum_width",
}


def hail_like(sweep: xr.Dataset) -> int:
    zdr, rhohv = sweep["ZDR"].values, sweep["RHOHV"].values
    return int(((sweep["DBZH"].values >= 55) & (zdr < 1) & (rhohv > 0.7) & (rhohv < 0.97)).sum())


def strongest(sweep: xr.Dataset) -> float:
    return float(np.nanmax(sweep["DBZH"].values))


def check_model(sweep: xr.Dataset) -> None:
    azimuth, ranges = sweep["azimuth"].values, sweep["range"].values
    assert (np.diff(azimuth) > 0).all()
    assert 0 <= azimuth[0] < azimuth[-1] < 360
    assert (np.diff(ranges) > 0).all()
    assert set(sweep.data_vars) <= set(MOMENTS)
    assert all(moment.dtype == np.float32 for moment in sweep.data_vars.values())
    assert not any(np.isinf(moment.values).any() for moment in sweep.data_vars.values())


def test_casa_sweeps(data_dir: Path) -> None:
    paths = sorted((data_dir / "casa").glob("*.netcdf.gz"))
    volumes = [read_volume(path) for path in paths]
    assert [strongest(volume.sweeps[0]) for volume in volumes] == [46.0, 48.5, 49.5, 50.0, 51.0]
    for path, volume in zip(paths, volumes, strict=True):
        (sweep,) = volume.sweeps
        check_model(sweep)
        dbz, rhohv, zdr = (sweep[name].values for name in ("DBZH", "RHOHV", "ZDR"))
        assert dbz.shape == (360, 1920)
        assert 0.015 <= np.isfinite(dbz).mean() <= 0.03
        assert np.nanmedian(rhohv[dbz >= 40]) == pytest.approx(0.98, abs=0.015)
        assert np.nanmedian(zdr[dbz >= 40]) == pytest.approx(3.0, abs=1.0)
        assert np.nanmax(np.abs(sweep["VRADH"].values)) <= 47.4
        assert float(sweep["range"][1] - sweep["range"][0]) == 31.25
        assert (volume.site.radar, volume.site.band, volume.site.altitude_m, volume.flags) == (
            "addison.tx",
            "X",
            210.0,
            (),
        )
        named = parse_time(f"{path.name[11:19]}T{path.name[20:26]}")
        assert abs((volume.time - named).total_seconds()) <= 3


def test_kfws_hail(data_dir: Path) -> None:
    path = data_dir / "radar/nexrad/KFWS20190609_222523.bin"
    cuts = read_sweeps(path)
    assert [hail_like(sweep) for sweep in cuts] == [291, 691]
    assert int((cuts[1]["DBZH"].values >= 55).sum()) == 1164
    assert strongest(cuts[1]) == 68.0
    volume = read_volume(path, pair_doppler=False)
    assert len(volume.sweeps) == 3
    assert volume.flags == ("incomplete: no end of the volume",)
    assert volume.time.isoformat(timespec="seconds") == "2019-06-09T22:25:23+00:00"
    assert (round(volume.site.latitude_deg, 3), round(volume.site.longitude_deg, 3)) == (32.573, -97.303)


def test_klbb_rain_without_hail(data_dir: Path) -> None:
    path = data_dir / "radar/nexrad/KLBB20160601_150025_V06"
    volume = read_volume(path, pair_doppler=False)
    assert len(volume.sweeps) == 11
    assert sum(hail_like(sweep) for sweep in volume.polarimetric()) == 1
    assert max(strongest(sweep) for sweep in volume.polarimetric()) == 59.5
    paired = read_volume(path)
    assert len(paired.sweeps) == 9
    assert all("VRADH" in sweep for sweep in paired.sweeps)
    assert paired.flags == ()


def test_ktlx_clear_air(data_dir: Path) -> None:
    path = data_dir / "radar/nexrad/KTLX20140101_000624.bin"
    volume = read_volume(path, pair_doppler=False)
    assert len(volume.sweeps) == 7
    assert sum(hail_like(sweep) for sweep in volume.polarimetric()) == 0
    facts = inspect_input(path, [45.0, 50.0])
    assert facts.format == "radar-volume"
    assert facts.area_km2 == {45.0: (0.0,), 50.0: (0.0,)}


def test_klot_chunks_are_the_volume(data_dir: Path, tmp_path: Path) -> None:
    chunks = sorted((data_dir / CHUNKS).iterdir())
    assert len(chunks) == 94
    whole = tmp_path / "KLOT20210729_123848_V06"
    whole.write_bytes(b"".join(path.read_bytes() for path in chunks))
    from_whole = read_volume(whole, pair_doppler=False)
    shuffled = random.Random(5).sample(chunks, len(chunks))
    from_chunks = read_volume(shuffled, pair_doppler=False)
    assert len(from_whole.sweeps) == len(from_chunks.sweeps) == 21
    assert from_whole.flags == from_chunks.flags == ()
    for one, other in zip(from_chunks.sweeps, from_whole.sweeps, strict=True):
        assert one.identical(other)
    polarimetric = from_whole.polarimetric()
    assert int((polarimetric[0]["DBZH"].values >= 55).sum()) == 847
    assert strongest(polarimetric[1]) == 66.5
    assert [hail_like(sweep) for sweep in polarimetric[:3]] == [24, 41, 28]


def test_klot_low_sweeps_before_the_end_and_without_it(data_dir: Path) -> None:
    volume = ChunkVolume("20210729-123848")
    first_at: int | None = None
    released = 0
    for number, path in enumerate(sorted((data_dir / CHUNKS).iterdir())[:-1], start=1):
        volume.add(path.name, path.read_bytes())
        ready = volume.new_sweeps()
        released += len(ready)
        if ready and first_at is None:
            first_at = number
            assert ready[0].attrs["fixed_angle_deg"] == pytest.approx(0.45, abs=0.05)
            assert ready[0].sizes["azimuth"] == 720
    assert first_at is not None
    assert first_at <= 8
    assert released == 20
    cut = volume.to_volume()
    assert {"incomplete: no end chunk", "incomplete: no end of the volume"} <= set(cut.flags)


def test_monte_lema_is_one_volume(data_dir: Path) -> None:
    volume = read_volume(sorted((data_dir / "radar/monte_lema_cband").glob("*.nc")))
    angles = sorted(sweep.attrs["fixed_angle_deg"] for sweep in volume.sweeps)
    assert angles == pytest.approx([0.4, 1.0, 2.5, 4.5, 6.5, 8.5, 11.0, 16.0, 20.0], abs=0.02)
    assert (volume.site.radar, volume.site.band, volume.site.altitude_m) == ("monte-lema", "C", 1626.0)
    for sweep in volume.sweeps:
        check_model(sweep)
        assert 60 <= strongest(sweep) <= 68
        assert float(sweep["range"][1] - sweep["range"][0]) == pytest.approx(500.0, abs=0.1)
    assert len(volume.polarimetric()) == 9


@pytest.mark.parametrize("number", sorted(TERREY))
def test_terrey_hills(data_dir: Path, number: int) -> None:
    volume = read_volume(data_dir / f"radar/terrey_hills_sband/terrey_{number:02d}.h5")
    (sweep,) = volume.sweeps
    check_model(sweep)
    assert (strongest(sweep), hail_like(sweep)) == TERREY[number]
    assert (volume.site.radar, volume.site.band) == ("terrey-hills", "S")
    # The header of these files has another time of day than their rays, which are right.
    assert volume.time.hour in (5, 6)


def test_boxpol(data_dir: Path) -> None:
    (path,) = (data_dir / "radar/boxpol_xband").iterdir()
    volume = read_volume(path)
    (sweep,) = volume.sweeps
    check_model(sweep)
    assert strongest(sweep) == pytest.approx(50.3, abs=0.1)
    assert {"KDP", "ZDR", "RHOHV", "PHIDP"} <= set(sweep.data_vars)
    assert (volume.site.radar, volume.site.band) == ("boxpol", "X")
    assert volume.time.isoformat() == "2014-11-16T03:48:38+00:00"


@pytest.mark.parametrize("name", ["KFWS20190609_222523.bin", "KLBB20160601_150025_V06", "KTLX20140101_000624.bin"])
def test_level2_equals_pyart_gate_by_gate(data_dir: Path, name: str) -> None:
    path = data_dir / "radar/nexrad" / name
    pyart = peer("pyart")
    with quiet():
        radar: Any = pyart.io.read_nexrad_archive(str(path), linear_interp=False)
    sweeps = read_volume(path, pair_doppler=False).sweeps
    assert radar.nsweeps == len(sweeps)
    for index, sweep in enumerate(sweeps):
        rays = radar.get_slice(index)
        order = np.argsort(radar.azimuth["data"][rays] % 360.0, kind="stable")
        np.testing.assert_allclose(sweep["azimuth"], (radar.azimuth["data"][rays] % 360.0)[order], atol=1e-4)
        np.testing.assert_allclose(sweep["elevation"], radar.elevation["data"][rays][order], atol=1e-4)
        gates = sweep.sizes["range"]
        np.testing.assert_allclose(sweep["range"], radar.range["data"][:gates])
        for ours, theirs in PYART_NAMES.items():
            field = np.ma.filled(radar.fields[theirs]["data"][rays], np.nan)[order]
            if ours not in sweep:
                assert not np.isfinite(field).any()
                continue
            np.testing.assert_allclose(sweep[ours].values, field[:, :gates], atol=1e-4, equal_nan=True)
            assert not np.isfinite(field[:, gates:]).any()


@pytest.mark.parametrize("netcdf", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_a_cfradial_volume_of_several_sweeps(data_dir: Path, tmp_path: Path, netcdf: str) -> None:
    path = data_dir / "radar/nexrad/KFWS20190609_222523.bin"
    converted = tmp_path / "volume.nc"
    pyart = peer("pyart")
    with quiet():
        radar: Any = pyart.io.read_nexrad_archive(str(path), linear_interp=False)
        pyart.io.write_cfradial(str(converted), radar, format=netcdf)
    # Py-ART puts every moment into every sweep, so the Doppler cut is one by its values only.
    for ours, theirs in zip(read_sweeps(path), read_sweeps(converted), strict=True):
        for name, moment in ours.data_vars.items():
            np.testing.assert_allclose(theirs[name].values[:, : moment.shape[1]], moment.values, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "zero", "minus_20"),
    [
        ("current_sounding.txt", 4811, 7596),
        ("may4_sounding.txt", 3810, 6465),
        ("may22_sounding.txt", 4256, 6955),
        # Its blank cells are dew points: temperatures go on, through -20 C between 5338 m (-19.3) and 5486 m (-20.2).
        ("dec9_sounding.txt", 2024, 5453),
    ],
)
def test_soundings(data_dir: Path, name: str, zero: int, minus_20: int) -> None:
    sounding = read_sounding(data_dir / "soundings" / name)
    heights = [sounding.height_of(level) for level in (0.0, -20.0)]
    assert [None if height is None else round(height) for height in heights] == [zero, minus_20]
    chosen = choose_sounding(data_dir / "soundings" / name, parse_time("2019-06-09T22:25Z"))
    assert not chosen.fallback


Damage = Callable[[bytearray, random.Random], None]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def _flip_head(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(min(len(data), 6000))] = rng.randrange(256)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    length = min(rng.randrange(1, 4000), len(data) - place)
    data[place : place + length] = rng.randbytes(length)


@pytest.mark.parametrize("damage", [_cut, _flip, _flip_head, _overwrite], ids=lambda damage: damage.__name__[1:])
@pytest.mark.parametrize(
    "name",
    [
        "casa/addison.tx-20170329-071008.netcdf.gz",
        "radar/nexrad/KTLX20140101_000624.bin",
        f"{CHUNKS}/20210729-123848-002-I",
        "radar/terrey_hills_sband/terrey_08.h5",
        "radar/monte_lema_cband/MLL2217907250U.016.nc",
        "radar/boxpol_xband/2014-11-16--03_45_00,00.mvol",
    ],
)
def test_damaged_files_are_refused_or_flagged_quietly(
    data_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, damage: Damage
) -> None:
    original = (data_dir / name).read_bytes()
    if name.endswith(".gz"):
        original = gzip.decompress(original)
    rng = random.Random(f"{name}{damage.__name__}")
    path = tmp_path / "damaged"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(8):
            data = bytearray(original)
            damage(data, rng)
            path.write_bytes(data)
            refusal = ""
            try:
                sweeps = read_sweeps(path)
            except InputError as error:
                sweeps, refusal = (), str(error)
            assert sweeps or refusal.startswith(str(path))
            for sweep in sweeps:
                check_model(sweep)
    assert not [str(warning.message) for warning in told]
    assert capfd.readouterr() == ("", "")
