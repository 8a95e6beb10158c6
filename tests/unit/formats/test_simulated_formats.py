"""Each radar reader on simulated files of its format: what was measured comes back, and libraries read the same."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from dynamo.errors import InputError, UsageError
from dynamo.extras import need, quiet
from dynamo.feeds.chunk_content import is_whole
from dynamo.formats.radar import read_sweeps, read_volume
from dynamo.formats.radar.model import Volume
from dynamo.formats.radar.sniff import is_radar_file
from dynamo.formats.radar_products import RadarProduct
from dynamo.formats.sounding import choose_sounding
from dynamo.inspection.look import inspect_input
from dynamo.processing.hail import hail_product, temperatures_of
from dynamo.simulate.formats.radar import RADAR_FORMATS, FormatName
from dynamo.simulate.formats.scan import Scan
from dynamo.simulate.radar import NETWORK, RadarSimulator, run, to_plane
from dynamo.times import parse_time
from tests.needs import peer
from tests.simulated import START, network, radar_files, sounding_file

#: Half of the step between two values that a format can tell apart.
STEPS: dict[FormatName, dict[str, float]] = {
    "casa": {"DBZH": 0.25, "ZDR": 1 / 32, "RHOHV": 1 / 512, "PHIDP": 0.25, "VRADH": 1 / 16, "WRADH": 1 / 16},
    "nexrad": {"DBZH": 0.25, "ZDR": 1 / 32, "RHOHV": 1 / 600, "PHIDP": 0.18, "VRADH": 0.25, "WRADH": 0.25},
    "odim": {"DBZH": 0.25, "ZDR": 0.04, "RHOHV": 0.002, "PHIDP": 0.71, "VRADH": 0.104, "WRADH": 0.052},
    "cfradial": dict.fromkeys(("DBZH", "ZDR", "RHOHV", "PHIDP", "VRADH", "WRADH"), 1e-5),
    "gamic": {"DBZH": 0.252, "ZDR": 0.026, "RHOHV": 0.002, "PHIDP": 0.003, "VRADH": 0.121, "WRADH": 0.061, "KDP": 0.06},
}
STEPS["nexrad-chunks"] = STEPS["nexrad"]
#: Values of hail and clutter beyond these have no code of their own.
LIMITS: dict[str, tuple[float, float]] = {
    "ZDR": (-6.0, 6.0),
    "RHOHV": (0.22, 1.0),
    "DBZH": (-30.0, 90.0),
    "WRADH": (0.11, 30.0),
}
ALL = sorted(RADAR_FORMATS)
#: Formats whose file may hold a sweep or all sweeps of a minute.
FREE = [name for name in ALL if RADAR_FORMATS[name].volumes is None]
LOWEST_OF_TWO_CUTS_DEG = 1.65
#: ODIM tells the start and the end of a ray, and the reader takes the middle.
LATE = timedelta(seconds=0.1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[FormatName, bool], list[Path]]:
    """The files of each format, with one sweep where it has that, and with three where it has that."""
    found = {}
    for name, how in RADAR_FORMATS.items():
        for volumes in {False, True} if how.volumes is None else {how.volumes}:
            folder = tmp_path_factory.mktemp(f"{name}-{volumes}")
            found[name, volumes] = radar_files(folder, name, volumes=volumes)
    return found


Written = dict[tuple[FormatName, bool], list[Path]]


def scans_of(name: FormatName, volumes: bool) -> list[Scan]:
    simulator = network(name, volumes=volumes)
    return [simulator.scan(sweep) for sweep in next(simulator.files())]


def whole(paths: list[Path], folder: Path) -> Path:
    """Return one file: chunks in a row are an ordinary volume."""
    if len(paths) == 1:
        return paths[0]
    joined = folder / "joined"
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    return joined


def turned(values: NDArray[Any], scan: Scan) -> NDArray[Any]:
    """Return values by ascending azimuth."""
    return np.asarray(values)[np.argsort(scan.azimuth_deg)]


def differs(found: NDArray[Any], expected: NDArray[Any], name: str) -> float:
    """Return the largest difference where the value has a code of its own."""
    low, high = LIMITS.get(name, (-np.inf, np.inf))
    inside = (expected >= low) & (expected <= high)
    assert inside.sum() > 100
    difference = np.abs(found - expected)[inside]
    if name == "PHIDP":
        difference = np.minimum(difference, 360.0 - difference)
    return float(difference.max())


@pytest.mark.parametrize(("name", "volumes"), [(name, False) for name in ALL] + [(name, True) for name in FREE])
def test_the_reader_gives_back_what_was_measured(name: FormatName, volumes: bool, written: Written) -> None:
    how = RADAR_FORMATS[name]
    scans = scans_of(name, volumes)
    paths = written[name, bool(volumes or how.volumes)]
    # Chunks in any order.
    volume = read_volume(paths[0] if len(paths) == 1 else random.Random(1).sample(paths, len(paths)))
    assert len(volume.sweeps) == len(scans) == (3 if volumes or how.volumes else 1)
    assert volume.flags == ()
    addison = NETWORK[0]
    assert volume.site.radar == (addison.call if name.startswith(("nexrad", "gamic")) else addison.radar)
    assert volume.site.band == how.band
    assert volume.site.altitude_m == addison.height_m
    place = (volume.site.latitude_deg, volume.site.longitude_deg)
    assert place == pytest.approx((addison.latitude_deg, addison.longitude_deg), abs=1e-5)
    assert abs(volume.time - START) < LATE
    for scan, sweep in zip(scans, volume.sweeps, strict=True):
        check_sweep(name, scan, sweep)


def check_sweep(name: FormatName, scan: Scan, sweep: xr.Dataset) -> None:
    nexrad = name.startswith("nexrad")
    assert sweep.attrs["fixed_angle_deg"] == scan.elevation_deg
    assert abs(parse_time(sweep.attrs["start_time"]) - scan.start) < LATE
    np.testing.assert_allclose(sweep["azimuth"], np.sort(scan.azimuth_deg), atol=1e-4)
    np.testing.assert_allclose(sweep["elevation"], scan.elevation_deg, atol=1e-3)
    np.testing.assert_allclose(sweep["range"], scan.range_m, rtol=1e-6)
    # GAMIC does not tell the Nyquist velocity.
    if name != "gamic":
        assert sweep.attrs["nyquist_m_s"] == pytest.approx(scan.nyquist_m_s)
    late = (sweep["time"].values - np.datetime64(scan.start.replace(tzinfo=None))) / np.timedelta64(1, "s")
    # A low elevation of NEXRAD has two cuts, each in half of the time. CASA writes whole seconds, ODIM the middle.
    share = 0.5 if nexrad and scan.elevation_deg <= LOWEST_OF_TWO_CUTS_DEG else 1.0
    tolerance = 1.0 if name == "casa" else 0.05
    np.testing.assert_allclose(late, turned(scan.seconds - scan.seconds[0], scan) * share, atol=tolerance)
    assert set(STEPS[name]) <= set(sweep.data_vars)
    for moment, step in STEPS[name].items():
        expected = turned(scan.moments[moment], scan)
        found = sweep[moment].values
        if nexrad and moment != "DBZH":
            # The other moments do not reach as far, and far velocities are folded in range.
            assert np.isnan(found[:, 150:]).all()
            reach = 117 if moment in ("VRADH", "WRADH") else 150
            found, expected = found[:, :reach], expected[:, :reach]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        # Velocities near the limit round to it.
        assert differs(found, expected, moment) <= step + 1e-4


@pytest.mark.parametrize("name", ALL)
def test_the_format_is_told_by_the_content(name: FormatName, written: Written, tmp_path: Path) -> None:
    source = next(paths for (key, _), paths in written.items() if key == name)[0]
    nameless = tmp_path / "file"
    nameless.write_bytes(source.read_bytes())
    assert is_radar_file(nameless)


@pytest.mark.parametrize("name", ["casa", "nexrad", "odim", "cfradial", "gamic"])
def test_facts_for_the_conditions_of_triggers(name: FormatName, written: Written) -> None:
    path = next(paths for (key, _), paths in written.items() if key == name)[0]
    facts = inspect_input(path, [45.0, 90.0])
    assert facts.format == ("radar-volume" if name == "nexrad" else "radar-sweep")
    assert facts.area_km2[45.0][0] > 10.0
    assert facts.area_km2[90.0] == (0.0,)
    assert facts.position == pytest.approx((32.9814, -96.8391), abs=1e-4)


def test_chunks_are_the_volume(written: Written, tmp_path: Path) -> None:
    (volume,), chunks = written["nexrad", True], written["nexrad-chunks", True]
    assert whole(chunks, tmp_path).read_bytes() == volume.read_bytes()
    assert is_whole(volume.read_bytes())
    assert [path.name[-5:] for path in (*chunks[:2], chunks[-1])] == ["001-S", "002-I", f"{len(chunks):03d}-E"]
    assert chunks[0].parent.name == "XADD_20190610_002000"
    # The start chunk has no ray.
    assert "incomplete: no end chunk" in read_volume(chunks[:3], pair_doppler=False).flags


PYART_NAMES = {
    "DBZH": ("reflectivity", "reflectivity_horizontal"),
    "ZDR": ("differential_reflectivity", "corrected_differential_reflectivity"),
    "RHOHV": ("cross_correlation_ratio", "uncorrected_cross_correlation_ratio"),
    "PHIDP": ("differential_phase", "uncorrected_differential_phase", "corrected_differential_phase"),
    "VRADH": ("velocity", "velocity_horizontal", "corrected_velocity"),
    "WRADH": ("spectrum_width",),
}
PYART: dict[FormatName, Callable[[Any, str], Any]] = {
    "nexrad": lambda pyart, path: pyart.io.read_nexrad_archive(path, linear_interp=False),
    "odim": lambda pyart, path: pyart.aux_io.read_odim_h5(path),
    "cfradial": lambda pyart, path: pyart.io.read_cfradial(path),
    # It does not guess the widths of pulses.
    "gamic": lambda pyart, path: pyart.aux_io.read_gamic(path, pulse_width={2: 1.0}),
}


@pytest.mark.parametrize("name", sorted(PYART))
def test_pyart_reads_the_same(name: FormatName, written: Written) -> None:
    # Of GAMIC it reads volumes of one pulse width only where they have one sweep.
    (path,) = written[name, name != "gamic"]
    pyart = peer("pyart")
    with quiet():
        radar = PYART[name](pyart, str(path))
    sweeps = read_volume(path, pair_doppler=False).sweeps
    assert radar.nsweeps == len(sweeps) == {"nexrad": 4, "gamic": 1}.get(name, 3)
    assert radar.latitude["data"][0] == pytest.approx(32.9814, abs=1e-5)
    compared = set()
    for index, sweep in enumerate(sweeps):
        rays = radar.get_slice(index)
        order = np.argsort(radar.azimuth["data"][rays] % 360.0, kind="stable")
        np.testing.assert_allclose(sweep["azimuth"], (radar.azimuth["data"][rays] % 360.0)[order], atol=1e-4)
        # Of GAMIC it tells where gates begin, not their centres.
        half_m = float(sweep["range"][1] - sweep["range"][0]) / 2 if name == "gamic" else 0.0
        np.testing.assert_allclose(sweep["range"], radar.range["data"] + half_m, rtol=1e-5)
        assert radar.fixed_angle["data"][index] == pytest.approx(sweep.attrs["fixed_angle_deg"], abs=0.01)
        for ours, candidates in PYART_NAMES.items():
            theirs = next((candidate for candidate in candidates if candidate in radar.fields), None)
            if theirs is not None and ours in sweep:
                field = np.ma.filled(radar.fields[theirs]["data"][rays], np.nan)[order]
                # Of GAMIC it takes code 0 for the lower end of the range, xradar code 1: they differ by a step at most.
                step = 2 * STEPS[name][ours] if name == "gamic" else 2e-3
                np.testing.assert_allclose(sweep[ours].values, field, atol=step, equal_nan=True)
                compared.add(ours)
    assert {"DBZH", "ZDR", "RHOHV", "PHIDP", "VRADH"} <= compared


def test_xradar_reads_the_volume(written: Written) -> None:
    """The other three formats are read by it anyway."""
    (path,) = written["nexrad", True]
    with quiet():
        tree = need("xradar").io.open_nexradlevel2_datatree(str(path))
    sweeps = read_volume(path, pair_doppler=False).sweeps
    assert [float(tree[f"sweep_{index}"]["sweep_fixed_angle"]) for index in range(4)] == pytest.approx(
        [1.0, 1.0, 2.0, 3.0], abs=0.01
    )
    for index, sweep in enumerate(sweeps):
        theirs = tree[f"sweep_{index}"]["DBZH"]
        known = np.isfinite(sweep["DBZH"].values)
        np.testing.assert_allclose(theirs.values[known], sweep["DBZH"].values[known], atol=1e-4)


def test_a_cfradial_volume_of_another_writer_in_netcdf_3(written: Written, tmp_path: Path) -> None:
    (path,) = written["nexrad", True]
    converted = tmp_path / "volume.nc"
    pyart = peer("pyart")
    with quiet():
        radar = pyart.io.read_nexrad_archive(str(path), linear_interp=False)
        pyart.io.write_cfradial(str(converted), radar, format="NETCDF3_CLASSIC")
    # Py-ART puts every moment into every sweep, so the Doppler cut is one by its values only.
    for ours, theirs in zip(read_sweeps(path), read_sweeps(converted), strict=True):
        for name, moment in ours.data_vars.items():
            np.testing.assert_allclose(theirs[name].values, moment.values, atol=1e-3)


# -- damage

Damage = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    length = min(rng.randrange(1, 4000), len(data) - place)
    data[place : place + length] = rng.randbytes(length)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_flip, _overwrite], ids=lambda damage: damage.__name__[1:])
@pytest.mark.parametrize("name", ["nexrad", "odim", "cfradial", "gamic"])
def test_damaged_files_are_refused_or_flagged_quietly(
    name: FormatName, damage: Damage, written: Written, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    original = next(paths for (key, _), paths in written.items() if key == name)[0].read_bytes()
    rng = random.Random(f"{name}{damage.__name__}")
    path = tmp_path / "damaged"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            data = bytearray(original)
            damage(data, rng)
            path.write_bytes(data)
            refusal = ""
            try:
                sweeps = read_sweeps(path)
            except InputError as error:
                sweeps, refusal = (), str(error)
            assert sweeps or refusal.startswith(str(path))
    assert not [str(warning.message) for warning in told]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("name", ["casa", "odim", "cfradial", "gamic"])
def test_a_truncated_file_is_refused(name: FormatName, share: float, written: Written, tmp_path: Path) -> None:
    (path,) = written[name, False]
    # HDF5 written in memory ends with spare blocks; a file without those is whole.
    data = path.read_bytes().rstrip(b"\0")
    cut = tmp_path / "cut"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cut"):
        read_volume(cut)


def test_of_a_truncated_nexrad_volume_the_whole_records_are_used(written: Written, tmp_path: Path) -> None:
    (path,) = written["nexrad", True]
    data = path.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    assert {"truncated", "incomplete: no end of the volume"} <= set(read_volume(cut).flags)
    # The header and the metadata alone have no ray.
    cut.write_bytes(data[:200])
    with pytest.raises(InputError, match="no ray"):
        read_volume(cut)


# -- hail


def hail_of(volume: Volume, folder: Path) -> RadarProduct:
    chosen = choose_sounding(sounding_file(folder), volume.time)
    assert not chosen.fallback
    return hail_product(volume, temperatures_of(chosen))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_hail_is_found_where_it_falls(name: FormatName, tmp_path: Path) -> None:
    simulator = network(name, sweeps_per_minute=1, shape=fine(name))
    paths = simulator.write_file(tmp_path, next(simulator.files()))
    volume = read_volume(paths if len(paths) > 1 else paths[0])
    (part,) = hail_of(volume, tmp_path).sweeps
    ray, gate = np.divmod(part.index[part.values["hail_class"] > 0], part.gates)
    radians = np.radians(part.azimuth_deg[ray])
    east, north = part.range_m[gate] / 1000 * (np.sin(radians), np.cos(radians))
    reach_km = part.range_m[-1] / 1000
    near = np.zeros(east.shape, dtype=bool)
    found = []
    for feature in simulator.truth()["features"]:
        core = feature["properties"]
        if core["hail"] and parse_time(core["time"]) == START:
            x, y = to_plane(core["latitude_deg"], core["longitude_deg"])
            away = np.hypot(east - x, north - y)
            near |= away <= core["radius_km"] + 2.5
            if 5.0 < np.hypot(x, y) < reach_km - 2.0 and core["radius_km"] > 1.2:
                found.append(bool((away < core["radius_km"]).any()))
    assert len(found) >= 2
    assert all(found)
    assert near.mean() > 0.95


def fine(name: FormatName) -> tuple[int, int]:
    """Return a shape that is fine enough for small shafts, with gates of 250 to 500 m."""
    return 360, {"casa": 240, "nexrad": 450, "nexrad-chunks": 450, "odim": 300, "cfradial": 420, "gamic": 200}[name]


def test_columns_of_a_simulated_volume_have_hail(tmp_path: Path) -> None:
    simulator = network("nexrad", sweeps_per_minute=8, shape=(240, 225))
    (path,) = simulator.write_file(tmp_path, next(simulator.files()))
    volume = read_volume(path)
    assert volume.flags == ()
    assert (volume.sweeps[-1]["time"].values.max() - volume.sweeps[0]["time"].values.min()) <= np.timedelta64(1, "m")
    product = hail_of(volume, tmp_path)
    assert product.columns is not None
    assert product.columns.elevations == 8
    assert 20 < product.columns.values["MESH"].max() < 100


# -- the network


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_files(name: FormatName, tmp_path: Path) -> None:
    one, other = (radar_files(tmp_path / folder, name, "clear", sweeps_per_minute=1) for folder in ("a", "b"))
    assert [path.name for path in one] == [path.name for path in other]
    if name == "cfradial":
        # NetCDF-4 notes when it was written.
        assert read_sweeps(one[0])[0].identical(read_sweeps(other[0])[0])
    else:
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_the_files_of_a_network(tmp_path: Path) -> None:
    simulator = network("odim", "clear", radars=2, sweeps_per_minute=2, minutes=2, volumes=True)
    paths = run(simulator, tmp_path, speed=0)
    assert [path.name for path in paths] == [
        "XADD_20190610_002000.pvol.h5",
        "XMDL_20190610_002015.pvol.h5",
        "XADD_20190610_002100.pvol.h5",
        "XMDL_20190610_002115.pvol.h5",
    ]
    assert (tmp_path / "truth.geojson").is_file()
    assert len(read_volume(paths[3]).sweeps) == 2


def test_what_cannot_be_written_is_said() -> None:
    with pytest.raises(UsageError, match="casa files hold one sweep each"):
        network("casa", volumes=True)
    with pytest.raises(UsageError, match="unknown radar format 'sigmet'; expected casa, nexrad"):
        RadarSimulator("cells", START, file_format="sigmet")  # type: ignore[arg-type]
