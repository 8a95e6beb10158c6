"""Storm cells of one reflectivity grid: connected areas at or above a level. Arrays in, cells out; no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dynamo.radar.area import node_areas_km2
from dynamo.radar.grid import LatLonGrid

#: Nodes that touch at a corner belong to one cell.
_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class Cell:
    """One storm cell: where its middle is, how large it is, and the strongest reflectivity in it."""

    latitude_deg: float
    longitude_deg: float
    area_km2: float
    max_dbz: float


def find_cells(
    field: NDArray[np.floating[Any]], grid: LatLonGrid, level_dbz: float, min_area_km2: float = 0.0
) -> Sequence[Cell]:
    """Return the cells of a grid, the largest first.

    Parameters
    ----------
    field
        Reflectivity in dBZ, shape ``grid.shape``, row 0 the southern one, NaN where data is missing.
    grid
        Where its nodes are.
    level_dbz
        Nodes at or above it belong to cells.
    min_area_km2
        Smaller cells are left out.
    """
    labels, count = ndimage.label(field >= level_dbz, structure=_NEIGHBOURS)
    if count == 0:
        return []
    rows, columns = np.nonzero(labels)
    cell = labels[rows, columns] - 1
    areas = node_areas_km2(grid)[rows]
    area_km2 = np.bincount(cell, areas)
    latitude = np.bincount(cell, areas * grid.latitudes[rows]) / area_km2
    longitude = np.bincount(cell, areas * grid.longitudes[columns]) / area_km2
    max_dbz = np.full(count, -np.inf)
    np.maximum.at(max_dbz, cell, field[rows, columns])
    found = [
        Cell(float(latitude[i]), float(longitude[i]), float(area_km2[i]), float(max_dbz[i]))
        for i in range(count)
        if area_km2[i] >= min_area_km2
    ]
    return sorted(found, key=lambda one: -one.area_km2)
