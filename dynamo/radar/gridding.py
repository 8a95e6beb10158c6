"""Map a radar's polar grid to a regular latitude/longitude grid, using the beam geometry.

A node of the grid is at a geodesic distance and azimuth from the radar; the beam over a 4/3 Earth passes above it at a
slant range and height. Everything that depends only on the radar's position and the shape of a sweep is computed once
and cached: a radar repeats its sweeps every few minutes. Only the rays differ slightly each time, so they are looked up
by azimuth.

Two ways to fill a node:

* ``nearest``: the gate nearest to the node, along and across the beam;
* ``maximum``: the largest of the gates within half a node spacing along the beam and across it, and of the nearest
  gate. Hail cores of half a cell between nodes are not lost, and there are no holes where the beam is wider than a
  cell.

Nodes outside the rectangle around the gates with values are skipped.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.geometry import beam_height_m, slant_range_m
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.proximity import Plane

Method = Literal["nearest", "maximum"]
METHODS: tuple[Method, ...] = ("maximum", "nearest")

#: Height for nodes without a beam, and the largest reported height, meters.
NO_HEIGHT_M = -32768
_TOP_M = 32767.0
#: Length of a degree of latitude, meters; at the equator, so never too long.
_DEGREE_M = 110_574.0
_BINS_A_DEGREE = 10
_BINS = 360 * _BINS_A_DEGREE
#: A node further from the next ray than this many ray spacings is in a gap.
_GAP_SPACINGS = 1.5
#: Beams with elevations closer than this share their tables: 90 m of height at 200 km.
_ELEVATION_STEP_DEG = 0.05
_MOST_RAYS_ACROSS = 16
MAX_NODES = 25_000_000

_Ints = NDArray[np.integer[Any]]


def grid_around(latitude_deg: float, longitude_deg: float, range_m: float, spacing_deg: float) -> LatLonGrid:
    """Return the grid that contains the circle of ``range_m`` around a radar.

    Its nodes are whole multiples of the spacing, so that the grids of several radars share their nodes.

    Raises
    ------
    InputError
        If the circle reaches a pole, or the grid would be larger than `MAX_NODES`.
    """
    reach_deg = range_m / _DEGREE_M
    far_deg = abs(latitude_deg) + reach_deg
    if not (0 < spacing_deg <= 1 and range_m > 0 and far_deg < 89.0):
        raise InputError(
            f"a grid of {range_m:g} m around latitude {latitude_deg:g} every {spacing_deg:g} degrees",
            expected="a spacing of up to 1 degree, away from the poles",
        )
    wide_deg = reach_deg / math.cos(math.radians(far_deg))
    south, north = _multiples(latitude_deg, reach_deg, spacing_deg)
    west, east = _multiples(longitude_deg, wide_deg, spacing_deg)
    rows, columns = north - south + 1, east - west + 1
    if rows * columns > MAX_NODES:
        raise InputError(f"a grid of {rows} x {columns} nodes", expected=f"at most {MAX_NODES:,}; a wider spacing")
    corner = round(north * spacing_deg, 9), round(west * spacing_deg, 9)
    return LatLonGrid(*corner, spacing_deg, spacing_deg, rows, columns)


def _multiples(centre: float, reach: float, step: float) -> tuple[int, int]:
    return math.floor((centre - reach) / step), math.ceil((centre + reach) / step)


@dataclass(frozen=True)
class Beam:
    """The common geometry of the sweeps of one elevation; angles in degrees, lengths in meters."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    elevation_deg: float
    range_start_m: float
    range_step_m: float
    gates: int


@dataclass(frozen=True, eq=False)
class NodePlaces:
    """The location of a grid's nodes relative to a radar; shapes ``(nlat, nlon)``.

    ``bin`` is the azimuth in tenths of a degree, ``ground_m`` the distance along the ground, meters.
    """

    bin: NDArray[np.int16]
    ground_m: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BeamTable:
    """The gate of a beam nearest to each node (-1 if out of range), and the height of the beam there.

    Shapes ``(nlat, nlon)``; heights above sea level in meters, `NO_HEIGHT_M` out of range.
    """

    gate: NDArray[np.int32]
    height_m: NDArray[np.int16]


