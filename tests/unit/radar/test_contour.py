"""Contours against an independent truth: the bilinear field itself, sampled densely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from scipy import ndimage

from dynamo.errors import InputError
from dynamo.radar.blocks import SMALL
from dynamo.radar.contour import Contours, contours
from dynamo.radar.grid import LatLonGrid
from dynamo.simulate.storms import make_scene

Field = NDArray[np.float32]


def make_grid(shape: tuple[int, int]) -> LatLonGrid:
    return LatLonGrid(33.8, -98.0, 0.01, 0.008, *shape)


def storm_field(shape: tuple[int, int], seed: int = 3) -> Field:
    scene = make_scene(make_grid(shape), "wide", 60, seed)
    return np.round(scene.field(20.0) * 2) / np.float32(2)  # half dBZ, so that many nodes lie on a level


def agreement(field: Field, grid: LatLonGrid, found: Contours, *, samples: int = 50_000) -> float:
    """Share of random points, away from the isoline, on which polygons and bilinear field agree."""
    rng = np.random.default_rng(0)
    row = rng.uniform(0, grid.nlat - 1, samples)
    column = rng.uniform(0, grid.nlon - 1, samples)
    # Bilinear between the four nodes; NaN where one of them is missing. Independent of contourpy.
    value = ndimage.map_coordinates(field.astype(np.float64), [row, column], order=1, mode="nearest")
    # map_coordinates spreads NaN to the whole cell, which is what "no field there" means.
    inside_field = np.nan_to_num(value, nan=-np.inf) >= found.level
    points = shapely.points(grid.longitudes[0] + column * grid.dlon_deg, grid.latitudes[0] + row * grid.dlat_deg)
    shapes = found.to_shapely()
    hit = np.zeros(samples, dtype=bool)
    if len(shapes):
        hit[np.unique(shapely.STRtree(points).query(shapes, predicate="covers")[1])] = True
    # "Away": a tenth of a cell from the isoline (chords cut the hyperbola inside a cell) and from missing data's edge.
    lines = shapely.MultiLineString([ring for shape in shapes for ring in (shape.exterior, *shape.interiors)])
    shapely.prepare(lines)
    away = ~shapely.dwithin(lines, points, 0.1 * grid.dlon_deg)
    assert away.mean() > 0.5
    return float((hit == inside_field)[away].mean())


def assert_sound(found: Sequence[Contours]) -> None:
    for level in found:
        shapes = level.to_shapely()
        assert shapely.is_valid(shapes).all()
        assert (level.area_km2 > 0).all()
        assert (level.maximum >= level.level).all()
        for shape in shapes:
            assert shape.exterior.is_ccw
            assert not any(hole.is_ccw for hole in shape.interiors)
        keys = {shape.wkb for shape in shapes}
        assert len(keys) == len(shapes), "two polygons are the same"
        for start, stop in zip(level.rings[:-1], level.rings[1:], strict=True):
            ring = level.points[start:stop]
            assert (ring[0] == ring[-1]).all()
            assert len(np.unique(ring[:-1], axis=0)) == len(ring) - 1, "a vertex stands twice in a ring"


@pytest.mark.parametrize("level", [25.0, 35.0, 45.0, 55.0])
def test_polygons_agree_with_the_bilinear_field(level: float) -> None:
    shape = (140, 201)
    field, grid = storm_field(shape), make_grid(shape)
    (found,) = contours(field, grid, [level], min_points=3)
    assert len(found) > 3
    assert_sound([found])
    assert agreement(field, grid, found) >= 0.999


def test_holes_are_kept() -> None:
    row, column = np.mgrid[0:41, 0:51]
    radius = np.hypot(row - 20, column - 25)
    field = (60 - 4 * np.abs(radius - 12)).astype(np.float32)
    grid = make_grid((41, 51))
    (found,) = contours(field, grid, [45.0])
    assert len(found) == 1
    (shape,) = found.to_shapely()
    assert len(shape.interiors) == 1
    assert not shape.covers(shapely.Point(grid.longitudes[25], grid.latitudes[20]))
    assert agreement(field, grid, found) >= 0.999


def test_missing_data_is_no_low_value() -> None:
    shape = (90, 110)
    grid = make_grid(shape)
    field = storm_field(shape)
    rng = np.random.default_rng(5)
    field[rng.random(shape) < 0.01] = np.nan
    field[30:50, 40:70] = np.nan
    found = contours(field, grid, [25.0, 40.0], min_points=3)
    assert_sound(found)
    for level in found:
        assert agreement(field, grid, level) >= 0.999


def test_a_storm_beside_missing_data_closes_along_it() -> None:
    grid = make_grid((6, 6))
    field = np.full((6, 6), 50, dtype=np.float32)
    field[:, 3:] = np.nan
    (found,) = contours(field, grid, [45.0], min_points=3)
    (shape,) = found.to_shapely()
    assert shape.bounds == pytest.approx((-98.0, 33.75, -97.984, 33.8))
    # Had the missing values been taken for low ones, the isoline would run between the columns.


def test_the_whole_domain_at_or_above_the_level_is_its_rectangle() -> None:
    grid = make_grid((5, 7))
    (found,) = contours(np.full((5, 7), 45.0), grid, [45.0])
    (shape,) = found.to_shapely()
    assert shape.area == pytest.approx(0.04 * 0.048)
    assert found.maximum[0] == pytest.approx(45.0, abs=1e-3)


def test_areas_are_geodesic() -> None:
    shape = (140, 201)
    (found,) = contours(storm_field(shape), make_grid(shape), [40.0])
    geod = Geod(ellps="WGS84")
    for polygon, area in zip(found.to_shapely(), found.area_km2, strict=True):
        expected = geod.geometry_area_perimeter(polygon)[0] / 1e6
        assert area == pytest.approx(expected, rel=1e-3)


def test_maximum_is_that_of_the_nodes_inside() -> None:
    shape = (140, 201)
    field, grid = storm_field(shape), make_grid(shape)
    longitudes, latitudes = np.meshgrid(grid.longitudes, grid.latitudes)
    for found in contours(field, grid, [35.0, 45.0]):
        for polygon, maximum in zip(found.to_shapely(), found.maximum, strict=True):
            inside = shapely.intersects_xy(polygon, longitudes, latitudes)
            assert maximum == pytest.approx(float(field[inside].max()), abs=2e-4)


def test_filters() -> None:
    shape = (140, 201)
    field, grid = storm_field(shape), make_grid(shape)
    (everything,) = contours(field, grid, [45.0], min_points=3)
    (large,) = contours(field, grid, [45.0], min_points=3, min_area_km2=20.0)
    assert 0 < len(large) < len(everything)
    assert large.area_km2 == pytest.approx(everything.area_km2[everything.area_km2 >= 20])
    (round_ones,) = contours(field, grid, [45.0], min_points=40)
    assert 0 < len(round_ones) < len(everything)
    assert all(len(polygon.exterior.coords) > 40 for polygon in round_ones.to_shapely())


def test_a_large_grid_gives_the_same_polygons_as_a_small_one() -> None:
    """Windows of active blocks change the way, not the result."""
    rows, columns = 200, 240
    storms = storm_field((rows, columns))
    storms[storms < 20] = -10
    big = np.full((1200, 1400), -10, dtype=np.float32)
    assert big.size > SMALL
    big[300 : 300 + rows, 500 : 500 + columns] = storms
    big[900 : 900 + rows, 60 : 60 + columns] = storms
    grid = LatLonGrid(40.0, -100.0, 0.01, 0.01, 1200, 1400)
    levels = [35.0, 45.0, 55.0]
    found = contours(big, grid, levels)
    assert_sound(found)
    framed = np.full((rows + 2, columns + 2), -10, dtype=np.float32)
    framed[1:-1, 1:-1] = storms
    alone = contours(framed, LatLonGrid(40.0, -100.0, 0.01, 0.01, rows + 2, columns + 2), levels)
    for both, one in zip(found, alone, strict=True):
        assert len(both) == 2 * len(one)
        assert sorted(both.maximum) == pytest.approx(sorted([*one.maximum, *one.maximum]))
    assert agreement(big, grid, found[0]) >= 0.999


@pytest.mark.parametrize("field", [np.full((8, 9), np.nan), np.full((8, 9), -10.0), np.zeros((8, 9))])
def test_nothing_to_trace(field: Field) -> None:
    found = contours(field, make_grid((8, 9)), [45.0, 35.0])
    assert [level.level for level in found] == [45.0, 35.0]
    assert [len(level) for level in found] == [0, 0]
    assert all(len(level.to_shapely()) == 0 for level in found)


def test_refusals() -> None:
    with pytest.raises(InputError, match="shape"):
        contours(np.zeros((3, 3)), make_grid((4, 3)), [45.0])
    with pytest.raises(InputError, match="decimals"):
        contours(np.zeros((4, 3)), make_grid((4, 3)), [45.0], decimals=2)


@pytest.mark.parametrize("value", [-np.inf, np.inf])
def test_infinities_are_missing_and_change_nothing_elsewhere(value: float) -> None:
    noise = np.random.default_rng(3).normal(size=(200, 200))
    field = 20 + 18 * ndimage.gaussian_filter(noise, 5) * 12
    grid = LatLonGrid(34, -98, 0.01, 0.01, 200, 200)
    (whole,) = contours(field, grid, [20.0], min_points=0)
    found = []
    for missing in (np.nan, value):
        field[50:60, 50:60] = missing
        (traced,) = contours(field, grid, [20.0], min_points=0)
        found.append((len(traced), float(traced.area_km2.sum())))
    assert found[0] == found[1]
    assert (len(whole), found[1][0]) == (10, 10)
    assert found[1][1] == pytest.approx(22_206.0, abs=1.0)
