"""Areas on the WGS 84 ellipsoid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.grid import LatLonGrid

_A_KM = 6378.137
_E = 0.0818191908426215  # first eccentricity of WGS 84


def strip_area_km2(latitude_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area between the equator and each latitude, for one degree of longitude, km2.

    The difference of two values times a width in degrees is the exact area of that rectangle. Source: Snyder, Map
    Projections: A Working Manual (USGS PP 1395, 1987), equation 3-12, p. 16.

    Parameters
    ----------
    latitude_deg
        Geographic latitudes, degrees, any shape.

    Returns
    -------
    numpy.ndarray
        km2 for one degree of longitude, negative in the south; same shape.
    """
    es = _E * np.sin(np.radians(latitude_deg))
    q = (1 - _E**2) / _E * (es / (1 - es**2) + np.arctanh(es))
    area: NDArray[np.float64] = np.radians(1.0) * _A_KM**2 / 2 * q
    return area


def node_areas_km2(grid: LatLonGrid) -> NDArray[np.float64]:
    """Return the area that a node of each row stands for, km2; shape ``(nlat,)``, row 0 the southern one.

    Examples
    --------
    Nodes of 0.01 degrees at 45 N:

    >>> from dynamo.radar.grid import LatLonGrid
    >>> node_areas_km2(LatLonGrid(45.01, 0.0, 0.01, 0.01, nlat=2, nlon=2)).round(3).tolist()
    [0.876, 0.876]
    """
    half = grid.dlat_deg / 2
    edges = np.clip(np.append(grid.latitudes - half, grid.north_deg + half), -90.0, 90.0)
    return np.diff(strip_area_km2(edges)) * grid.dlon_deg
