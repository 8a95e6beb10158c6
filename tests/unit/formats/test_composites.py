"""Readers of composites on real files, and on what is none; see `test_simulated_composites` for broken files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
import pyproj
import pytest

from dynamo.errors import DynamoError, InputError
from dynamo.formats.composites import READERS, crop, read_composite, read_valid_time, reader_of
from dynamo.formats.composites.reprojection import ProjectedGrid, to_latlon
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.zr import METEOSWISS

MRMS = "mrms_20190610/PrecipRate_00.00_20190610-000400.grib2"
SWISS = "meteoswiss_20160711/AQC161932045V_00005.801.gif"
BOM = "bom_melbourne_20180616/2_20180616_101800.prcp-cscn.nc"


@pytest.fixture(scope="module")
def composites(data_dir: Path) -> Path:
    return data_dir / "composites"


@pytest.mark.parametrize(
    ("name", "reader", "time"),
    [
        (MRMS, "mrms", datetime(2019, 6, 10, 0, 4, tzinfo=UTC)),
        (SWISS, "meteoswiss", datetime(2016, 7, 11, 20, 45, tzinfo=UTC)),
        (BOM, "bom", datetime(2018, 6, 16, 10, 18, tzinfo=UTC)),
    ],
)
def test_reader_and_time_come_from_the_content(
    composites: Path, tmp_path: Path, name: str, reader: str, time: datetime
) -> None:
    nameless = tmp_path / "file"
    nameless.write_bytes((composites / name).read_bytes())
    assert reader_of(nameless).name == reader
    assert read_valid_time(nameless) == time


def test_meteoswiss(composites: Path) -> None:
    composite = read_composite(composites / SWISS)
    grid = composite.grid
    assert (grid.dlat_deg, grid.dlon_deg) == (0.009, 0.013)
    assert composite.relation == METEOSWISS
    # 5-minute sums become mm/h: value 148, the largest in the file, is 7.65 mm or 91.8 mm/h.
    assert np.nanmax(composite.rain_rate) == pytest.approx(91.8, abs=0.1)
    assert composite.rain_rate[0, 0] != composite.rain_rate[0, 0], "outside coverage is missing"
    middle = composite.rain_rate[np.searchsorted(grid.latitudes, 46.8), np.searchsorted(grid.longitudes, 8.2)]
    assert middle >= 0, "Switzerland is covered"


def test_bom(composites: Path) -> None:
    composite = read_composite(composites / BOM)
    with netCDF4.Dataset(composites / BOM) as dataset:
        largest = float(dataset.variables["precipitation"][:].max())
    # 6-minute sums become mm/h.
    assert np.nanmax(composite.rain_rate) == pytest.approx(largest * 10, rel=1e-5)
    assert composite.grid.latitudes[0] < -37.85 < composite.grid.north_deg
    assert (composite.rain_rate == 0).any()


def test_projected_values_land_where_they_belong() -> None:
    source = ProjectedGrid("EPSG:21781", x0=600_500.0, y0=299_500.0, dx=1000.0, dy=-1000.0, rows=100, columns=120)
    field = np.zeros((100, 120), dtype=np.float32)
    field[20, 90] = 7.0
    field[80, 10] = np.nan
    moved, grid = to_latlon(field, source)
    lon, lat = pyproj.Transformer.from_crs("EPSG:21781", "EPSG:4326", always_xy=True).transform(690_500.0, 279_500.0)
    row, column = np.argwhere(moved == 7.0)[0]
    assert abs(grid.latitudes[row] - lat) <= grid.dlat_deg
    assert abs(grid.longitudes[column] - lon) <= grid.dlon_deg
    lon, lat = pyproj.Transformer.from_crs("EPSG:21781", "EPSG:4326", always_xy=True).transform(610_500.0, 219_500.0)
    assert np.isnan(moved[np.abs(grid.latitudes - lat).argmin(), np.abs(grid.longitudes - lon).argmin()])
    assert np.isnan(moved[0, 0]) or np.isnan(moved[-1, 0]), "nodes outside of the source are missing"


def test_crop_takes_the_nodes_in_the_box() -> None:
    grid = LatLonGrid(54.995, -129.995, 0.01, 0.01, 3500, 7000)
    part, rows, columns = crop(grid, (28.0, -102.0, 36.0, -92.0))
    assert part.shape == (800, 1000)
    assert (rows.stop - rows.start, columns.stop - columns.start) == part.shape
    assert part.latitudes[0] == pytest.approx(28.005)
    assert part.longitudes[[0, -1]] == pytest.approx([-101.995, -92.005])


@pytest.mark.parametrize("box", [(36.0, -102.0, 28.0, -92.0), (28.0, -92.0, 36.0, -102.0), (-95.0, 0.0, 0.0, 1.0)])
def test_boxes_that_are_none(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="invalid box"):
        crop(LatLonGrid(54.995, -129.995, 0.01, 0.01, 3500, 7000), box)


def test_not_composites(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_composite(tmp_path / "none")
    with pytest.raises(InputError, match="directory"):
        read_composite(tmp_path)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(InputError, match="is empty"):
        read_composite(empty)
    text = tmp_path / "text"
    text.write_text("hello")
    with pytest.raises(InputError, match="not a known composite") as caught:
        read_composite(text)
    assert all(reader.description in str(caught.value) for reader in READERS)


@pytest.mark.parametrize("name", [MRMS, SWISS, BOM])
@pytest.mark.parametrize("keep", [0.0001, 0.02, 0.5, 0.98])
def test_truncated_files(composites: Path, tmp_path: Path, name: str, keep: float) -> None:
    whole = (composites / name).read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: max(20, int(len(whole) * keep))])
    with pytest.raises(InputError, match="cut: "):
        read_composite(cut)


def test_gzip_that_is_not_grib(tmp_path: Path) -> None:
    zipped = tmp_path / "x.gz"
    zipped.write_bytes(gzip.compress(b"nothing of that kind, nothing"))
    with pytest.raises(DynamoError, match="not GRIB edition 2"):
        read_valid_time(zipped)


def test_another_netcdf(tmp_path: Path) -> None:
    other = tmp_path / "other.nc"
    with netCDF4.Dataset(other, "w") as dataset:
        dataset.createDimension("x", 3)
        dataset.createVariable("x", "f4", ("x",))
    with pytest.raises(InputError, match="no variable precipitation"):
        read_valid_time(other)
