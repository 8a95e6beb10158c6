"""Merge the hail of several radars: which radar is used at each node, and how old its data is.

Methods:

* ``maximum``: the radar with the largest size; then the strongest evidence of hail; then the nearest;
* ``nearest``: of the radars that cover the node, the nearest along the ground, whose beam is lowest and narrowest
  there. A radar that sees no hail counts as much as one that does.

A node covered by no radar is not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.grid import LatLonGrid

Method = Literal["maximum", "nearest"]
METHODS: tuple[Method, ...] = ("maximum", "nearest")
#: The radar index of nodes covered by no radar.
NO_RADAR = -1
MAX_RADARS = 120


@dataclass(frozen=True, eq=False)
class View:
    """The data of one radar, on its own grid.

    Parameters
    ----------
    grid
        The radar's grid.
    rank
        The values that `maximum` compares; the largest wins, then the first. At least 0, shape ``(nlat, nlon)``.
    observed
        The nodes it covers.
    distance_m
        Ground distance of the nodes from the radar, meters.
    """

    grid: LatLonGrid
    rank: NDArray[np.float32]
    observed: NDArray[np.bool_]
    distance_m: NDArray[np.float32]


def union_grid(grids: Sequence[LatLonGrid]) -> LatLonGrid:
    """Return the grid of the finest spacing that contains all grids; nodes are whole multiples of the spacing.

    Raises
    ------
    InputError
        If there are no grids, or together they are too wide.
    """
    if not grids:
        raise InputError("no grids to merge", expected="at least one")
    lat_step, lon_step = min(grid.dlat_deg for grid in grids), min(grid.dlon_deg for grid in grids)
    south = round(min(float(grid.latitudes[0]) for grid in grids) / lat_step)
    north = round(max(grid.north_deg for grid in grids) / lat_step)
    west = round(min(grid.west_deg for grid in grids) / lon_step)
    east = round(max(float(grid.longitudes[-1]) for grid in grids) / lon_step)
    rows, columns = north - south + 1, east - west + 1
    if rows * columns > 25_000_000:
        raise InputError(f"a composite of {rows} x {columns} nodes", expected="radars of one network")
    return LatLonGrid(round(north * lat_step, 9), round(west * lon_step, 9), lat_step, lon_step, rows, columns)


@dataclass(frozen=True, eq=False)
class ViewPlacement:
    """The location of a view on the composite: a rectangle, and the view's row and column for each of its nodes."""

    rows: slice
    columns: slice
    row_of: NDArray[np.intp]
    column_of: NDArray[np.intp]

    def take(self, field: NDArray[Any]) -> NDArray[Any]:
        """Return the view's field on the rectangle, nearest node."""
        if self.row_of.size == field.shape[0] and self.column_of.size == field.shape[1]:
            return field
        taken: NDArray[Any] = field[np.ix_(self.row_of, self.column_of)]
        return taken


def place(view: LatLonGrid, target: LatLonGrid) -> ViewPlacement:
    """Return the location of ``view`` on ``target``, by the nearest node."""
    rows, row_of = _along(view.latitudes, target.latitudes, view.dlat_deg)
    columns, column_of = _along(view.longitudes, target.longitudes, view.dlon_deg)
    return ViewPlacement(rows, columns, row_of, column_of)


def choose(views: Sequence[View], target: LatLonGrid, method: Method) -> NDArray[np.int8]:
    """Return the index of the view used at each node of ``target``.

    Parameters
    ----------
    views
        At most `MAX_RADARS`; of equal ones, the first is used.
    target
        The grid of the composite.
    method
        See the module.

    Returns
    -------
    numpy.ndarray
        Shape ``(nlat, nlon)``; `NO_RADAR` for uncovered nodes.

    Raises
    ------
    InputError
        If there are too many views.
    """
    if len(views) > MAX_RADARS:
        raise InputError(f"{len(views)} radars", expected=f"at most {MAX_RADARS}")
    chosen = np.full(target.shape, NO_RADAR, dtype=np.int8)
    rank = np.full(target.shape, -1.0, dtype=np.float32)
    distance = np.full(target.shape, np.inf, dtype=np.float32)
    for number, view in enumerate(views):
        spot = place(view.grid, target)
        part = (spot.rows, spot.columns)
        here, near = spot.take(view.rank), spot.take(view.distance_m)
        better = near < distance[part]
        if method == "maximum":
            better = (here > rank[part]) | ((here == rank[part]) & better)
        better &= spot.take(view.observed)
        chosen[part][better] = number
        rank[part][better] = here[better]
        distance[part][better] = near[better]
    return chosen


def _along(own: NDArray[np.float64], target: NDArray[np.float64], step: float) -> tuple[slice, NDArray[np.intp]]:
    position = (target - own[0]) / step
    nearest = np.rint(position).astype(np.intp)
    inside = np.flatnonzero((nearest >= 0) & (nearest < own.size))
    if inside.size == 0:
        return slice(0, 0), nearest[:0]
    return slice(int(inside[0]), int(inside[-1]) + 1), nearest[inside]
