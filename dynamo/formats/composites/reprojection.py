"""Reproject composites to a regular latitude/longitude grid of similar spacing, by the nearest cell.

Nearest, not bilinear: values (above all maxima) and the edge of coverage stay as produced; a value is displaced by at
most half a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.extras import need
from dynamo.radar.grid import LatLonGrid

_KM_PER_DEGREE = 111.195
#: Edge points used to find the latitudes and longitudes that the projected domain covers.
_EDGE_POINTS = 65


@dataclass(frozen=True)
class ProjectedGrid:
    """Cell centers of a projected field: ``x = x0 + dx * column``, ``y = y0 + dy * row``.

    Parameters
    ----------
    crs
        Coordinate reference system in a form that pyproj accepts (WKT, EPSG code).
    x0, y0
        Center of cell (0, 0), meters.
    dx, dy
        Steps, meters; ``dy`` is negative if row 0 is the northern one.
    rows, columns
        Size.
    """

    crs: str
    x0: float
    y0: float
    dx: float
    dy: float
    rows: int
    columns: int


def to_latlon(field: NDArray[np.float32], source: ProjectedGrid) -> tuple[NDArray[np.float32], LatLonGrid]:
    """Resample a projected field to a latitude/longitude grid.

    Parameters
    ----------
    field
        Shape ``(source.rows, source.columns)``; NaN where missing.
    source
        Its cells.

    Returns
    -------
    field, grid
        The grid covers the whole source; nodes outside it are NaN. Row 0 is the southern one.

    Raises
    ------
    MissingPartError
        If pyproj is not installed.
    """
    grid, index = _lookup(source)
    padded = np.append(field.ravel(), np.float32(np.nan))
    return padded[index].reshape(grid.shape), grid


@lru_cache(maxsize=4)
def _lookup(source: ProjectedGrid) -> tuple[LatLonGrid, NDArray[np.int32]]:
    """Return the grid and each node's flat index of the nearest cell (the size if there is none)."""
    pyproj: Any = need("pyproj")
    back = pyproj.Transformer.from_crs(source.crs, "EPSG:4326", always_xy=True)
    fraction = np.linspace(0.0, 1.0, _EDGE_POINTS)
    x = source.x0 + source.dx * (source.columns - 1) * fraction
    y = source.y0 + source.dy * (source.rows - 1) * fraction
    edge_x = np.concatenate([x, x, np.full_like(y, x[0]), np.full_like(y, x[-1])])
    edge_y = np.concatenate([np.full_like(x, y[0]), np.full_like(x, y[-1]), y, y])
    lon, lat = back.transform(edge_x, edge_y)
    dlat = _round_digits(abs(source.dy) / 1000 / _KM_PER_DEGREE)
    middle = math.radians(float(lat.min() + lat.max()) / 2)
    dlon = _round_digits(abs(source.dx) / 1000 / _KM_PER_DEGREE / math.cos(middle))
    # Nodes on whole multiples of the spacing: the same grid for any member of a sequence.
    first_row, last_row = math.floor(lat.min() / dlat), math.ceil(lat.max() / dlat)
    first_column, last_column = math.floor(lon.min() / dlon), math.ceil(lon.max() / dlon)
    grid = LatLonGrid(
        north_deg=round(last_row * dlat, 9),
        west_deg=round(first_column * dlon, 9),
        dlat_deg=dlat,
        dlon_deg=dlon,
        nlat=last_row - first_row + 1,
        nlon=last_column - first_column + 1,
    )
    there = pyproj.Transformer.from_crs("EPSG:4326", source.crs, always_xy=True)
    node_lon, node_lat = np.meshgrid(grid.longitudes, grid.latitudes)
    node_x, node_y = there.transform(node_lon.ravel(), node_lat.ravel())
    column = np.rint((node_x - source.x0) / source.dx)
    row = np.rint((node_y - source.y0) / source.dy)
    inside = (column >= 0) & (column < source.columns) & (row >= 0) & (row < source.rows)
    size = source.rows * source.columns
    index = np.where(inside, row * source.columns + column, size).astype(np.int32)
    return grid, index


def _round_digits(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.1e}")
