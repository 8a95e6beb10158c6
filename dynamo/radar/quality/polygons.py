"""Checks of polygons traced around echo: whether each is a ring on the map, and how much they enclose; pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.grid import EARTH_RADIUS_KM

Points = NDArray[np.float64]

#: Longer rings are not searched for crossings, which takes the square of their length.
_MOST_POINTS = 3000


def ring_problem(points: Points) -> str:
    """Return what is wrong with a ring, longitude and latitude in degrees, shape ``(n, 2)``; empty if nothing."""
    if points.ndim != 2 or points.shape[0] < 4 or points.shape[1] < 2:
        return "has fewer than four points"
    if not np.isfinite(points).all():
        return "has a point without coordinates"
    if not (np.abs(points[:, 0]) <= 360).all() or not (np.abs(points[:, 1]) <= 90).all():
        return "leaves the Earth"
    if (points[0] != points[-1]).any():
        return "is not closed"
    if signed_area_km2(points) == 0:
        return "encloses nothing"
    return "crosses itself" if points.shape[0] <= _MOST_POINTS and _crosses(points) else ""


def signed_area_km2(points: Points) -> float:
    """Return the area of a closed ring on the sphere, positive if it runs counterclockwise.

    The line between two points is straight on the map, as GeoJSON defines (RFC 7946, section 3.1.1).
    """
    longitude, sine = np.deg2rad(points[:, 0]), np.sin(np.deg2rad(points[:, 1]))
    return float(-np.sum(np.diff(longitude) * (sine[1:] + sine[:-1])) / 2.0) * EARTH_RADIUS_KM**2


def polygon_area_km2(rings: Sequence[Points]) -> float:
    """Return the area of a polygon: of its first ring without the others."""
    sizes = [abs(signed_area_km2(ring)) for ring in rings]
    return sizes[0] - sum(sizes[1:]) if sizes else 0.0


def _crosses(points: Points) -> bool:
    """Whether two sides of a closed ring that do not touch cross each other."""
    start, end = points[:-1, :2], points[1:, :2]
    count = start.shape[0]
    for side in range(count - 2):
        others = slice(side + 2, count - 1 if side == 0 else count)
        a, b, c, d = start[side], end[side], start[others], end[others]
        if (_turn(a, b, c) * _turn(a, b, d) < 0)[_turn(c, d, a) * _turn(c, d, b) < 0].any():
            return True
    return False


def _turn(a: Points, b: Points, c: Points) -> Points:
    """Return the sign of the turn from ``a`` over ``b`` to ``c``."""
    turn: Points = np.sign(
        (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    )
    return turn
