"""Each composite reader on simulated composites: rates and places come back, broken files are refused."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dynamo.errors import InputError, UsageError
from dynamo.formats.composites import read_composite, read_valid_time, reader_of
from dynamo.formats.composites.reprojection import ProjectedGrid
from dynamo.simulate.composites import FORMATS, CompositeName, CompositeSimulator, cells_lonlat
from tests.simulated import START, composite_files

SERVICES = sorted(FORMATS)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[CompositeName, list[Path]]:
    """Two composites of each service."""
    return {name: composite_files(tmp_path_factory.mktemp(name), name, 2) for name in FORMATS}


Frames = dict[CompositeName, list[Path]]


def expected_of(service: CompositeName) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return CompositeSimulator(service, "cells", START, 2, seed=4).rates(0)


@pytest.mark.parametrize("service", SERVICES)
def test_reader_and_time_come_from_the_content(service: CompositeName, frames: Frames, tmp_path: Path) -> None:
    for index, path in enumerate(frames[service][:2]):
        nameless = tmp_path / "file"
        nameless.write_bytes(path.read_bytes())
        assert reader_of(nameless).name == service
        assert read_valid_time(nameless) == START + timedelta(minutes=index * FORMATS[service].every_min)


def test_the_rates_of_mrms(frames: Frames) -> None:
    composite = read_composite(frames["mrms"][0])
    expected = expected_of("mrms")
    assert composite.grid == FORMATS["mrms"].grid
    np.testing.assert_array_equal(np.isnan(composite.rain_rate), np.isnan(expected))
    assert np.nanmax(np.abs(composite.rain_rate - expected)) <= 0.05 + 1e-4
    assert np.nanmax(composite.rain_rate) == pytest.approx(103.8, abs=0.05)


@pytest.mark.parametrize(("service", "step_mm_h", "share"), [("meteoswiss", 0.0, 0.041), ("bom", 0.25, 0.0)])
def test_rates_and_places_on_a_projected_grid(
    service: CompositeName, step_mm_h: float, share: float, frames: Frames
) -> None:
    """A value of MeteoSwiss stands for a part of the rate (8 %), one of the Bureau for 0.05 mm."""
    composite = read_composite(frames[service][0])
    expected, projected = expected_of(service), FORMATS[service].grid
    assert isinstance(projected, ProjectedGrid)
    longitude, latitude = cells_lonlat(projected)
    grid = composite.grid
    # Around each node, the cells within its own length: the value is that of one of them.
    rng = np.random.default_rng(1)
    checked = 0
    for row, column in zip(rng.integers(0, grid.nlat, 60), rng.integers(0, grid.nlon, 60), strict=True):
        value = composite.rain_rate[row, column]
        near = (abs(latitude - grid.latitudes[row]) < grid.dlat_deg) & (
            abs(longitude - grid.longitudes[column]) < grid.dlon_deg
        )
        cells = expected[near]
        if np.isnan(value):
            assert cells.size == 0 or np.isnan(cells).any()
            continue
        assert (abs(cells - value) <= step_mm_h + 1e-3 + share * cells).any()
        checked += 1
    assert checked > 30
    assert np.isnan(composite.rain_rate[0, 0]), "outside of coverage is missing"
    assert np.nanmax(composite.rain_rate) == pytest.approx(float(np.nanmax(expected)), rel=0.05)
    assert (composite.rain_rate == 0).any()


def test_no_rain_is_zero(tmp_path: Path) -> None:
    for service in FORMATS:
        (path,) = composite_files(tmp_path, service, 1, "clear")
        rate = read_composite(path).rain_rate
        assert (rate == 0).mean() > 0.6


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.98])
def test_a_truncated_file_is_refused(service: CompositeName, keep: float, frames: Frames, tmp_path: Path) -> None:
    data = frames[service][0].read_bytes()
    # A library allocates NetCDF-4 in whole pages: zeros at the end say nothing.
    data = data.rstrip(b"\0") if service == "bom" else data
    cut = tmp_path / "cut"
    cut.write_bytes(data[: max(20, int(len(data) * keep))])
    with pytest.raises(InputError, match="cut: "):
        read_composite(cut)


def test_damage_inside_a_grib_message(frames: Frames, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(frames["mrms"][0].read_bytes())
    data[200:4000] = b"\x55" * 3800
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_composite(damaged)
    assert capfd.readouterr() == ("", "")


def test_another_product_in_grib(frames: Frames, tmp_path: Path) -> None:
    data = bytearray(frames["mrms"][0].read_bytes())
    data[6] = 0  # discipline: meteorological, not MRMS
    other = tmp_path / "other"
    other.write_bytes(data)
    with pytest.raises(InputError, match=r"product \(0, 6, 1\)"):
        read_composite(other)


def test_gzipped_grib(frames: Frames, tmp_path: Path) -> None:
    path = frames["mrms"][0]
    zipped = tmp_path / "x.grib2.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes(), 1))
    np.testing.assert_array_equal(read_composite(zipped).rain_rate, read_composite(path).rain_rate)


def test_another_gif(frames: Frames, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(frames["meteoswiss"][0].read_bytes().replace(b"PRDT=AQC", b"PRDT=XYZ"))
    with pytest.raises(InputError, match="not the expected product"):
        read_composite(other)


def test_a_box_elsewhere(frames: Frames) -> None:
    with pytest.raises(InputError, match=r"AQC.*fewer than 2 x 2"):
        read_composite(frames["meteoswiss"][0], (28.0, -102.0, 36.0, -92.0))


def test_names_and_seeds(frames: Frames, tmp_path: Path) -> None:
    assert [paths[1].name for _, paths in sorted(frames.items())] == [
        "2_20190610_002600.prcp-cscn.nc",
        "AQC191610025V_00005.801.gif",
        "PrecipRate_00.00_20190610-002200.grib2",
    ]
    again = composite_files(tmp_path, "mrms", 1)[0]
    assert again.read_bytes() == frames["mrms"][0].read_bytes()
    with pytest.raises(UsageError, match="unknown composite 'radolan'"):
        CompositeSimulator("radolan", "wide", datetime(2019, 6, 10))  # type: ignore[arg-type]  # noqa: DTZ001
