"""The modules `hail` and `hydroclass` under their contracts, on simulated sweeps and with soundings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest

from dynamo.alerts.hazards import read_products
from dynamo.errors import InputError
from dynamo.formats.hail_geojson import blind_radars
from dynamo.formats.hail_grid import read_hail_grid
from dynamo.formats.radar_products import read_radar_product
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.processing.hail_composite import composite_grids
from dynamo.times import utc_now
from tests.simulated import START, ZERO_C_M, radar_files, sounding_file
from tests.unit.formats.radar_files import write_casa


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return radar_files(tmp_path_factory.mktemp("sweep"), "odim", shape=(360, 300))[0]


def test_hail_of_one_sweep(sweep_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "hail.nc"
    outcome = execute(
        find_module("hail"),
        {"radar": [sweep_file], "sounding": [sounding_file(tmp_path)]},
        {"hail": [target]},
        {},
    )
    assert outcome.metrics["hail_gates"] > 50
    product = read_radar_product(target)
    assert product.kind == "hail"
    assert product.sources["sounding_fallback"] is False
    assert product.sources["melting_level_m"] == pytest.approx(ZERO_C_M, abs=15)


def test_without_a_sounding_the_fallback_is_used_and_recorded(sweep_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "hail.nc"
    execute(
        find_module("hail"),
        {"radar": [sweep_file]},
        {"hail": [target]},
        {"zero_c_height": 3500.0, "minus_20_c_height": 6500.0},
    )
    sources = read_radar_product(target).sources
    assert sources["sounding_fallback"] is True
    assert "no sounding given" in str(sources["sounding"])
    assert sources["minus20_level_m"] == 6500.0


def test_an_old_sounding_is_refused_with_the_reason(sweep_file: Path, tmp_path: Path) -> None:
    sounding = sounding_file(tmp_path, START - timedelta(days=1)).rename(tmp_path / "old.txt")
    target = tmp_path / "hail.nc"
    outcome = execute(find_module("hail"), {"radar": [sweep_file], "sounding": [sounding]}, {"hail": [target]}, {})
    product = read_radar_product(target)
    assert product.sources["sounding_fallback"] is True
    assert "refused old.txt" in str(product.sources["sounding"])
    # Whoever named the sounding is told, by the product and by the run.
    assert "sounding refused: see sources" in product.flags
    (remark,) = outcome.remarks
    assert remark.startswith("the sounding was not used: fallback 0 C at 4200 m")
    assert "24 h before the radar" in remark


def test_parameters_reach_the_science(sweep_file: Path, tmp_path: Path) -> None:
    module = find_module("hail")
    few, more = tmp_path / "few.nc", tmp_path / "more.nc"
    strict = execute(module, {"radar": [sweep_file]}, {"hail": [few]}, {"core_reflectivity": 68.0})
    loose = execute(module, {"radar": [sweep_file]}, {"hail": [more]}, {"core_reflectivity": 50.0})
    assert strict.metrics["hail_gates"] < loose.metrics["hail_gates"]
    assert read_radar_product(few).sources["core_dbz"] == 68.0
    with pytest.raises(InputError, match="mesh_method"):
        execute(module, {"radar": [sweep_file]}, {"hail": [few]}, {"mesh_method": "guess"})


def test_hydroclass(sweep_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "classes.nc"
    outcome = execute(
        find_module("hydroclass"), {"radar": [sweep_file]}, {"classes": [target]}, {"min_reflectivity": 20.0}
    )
    product = read_radar_product(target)
    assert product.kind == "classes"
    classes = product.sweeps[0].dense("hydrometeor_class")
    assert int(np.count_nonzero(classes)) == outcome.metrics["classified"] > 3_000
    assert classes.max() <= 10


def test_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "radar.h5"
    other.write_bytes(b"not a radar file at all")
    with pytest.raises(InputError):
        execute(find_module("hail"), {"radar": [other]}, {"hail": [tmp_path / "hail.nc"]}, {})
    assert not (tmp_path / "hail.nc").exists()


@pytest.mark.parametrize(("ahead", "flagged"), [(timedelta(hours=3), True), (timedelta(days=-3000), False)])
def test_only_a_volume_from_the_future_is_flagged(ahead: timedelta, flagged: bool, tmp_path: Path) -> None:
    target = tmp_path / "hail.nc"
    sweep = write_casa(tmp_path / "sweep.netcdf", start=(utc_now() + ahead).replace(microsecond=0))
    execute(find_module("hail"), {"radar": [sweep]}, {"hail": [target]}, {})
    flags = read_radar_product(target).flags
    assert any(flag.startswith("clock in the future by") for flag in flags) == flagged
    assert not any(flag.startswith("old by") for flag in flags)


@pytest.fixture(scope="module")
def single_polarization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with a hailstorm in it, without ZDR and RHOHV."""
    (path,) = radar_files(tmp_path_factory.mktemp("single"), "odim", "cells", volumes=True)
    with h5py.File(path, "a") as file:
        for sweep in [file[name] for name in file if name.startswith("dataset")]:
            for name in [name for name in sweep if name.startswith("data")]:
                if sweep[name]["what"].attrs["quantity"] not in ("DBZH", b"DBZH"):
                    del sweep[name]
    return path


def test_hail_that_was_not_looked_for_is_not_no_hail(single_polarization: Path, tmp_path: Path) -> None:
    product, grid, areas = tmp_path / "hail.nc", tmp_path / "grid.nc", tmp_path / "hmt_HAIL_CASA_x.geojson"
    outcome = execute(find_module("hail"), {"radar": [single_polarization]}, {"hail": [product]}, {})
    sweeps = len(read_radar_product(product).sweeps)
    told = f"hail not looked for in {sweeps} of {sweeps} sweeps: no ZDR or RHOHV"
    assert outcome.remarks == (told,)
    execute(find_module("grid"), {"product": [product]}, {"grid": [grid]}, {})
    execute(find_module("hail_contour"), {"grid": [grid]}, {"geojson": [areas]}, {})
    found = orjson.loads(areas.read_bytes())
    assert found["features"] == []
    assert told in found["flags"]
    assert (found["radars"], found["blind_radars"]) == (["addison.tx"], ["addison.tx"])
    # In a composite the radar covers nothing, and it cannot report a hazard gone.
    composite = composite_grids([read_hail_grid(grid)])
    assert not composite.observed.any()
    assert blind_radars(composite) == ["addison.tx"]
    (alert,) = read_products([areas])
    assert "addison.tx" not in alert.eyes
