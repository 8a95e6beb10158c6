"""Hail areas as GeoJSON and as an image."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from matplotlib.image import imread
from numpy.typing import NDArray

from dynamo.alerts.hazards import hazard_of, read_products
from dynamo.formats.hail_geojson import encode_hail, hail_name, size_word, trace_hail
from dynamo.formats.hail_grid import NOT_OBSERVED, HailGrid
from dynamo.formats.hail_png import encode_hail_image
from dynamo.processing.hail_composite import composite_grids
from tests.unit.radar.test_compositing import EAST, TIME, WEST, view


def collection(hail: HailGrid, **options: Any) -> dict[str, Any]:
    data = encode_hail(hail, trace_hail(hail, **options))
    assert data.startswith(b'{"type":"FeatureCollection"')
    assert data.endswith(b"]}")
    read: dict[str, Any] = orjson.loads(data)
    return read


def spots() -> NDArray[np.int8]:
    """Return hail at two places: 4 x 5 nodes with a hole, and 2 x 2."""
    classes = np.zeros(view("A", *WEST).grid.shape, dtype=np.int8)
    classes[10:15, 10:15] = 3
    classes[12, 12] = 0
    classes[30:32, 20:22] = 1
    return classes


def test_no_hail_is_a_collection_without_features() -> None:
    found = collection(view("A", *WEST))
    assert found["features"] == []
    assert found["valid_time"] == "2019-06-10T00:20:00Z"
    assert found["radars"] == ["A"]


def test_areas_of_hail_and_sizes() -> None:
    hail = view("A", *WEST, spots(), size=25.0)
    hail.fields["hail_size"][11:13, 10:12] = 50.0
    found = collection(hail)
    by_level: dict[str, list[Any]] = {}
    for feature in found["features"]:
        by_level.setdefault(feature["properties"]["level"], []).append(feature)
    assert {level: len(features) for level, features in by_level.items()} == {
        "hail": 2,
        "hail_5mm": 2,
        "hail_25mm": 2,
        "hail_50mm": 1,
    }
    large = by_level["hail"][0] if by_level["hail"][0]["properties"]["area_km2"] > 10 else by_level["hail"][1]
    assert large["properties"]["size_mm"] == 50.0
    assert large["properties"]["hail_class"] == "giant"
    assert large["properties"]["valid_time"] == "2019-06-10T00:20:00Z"
    assert large["properties"]["radars"] == ["A"]
    # 24 nodes of 1.11 x 0.93 km, halfway outlines.
    assert large["properties"]["area_km2"] == pytest.approx(24 * 1.032, rel=0.1)
    shape = shapely.geometry.shape(large["geometry"])
    assert isinstance(shape, shapely.Polygon)
    assert shape.is_valid
    assert shape.exterior.is_ccw
    assert len(shape.interiors) == 1
    assert len({feature["id"] for feature in found["features"]}) == len(found["features"])


def test_hail_of_unknown_size_says_so() -> None:
    (one, other) = collection(view("A", *WEST, spots()))["features"]
    for feature in (one, other):
        assert feature["properties"]["size_mm"] is None
        assert feature["properties"]["hail_class"] == "hail"


def test_small_areas_can_be_left_out() -> None:
    assert len(collection(view("A", *WEST, spots()), min_area_km2=10.0)["features"]) == 1


def test_a_composite_tells_its_radars_and_who_is_missing() -> None:
    hail = composite_grids([view("W", *WEST, spots(), seconds=-20), view("E", *EAST)], expected=["W", "E", "S"])
    found = collection(hail)
    assert found["missing_radars"] == ["S"]
    assert found["radars"] == ["E", "W"]
    properties = found["features"][0]["properties"]
    assert properties["radars"] == ["W"]
    assert properties["max_age_s"] == 20


def test_words_of_sizes() -> None:
    assert [size_word(size) for size in (None, 1.0, 5.0, 25.0, 49.0, 50.0)] == [
        "hail",
        "small",
        "small",
        "large",
        "large",
        "giant",
    ]


def test_alerts_read_it(tmp_path: Any) -> None:
    path = tmp_path / hail_name("XADD", "20190610-002000")
    assert hazard_of(path) == "hail"
    hail = view("XADD", *WEST, spots(), size=25.0)
    path.write_bytes(encode_hail(hail, trace_hail(hail)))
    (product,) = read_products([path])
    assert product.issued == TIME
    assert product.left_out == 0
    assert len(product.polygons) == 6
    assert product.strength.max() == 25.0
    assert product.strength.min() == 5.0


def pixels(data: bytes) -> NDArray[np.float32]:
    image: NDArray[np.float32] = imread(io.BytesIO(data), format="png")
    return image


def test_the_image_shows_hail_by_size_and_what_is_not_covered() -> None:
    hail = view("A", *WEST, spots(), size=25.0)
    hail.fields["hail_class"][:, :5] = NOT_OBSERVED
    bare = encode_hail_image(hail, pixels_per_cell=2, legend=False)
    image = pixels(bare)
    assert image.shape[:2] == (2 * hail.grid.nlat, 2 * hail.grid.nlon)
    # North is up: row 10 of the grid is the tenth from below.
    core = image[-2 * 11, 2 * 11]
    np.testing.assert_allclose(core[:3], np.array([200, 0, 40]) / 255, atol=0.01)
    assert 0 < image[50, 0, 3] < 0.5
    assert b"valid_time\x002019-06-10T00:20:00Z" in bare
    framed = pixels(encode_hail_image(hail, pixels_per_cell=2))
    assert framed.shape[0] > image.shape[0]
    np.testing.assert_array_equal(framed[: len(image)], image)
    legend = framed[len(image) :]
    assert (legend[..., 3] > 0).all()
    assert len(np.unique((legend.reshape(-1, 4) * 255).astype(int), axis=0)) >= 15
    assert encode_hail_image(hail) == encode_hail_image(hail)


def test_an_image_narrower_than_its_legend() -> None:
    hail = view("A", *WEST, reach_m=3000)
    assert pixels(encode_hail_image(hail, pixels_per_cell=1)).shape[1] == hail.grid.nlon
