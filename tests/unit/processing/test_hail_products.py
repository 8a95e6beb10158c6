"""From sweeps to hail products: regions, vertical check, sizes, columns, flags; and the file of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.formats.radar_products import RadarProduct, SweepProduct, read_radar_product, write_radar_product
from dynamo.processing.hail import HailOptions, classes_product, hail_product
from dynamo.radar.hail.levels import Temperatures
from dynamo.radar.hail.mesh import PolarSweep
from dynamo.radar.hail.regions import find_regions, label_gates
from dynamo.radar.hail.sweep import BY_BOTH, HailLimits, limits_for
from dynamo.radar.hail.vertical import without_echo_above
from tests.hail_cases import GATES, sweep, temperatures, volume

_ANGLES = (0.5, 2.0, 4.0, 7.0, 11.0, 16.0)


def _hail(product: RadarProduct, number: int = 0) -> int:
    return int(np.count_nonzero(product.sweeps[number].values["hail_class"]))


def test_a_core_is_found_where_it_is() -> None:
    product = hail_product(volume(sweep(cores=((90.0, 120),))), temperatures())
    found = product.sweeps[0].dense("hail_class")
    assert (found[85:95, 114:126] == BY_BOTH).all()
    assert np.count_nonzero(found) == 10 * 12
    assert (product.sweeps[0].dense("hydrometeor_class")[85:95, 114:126] == 9).all()
    assert (product.sweeps[0].dense("hail_size")[88:92, 118:122] == 50.0).all()


def test_a_core_over_the_north_is_one_region() -> None:
    product = hail_product(volume(sweep(cores=((0.0, 120),))), temperatures())
    part = product.sweeps[0]
    regions = find_regions(
        part.index[part.values["hail_class"] > 0],
        azimuth_deg=part.azimuth_deg,
        range_m=part.range_m,
        elevation_deg=0.5,
        latitude_deg=32.6,
        longitude_deg=-97.3,
    )
    assert len(regions) == 1
    assert regions[0].latitude_deg == pytest.approx(32.6 + 30.0 / 111.2, abs=0.01)
    assert regions[0].longitude_deg == pytest.approx(-97.3, abs=0.01)
    assert regions[0].area_km2 == pytest.approx(10 * np.deg2rad(1) * 30 * 3, rel=0.01)


def test_gates_across_a_gap_in_azimuth_do_not_touch() -> None:
    azimuth = np.concatenate((np.arange(0, 100), np.arange(140, 300))) + 0.5
    index = np.array([99 * GATES + 5, 100 * GATES + 5])
    labels, _ = label_gates(index, (azimuth.size, GATES), azimuth)
    assert labels[0] != labels[1]
    # And a sector does not close over the north.
    labels, _ = label_gates(np.array([5, 259 * GATES + 5]), (azimuth.size, GATES), azimuth)
    assert labels[0] != labels[1]


def test_scattered_gates_are_speckle() -> None:
    data = sweep(cores=())
    for ray in range(0, 360, 10):
        data["DBZH"][ray, 100], data["ZDR"][ray, 100], data["RHOHV"][ray, 100] = 60.0, 0.0, 0.92
    product = hail_product(volume(data), temperatures())
    assert _hail(product) == 0
    assert product.sweeps[0].counts["speckle"] == 36


def test_a_weak_core_is_no_hail() -> None:
    data = sweep()
    data["DBZH"].values[data["DBZH"].values > 55] = 53.0
    assert _hail(hail_product(volume(data), temperatures())) == 0
    limits = replace(limits_for("S"), core_dbz=52.0)
    assert _hail(hail_product(volume(data), temperatures(), HailOptions(limits=limits))) > 0


def test_a_quiet_sweep_examines_nothing() -> None:
    product = hail_product(volume(sweep(cores=())), temperatures())
    assert product.sweeps[0].index.size == 0
    assert product.sweeps[0].counts["examined"] == 0


def test_a_sweep_of_missing_values_is_empty() -> None:
    data = sweep()
    for name in ("DBZH", "ZDR", "RHOHV"):
        data[name].values[:] = np.nan
    product = hail_product(volume(data), temperatures())
    assert product.sweeps[0].index.size == 0


def test_hail_with_nothing_above_is_clutter() -> None:
    low, high = sweep(angle=0.5), sweep(angle=2.0, cores=())
    assert _hail(hail_product(volume(low, high), temperatures())) == 120
    high["DBZH"].values[:] = np.nan
    high["DBZH"].values[200, :] = 20.0
    product = hail_product(volume(low, high), temperatures())
    assert _hail(product) == 0
    assert product.sweeps[0].counts["no_echo_above"] == 120


def test_an_empty_sweep_above_tells_nothing() -> None:
    low, high = sweep(angle=0.5), sweep(angle=2.0)
    high["DBZH"].values[:] = np.nan
    assert _hail(hail_product(volume(low, high), temperatures())) == 120


def test_vertical_check_without_gates_or_sweeps() -> None:
    beam = PolarSweep(np.zeros((4, 5), dtype=np.float32), np.arange(4) * 90.0, np.arange(1, 6) * 1e3, 1.0)
    assert without_echo_above(beam, np.zeros(0, dtype=np.int64), [beam]).size == 0
    assert not without_echo_above(beam, np.array([3]), []).any()


def test_columns_of_a_volume_and_the_reason_where_there_are_none() -> None:
    product = hail_product(volume(*(sweep(angle=angle) for angle in _ANGLES)), temperatures())
    assert product.columns is not None
    assert product.columns.mesh_method == "blend"
    mesh = product.dense_column("MESH")
    assert mesh.max() > 20
    assert mesh[90, 120] == pytest.approx(mesh.max(), rel=0.2)
    assert mesh[270].max() == 0
    short = hail_product(volume(sweep()), temperatures())
    assert short.columns is None
    assert any("1 elevations" in flag for flag in short.flags)
    with pytest.raises(InputError, match="no MESH"):
        short.dense_column("MESH")


def test_clutter_is_not_integrated() -> None:
    sweeps = [sweep(angle=angle) for angle in _ANGLES]
    clean = hail_product(volume(*sweeps), temperatures())
    for data in sweeps:
        data["RHOHV"].values[data["DBZH"].values > 50] = 0.4
    dirty = hail_product(volume(*sweeps), temperatures())
    assert clean.dense_column("MESH").max() > 20
    assert dirty.dense_column("MESH").max() == 0
    assert dirty.sweeps[0].counts["low_correlation"] == 120


@pytest.mark.parametrize(("band", "words"), [("X", ("no HSDA", "no MESH")), ("C", ("no HSDA",))])
def test_sizes_are_only_told_where_the_method_was_made_for(band: str, words: tuple[str, ...]) -> None:
    sweeps = [sweep(angle=angle, band=band) for angle in _ANGLES]  # type: ignore[arg-type]
    product = hail_product(volume(*sweeps), temperatures())
    assert _hail(product) > 0
    assert not product.sweeps[0].values["hail_size_class"].any()
    assert np.isnan(product.sweeps[0].values["hail_size"]).all()
    for word in words:
        assert any(word in flag for flag in product.flags)
    assert (product.columns is None) == (band == "X")


def test_a_sweep_without_polarimetry_is_flagged() -> None:
    product = hail_product(volume(sweep(without=("ZDR",))), temperatures())
    assert product.sweeps[0].index.size == 0
    assert "no ZDR or RHOHV: no hail class" in product.sweeps[0].flags
    with pytest.raises(InputError, match="no sweep has ZDR"):
        classes_product(volume(sweep(without=("ZDR",))), temperatures())


def test_zdr_is_corrected() -> None:
    data = sweep()
    data["ZDR"].values[:] += 3.0
    assert _hail(hail_product(volume(data), temperatures())) == 0
    assert _hail(hail_product(volume(data), temperatures(), HailOptions(zdr_offset_db=3.0))) == 120


def test_classes_product() -> None:
    product = classes_product(volume(sweep()), temperatures(), min_dbz=20.0)
    dense = product.sweeps[0].dense("hydrometeor_class")
    assert (dense > 0).all()
    assert dense[90, 120] == 9
    assert classes_product(volume(sweep()), temperatures(), min_dbz=40.0).sweeps[0].index.size == 120


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "hail.nc"
    product = hail_product(volume(*(sweep(angle=angle) for angle in _ANGLES), flags=("incomplete",)), temperatures())
    write_radar_product(path, product)
    back = read_radar_product(path)
    assert (back.kind, back.site, back.time, back.flags) == (product.kind, product.site, product.time, product.flags)
    assert back.sources == dict(product.sources)
    for one, other in zip(product.sweeps, back.sweeps, strict=True):
        assert one.start_time == other.start_time
        assert dict(one.counts) == dict(other.counts)
        assert np.array_equal(one.index, other.index)
        assert np.allclose(one.range_m, other.range_m)
        assert np.allclose(one.azimuth_deg, other.azimuth_deg)
        for name, values in one.values.items():
            assert np.array_equal(
                np.asarray(values, dtype=other.values[name].dtype), other.values[name], equal_nan=True
            )
    assert np.allclose(product.dense_column("MESH"), back.dense_column("MESH"), rtol=1e-6)
    assert back.columns is not None
    assert back.columns.mesh_method == "blend"


def test_the_file_is_cf_with_units(tmp_path: Path) -> None:
    path = tmp_path / "hail.nc"
    write_radar_product(path, hail_product(volume(*(sweep(angle=angle) for angle in _ANGLES)), temperatures()))
    with netCDF4.Dataset(path) as dataset:
        assert dataset.Conventions.startswith("CF-")
        for name in ("hail_size", "MESH"):
            assert dataset[name].units == "mm"
        assert dataset["POSH"].units == "percent"
        assert dataset["MESH"].mesh_method == "blend"
        assert dataset["reflectivity"].standard_name == "equivalent_reflectivity_factor"
        assert len(dataset["hydrometeor_class"].flag_meanings.split()) == 11
        assert dataset["count_low_correlation"][:].sum() == 0


def test_an_empty_product_is_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "quiet.nc"
    product = hail_product(volume(sweep(cores=())), temperatures())
    write_radar_product(path, product)
    assert path.stat().st_size < 12_000
    assert read_radar_product(path).sweeps[0].index.size == 0


def test_unfit_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.title = "something else"
    with pytest.raises(InputError, match="not a radar product"):
        read_radar_product(path)
    good = tmp_path / "good.nc"
    write_radar_product(good, hail_product(volume(sweep()), temperatures()))
    cut = tmp_path / "cut.nc"
    cut.write_bytes(good.read_bytes()[:-3000])
    with pytest.raises(InputError):
        read_radar_product(cut)
    with netCDF4.Dataset(good, "a") as dataset:
        dataset["gate_index"][0] = 10**8
    with pytest.raises(InputError, match="outside its sweep"):
        read_radar_product(good)


def test_unfit_products_are_not_written(tmp_path: Path) -> None:
    product = hail_product(volume(sweep()), temperatures())
    with pytest.raises(InputError, match="unknown kind"):
        write_radar_product(tmp_path / "x.nc", replace(product, kind="guess"))
    part: SweepProduct = product.sweeps[0]
    with pytest.raises(InputError, match="unknown quantity"):
        write_radar_product(
            tmp_path / "x.nc", replace(product, sweeps=(replace(part, values={"rain": part.index * 1.0}),))
        )
    with pytest.raises(InputError, match="one for each gate"):
        write_radar_product(
            tmp_path / "x.nc", replace(product, sweeps=(replace(part, values={"hail_size": np.zeros(1)}),))
        )
    assert not list(tmp_path.iterdir())


def test_limits_and_levels_are_checked() -> None:
    with pytest.raises(InputError, match="ascending"):
        HailLimits(floor_dbz=60)
    with pytest.raises(InputError, match="hail limits"):
        limits_for("Q")
    with pytest.raises(InputError, match="one above the other"):
        Temperatures(np.zeros(1), np.zeros(1), 7000.0, 4000.0, "test")
    with pytest.raises(InputError, match="ascend"):
        Temperatures(np.array([1.0, 0.0]), np.zeros(2), 4000.0, 7000.0, "test")


def test_height_of_minus_25() -> None:
    assert temperatures().minus25_level_m == pytest.approx(7750.0)
    short = Temperatures(np.array([0.0, 7000.0]), np.array([26.7, -20.0]), 4000.0, 7000.0, "test")
    assert short.minus25_level_m == pytest.approx(7750.0)
