"""Coarse location of a nowcast's strong echo: its area in quarter-degree blocks, at some leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamo.inspection.facts import BLOCK_DEG
from dynamo.radar.area import node_areas_km2
from dynamo.radar.grid import LatLonGrid

#: Spacing of the leads, minutes: storms move a block or less in that time.
BLOCK_LEAD_MIN = 10
#: Above this number of blocks, four are merged into one.
MOST_BLOCKS = 1000
_LEAST_KM2 = 0.05


class Blocks:
    """Adds up areas by block, one lead after another.

    Parameters
    ----------
    grid
        The nowcast's grid.
    step
        Use every ``step``-th row, from row ``step // 2`` on; each stands for its neighbors.
    """

    def __init__(self, grid: LatLonGrid, step: int = 1) -> None:
        latitudes = grid.latitudes[step // 2 :: step]
        self._areas = np.asarray(node_areas_km2(grid))[step // 2 :: step] * step
        self._rows = np.floor(latitudes / BLOCK_DEG).astype(np.int64)
        self._columns = np.floor(grid.longitudes / BLOCK_DEG).astype(np.int64)
        self._first = int(self._rows[0]), int(self._columns[0])
        self._width = int(self._columns[-1]) - self._first[1] + 1
        self._count = (int(self._rows[-1]) - self._first[0] + 1) * self._width
        self._sums: list[NDArray[np.float64]] = []
        self.leads: list[int] = []
        self.bounds = (
            round(float(grid.latitudes[0]), 4),
            round(float(grid.longitudes[0]), 4),
            round(float(grid.latitudes[-1]), 4),
            round(float(grid.longitudes[-1]), 4),
        )

    def add(self, lead: int, strong: NDArray[np.bool_] | None) -> None:
        """Add a lead, minutes, with the mask of strong echo in the sampled rows; None if there is none."""
        sums = np.zeros(self._count)
        if strong is not None:
            rows, columns = np.nonzero(strong)
            block = (self._rows[rows] - self._first[0]) * self._width + self._columns[columns] - self._first[1]
            sums[:] = np.bincount(block, weights=self._areas[rows], minlength=self._count)
        self.leads.append(lead)
        self._sums.append(sums)

    def areas_km2(self) -> tuple[tuple[float, ...], ...]:
        """Return the center and the area at each lead of every block with strong echo; see `InputFacts`."""
        if not self._sums:
            return ()
        table = np.stack(self._sums)
        found = np.flatnonzero((table >= _LEAST_KM2).any(axis=0))
        rows, columns = found // self._width + self._first[0], found % self._width + self._first[1]
        side, sums = 1, table[:, found]
        while len(rows) > MOST_BLOCKS:
            # The store keeps these for every arrival: continent-wide storms do not need quarter degrees.
            side *= 2
            places, block = np.unique(np.stack((rows // 2, columns // 2)), axis=1, return_inverse=True)
            sums = np.stack([np.bincount(block.ravel(), weights=lead) for lead in sums])
            rows, columns = places
        return tuple(
            (float((row + 0.5) * side * BLOCK_DEG), float((column + 0.5) * side * BLOCK_DEG), *areas)
            for row, column, areas in zip(rows, columns, np.round(sums, 1).T.tolist(), strict=True)
        )
