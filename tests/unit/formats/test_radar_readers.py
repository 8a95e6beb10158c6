"""Reading sweeps: what is right, what is flagged, what is refused."""

from __future__ import annotations

import gzip
import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.netcdf3 import parse
from dynamo.formats.radar import read_sweeps, read_volume
from dynamo.formats.radar.model import Site, make_sweep
from dynamo.formats.radar.rays import clock_flags, order_rays
from dynamo.formats.radar.stations import band_of, settle_site
from dynamo.inspection.look import inspect_input
from dynamo.simulate.formats.nexrad_messages import record
from dynamo.times import parse_time
from tests.unit.formats.radar_files import ADDISON, START, level2_chunks, level2_header, level2_ray, write_casa

h5py: Any = importlib.import_module("h5py")


@pytest.mark.parametrize("unlimited", [True, False], ids=["records", "fixed"])
def test_casa_sweep_becomes_the_model(tmp_path: Path, unlimited: bool) -> None:
    path = write_casa(tmp_path / "anything.bin", unlimited=unlimited)
    volume = read_volume(path)
    (sweep,) = volume.sweeps
    assert (volume.site.radar, volume.site.band, volume.flags) == ("addison.tx", "X", ())
    assert volume.time == START
    assert sweep["azimuth"].values.tolist() == [float(azimuth) for azimuth in range(5, 360, 10)]
    assert sweep["range"].values[:2].tolist() == [15.625, 46.875]
    np.testing.assert_allclose(sweep["DBZH"].values[:, 3], sweep["azimuth"].values / 10.0, rtol=1e-6)
    assert np.isnan(sweep["SQIH"].values).all()
    assert sweep["DBZH"].dtype == np.float32


def test_netcdf3_header_agrees_with_the_library(tmp_path: Path) -> None:
    path = write_casa(tmp_path / "sweep.netcdf")
    ours = parse(path.read_bytes())
    with netCDF4.Dataset(path) as theirs:
        theirs.set_auto_maskandscale(False)
        assert set(ours.variables) == set(theirs.variables)
        for name, variable in theirs.variables.items():
            np.testing.assert_array_equal(ours.read(name), variable[...])


def test_only_the_wanted_moments_are_read(tmp_path: Path) -> None:
    path = write_casa(tmp_path / "sweep.netcdf")
    assert set(read_sweeps(path, moments=("ZDR",))[0].data_vars) == {"DBZH", "ZDR"}
    assert set(read_sweeps(path, moments=())[0].data_vars) == {"DBZH"}


def test_gzip_is_undone_whatever_the_name(tmp_path: Path) -> None:
    plain = write_casa(tmp_path / "sweep.netcdf")
    packed = tmp_path / "sweep.netcdf.part"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_sweeps(packed)[0].identical(read_sweeps(plain)[0])


@pytest.mark.parametrize("length", [1, 17, 100, -1000, -9, -4])
def test_a_cut_gzip_is_refused(tmp_path: Path, length: int) -> None:
    packed = gzip.compress(write_casa(tmp_path / "sweep.netcdf").read_bytes())
    cut = tmp_path / "cut.gz"
    cut.write_bytes(packed[:length])
    with pytest.raises(InputError, match=r"cut\.gz"):
        read_volume(cut)


def test_gzip_that_lies_about_its_size_is_read_or_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(write_casa(tmp_path / "sweep.netcdf").read_bytes()))
    packed[-4:] = b"\xff\xff\xff\x7f"
    path = tmp_path / "lie.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError, match="gzip"):
        read_volume(path)


def test_every_cut_of_a_casa_file_is_refused_or_complete(tmp_path: Path) -> None:
    data = write_casa(tmp_path / "sweep.netcdf").read_bytes()
    path = tmp_path / "cut.netcdf"
    for length in range(1, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            read_volume(path)


def test_overlapping_rays_are_dropped_and_told(tmp_path: Path) -> None:
    azimuth = np.concatenate([np.arange(36) * 10.0, [1.0, 12.0]])
    dbz = np.repeat(np.arange(38.0)[:, None], 20, axis=1)
    volume = read_volume(write_casa(tmp_path / "over.netcdf", azimuth=azimuth, dbz=dbz, time_step_s=1.0))
    assert volume.flags == ("azimuth overlap: 2 rays dropped",)
    # The later of two rays over the same ground is kept.
    assert volume.sweeps[0]["DBZH"].values[:2, 0].tolist() == [36.0, 37.0]


def test_order_of_rays_does_not_depend_on_their_order_in_the_file() -> None:
    rng = np.random.default_rng(3)
    azimuth = np.concatenate([np.arange(360) + rng.uniform(-0.2, 0.2, 360), [10.1, 200.3, 200.35]])
    time = np.arange(363).astype("datetime64[s]")
    kept, flags = order_rays(azimuth, time)
    shuffled = rng.permutation(363)
    again, same = order_rays(azimuth[shuffled], time[shuffled])
    assert flags == same == ("azimuth overlap: 3 rays dropped",)
    np.testing.assert_array_equal(azimuth[kept] % 360.0, azimuth[shuffled][again] % 360.0)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.4, -0.3])
