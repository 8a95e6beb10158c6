"""Cut polygons at 180 degrees of longitude, as RFC 7946 (section 3.1.9) asks; pure.

Grids near the date line count on beyond 180 degrees, or from below -180, so that their columns stay in order.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from dynamo.radar.contour import Contours, areas_km2


def wrapped(longitude_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitudes from -180 to 180; those already in range are unchanged.

    Examples
    --------
    >>> wrapped(np.array([179.0, 180.0, 181.5, -182.0]))
    array([ 179. ,  180. , -178.5,  178. ])
    """
    return np.where(np.abs(longitude_deg) <= 180, longitude_deg, (longitude_deg + 180) % 360 - 180)


def cut_at_date_line(found: Contours, decimals: int) -> Contours:
    """Return polygons of which none crosses 180 degrees: each part is one of its own, with the maximum of the whole.

    Parameters
    ----------
    found
        Polygons whose longitudes are from -540 to 540 degrees.
    decimals
        Decimal places of the new vertices.
    """
    if not len(found) or np.abs(found.points[:, 0]).max() <= 180:
        return found
    parts: list[shapely.Polygon] = []
    maxima: list[float] = []
    for shape, maximum in zip(found.to_shapely(), found.maximum.tolist(), strict=True):
        for west in (-540.0, -180.0, 180.0):
            side = shapely.intersection(shape, shapely.box(west, -90.0, west + 360.0, 90.0))
            pieces = [piece for piece in shapely.get_parts(side) if piece.geom_type == "Polygon" and piece.area > 0]
            parts += [_moved(piece, -180.0 - west, decimals) for piece in pieces]
            maxima += [maximum] * len(pieces)
    _, points, offsets = shapely.to_ragged_array(shapely.orient_polygons(parts))
    rings, polygons = (np.asarray(offset, dtype=np.int64) for offset in offsets)
    return Contours(found.level, points, rings, polygons, areas_km2(points, rings, polygons), np.array(maxima))


def _moved(piece: shapely.Polygon, east_deg: float, decimals: int) -> shapely.Polygon:
    return shapely.transform(piece, lambda points: np.round(points + np.array([east_deg, 0.0]), decimals))
