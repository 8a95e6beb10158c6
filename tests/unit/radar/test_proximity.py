"""Distances against PROJ's geodesics, and first approaches against a plain loop."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from dynamo.errors import InputError
from dynamo.radar.proximity import PlaceIndex, Plane, Polygons

GEOD = pyproj.Geod(ellps="WGS84")


def flat(shapes: list[list[list[tuple[float, float]]]]) -> Polygons:
    """Return polygons, each a list of rings."""
    rings = list(itertools.chain.from_iterable(shapes))
    points = np.array(list(itertools.chain.from_iterable(rings)), dtype=np.float64).reshape(-1, 2)
    return Polygons(
        points,
        np.cumsum([0, *(len(ring) for ring in rings)]),
        np.cumsum([0, *(len(shape) for shape in shapes)]),
    )


def square(lon: float, lat: float, half_deg: float) -> list[list[tuple[float, float]]]:
    west, east, south, north = lon - half_deg, lon + half_deg, lat - half_deg, lat + half_deg
    return [[(west, south), (east, south), (east, north), (west, north), (west, south)]]


def star(lon: float, lat: float, radius_deg: float, seed: int) -> list[list[tuple[float, float]]]:
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 24))
    radii = radius_deg * random.uniform(0.4, 1, 24)
    points = [(lon + r * np.cos(a), lat + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
    return [[*points, points[0]]]


def true_distance(place: BaseGeometry, rings: list[list[tuple[float, float]]]) -> float:
    """Return the km to the boundary, by geodesics to dense points of its edges."""
    x, y = place.x, place.y  # type: ignore[attr-defined]
    best = np.inf
    for ring in rings:
        for (x0, y0), (x1, y1) in itertools.pairwise(ring):
            low, high = 0.0, 1.0
            for _ in range(6):  # ever finer around the nearest point
                share = np.linspace(low, high, 41)
                _, _, metres = GEOD.inv(np.full(41, x), np.full(41, y), x0 + share * (x1 - x0), y0 + share * (y1 - y0))
                at = int(np.argmin(metres))
                step = (high - low) / 40
                low, high = max(0.0, share[at] - step), min(1.0, share[at] + step)
            best = min(best, float(metres[at]) / 1000)
    return best


@settings(max_examples=60, deadline=None)
@given(
    lat=st.floats(-80, 80),
    lon=st.floats(-180, 180),
    distance_deg=st.floats(0, 1.3),
    angle=st.floats(0, 6.28),
    radius=st.floats(0.01, 0.5),
    seed=st.integers(0, 1000),
)
def test_distances_are_geodesic(
    lat: float, lon: float, distance_deg: float, angle: float, radius: float, seed: int
) -> None:
    away = distance_deg + radius
    stretch = max(np.cos(np.radians(lat)), 0.1)
    centre = (lon + away * np.cos(angle) / stretch, float(np.clip(lat + away * np.sin(angle), -84, 84)))
    rings = star(*centre, radius, seed)
    place = shapely.Point(lon, lat)
    index = PlaceIndex([place], np.array([200.0]))
    distance, azimuth = index.measure(flat([rings]), np.array([0]), np.array([0]))
    if shapely.Polygon(rings[0]).covers(place):
        assert distance[0] == 0
        assert np.isnan(azimuth[0])
        return
    expected = true_distance(place, rings)
    assert distance[0] == pytest.approx(expected, rel=1e-3, abs=0.001)
    # Going that far in that direction leads to the edge.
    end_lon, end_lat, _ = GEOD.fwd(lon, lat, azimuth[0], distance[0] * 1000)
    assert true_distance(shapely.Point(end_lon, end_lat), rings) < 0.01 * expected + 0.001


@pytest.mark.parametrize("lat", [-75.0, -33.0, -0.3, 0.0, 0.2, 32.8, 50.0, 80.0])
def test_the_length_of_lines_in_the_plane(lat: float) -> None:
    random = np.random.default_rng(1)
    plane = Plane(lat, -97.0)
    start = np.column_stack((random.uniform(-99, -95, 200), lat + random.uniform(-2, 2, 200)))
    azimuth, length = random.uniform(0, 360, 200), random.uniform(0.1, 200, 200)
    lon, end_lat, _ = GEOD.fwd(start[:, 0], start[:, 1], azimuth, length * 1000)
    found, direction = plane.measure(plane.project(start), plane.project(np.column_stack((lon, end_lat))))
    assert np.max(np.abs(found / length - 1)) < 1e-4
    assert np.max(np.abs((direction - azimuth + 180) % 360 - 180)) < 0.6


def brute(
    places: Any, distance: Any, shapes: list[Any], group: Any, step: Any, wanted: Any
) -> set[tuple[int, int, int]]:
    """Return place, group and first step, by looking at every pair."""
    index = PlaceIndex(places, np.full(len(places), 200.0))
    polygons = flat(shapes)
    pairs = np.array(list(itertools.product(range(len(places)), range(len(shapes)))))
    measured, _ = index.measure(polygons, pairs[:, 0], pairs[:, 1])
    first: dict[tuple[int, int], int] = {}
    for (place, polygon), away in zip(pairs.tolist(), measured.tolist(), strict=True):
        key = (place, int(group[polygon]))
        if away <= distance[place] and wanted[key]:
            first[key] = min(first.get(key, 99), int(step[polygon]))
    return {(place, value, when) for (place, value), when in first.items()}


@pytest.mark.parametrize("centre", [(-97.0, 32.8), (179.9, -17.0), (8.0, 0.05), (20.0, 70.0)])
def test_first_approaches_are_those_of_a_plain_loop(centre: tuple[float, float]) -> None:
    random = np.random.default_rng(3)
    lon, lat = centre
    places = [shapely.Point(lon + x, lat + y) for x, y in random.uniform(-1, 1, (40, 2))]
    distance = random.uniform(0, 60, 40)
    shapes = [
        star(lon + x, lat + y, r, i) for i, (x, y, r) in enumerate(random.uniform(0.05, 0.9, (30, 3)) * [1, 1, 0.3])
    ]
    group, step = random.integers(0, 3, 30), random.integers(0, 6, 30)
    wanted = random.random((40, 3)) < 0.7
    found = PlaceIndex(places, distance).first_approaches(flat(shapes), group, step, wanted=wanted)
    got = set(zip(found.place.tolist(), found.group.tolist(), found.step.tolist(), strict=True))
    assert got == brute(places, distance, shapes, group, step, wanted)
    assert len(got) > 20
    assert (found.step == step[found.polygon]).all()


def test_the_last_step_that_a_place_asks_for() -> None:
    index = PlaceIndex([shapely.Point(0, 50), shapely.Point(0, 50)], np.array([10.0, 10.0]))
    found = index.first_approaches(
        flat([square(0, 50, 0.1)]),
        np.array([0]),
        np.array([12]),
        wanted=np.ones((2, 1), dtype=bool),
        last_step=np.array([10, 12]),
    )
    assert found.place.tolist() == [1]


def test_both_sides_of_the_antimeridian_are_near_each_other() -> None:
    places = [shapely.Point(179.95, -17.0), shapely.Point(-179.95, -17.0)]
    index = PlaceIndex(places, np.array([50.0, 50.0]))
    for lon in (-179.8, 180.2, 179.8, -180.2):
        polygons = flat([square(lon, -17, 0.05)])
        found = index.first_approaches(polygons, np.array([0]), np.array([0]), wanted=np.ones((2, 1), dtype=bool))
        assert found.place.tolist() == [0, 1]
        distance, _ = index.measure(polygons, np.array([0, 1]), np.array([0, 0]))
        metres = GEOD.inv(places[0].x, -17.0, lon, -17.0)[2]
        assert distance[0] == pytest.approx(metres / 1000 - 5.3, abs=0.2)


def test_places_over_many_latitudes_and_areas_and_lines() -> None:
    places = [
        shapely.Point(10, -60),
        shapely.Point(10, 0.1),
        shapely.box(9.9, 46.9, 10.1, 47.1),
        shapely.LineString([(5, 60), (15, 60)]),
    ]
    index = PlaceIndex(places, np.full(4, 20.0))
    shapes = [square(10, lat, 0.1) for lat in (-60.2, 0.3, 47.0, 60.2)]
    found = index.first_approaches(
        flat(shapes), np.zeros(4, dtype=int), np.zeros(4, dtype=int), wanted=np.ones((4, 1), dtype=bool)
    )
    assert found.place.tolist() == [0, 1, 2, 3]
    assert found.polygon.tolist() == [0, 1, 2, 3]
    distance, azimuth = index.measure(flat(shapes), found.place, found.polygon)
    assert distance[0] == pytest.approx(11.14, abs=0.05)
    assert azimuth[0] == pytest.approx(180, abs=0.1)
    assert distance[2] == 0
    # The edge of the line is straight in longitude and latitude: along the parallel, not along the great circle.
    assert distance[3] == pytest.approx(11.14, abs=0.05)


def test_holes_count() -> None:
    ring = square(0, 50, 1)[0]
    hole = square(0, 50, 0.5)[0][::-1]
    index = PlaceIndex([shapely.Point(0, 50), shapely.Point(0.7, 50)], np.array([200.0, 0.0]))
    distance, _ = index.measure(flat([[ring, hole]]), np.array([0, 1]), np.array([0, 0]))
    assert 30 < distance[0] < 36
    assert distance[1] == 0


@pytest.mark.parametrize(
    ("place", "distance", "message"),
    [
        (shapely.Point(), 1.0, "empty"),
        (shapely.Point(0, 88), 1.0, "pole"),
        (shapely.Point(500, 0), 1.0, "Earth"),
        (shapely.Point(0, 0), 500.0, "distance"),
        (shapely.Point(0, 0), -1.0, "distance"),
    ],
)
def test_places_that_cannot_be_used(place: BaseGeometry, distance: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PlaceIndex([place], np.array([distance]))


def test_nothing_at_all() -> None:
    empty = Polygons(np.zeros((0, 2)), np.zeros(1, dtype=int), np.zeros(1, dtype=int))
    none = np.zeros(0, dtype=int)
    index = PlaceIndex([shapely.Point(0, 0)], np.array([1.0]))
    assert len(index.first_approaches(empty, none, none, wanted=np.ones((1, 0), dtype=bool)).place) == 0
    nobody = PlaceIndex([], np.zeros(0))
    found = nobody.first_approaches(
        flat([square(0, 0, 1)]), np.array([0]), np.array([0]), wanted=np.ones((0, 1), dtype=bool)
    )
    assert len(found.place) == 0
