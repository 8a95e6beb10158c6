"""What no weather has: left out and counted, or refused; in every format, and what is read back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import netCDF4
import numpy as np
import orjson
import pytest

from dynamo.errors import InputError
from dynamo.formats.composites import read_composite
from dynamo.formats.hail_grid import read_hail_grid, write_hail_grid
from dynamo.formats.nowcast import NowcastReader
from dynamo.formats.radar import read_volume
from dynamo.formats.radar.model import make_sweep, site_of
from dynamo.formats.radar_products import read_radar_product
from dynamo.inspection.look import inspect_input
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.limits import MOMENTS, within
from dynamo.simulate.composites import CompositeName
from dynamo.simulate.formats.radar import FormatName
from tests.hail_cases import sweep, volume
from tests.integration.watch.watch_support import write_small
from tests.simulated import START, composite_files, radar_files
from tests.unit.radar.test_compositing import WEST, view


def rebuilt(**changes: Any) -> Any:
    """Return a sweep of the model with other values."""
    given = sweep()
    values: dict[str, Any] = {
        "site": site_of(given),
        "azimuth_deg": given["azimuth"].values,
        "elevation_deg": given["elevation"].values,
        "range_m": given["range"].values,
        "time": given["time"].values,
        "moments": {name: given[name].values.copy() for name in given.data_vars},
        "fixed_angle_deg": 0.5,
        "sweep_number": 0,
        "volume_time": START,
        "file_format": "test",
    }
    return make_sweep(**{**values, **changes})


@pytest.mark.parametrize("name", MOMENTS)
def test_single_impossible_values_of_every_moment_are_left_out_and_counted(name: str) -> None:
    low, high = MOMENTS[name]
    field = np.full((360, 240), (max(low, -10.0) + min(high, 10.0)) / 2, dtype=np.float32)
    field[0, :3] = high * 1.01 + 0.1, low - abs(low) * 0.01 - 0.1, 1e38
    moments = {"DBZH": np.full((360, 240), 20.0), **{name: field}}
    made = rebuilt(moments=moments)
    assert np.isnan(made[name].values[0, :3]).all()
    assert np.isfinite(made[name].values).sum() == 360 * 240 - 3
    assert (made.attrs["implausible"], made.attrs["flags"]) == (3, [f"implausible values of {name} left out: 3"])


def test_a_velocity_beyond_two_nyquists_is_no_unfolding() -> None:
    velocity = np.full((360, 240), 12.0)
    velocity[5, 5:9] = 40.0, -40.0, 60.2, -60.2
    moments = {"DBZH": np.full((360, 240), 20.0), "VRADH": velocity}
    made = rebuilt(moments=moments, nyquist_m_s=30.0)
    assert made.attrs["implausible"] == 2
    assert np.isnan(made["VRADH"].values[5, 5:9]).tolist() == [False, False, True, True]
    # An impossible Nyquist velocity says nothing.
    assert rebuilt(moments=moments, nyquist_m_s=1e-30).attrs["implausible"] == 0


def test_a_moment_that_is_not_what_it_says_is_left_out_as_a_whole() -> None:
    raw = np.full((360, 240), 128.0)
    made = rebuilt(moments={"DBZH": np.full((360, 240), 20.0), "ZDR": raw})
    assert "ZDR" not in made
    assert made.attrs["implausible"] == 360 * 240
    with pytest.raises(InputError, match="impossible"):
        rebuilt(moments={"DBZH": raw})


@pytest.mark.parametrize(
    "changes",
    [
        {"range_m": np.arange(240) * 1e-3},
        {"elevation_deg": np.full(360, 200.0)},
        {"azimuth_deg": np.linspace(0, 1e6, 360)},
        {"time": np.full(360, np.datetime64("1970-01-02T00:00:00"))},
        {"time": np.full(360, np.datetime64("2200-01-02T00:00:00"))},
    ],
)
def test_impossible_geometry_and_times_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        rebuilt(**changes)


def test_a_fixed_angle_far_from_its_rays_is_corrected() -> None:
    made = rebuilt(fixed_angle_deg=32.5)
    assert made.attrs["fixed_angle_deg"] == 0.5
    assert "fixed angle corrected" in made.attrs["flags"][0]


@pytest.mark.parametrize("spacing", [1e-12, 5e-5, 1.5, float("nan")])
def test_the_spacing_of_a_grid_has_limits(spacing: float) -> None:
    with pytest.raises(InputError, match="spacing"):
        LatLonGrid(33.0, -98.0, 0.01, spacing, 10, 10)


def test_missing_values_are_no_impossible_ones() -> None:
    values = np.array([np.nan, 10.0])
    assert within(values, MOMENTS["DBZH"], name="DBZH") == (values, 0)


def spoil(path: Path, **points: float) -> Path:
    """Set values of the first lead of a nowcast, one each."""
    with netCDF4.Dataset(path, "a") as file:
        for index, value in enumerate(points.values()):
            file["PredictedReflectivity"][0, 3, index] = value
    return path


def test_impossible_values_of_a_nowcast_never_reach_a_product(tmp_path: Path) -> None:
    path = spoil(write_small(tmp_path, 3), a=1e38, b=-500.0, c=np.inf)
    facts = inspect_input(path, [45.0])
    assert facts.flags == ("implausible values left out: 2",)
    assert max(facts.maximum_dbz) <= 60.0
    splits = [tmp_path / f"{lead}.nc" for lead in (0, 1)]
    outcome = execute(find_module("split"), {"nowcast": [path]}, {"leads": splits}, {"leads": [0, 1]})
    assert outcome.metrics["implausible_values"] == 2
    names = [tmp_path / f"{lead}.geojson" for lead in (0, 1)]
    # From the nowcast itself and from split files the count is the same.
    for given in ([path], splits):
        outcome = execute(find_module("contour"), {"grid": given}, {"geojson": names}, {"levels": [35.0]})
        assert outcome.metrics["implausible_values"] == 2
        found = [orjson.loads(name.read_bytes()) for name in names]
        assert [collection["implausible_values"] for collection in found] == [2, 0]
        assert all(f["properties"]["max_dbz"] <= 60.0 for collection in found for f in collection["features"])


def test_a_nowcast_that_is_not_in_dbz_is_refused(tmp_path: Path) -> None:
    path = write_small(tmp_path, 3)
    with netCDF4.Dataset(path, "a") as file:
        file["PredictedReflectivity"][:] = 10.0 ** (file["PredictedReflectivity"][:] / 10.0)
    with pytest.raises(InputError, match="impossible"):
        inspect_input(path, [45.0])


def test_a_packed_nowcast_is_refused(tmp_path: Path) -> None:
    path = write_small(tmp_path, 3)
    with netCDF4.Dataset(path, "a") as file:
        file["PredictedReflectivity"].scale_factor = 0.5
    with pytest.raises(InputError, match="packed"):
        NowcastReader(path)


@pytest.mark.parametrize(("name", "value"), [("MissingData", "none"), ("MissingData", [1.0, 2.0]), ("Latitude", "x")])
def test_attributes_of_another_type_are_refused(name: str, value: Any, tmp_path: Path) -> None:
    path = write_small(tmp_path, 3)
    with netCDF4.Dataset(path, "a") as file:
        file.setncattr(name, value)
    with pytest.raises(InputError, match=str(path)):
        inspect_input(path, [45.0])


def test_rain_that_never_falls_is_left_out_and_counted(tmp_path: Path) -> None:
    from PIL import Image

    (path,) = composite_files(tmp_path, "meteoswiss", 1)
    with Image.open(path) as image:
        comment = image.info["comment"]
        pixels = np.array(image)
        palette = image.getpalette()
    pixels[300:303, 300] = 250
    spoiled = Image.fromarray(pixels, mode="P")
    spoiled.putpalette(palette or [])
    spoiled.save(tmp_path / "odd.gif", comment=comment)
    composite = read_composite(tmp_path / "odd.gif")
    assert composite.implausible > 0
    assert float(np.nanmax(composite.rain_rate)) <= 1000.0
    assert replace(composite, implausible=0).cropped((46.0, 8.0, 47.0, 9.0)).implausible == 0


def test_a_picture_of_four_billion_pixels_is_refused(tmp_path: Path) -> None:
    (path,) = composite_files(tmp_path, "meteoswiss", 1)
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_composite(path)


def test_two_grib_messages_in_one_file_are_refused(tmp_path: Path) -> None:
    (path,) = composite_files(tmp_path, "mrms", 1)
    message = path.read_bytes()
    path.write_bytes(message + message)
    with pytest.raises(InputError, match="goes on after its first message"):
        read_composite(path)
    path.write_bytes(message + b"\0" * 100)
    assert read_composite(path).implausible == 0


@pytest.mark.parametrize(
    ("name", "value"), [("reflectivity", 1e30), ("hail_size", -5.0), ("hail_class", 77), ("hydrometeor_class", -9)]
)
def test_a_hail_grid_with_impossible_values_is_refused(name: str, value: float, tmp_path: Path) -> None:
    hail = view("A", *WEST, 3, size=30.0)
    hail.fields.setdefault("reflectivity", np.full(hail.grid.shape, 50.0, dtype=np.float32))  # type: ignore[attr-defined]
    hail.fields[name][3, 3] = value
    write_hail_grid(tmp_path / "grid.nc", hail)
    with pytest.raises(InputError, match=f"impossible values of {name}"):
        read_hail_grid(tmp_path / "grid.nc")


@pytest.mark.parametrize(("name", "value"), [("reflectivity", 1e30), ("range_step", 1e-9), ("fixed_angle", 700.0)])
def test_a_radar_product_with_impossible_values_is_refused(name: str, value: float, tmp_path: Path) -> None:
    from dynamo.formats.radar_products import write_radar_product
    from dynamo.processing.hail import hail_product
    from tests.hail_cases import temperatures

    path = tmp_path / "hail.nc"
    write_radar_product(path, hail_product(volume(sweep()), temperatures()))
    assert read_radar_product(path).sources["implausible_values"] == 0
    with netCDF4.Dataset(path, "a") as file:
        file[name][0] = value
    with pytest.raises(InputError):
        read_radar_product(path)


# -- stored without what tells their meaning


def without_gain(path: Path, quantity: str) -> Path:
    with h5py.File(path, "a") as file:
        for key in [key for key in file["dataset1"] if key.startswith("data")]:
            what = file["dataset1"][key]["what"].attrs
            if what["quantity"] in (quantity, quantity.encode()):
                del what["gain"], what["offset"]
    return path


def test_odim_counts_without_gain_are_no_values(tmp_path: Path) -> None:
    (path,) = radar_files(tmp_path, "odim")
    shutil.copy(path, tmp_path / "other.h5")
    read = read_volume(without_gain(path, "ZDR"))
    assert "ZDR" not in read.sweeps[0]
    assert "ZDR left out: whole numbers without a scale" in read.flags
    with pytest.raises(InputError, match="no reflectivity"):
        read_volume(without_gain(tmp_path / "other.h5", "DBZH"))


def test_the_nyquist_velocity_of_odim_counts(tmp_path: Path) -> None:
    (path,) = radar_files(tmp_path, "odim", volumes=True)
    assert {one.attrs["nyquist_m_s"] > 5 for one in read_volume(path).sweeps} == {True}
    with h5py.File(path, "a") as file:
        file["dataset2/how"].attrs["NI"] = 4.0
        del file["dataset1/how"].attrs["NI"]
    nyquists = [one.attrs["nyquist_m_s"] for one in read_volume(path, pair_doppler=False).sweeps]
    assert (np.isnan(nyquists).sum(), nyquists.count(4.0)) == (1, 1)


def test_the_nyquist_velocity_of_gamic_is_extended_by_dual_prf(tmp_path: Path) -> None:
    (path,) = radar_files(tmp_path, "gamic")
    with h5py.File(path, "a") as file:
        how = file["scan0/how"].attrs
        # As BoXPol's: 3.2 cm, 950 Hz, 5:4, velocities stored within 30.5235 m/s.
        how["radar_wave_length"], how["PRF"], how["unfolding"] = 0.03213, np.uint32(950), np.uint32(3)
    (sweep,) = read_volume(path).sweeps
    assert sweep.attrs["nyquist_m_s"] == pytest.approx(30.5235)
    with h5py.File(path, "a") as file:
        file["scan0/how"].attrs["unfolding"] = np.uint32(9)
    assert np.isnan(read_volume(path).sweeps[0].attrs["nyquist_m_s"])


def test_a_file_of_twenty_thousand_links_is_refused_at_once(tmp_path: Path) -> None:
    (path,) = radar_files(tmp_path, "odim")
    with h5py.File(path, "a") as file:
        for number in range(2, 1000):
            file[f"dataset{number}"] = file["dataset1"]
    with pytest.raises(InputError, match="groups"):
        read_volume(path)


# -- cut


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    formats: tuple[FormatName, ...] = ("casa", "nexrad", "odim", "gamic")
    services: tuple[CompositeName, ...] = ("mrms", "meteoswiss")
    found: dict[str, Path] = {name: radar_files(folder, name)[0] for name in formats}
    found |= {name: composite_files(folder, name, 1)[0] for name in services}
    return found | {"nowcast": write_small(folder, 3)}


def read_any(name: str, path: Path) -> object:
    return read_composite(path) if name in ("mrms", "meteoswiss") else inspect_input(path, [45.0])


@pytest.mark.parametrize("cut", [1, 4])
@pytest.mark.parametrize("name", ["casa", "odim", "gamic", "mrms", "meteoswiss", "nowcast"])
def test_a_file_without_its_last_bytes_is_refused(name: str, cut: int, whole: dict[str, Path], tmp_path: Path) -> None:
    read_any(name, whole[name])
    short = tmp_path / whole[name].name
    short.write_bytes(whole[name].read_bytes()[:-cut])
    with pytest.raises(InputError):
        read_any(name, short)


def test_a_nexrad_volume_without_its_last_bytes_is_flagged(whole: dict[str, Path], tmp_path: Path) -> None:
    assert "truncated" not in inspect_input(whole["nexrad"], [45.0]).flags
    short = tmp_path / "volume"
    short.write_bytes(whole["nexrad"].read_bytes()[:-1])
    assert "truncated" in inspect_input(short, [45.0]).flags


def test_members_of_a_gzip_file_are_all_read(whole: dict[str, Path], tmp_path: Path) -> None:
    import gzip

    plain = gzip.decompress(whole["casa"].read_bytes())
    parts = tmp_path / "parts.gz"
    parts.write_bytes(gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]))
    assert read_volume(parts).sweeps[0].equals(read_volume(whole["casa"]).sweeps[0])
    parts.write_bytes(parts.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated"):
        read_volume(parts)


def test_a_header_that_the_library_loops_over_is_refused_before_it_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "grid.nc"
    write_hail_grid(path, view("A", *WEST))
    data = bytearray(path.read_bytes())
    # The number of values of an attribute, as a flipped bit leaves it: two billion.
    place = data.index(b"dlat_deg") + len(b"dlat_deg") + 4
    assert data[place : place + 4] == b"\0\0\0\1"
    data[place : place + 4] = b"\x99\x76\x96\xfe"
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged NetCDF-3 header"):
        read_hail_grid(path)
