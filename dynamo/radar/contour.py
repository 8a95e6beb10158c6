"""Contour a gridded field as polygons: the areas where the field is at or above a level.

Polygons come from contourpy's marching squares. Two measures make all of them valid without a repair step:

* no node is left within `_NODE_MARGIN` of a level, so each vertex lies inside one grid edge, and an edge carries at
  most one vertex of a level;
* a vertex stays one rounding step away from the ends of its edge. Rounding longitudes and latitudes separately is
  monotone, so it cannot move a vertex past a node, and the chords of a cell keep their order: they cannot cross.

Only around missing data can a ring meet itself (where two holes in the data touch at a node); those are repaired.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.area import strip_area_km2
from dynamo.radar.blocks import SMALL, Window, active_windows
from dynamo.radar.grid import LatLonGrid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Nodes closer to a level than this are moved to this distance, dBZ. Radar data is coarser by a factor of 1000.
_NODE_MARGIN = 1e-4
#: A coordinate this close to a whole number is on that grid line (contourpy is exact to about 1e-12).
_ON_LINE = 1e-9
#: contourpy accepts None for "no mask", but its type does not say so.
_NO_MASK = cast("NDArray[np.bool_]", None)


@dataclass(frozen=True)
class Contours:
    """The polygons of one level, in flat arrays.

    Attributes
    ----------
    level
        The level, in the unit of the field.
    points
        Longitude and latitude of all vertices, degrees, rounded; shape ``(n, 2)``. Rings are closed.
    rings
        Ring ``r`` is ``points[rings[r]:rings[r + 1]]``; exteriors run counterclockwise, holes clockwise.
    polygons
        Polygon ``p`` has the rings ``polygons[p]`` (its exterior) to ``polygons[p + 1] - 1``.
    area_km2
        Area of each polygon without its holes, on the WGS 84 ellipsoid.
    maximum
        Largest value of the field inside each polygon.
    """

    level: float
    points: Floats
    rings: Ints
    polygons: Ints
    area_km2: Floats
    maximum: Floats

    def __len__(self) -> int:
        return len(self.polygons) - 1

    def to_shapely(self) -> NDArray[np.object_]:
        """Return the polygons as shapely geometries."""
        return shapely.from_ragged_array(shapely.GeometryType.POLYGON, self.points, (self.rings, self.polygons))


def contours(
    field: NDArray[np.floating[Any]],
    grid: LatLonGrid,
    levels: Sequence[float],
    *,
    min_points: int = 12,
    min_area_km2: float = 0.0,
    decimals: int = 5,
) -> list[Contours]:
    """Return the areas of ``field >= level`` for each level.

    The isoline is that of marching squares: linear along the grid edges, straight inside a cell. Polygons are closed
    along the edge of the domain and around missing data (cells with a missing corner have no field).

    Parameters
    ----------
    field
        Values at the nodes of ``grid``, shape ``(nlat, nlon)``, row 0 the southern one; NaN and infinities are missing.
    grid
        The grid of the nodes.
    levels
        Levels in the unit of the field, in any order, which the result keeps.
    min_points
        Polygons whose exterior has fewer vertices are omitted (the original's setting is 12).
    min_area_km2
        Polygons smaller than this are omitted, km2.
    decimals
        Decimal places of the coordinates, degrees: 5 is 1.1 m.

    Returns
    -------
    list of Contours
        One entry for each level.

    Raises
    ------
    InputError
        If the shapes differ or the grid is finer than four rounding steps.

    Examples
    --------
    One cone of 60 dBZ in the middle of a grid of 0.01 degrees:

    >>> import numpy as np
    >>> from dynamo.radar.grid import LatLonGrid
    >>> grid = LatLonGrid(north_deg=33.0, west_deg=-97.0, dlat_deg=0.01, dlon_deg=0.01, nlat=61, nlon=61)
    >>> rows, columns = np.indices(grid.shape)
    >>> field = (60.0 - np.hypot(rows - 30, columns - 30)).astype(np.float32)
    >>> inner, outer = contours(field, grid, [50, 40])
    >>> [len(level.area_km2) for level in (inner, outer)]
    [1, 1]
    >>> outer.area_km2.round().tolist(), outer.maximum.tolist()
    ([1306.0], [60.0])
    """
    if field.shape != grid.shape:
        raise InputError(f"a field of shape {field.shape}", expected=f"the grid's {grid.shape}")
    step = 10.0**-decimals
    if min(grid.dlat_deg, grid.dlon_deg) < 4 * step:
        raise InputError(f"coordinates of {decimals} decimals are too coarse for this grid", expected="more decimals")
    shaping = _Shaping(grid, min_points, min_area_km2, decimals)
    pieces: dict[float, list[Contours]] = {level: [] for level in levels}
    ordered = sorted(pieces)
    for window in active_windows(field, ordered[0]) if ordered else ():
        part = window.extract(field)
        for traced_levels, inner in _inner_windows(part, ordered):
            tracer = _Tracer(inner.extract(part), traced_levels)
            for level in traced_levels:
                found = tracer.trace(level)
                if found is not None:
                    row, column = window.row + inner.row, window.column + inner.column
                    pieces[level].append(shaping.finish(found, level, row, column))
    return [_join(level, pieces[level]) for level in levels]


def _inner_windows(part: NDArray[np.floating[Any]], levels: list[float]) -> Iterator[tuple[list[float], Window]]:
    """Choose which levels to trace in which part of a window.

    A small window is traced whole, for all the levels it reaches, with one tracer; in a large one each level is
    located separately, because higher levels occupy a small part of it.
    """
    if part.size <= SMALL:
        top = np.nanmax(part)
        yield [level for level in levels if top >= level], Window(0, 0, *part.shape)
        return
    for level in levels:
        for window in active_windows(part, level):
            yield [level], window


@dataclass(frozen=True)
class _Traced:
    """Raw output of the tracer for one window, in nodes of the window (``x`` column, ``y`` row)."""

    values: Floats
    points: Floats
    rings: Ints
    polygons: Ints


class _Tracer:
    """contourpy on one window, with nodes moved off the levels."""

    def __init__(self, part: NDArray[np.floating[Any]], levels: list[float]) -> None:
        values = part.astype(np.float64)
        flat = values.reshape(-1)
        # Nothing can be interpolated toward infinity: the tracer would lose rings that come near.
        flat[np.isinf(flat)] = np.nan
        for level in levels:
            near = np.flatnonzero(np.abs(flat - level) < _NODE_MARGIN)
            if near.size:
                flat[near] = np.where(flat[near] >= level, level + _NODE_MARGIN, level - _NODE_MARGIN)
        self._values = values
        missing = np.isnan(values)
        x, y = _node_numbers(values.shape)
        # The class itself rather than contour_generator(): its checks cost as much as the tracing.
        self._generator = contourpy.SerialContourGenerator(
            x,
            y,
            values,
            missing if missing.any() else _NO_MASK,
            corner_mask=False,
            line_type=contourpy.LineType.ChunkCombinedOffset,
            fill_type=contourpy.FillType.ChunkCombinedOffsetOffset,
            quad_as_tri=False,
            z_interp=contourpy.ZInterp.Linear,
        )

    def trace(self, level: float) -> _Traced | None:
        """Return the polygons of one level, or None if there are none."""
        # One chunk; contourpy's type covers every fill type, this one has three lists of arrays or None.
        chunks = cast("tuple[list[Any], list[Any], list[Any]]", self._generator.filled(level, np.inf))
        points, rings, polygons = (chunk[0] for chunk in chunks)
        if points is None:
            return None
        return _Traced(self._values, points, rings.astype(np.int64), polygons.astype(np.int64))


@functools.lru_cache(maxsize=16)
def _node_numbers(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    y, x = np.meshgrid(*(np.arange(size, dtype=np.float64) for size in shape), indexing="ij")
    return x, y


@dataclass(frozen=True)
class _Shaping:
    """Turns traced rings into rounded polygons on one grid."""

    grid: LatLonGrid
    min_points: int
    min_area_km2: float
    decimals: int

    def finish(self, traced: _Traced, level: float, row: int, column: int) -> Contours:
        """Filter, measure and place the polygons of one window whose corner is node (``row``, ``column``)."""
        rings, polygons = traced.rings, traced.polygons
        exterior_points = rings[polygons[:-1] + 1] - rings[polygons[:-1]] - 1
        keep = exterior_points >= self.min_points
        points = traced.points
        maximum = _maxima(traced, level)
        if not keep.all():
            points, rings, polygons = _select(points, rings, polygons, keep)
            maximum = maximum[keep]
        if len(polygons) < 2:
            return _empty(level)
        on_row, on_column = _on_lines(points)
        placed = self._place(points, on_row, on_column, row, column)
        result = Contours(level, placed, rings, polygons, areas_km2(placed, rings, polygons), maximum)
        if np.isnan(traced.values).any():
            result = self._beside_missing(result, traced.values, row, column)
        return self._filter(result)

    def _filter(self, found: Contours) -> Contours:
        """Drop polygons that are too small; those split by a repair count by their parts."""
        exterior_points = np.diff(found.rings)[found.polygons[:-1]] - 1
        keep = (exterior_points >= self.min_points) & (found.area_km2 >= self.min_area_km2)
        if keep.all():
            return found
        if not keep.any():
            return _empty(found.level)
        selected = _select(found.points, found.rings, found.polygons, keep)
        return Contours(found.level, *selected, found.area_km2[keep], found.maximum[keep])

    def _beside_missing(self, found: Contours, values: Floats, row: int, column: int) -> Contours:
        """Repair rings that meet themselves at missing data, and find the maxima from the nodes inside."""
        found = self._repair(found)
        i, j = np.nonzero(values >= found.level)
        nodes: NDArray[np.object_] = np.asarray(
            shapely.points(
                np.round(self.grid.longitudes[j + column], self.decimals),
                np.round(self.grid.latitudes[i + row], self.decimals),
            )
        )
        # A run of nodes may cross cells without data, so `_maxima` cannot assign it to a polygon.
        polygon, node = shapely.STRtree(nodes).query(
            found.to_shapely(), predicate="dwithin", distance=1.5 * 10.0**-self.decimals
        )
        maximum = np.full(len(found), found.level)
        np.maximum.at(maximum, polygon, values[i[node], j[node]])
        return Contours(found.level, found.points, found.rings, found.polygons, found.area_km2, maximum)

    def _place(
        self, points: Floats, on_row: NDArray[np.bool_], on_column: NDArray[np.bool_], row: int, column: int
    ) -> Floats:
        grid, step = self.grid, 10.0**-self.decimals
        placed = np.empty_like(points)
        for axis, spacing, origin, offset, on_line in (
            (0, grid.dlon_deg, grid.longitudes[0], column, on_column),
            (1, grid.dlat_deg, grid.latitudes[0], row, on_row),
        ):
            position = points[:, axis]
            lower = np.floor(position)
            margin = 1.001 * step / spacing
            inside = np.clip(position - lower, margin, 1 - margin)
            exact = np.where(on_line, np.rint(position), lower + inside)
            placed[:, axis] = np.round(origin + spacing * (exact + offset), self.decimals)
        return placed

    def _repair(self, found: Contours) -> Contours:
        shapes = found.to_shapely()
        bad = ~shapely.is_valid(shapes)
        if not bad.any():
            return found
        fixed: list[shapely.Polygon] = []
        maxima: list[float] = []
        for index, shape in enumerate(shapes):
            parts = [shape]
            if bad[index]:
                parts = [
                    part
                    for part in shapely.get_parts(shapely.make_valid(shape))
                    if part.geom_type == "Polygon" and part.area > 0
                ]
            fixed.extend(shapely.orient_polygons(parts))
            maxima.extend([float(found.maximum[index])] * len(parts))
        _, points, offsets = shapely.to_ragged_array(fixed)
        rings, polygons = (np.asarray(offset, dtype=np.int64) for offset in offsets)
        return Contours(found.level, points, rings, polygons, areas_km2(points, rings, polygons), np.array(maxima))


def areas_km2(points: Floats, rings: Ints, polygons: Ints) -> Floats:
    """Return the area of each polygon without its holes, on the ellipsoid; arguments as in `Contours`."""
    height = strip_area_km2(points[:, 1])
    width = np.diff(points[:, 0])
    # Closed rings: the sum over a ring's edges, counterclockwise positive, without the step between rings.
    pieces = -width * (height[1:] + height[:-1]) * 0.5
    pieces[rings[1:-1] - 1] = 0.0
    by_ring = np.add.reduceat(pieces, rings[:-1])
    return np.add.reduceat(by_ring, polygons[:-1])


def _on_lines(points: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which vertices are on a grid row and which on a grid column (nodes are on both)."""
    distance = np.abs(points - np.rint(points))
    on_column = distance[:, 0] < _ON_LINE
    on_row = distance[:, 1] < _ON_LINE
    return on_row, on_column


def _maxima(traced: _Traced, level: float) -> Floats:
    """Return the largest node value inside each polygon.

    The nodes at or above the level form runs along the rows. The western end of a run is either a vertex on the
    edge that leads to it or, at missing data and the domain edge, a vertex at the node itself; so the run belongs
    to the polygon of that vertex.
    """
    values = traced.values
    columns = values.shape[1]
    counts = np.diff(traced.rings[traced.polygons])
    owner_of_point = np.repeat(np.arange(counts.size), counts)
    x, y = traced.points[:, 0], traced.points[:, 1]
    on_row = np.flatnonzero(np.abs(y - np.rint(y)) < _ON_LINE)
    keys = np.rint(y[on_row]).astype(np.int64) * columns + np.ceil(x[on_row] - _ON_LINE).astype(np.int64)
    owner = np.full(values.size, -1, dtype=np.int64)
    owner[keys] = owner_of_point[on_row]

    # A column of "outside" before each row ends runs at the row's end.
    inside = np.zeros((values.shape[0] + 1, columns + 1), dtype=np.bool_)
    np.greater_equal(values, level, out=inside[:-1, 1:])
    flat = inside.ravel()
    bounds = np.flatnonzero(flat[1:] != flat[:-1])
    bounds -= bounds // (columns + 1)
    starts = bounds[0::2]
    run_maxima = np.maximum.reduceat(np.append(values.ravel(), -np.inf), bounds)[::2]
    run_owner = owner[starts]
    known = run_owner >= 0
    maxima = np.full(counts.size, -np.inf)
    np.maximum.at(maxima, run_owner[known], run_maxima[known])
    maxima[np.isneginf(maxima)] = level
    return maxima


def _select(points: Floats, rings: Ints, polygons: Ints, keep: NDArray[np.bool_]) -> tuple[Floats, Ints, Ints]:
    """Keep some polygons of the flat arrays."""
    ring_counts = np.diff(polygons)
    keep_ring = np.repeat(keep, ring_counts)
    point_counts = np.diff(rings)
    keep_point = np.repeat(keep_ring, point_counts)
    return (
        points[keep_point],
        np.concatenate(([0], np.cumsum(point_counts[keep_ring]))),
        np.concatenate(([0], np.cumsum(ring_counts[keep]))),
    )


def _empty(level: float) -> Contours:
    zero = np.zeros(1, dtype=np.int64)
    return Contours(level, np.empty((0, 2)), zero, zero, np.empty(0), np.empty(0))


def _join(level: float, pieces: list[Contours]) -> Contours:
    """Join the windows' polygons of one level."""
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return _empty(level)
    if len(pieces) == 1:
        return pieces[0]
    point_shift = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    ring_shift = np.cumsum([0, *(len(piece.rings) - 1 for piece in pieces)])
    zero = np.zeros(1, dtype=np.int64)
    return Contours(
        level,
        np.concatenate([piece.points for piece in pieces]),
        np.concatenate([zero, *(p.rings[1:] + shift for p, shift in zip(pieces, point_shift, strict=False))]),
        np.concatenate([zero, *(p.polygons[1:] + shift for p, shift in zip(pieces, ring_shift, strict=False))]),
        np.concatenate([piece.area_km2 for piece in pieces]),
        np.concatenate([piece.maximum for piece in pieces]),
    )
