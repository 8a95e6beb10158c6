"""GeoJSON and images as the original names and draws them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import orjson
import pytest
from PIL import Image

from dynamo.formats.geojson import contour_name, encode_contours
from dynamo.formats.nowcast import NowcastHeader
from dynamo.formats.png import ALPHA, colour_table, encode_reflectivity
from dynamo.radar.contour import contours
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.smooth import smooth

ISSUE = datetime(2019, 6, 10, 0, 14, tzinfo=UTC)


def bump(shape: tuple[int, int] = (30, 40), peak: float = 57.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.asarray(peak - 0.3 * ((row - 12) ** 2 + (column - 20) ** 2), dtype=np.float64)


def header(shape: tuple[int, int] = (30, 40)) -> NowcastHeader:
    return NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.01, *shape), ISSUE, 31)


def test_names_and_properties() -> None:
    assert contour_name(5, ISSUE) == "mrt_STORM_CASA_5_20190610-001400.geojson"
    found = contours(bump(), header().grid, [35.0, 45.0])
    collection = orjson.loads(encode_contours(header(), 5, found))
    assert collection["type"] == "FeatureCollection"
    assert collection["valid_time"] == "2019-06-10T00:19:00Z"
    first, second = collection["features"]
    assert first["id"] == "STORM_CASA_5_20190610-001400_35.00dBZ_1"
    assert second["id"] == "STORM_CASA_5_20190610-001400_45.00dBZ_1"
    assert first["hazardType"] == "STORM_CASA_5"
    assert second["hazardType"] == "STORM_INTENSE_CASA_5"
    assert second["properties"] == {
        "hazardType": "STORM_INTENSE_CASA_5",
        "timestamp": "2019-06-10T00:19:00Z",
        "valid_time": "2019-06-10T00:19:00Z",
        "issue_time": "2019-06-10T00:14:00Z",
        "lead_min": 5,
        "ReflectivityLevel": 45.0,
        "area_km2": pytest.approx(np.pi * (12 / 0.3) * 1.112 * 1.112 * np.cos(np.radians(33.3)), rel=0.03),
        "max_dbz": 57.0,
    }


def test_no_storm_is_an_empty_collection_with_times() -> None:
    collection = orjson.loads(encode_contours(header(), 0, contours(bump(peak=10), header().grid, [45.0])))
    assert collection["features"] == []
    assert collection["levels_dbz"] == [45.0]
    assert collection["issue_time"] == collection["valid_time"] == "2019-06-10T00:14:00Z"


def decode(data: bytes) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return np.asarray(image.convert("RGBA"))


def test_image_is_north_up_with_square_cells() -> None:
    field = np.full((30, 40), -10.0)
    field[0, 0] = 60.0  # south-west
    pixels = decode(encode_reflectivity(field, smoothing_passes=0))
    assert pixels.shape == (150, 200, 4)
    assert (pixels[-5:, :5] == colour_table()[120]).all()
    assert (pixels[:-5, :, 3] == 0).all()
    assert (pixels[:, 5:, 3] == 0).all()


def test_image_pixels_are_the_palette_of_the_field() -> None:
    rng = np.random.default_rng(1)
    field = rng.uniform(-10, 80, (23, 31))
    field[3, 4] = np.nan
    pixels = decode(encode_reflectivity(field, pixels_per_cell=3, smoothing_passes=0))
    assert pixels.shape == (69, 93, 4)
    cells = pixels[::-3, ::3]
    index = (np.clip(np.nan_to_num(field, nan=0.0), 0, 75) * 2).astype(int)
    expected = colour_table()[index]
    assert (cells[..., 3] == np.where(np.nan_to_num(field, nan=0.0) < 5, 0, ALPHA)).all()
    seen = expected[..., 3] > 0
    assert (cells[seen] == expected[seen]).all()
    assert (cells[3, 4, 3]) == 0


@pytest.mark.parametrize("shape", [(1, 5), (400, 900), (3, 3)])
def test_bands_do_not_show(shape: tuple[int, int]) -> None:
    """Large images are worked through in bands of rows; the seams must not be seen."""
    field = np.random.default_rng(2).uniform(0, 70, shape)
    field[field < 4] = np.nan
    cells = decode(encode_reflectivity(field, pixels_per_cell=1))[::-1]
    whole = np.nan_to_num(smooth(np.clip(field, 0, 75)), nan=0.0)
    expected = colour_table()[(whole * 2).astype(np.uint8)]
    seen = expected[..., 3] > 0
    assert (cells[seen] == expected[seen]).all()


def test_empty_images_are_transparent_and_texts_are_kept() -> None:
    data = encode_reflectivity(np.full((6, 7), np.nan), texts={"valid_time": "2019-06-10T00:19:00Z"})
    assert (decode(data)[..., 3] == 0).all()
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["valid_time"] == "2019-06-10T00:19:00Z"


def test_smoothing_is_mild_and_keeps_missing() -> None:
    field = np.zeros((9, 9))
    field[4, 4] = 16.0
    once = smooth(field, 1)
    assert once[4, 4] == 8.0
    assert once[3, 3] == pytest.approx(1.0)
    assert once.sum() == pytest.approx(16.0)
    field[0, 0] = np.nan
    assert np.isnan(smooth(field)).sum() == 1
    constant = np.full((5, 6), 42.0)
    constant[2, 2] = np.nan
    np.testing.assert_allclose(smooth(constant)[~np.isnan(constant)], 42.0, rtol=1e-6)
