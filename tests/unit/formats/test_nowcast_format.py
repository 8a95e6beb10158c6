"""The CASA nowcast and split files: written, read back, and refused when they are not what they claim."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.formats.nowcast import (
    MISSING_DBZ,
    NowcastHeader,
    NowcastReader,
    nowcast_name,
    read_nowcast,
    write_nowcast,
)
from dynamo.formats.split import product_stem, read_grids, write_split
from dynamo.radar.grid import LatLonGrid

ISSUE = datetime(2019, 6, 10, 0, 14, tzinfo=UTC)


def header(leads: int = 4, shape: tuple[int, int] = (5, 7)) -> NowcastHeader:
    return NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.02, *shape), ISSUE, leads)


def stack(leads: int = 4, shape: tuple[int, int] = (5, 7)) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    data = (np.arange(leads * shape[0] * shape[1], dtype=np.float32) / np.float32(2)).reshape(leads, *shape)
    data[1, 2, 3] = np.nan
    return data


def test_layout_is_the_originals(tmp_path: Path) -> None:
    path = tmp_path / nowcast_name(ISSUE)
    write_nowcast(path, header(), stack())
    assert path.name == "MERGE_DARTS_201906100014.nc"
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        assert list(dataset.variables) == ["PredictedReflectivity"]
        assert dataset.variables["PredictedReflectivity"].dimensions == ("Steps", "Lat", "Lon")
        assert dataset.variables["PredictedReflectivity"].dtype == np.float32
        assert dataset.Latitude == 33.5
        assert dataset.Longitude == -98.0
        assert dataset.Time == ISSUE.timestamp()
        assert (dataset.LatGridSpacing, dataset.LonGridSpacing) == (0.01, 0.02)
        assert dataset.variables["PredictedReflectivity"][1, 2, 3] == dataset.MissingData == np.float32(MISSING_DBZ)


@pytest.mark.parametrize("compress", [False, True])
def test_round_trip(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "n.nc"
    write_nowcast(path, header(), stack(), compress=compress)
    found, data = read_nowcast(path)
    assert found == header()
    np.testing.assert_array_equal(data, stack())
    assert found.grid.latitudes[0] == pytest.approx(33.46)  # row 0 is the southern one
    assert found.valid_time(3).minute == 17


def test_low_is_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "n.nc"
    data = np.full((4, 5, 7), -99.0, dtype=np.float32)
    write_nowcast(path, header(), data)
    assert not np.isnan(read_nowcast(path)[1]).any()


def test_writer_counts_grids(tmp_path: Path) -> None:
    path = tmp_path / "n.nc"
    with pytest.raises(InputError, match="3"):
        write_nowcast(path, header(), stack(3))
    with pytest.raises(InputError, match="shape"):
        write_nowcast(path, header(), stack(shape=(7, 5)))
    assert list(tmp_path.iterdir()) == []


def test_split_files(tmp_path: Path) -> None:
    path = tmp_path / f"{product_stem(3, ISSUE)}.nc"
    assert path.name == "PredictedReflectivity_3min_20190610-001400.nc"
    write_split(path, header(), 3, stack()[1])
    with netCDF4.Dataset(path) as dataset:
        assert dataset.data_model == "NETCDF3_CLASSIC"
        variable = dataset.variables["PredictedReflectivity_3min"]
        assert variable.dimensions == ("Lat", "Lon")
        assert variable.Units == "dBZ"
        assert dataset.TypeName == "PredictedReflectivity_3min"
        assert dataset.DataType == "LatLonGrid"
        assert dataset.FractionalTime == 0
    (grid,) = read_grids(path)
    assert grid.lead == 3
    assert grid.header.issue_time == ISSUE
    assert grid.valid_time.minute == 17
    np.testing.assert_array_equal(grid.field, stack()[1])


def test_a_nowcast_is_read_grid_by_grid(tmp_path: Path) -> None:
    path = tmp_path / "n.nc"
    write_nowcast(path, header(), stack())
    assert [grid.lead for grid in read_grids(path)] == [0, 1, 2, 3]
    with NowcastReader(path) as reader, pytest.raises(InputError, match="no lead of 4"):
        reader.read(4)


def bad_files(folder: Path) -> dict[str, Path]:
    """One file for each way in which a nowcast can be broken."""
    good = folder / "good.nc"
    write_nowcast(good, header(31, (40, 50)), np.zeros((31, 40, 50), dtype=np.float32))
    files = {name: folder / f"{name}.nc" for name in ("empty", "text", "truncated", "dims", "attrs", "huge", "nogrid")}
    files["empty"].touch()
    files["text"].write_text("not a file of that kind\n")
    files["truncated"].write_bytes(good.read_bytes()[:100_000])
    with netCDF4.Dataset(files["dims"], "w", format="NETCDF3_CLASSIC") as dataset:
        dataset.createDimension("Lat", 4)
        dataset.createVariable("PredictedReflectivity", "f4", ("Lat",))
    with netCDF4.Dataset(files["attrs"], "w", format="NETCDF3_CLASSIC") as dataset:
        for name, size in (("Steps", 2), ("Lat", 4), ("Lon", 4)):
            dataset.createDimension(name, size)
        dataset.createVariable("PredictedReflectivity", "f4", ("Steps", "Lat", "Lon"))[:] = 0
        dataset.Latitude = "north"
    with netCDF4.Dataset(files["huge"], "w", format="NETCDF4") as dataset:
        for name, size in (("Steps", 31), ("Lat", 9000), ("Lon", 9000)):
            dataset.createDimension(name, size)
        dataset.createVariable("PredictedReflectivity", "f4", ("Steps", "Lat", "Lon"), zlib=True)
    with netCDF4.Dataset(files["nogrid"], "w", format="NETCDF3_CLASSIC") as dataset:
        dataset.createDimension("Lat", 4)
    files["folder"] = folder / "folder.nc"
    files["folder"].mkdir()
    files["absent"] = folder / "absent.nc"
    return files


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(InputError) as caught:
            read_nowcast(path)
        text = str(caught.value)
        assert "\n" not in text, name
        assert str(path) in text, name
        assert len(text) < 300, name


def test_one_grid_may_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "grid.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF4") as dataset:
        for name, size in (("Steps", 1), ("Lat", 10_001), ("Lon", 10_000)):
            dataset.createDimension(name, size)
        dataset.createVariable("PredictedReflectivity", "f4", ("Steps", "Lat", "Lon"), zlib=True)
    with pytest.raises(InputError, match=r"grids of 10001 x 10000 values.*100,000,000"):
        read_nowcast(path)


def test_longitudes_are_those_of_geojson(tmp_path: Path) -> None:
    path = tmp_path / "n.nc"
    east = NowcastHeader(LatLonGrid(33.5, 262.0, 0.01, 0.02, 5, 7), ISSUE, 4)
    write_nowcast(path, east, stack())
    assert read_nowcast(path)[0].grid.west_deg == -98.0
    across = NowcastHeader(LatLonGrid(33.5, 179.95, 0.01, 0.02, 5, 7), ISSUE, 4)
    write_nowcast(path, across, stack())
    with pytest.raises(InputError, match="180 degrees"):
        read_nowcast(path)