def test_of_two_turns_the_last_one_is_kept(shift: float) -> None:
    azimuth = np.concatenate([np.arange(360.0), np.arange(360.0) + shift])
    kept, flags = order_rays(azimuth, np.arange(720).astype("datetime64[s]"))
    assert flags == ("azimuth overlap: 360 rays dropped",)
    assert sorted(kept.tolist()) == list(range(360, 720))


def test_a_gap_in_azimuth_is_told(tmp_path: Path) -> None:
    azimuth = np.concatenate([np.arange(0.0, 100.0, 10.0), np.arange(150.0, 360.0, 10.0)])
    assert read_volume(write_casa(tmp_path / "gap.netcdf", azimuth=azimuth)).flags == (
        "azimuth gap: 50.0 deg without rays",
    )


def test_a_sweep_of_missing_values_is_flagged_not_refused(tmp_path: Path) -> None:
    path = write_casa(tmp_path / "empty.netcdf", dbz=np.full((36, 20), -99900.0))
    volume = read_volume(path)
    assert volume.flags == ("no valid reflectivity",)
    facts = inspect_input(path, [35.0])
    assert facts.format == "radar-sweep"
    assert facts.area_km2 == {35.0: (0.0,)}
    assert np.isnan(facts.maximum_dbz).all()


def test_values_that_no_echo_has_are_left_out_and_told(tmp_path: Path) -> None:
    dbz = np.full((36, 20), 30.0)
    dbz[3, 4:6], dbz[7, 7], dbz[8, 8] = 400.0, np.inf, np.nan
    volume = read_volume(write_casa(tmp_path / "odd.netcdf", dbz=dbz))
    assert volume.flags == ("implausible values of DBZH left out: 2",)
    assert int(np.isnan(volume.sweeps[0]["DBZH"].values).sum()) == 4


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(3.0, "clock in the future by 3 h"), (0.05, None), (-1.0, None), (-24.0 * 400, "old by 400 days")],
)
def test_clocks_are_compared_with_the_callers(tmp_path: Path, hours: float, expected: str | None) -> None:
    path = write_casa(tmp_path / "sweep.netcdf")
    volume = read_volume(path, now=START - timedelta(hours=hours), max_age=timedelta(hours=2))
    assert volume.flags == (() if expected is None else (expected,))
    assert volume.sweeps[0].attrs["flags"] == list(volume.flags)


def test_without_the_callers_clock_nothing_is_said() -> None:
    assert clock_flags(START, None) == ()
    assert clock_flags(START, parse_time("2030-01-01T00:00Z")) == ()


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 0.0), (-32.98, 96.84), (95.0, 10.0), (float("nan"), 1.0)])
def test_a_known_radar_is_put_where_it_stands(tmp_path: Path, latitude: float, longitude: float) -> None:
    site = ADDISON | {"Latitude": latitude, "Longitude": longitude}
    volume = read_volume(write_casa(tmp_path / "moved.netcdf", site=site))
    assert (volume.site.latitude_deg, volume.site.longitude_deg) == (32.9814, -96.8391)
    assert volume.flags[0].startswith("site corrected")


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 0.0), (95.0, 10.0), (float("nan"), 1.0), (10.0, 200.0)])
def test_an_unknown_radar_at_an_impossible_place_is_refused(tmp_path: Path, latitude: float, longitude: float) -> None:
    site = {"RadarName": "new.radar", "Latitude": latitude, "Longitude": longitude, "Height": 10.0}
    with pytest.raises(InputError, match="latitude and longitude"):
        read_volume(write_casa(tmp_path / "lost.netcdf", site=site))


def test_the_caller_may_say_where_the_radar_stands(tmp_path: Path) -> None:
    site = Site("mine", 40.0, 5.0, 100.0, "C")
    assert read_volume(write_casa(tmp_path / "sweep.netcdf"), site=site).site == site