@functools.lru_cache(maxsize=32)
def places(latitude_deg: float, longitude_deg: float, grid: LatLonGrid) -> NodePlaces:
    """Return the geodesic distance and azimuth of every node; cached for the last 32 radars and grids."""
    plane = Plane(latitude_deg, longitude_deg)
    longitudes = (grid.longitudes - longitude_deg + 180.0) % 360.0 - 180.0 + longitude_deg
    lon, lat = np.meshgrid(longitudes, grid.latitudes)
    ends = plane.project(np.column_stack((lon.ravel(), lat.ravel())))
    start = plane.project(np.array([[longitude_deg, latitude_deg]]))
    distance_km, azimuth = plane.measure(np.broadcast_to(start, ends.shape), ends)
    bins = np.floor(azimuth * _BINS_A_DEGREE).astype(np.int16) % _BINS
    return NodePlaces(bins.reshape(grid.shape), (distance_km * 1000.0).astype(np.float32).reshape(grid.shape))


@functools.lru_cache(maxsize=64)
def _beam_table(beam: Beam, grid: LatLonGrid) -> BeamTable:
    ground = places(beam.latitude_deg, beam.longitude_deg, grid).ground_m
    slant = slant_range_m(ground, beam.elevation_deg)
    number = np.floor((slant - beam.range_start_m) / beam.range_step_m + 0.5)
    inside = (number >= 0) & (number < beam.gates)
    gate = np.where(inside, number, -1).astype(np.int32)
    height = beam_height_m(np.where(inside, slant, 0.0), beam.elevation_deg, beam.altitude_m)
    metres = np.where(inside, np.minimum(height, _TOP_M), NO_HEIGHT_M).astype(np.int16)
    return BeamTable(gate, metres)


def beam_table(beam: Beam, grid: LatLonGrid) -> BeamTable:
    """Return the table of a beam; cached for the last 64 beams and grids."""
    elevation = round(beam.elevation_deg / _ELEVATION_STEP_DEG) * _ELEVATION_STEP_DEG
    return _beam_table(Beam(**{**vars(beam), "elevation_deg": round(elevation, 4)}), grid)


class SweepGridder:
    """Maps fields of one sweep to a grid.

    Parameters
    ----------
    beam
        The geometry of the sweep.
    azimuth_deg
        Azimuths of the rays, degrees, ascending.
    grid
        The grid.
    """

    def __init__(self, beam: Beam, azimuth_deg: NDArray[np.float64], grid: LatLonGrid) -> None:
        if azimuth_deg.size < 1:
            raise InputError("a sweep without rays", expected="at least one")
        self.beam, self.grid = beam, grid
        self.azimuth_deg = np.asarray(azimuth_deg, dtype=np.float64)
        self.table = beam_table(beam, grid)
        self._places = places(beam.latitude_deg, beam.longitude_deg, grid)
        self._spacing_deg, self._ray_of_bin = _rays(self.azimuth_deg)

    def observed(self) -> NDArray[np.bool_]:
        """Return which nodes the sweep covers: in range, and not in a gap between rays; shape ``(nlat, nlon)``."""
        inside = self.table.gate >= 0
        if (self._ray_of_bin < 0).any():
            inside &= self._ray_of_bin[self._places.bin] >= 0
        return inside

    def window(self, index: _Ints) -> tuple[slice, slice] | None:
        """Return the rows and columns of nodes that gates ``index`` (flattened ``(rays, gates)``) can reach."""
        if index.size == 0:
            return None
        ray, gate = np.divmod(index, self.beam.gates)
        radians = np.deg2rad(self.azimuth_deg)
        far = (self.beam.range_start_m + self.beam.range_step_m * gate.astype(np.float32)).astype(np.float32)
        east = np.sin(radians).astype(np.float32)[ray] * far
        north = np.cos(radians).astype(np.float32)[ray] * far
        # A generous margin: the width of a ray, a spacing, and the error of the plane.
        reach = float(far.max())
        margin = 0.01 * reach + reach * math.radians(self._spacing_deg) + 2 * self.grid.dlat_deg * _DEGREE_M
        lat, lon, grid = self.beam.latitude_deg, self.beam.longitude_deg, self.grid
        south = lat + (float(north.min()) - margin) / _DEGREE_M
        top = lat + (float(north.max()) + margin) / _DEGREE_M
        slim = _DEGREE_M * math.cos(math.radians(min(max(abs(south), abs(top)), 89.0)))
        west, right = lon + (float(east.min()) - margin) / slim, lon + (float(east.max()) + margin) / slim
        # The same meridians in the grid's longitude convention.
        shift = grid.west_deg - lon - ((grid.west_deg - lon + 180.0) % 360.0 - 180.0)
        rows = _span(south, top, float(grid.latitudes[0]), grid.dlat_deg, grid.nlat)
        columns = _span(west + shift, right + shift, grid.west_deg, grid.dlon_deg, grid.nlon)
        return None if rows is None or columns is None else (rows, columns)

    def fill(
        self,
        index: _Ints,
        values: NDArray[Any],
        window: tuple[slice, slice],
        *,
        method: Method,
        join: np.ufunc = np.maximum,
    ) -> NDArray[Any]:
        """Return the field on the nodes of ``window``.

        Parameters
        ----------
        index
            Positions in the flattened ``(rays, gates)`` field, not empty.
        values
            One per element of ``index``, at least 0; all other gates are 0.
        window
            See `window`.
        method
            ``nearest`` or ``maximum``.
        join
            Combines several values: `numpy.maximum`, or `numpy.bitwise_or` for flags.

        Returns
        -------
        numpy.ndarray
            Same type as ``values``; 0 where there is no value.
        """
        gates = self.beam.gates
        ray, gate = np.divmod(index, gates)
        cell_m = self.grid.dlat_deg * _DEGREE_M
        half = int(cell_m / 2 / self.beam.range_step_m) if method == "maximum" else 0
        first = max(int(gate.min()) - half, 0)
        last = min(int(gate.max()) + half, gates - 1)
        width = last - first + 1
        # Gates outside the block point to an empty column at the end.
        block = np.zeros((self.azimuth_deg.size, width + 1), dtype=values.dtype)
        block[ray, gate - first] = values
        if half:
            _spread(block[:, :width], half, join)
        rays_here = self._ray_of_bin[self._places.bin[window]]
        gates_here = self.table.gate[window] - first
        inside = (rays_here >= 0) & (gates_here >= 0) & (gates_here < width)
        node = np.flatnonzero(inside)
        row, column = rays_here.ravel()[node], gates_here.ravel()[node]
        filled = np.zeros(inside.shape, dtype=values.dtype)
        result = block[row, column]
        if method == "maximum":
            across = self._places.ground_m[window].ravel()[node] * math.radians(self._spacing_deg)
            with np.errstate(divide="ignore"):
                reach = np.minimum(cell_m / 2 / across, _MOST_RAYS_ACROSS)
            for step in range(1, int(reach.max(initial=0)) + 1):
                near = np.flatnonzero(reach >= step)
                for other in ((row[near] + step) % len(block), (row[near] - step) % len(block)):
                    result[near] = join(result[near], block[other, column[near]])
        filled.ravel()[node] = result
        return filled


