"""Hail beside 180 degrees of longitude: cut there, whole in area, and joined in a composite."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
import shapely

from dynamo.formats.hail_geojson import encode_hail, trace_hail
from dynamo.processing.hail_composite import composite_grids
from dynamo.radar.contour import contours
from dynamo.radar.date_line import cut_at_date_line
from dynamo.radar.grid import LatLonGrid
from tests.unit.radar.test_compositing import view


def test_a_polygon_is_cut_into_two_with_the_area_of_the_whole() -> None:
    rows, columns = np.indices((41, 81))
    field = 60.0 - np.hypot(rows - 20, columns - 40)
    (there,) = contours(field, LatLonGrid(-17.0, 179.6, 0.01, 0.01, 41, 81), [45.0])
    (elsewhere,) = contours(field, LatLonGrid(-17.0, 100.6, 0.01, 0.01, 41, 81), [45.0])
    assert there.points[:, 0].max() > 180
    cut = cut_at_date_line(there, 5)
    east, west = sorted(cut.to_shapely(), key=lambda shape: -shape.bounds[0])
    assert (east.bounds[2], west.bounds[0]) == (180.0, -180.0)
    assert shapely.is_valid([east, west]).all()
    assert all(shape.exterior.is_ccw for shape in (east, west))
    assert float(cut.area_km2.sum()) == pytest.approx(float(elsewhere.area_km2.sum()), rel=1e-4)
    assert cut.maximum.tolist() == [60.0, 60.0]
    assert cut_at_date_line(elsewhere, 5) is elsewhere


def test_a_radar_on_each_side_makes_one_composite_with_longitudes_of_geojson() -> None:
    hail = composite_grids([view("W", -17.0, 179.9, 3, size=30.0), view("E", -17.0, -179.9, 3, size=60.0)])
    assert [radar.name for radar in hail.radars] == ["W", "E"]
    assert hail.grid.nlon < 120
    found = orjson.loads(encode_hail(hail, trace_hail(hail)))
    assert found["features"]
    for feature in found["features"]:
        for ring in feature["geometry"]["coordinates"]:
            assert all(-180 <= longitude <= 180 for longitude, _ in ring)
        assert -180 <= feature["properties"]["strongest_at"][0] <= 180
        # Both sides know the nodes inside them.
        assert feature["properties"]["size_mm"] >= 30.0
    giant = [feature for feature in found["features"] if feature["properties"]["level_mm"] == 50.0]
    assert {feature["properties"]["size_mm"] for feature in giant} == {60.0}