def test_bands_and_names_of_unknown_radars() -> None:
    assert [band_of(frequency_hz=f) for f in (2.9e9, 5.6e9, 9.4e9, 35e9)] == ["S", "C", "X", None]
    assert band_of(wavelength_m=0.032) == "X"
    site, flags = settle_site("../../etc", 12.5, -7.25, 1e6, None, where="file")
    assert (site.radar, site.altitude_m, site.band) == ("etc", 0.0, "S")
    assert flags == ("altitude corrected: the file says 1e+06 m", "band unknown: S assumed")
    assert settle_site("", 12.5, -7.25, 10.0, "S", where="file")[0].radar == "12.500N-7.250W"


def _volume_bytes() -> bytes:
    return b"".join(data for _, data in level2_chunks())


def test_level2_volume(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(_volume_bytes())
    volume = read_volume(path)
    assert (volume.site.radar, volume.site.band, volume.site.altitude_m) == ("KFWS", "S", 233.0)
    assert volume.flags == ()
    assert [sweep.attrs["fixed_angle_deg"] for sweep in volume.sweeps] == [0.5, 1.5]
    assert volume.sweeps[0]["DBZH"].shape == (36, 30)
    assert float(volume.sweeps[0]["DBZH"].values[0, 0]) == 32.0
    assert volume.sweeps[0]["range"].values[:2].tolist() == [2125.0, 2375.0]


def test_a_truncated_level2_volume_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    data = _volume_bytes()
    path.write_bytes(data[: len(data) - 20])
    volume = read_volume(path)
    assert {"truncated", "incomplete: no end of the volume", "partial sweep"} <= set(volume.flags)
    assert volume.sweeps[0]["DBZH"].shape == (36, 30)


def test_a_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    chunks = [data for _, data in level2_chunks()]
    damaged = bytearray(chunks[2])
    damaged[60] ^= 0xFF
    path = tmp_path / "volume"
    path.write_bytes(b"".join([*chunks[:2], bytes(damaged), *chunks[3:]]))
    volume = read_volume(path)
    assert "damaged records: 1" in volume.flags
    assert any(flag.startswith("azimuth gap: 120") for flag in volume.flags)
    assert [sweep.sizes["azimuth"] for sweep in volume.sweeps] == [24, 36]


def test_a_lost_control_word_is_stepped_over(tmp_path: Path) -> None:
    chunks = [data for _, data in level2_chunks()]
    path = tmp_path / "volume"
    path.write_bytes(b"".join([*chunks[:2], b"\xff\xff\xff\xff\x00garbage", *chunks[2:]]))
    volume = read_volume(path)
    assert volume.flags == ("damaged framing",)
    assert [sweep.sizes["azimuth"] for sweep in volume.sweeps] == [36, 36]


def test_uncompressed_level2_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(level2_header() + b"".join(level2_ray(number) for number in range(1, 37)))
    assert read_volume(path).sweeps[0].sizes["azimuth"] == 36


def _doppler(azimuth_shift: float = 0.0, elevation: float = 0.5) -> list[bytes]:
    surveillance = [level2_ray(n, status=3 if n == 1 else 1) for n in range(1, 37)]
    doppler = [
        level2_ray(
            n,
            elevation_number=2,
            elevation=elevation,
            azimuth=(n - 1) * 10.0 + 0.5 + azimuth_shift,
            milliseconds=20_000 + n,
            moments=(b"REF", b"VEL", b"SW"),
            gates=20,
            status=4 if n == 36 else 1,
        )
        for n in range(1, 37)
    ]
    return surveillance + doppler


def test_doppler_cuts_are_paired_by_elevation(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(level2_header() + record(_doppler(azimuth_shift=2.0)))
    (sweep,) = read_volume(path).sweeps
    assert set(sweep.data_vars) == {"DBZH", "ZDR", "RHOHV", "VRADH", "WRADH"}
    assert np.isfinite(sweep["VRADH"].values[:, :20]).all()
    assert np.isnan(sweep["VRADH"].values[:, 20:]).all()
    assert sweep.attrs["nyquist_m_s"] == pytest.approx(33.98)
    assert len(read_volume(path, pair_doppler=False).sweeps) == 2
    # Which moments are read does not change which sweeps there are.
    assert [set(sweep.data_vars) for sweep in read_sweeps(path, moments=())] == [{"DBZH"}]


def test_a_doppler_cut_of_its_own_elevation_stays(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(level2_header() + record(_doppler(elevation=1.3)))
    assert [set(sweep.data_vars) for sweep in read_volume(path).sweeps] == [
        {"DBZH", "ZDR", "RHOHV"},
        {"DBZH", "VRADH", "WRADH"},
    ]


def _odim(path: Path, kind: str = "SCAN", **extra: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        what = file.create_group("what")
        what.attrs.update(object=np.bytes_(kind), source=np.bytes_("WMO:06477,NOD:bewid"))
        what.attrs.update(date=np.bytes_("20190609"), time=np.bytes_("222500"))
        file.create_group("where").attrs.update(lat=49.91, lon=5.5, height=590.0)
        file.create_group("how").attrs.update(wavelength=5.3)
        sweep = file.create_group("dataset1")
        sweep.create_group("where").attrs.update(elangle=0.5, nbins=50, nrays=36, rscale=250.0, rstart=0.0, a1gate=0)
        sweep.create_group("what").attrs.update(
            startdate=np.bytes_("20190609"),
            starttime=np.bytes_("222500"),
            enddate=np.bytes_("20190609"),
            endtime=np.bytes_("222530"),
            product=np.bytes_("SCAN"),
        )
        data = sweep.create_group("data1")
        raw = np.full((36, 50), 100, dtype=np.uint8)
        raw[:, 0], raw[:, 1] = 0, 255
        data.create_dataset("data", data=raw, **extra)
        data.create_group("what").attrs.update(
            quantity=np.bytes_("DBZH"), gain=0.5, offset=-32.0, nodata=255.0, undetect=0.0
        )
    return path


def test_odim_names_its_radar_and_band_and_undetect_is_missing(tmp_path: Path) -> None:
    volume = read_volume(_odim(tmp_path / "sweep.h5"))
    assert (volume.site.radar, volume.site.band) == ("bewid", "C")
    values = volume.sweeps[0]["DBZH"].values
    assert np.isnan(values[:, :2]).all()
    assert (values[:, 2:] == 18.0).all()


def test_an_odim_composite_is_refused_by_its_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ODIM file of the kind COMP"):
        read_volume(_odim(tmp_path / "composite.h5", kind="COMP"))


def test_a_file_is_never_read_from_an_old_handle(tmp_path: Path) -> None:
    path = _odim(tmp_path / "sweep.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        read_volume(path)
    path.write_bytes(whole)
    assert read_volume(path).sweeps[0].sizes["azimuth"] == 36


def test_huge_declared_sizes_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    path = tmp_path / "huge.h5"
    _odim(path)
    with h5py.File(path, "a") as file:
        file["dataset1"].create_dataset("data2/data", shape=(200_000, 200_000), dtype="f8", chunks=(100, 100))
    with pytest.raises(InputError, match="declares"):
        read_volume(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"AR2V", b"\x1f\x8b", b"BZh9", b"CDF\x01", b"\x89HDF\r\n\x1a\n"])
def test_files_that_are_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "else.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"else\.bin"):
        read_volume(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    magic=st.sampled_from(
        [b"", level2_header(), b"\0\0\1\0BZh91AY&SY", b"CDF\x01", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08\0", b"BZh9"]
    ),
    rest=st.binary(max_size=600),
)
def test_random_bytes_are_refused(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    path = tmp_path / "random"
    path.write_bytes(magic + rest)
    with pytest.raises(InputError):
        read_volume(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "none")
    with pytest.raises(InputError, match="0 files"):
        read_volume([])


def test_files_of_two_radars_are_not_one_volume(tmp_path: Path) -> None:
    one = write_casa(tmp_path / "one.netcdf")
    other = write_casa(tmp_path / "two.netcdf", site=ADDISON | {"RadarName": "cleburne.tx", "Latitude": 32.35})
    with pytest.raises(InputError, match="one radar"):
        read_volume([one, other])
    late = write_casa(tmp_path / "late.netcdf", start=START + timedelta(hours=2))
    with pytest.raises(InputError, match="one volume"):
        read_volume([one, late])
    assert read_volume([one, one]).flags == ("a sweep was given twice",)


@pytest.mark.parametrize("range_m", [np.arange(1, 4) * 1e12, np.arange(-3, 1) * 1e12])
def test_ranges_that_no_radar_has_are_refused(range_m: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="gates from"):
        make_sweep(
            site=Site("X", 1.0, 1.0, 1.0, "S"),
            azimuth_deg=np.arange(3.0),
            elevation_deg=np.ones(3),
            range_m=range_m,
            time=np.full(3, np.datetime64("2020-01-01")),
            moments={"DBZH": np.full((3, range_m.size), 60.0)},
            fixed_angle_deg=1.0,
            sweep_number=0,
            volume_time=START,
            file_format="x",
        )
