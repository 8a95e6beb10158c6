"""The modules `hail` and `hydroclass` under their contracts, on a CASA-like sweep and with soundings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.formats.radar_products import read_radar_product
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.times import utc_now
from tests.unit.formats.radar_files import write_casa


@pytest.fixture
def sweep_file(data_dir: Path) -> Path:
    return data_dir / "radar" / "terrey_hills_sband" / "terrey_08.h5"


def test_hail_of_one_sweep(sweep_file: Path, data_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "hail.nc"
    outcome = execute(
        find_module("hail"),
        {"radar": [sweep_file], "sounding": [data_dir / "soundings" / "current_sounding.txt"]},
        {"hail": [target]},
        {},
    )
    assert outcome.metrics["hail_gates"] > 1000
    product = read_radar_product(target)
    assert product.kind == "hail"
    assert product.sources["sounding_fallback"] is False
    assert product.sources["melting_level_m"] == pytest.approx(4811, abs=15)


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


def test_an_old_sounding_is_refused_with_the_reason(sweep_file: Path, data_dir: Path, tmp_path: Path) -> None:
    # The file itself does not say its time; with a title it is that of May 1999.
    text = (data_dir / "soundings" / "may4_sounding.txt").read_text()
    sounding = tmp_path / "old.txt"
    sounding.write_text("72357 OUN Norman Observations at 00Z 04 May 1999\n" + text)
    target = tmp_path / "hail.nc"
    execute(find_module("hail"), {"radar": [sweep_file], "sounding": [sounding]}, {"hail": [target]}, {})
    sources = read_radar_product(target).sources
    assert sources["sounding_fallback"] is True
    assert "refused old.txt" in str(sources["sounding"])


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
    assert int(np.count_nonzero(classes)) == outcome.metrics["classified"] > 10_000
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