def _rays(azimuth_deg: NDArray[np.float64]) -> tuple[float, NDArray[np.int32]]:
    """Return the usual spacing of rays, degrees, and the nearest ray of each tenth of a degree (-1 in gaps)."""
    steps = np.diff(azimuth_deg, append=azimuth_deg[0] + 360.0)
    spacing = float(np.median(steps))
    centre = (np.arange(_BINS) + 0.5) / _BINS_A_DEGREE
    padded = np.concatenate((azimuth_deg[-1:] - 360.0, azimuth_deg, azimuth_deg[:1] + 360.0))
    right = np.clip(np.searchsorted(padded, centre), 1, padded.size - 1)
    nearest = np.where(centre - padded[right - 1] <= padded[right] - centre, right - 1, right)
    ray = ((nearest - 1) % azimuth_deg.size).astype(np.int32)
    limit = max(_GAP_SPACINGS * min(spacing, 5.0) / 2 + 1 / _BINS_A_DEGREE, 0.6)
    ray[np.abs(padded[nearest] - centre) > limit] = -1
    return min(spacing, 5.0), ray


def _spread(block: NDArray[Any], half: int, join: np.ufunc) -> None:
    """Replace each value by the join over ``half`` gates on both sides, in place; windows double in length."""
    count = block.shape[1]
    size = 2 * half + 1
    row = np.zeros((block.shape[0], count + 2 * half), dtype=block.dtype)
    row[:, half : half + count] = block
    cover = 1
    while 2 * cover <= size:
        row[:, :-cover] = join(row[:, :-cover], row[:, cover:])
        cover *= 2
    join(row[:, :count], row[:, size - cover : size - cover + count], out=block)


def _span(low: float, high: float, origin: float, step: float, count: int) -> slice | None:
    start = max(0, math.floor((low - origin) / step))
    stop = min(count, math.ceil((high - origin) / step) + 1)
    return slice(start, stop) if start < stop else None
