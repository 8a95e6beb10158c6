"""Check and repair polygons from other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.proximity import MAX_LATITUDE_DEG, Polygons


def coordinates_of(feature: Any) -> Sequence[Any]:
    """Return the polygons of a feature as lists of rings, without checking the points."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        return ()
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or not coordinates:
        return ()
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(str(geometry.get("type")), [])
    if all(
        isinstance(polygon, list) and polygon and all(isinstance(ring, list) for ring in polygon)
        for polygon in polygons
    ):
        return polygons
    return ()


def are_sound(polygons: Polygons) -> NDArray[np.bool_]:
    """Return whether each polygon is usable: closed rings of numbers, on the Earth."""
    points, rings = polygons.points, polygons.rings
    if not len(polygons):
        return np.ones(0, dtype=np.bool_)
    lengths = np.diff(rings)
    if (lengths < 4).any():
        return np.zeros(len(polygons), dtype=np.bool_)
    closed = (points[rings[:-1]] == points[rings[1:] - 1]).all(axis=1)
    on_earth = (np.abs(points[:, 1]) <= MAX_LATITUDE_DEG) & (np.abs(points[:, 0]) <= 360)
    wide = np.maximum.reduceat(points[:, 0], rings[:-1]) - np.minimum.reduceat(points[:, 0], rings[:-1]) > 180
    good = closed & np.logical_and.reduceat(on_earth, rings[:-1]) & ~wide
    sound: NDArray[np.bool_] = np.logical_and.reduceat(good, polygons.parts[:-1])
    return sound


def clean(feature: Any) -> Any:
    """Return the feature itself if it is sound, otherwise one of its sound polygons, or None if it has none."""
    polygons = coordinates_of(feature)
    kept = []
    changed = not polygons
    for polygon in polygons:
        mended = [_mend(ring) for ring in polygon]
        if mended[0] is None:
            changed = True
            continue
        rings = [ring for ring in mended if ring is not None]
        changed = changed or len(rings) < len(polygon) or any(a is not b for a, b in zip(rings, polygon, strict=False))
        kept.append(rings)
    if not changed:
        return feature
    if not kept:
        return None
    return {**feature, "geometry": {"type": "MultiPolygon", "coordinates": kept}}


def _mend(ring: list[Any]) -> list[Any] | None:
    """Return a sound ring: itself, or closed and without heights; None if it cannot be repaired."""
    points = []
    for point in ring:
        if not isinstance(point, list) or len(point) < 2:
            return None
        lon, lat = point[0], point[1]
        if type(lon) not in (int, float) or type(lat) not in (int, float):
            return None
        if not (abs(lat) <= MAX_LATITUDE_DEG and abs(lon) <= 360):
            return None
        points.append(point if len(point) == 2 else [lon, lat])
    if points and points[0] != points[-1]:
        points.append(points[0])
    if len(points) < 4 or max(p[0] for p in points) - min(p[0] for p in points) > 180:
        return None
    return ring if len(points) == len(ring) and all(a is b for a, b in zip(points, ring, strict=True)) else points
