"""A composite once read: one precipitation field on a regular latitude/longitude grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.zr import ZRelation

#: South, west, north, east in degrees.
BBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Composite:
    """A field of rain rate at one time.

    Parameters
    ----------
    rain_rate
        mm/h, float32, shape ``grid.shape``, row 0 the southern one; 0 where it does not rain, NaN where
        unknown (outside coverage, missing).
    valid_time
        Aware UTC; for accumulations the end of the interval.
    grid
        The grid of nodes.
    relation
        The Z-R relation by which the producer derived rain from reflectivity, or its usual one.
    source
        The name of the reader.
    implausible
        Number of values left out (NaN) because it never rains so much (`dynamo.radar.limits`).
    """

    rain_rate: NDArray[np.float32]
    valid_time: datetime
    grid: LatLonGrid
    relation: ZRelation
    source: str
    implausible: int = 0

    def __post_init__(self) -> None:
        if self.rain_rate.shape != self.grid.shape:
            raise InputError(
                f"the field has shape {self.rain_rate.shape}", expected=f"that of its grid, {self.grid.shape}"
            )

    def cropped(self, bbox: BBox) -> Composite:
        """Return the part with nodes in ``bbox``, as a copy (so that the whole can be freed).

        Raises
        ------
        InputError
            If the box is invalid or holds fewer than 2 x 2 nodes.
        """
        grid, rows, columns = crop(self.grid, bbox)
        return replace(self, rain_rate=self.rain_rate[rows, columns].copy(), grid=grid)


@dataclass(frozen=True)
class Reader:
    """One format of composites.

    ``matches`` checks the first bytes of the file; ``valid_time`` reads as little as possible; ``read`` reads
    everything. Both raise `InputError` if the file is not valid in that format.
    """

    name: str
    description: str
    matches: Callable[[bytes], bool]
    valid_time: Callable[[Path], datetime]
    read: Callable[[Path], Composite]


def crop(grid: LatLonGrid, bbox: BBox) -> tuple[LatLonGrid, slice, slice]:
    """Return the sub-grid of the nodes in ``bbox`` (its edges included) and its rows and columns.

    Raises
    ------
    InputError
        If the box is invalid or holds fewer than 2 x 2 nodes.
    """
    check_bbox(bbox)
    south, west, north, east = bbox
    rows = _inside(grid.latitudes, south, north)
    columns = _inside(grid.longitudes, west, east)
    if rows.stop - rows.start < 2 or columns.stop - columns.start < 2:
        low, high = grid.latitudes[[0, -1]]
        left, right = grid.longitudes[[0, -1]]
        raise InputError(
            f"the box {south:g},{west:g},{north:g},{east:g} holds fewer than 2 x 2 nodes of the composite",
            expected=f"a box that meets {low:.3f},{left:.3f},{high:.3f},{right:.3f} (south,west,north,east)",
        )
    part = LatLonGrid(
        north_deg=float(grid.latitudes[rows.stop - 1]),
        west_deg=float(grid.longitudes[columns.start]),
        dlat_deg=grid.dlat_deg,
        dlon_deg=grid.dlon_deg,
        nlat=rows.stop - rows.start,
        nlon=columns.stop - columns.start,
    )
    return part, rows, columns


def check_bbox(bbox: BBox) -> None:
    """Raise `InputError` unless ``bbox`` is south < north and west < east on the Earth."""
    south, west, north, east = bbox
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise InputError(
            f"invalid box: {south:g},{west:g},{north:g},{east:g}",
            expected="south,west,north,east in degrees, south < north and west < east",
        )


def _inside(nodes: NDArray[np.float64], low: float, high: float) -> slice:
    # A node on the edge, up to rounding, is inside.
    slack = 1e-4 * float(nodes[1] - nodes[0])
    start = int(np.searchsorted(nodes, low - slack))
    return slice(start, max(start, int(np.searchsorted(nodes, high + slack))))
