"""The regular latitude/longitude grid of nowcasts and composites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.limits import SPACING_DEG

#: Radius of the sphere with the Earth's surface area (authalic, WGS 84), km; areas on it are accurate to 0.5 %.
EARTH_RADIUS_KM = 6371.0072


@dataclass(frozen=True)
class LatLonGrid:
    """Nodes of a regular grid; row 0 is the SOUTH row, column 0 the west one.

    Parameters
    ----------
    north_deg, west_deg
        Latitude of the northern row of nodes, longitude of the western column, degrees.
    dlat_deg, dlon_deg
        Spacing of the nodes, degrees, within `dynamo.radar.limits.SPACING_DEG`.
    nlat, nlon
        Number of rows and columns, at least 2.

    Raises
    ------
    InputError
        If the grid is not on the Earth, too small to hold a contour, or its spacing is impossible.

    Examples
    --------
    >>> grid = LatLonGrid(north_deg=33.0, west_deg=-98.0, dlat_deg=0.5, dlon_deg=0.5, nlat=3, nlon=4)
    >>> grid.latitudes.tolist(), grid.longitudes.tolist()
    ([32.0, 32.5, 33.0], [-98.0, -97.5, -97.0, -96.5])
    """

    north_deg: float
    west_deg: float
    dlat_deg: float
    dlon_deg: float
    nlat: int
    nlon: int

    def __post_init__(self) -> None:
        if self.nlat < 2 or self.nlon < 2:
            raise InputError(f"a grid of {self.nlat} x {self.nlon} nodes", expected="at least 2 x 2")
        least, most = SPACING_DEG
        if not (least <= self.dlat_deg <= most and least <= self.dlon_deg <= most):
            raise InputError(
                f"grid spacing {self.dlat_deg:g} x {self.dlon_deg:g} degrees", expected=f"{least:g} to {most:g}"
            )
        south = self.north_deg - self.dlat_deg * (self.nlat - 1)
        if not (south >= -90.001 and self.north_deg <= 90.001 and -360 <= self.west_deg <= 360):
            raise InputError(
                f"latitudes {south:g} to {self.north_deg:g}, longitude {self.west_deg:g} are not on the Earth",
                expected="latitudes -90 to 90, longitudes -360 to 360",
            )
        if self.dlon_deg * (self.nlon - 1) > 360.001:
            raise InputError("the grid is wider than the Earth", expected="at most 360 degrees of longitude")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.nlat, self.nlon

    @cached_property
    def latitudes(self) -> NDArray[np.float64]:
        """Latitudes of the rows, south to north, degrees; shape ``(nlat,)``."""
        return self.north_deg - self.dlat_deg * np.arange(self.nlat - 1, -1, -1, dtype=np.float64)

    @cached_property
    def longitudes(self) -> NDArray[np.float64]:
        """Longitudes of the columns, west to east, degrees; shape ``(nlon,)``."""
        return self.west_deg + self.dlon_deg * np.arange(self.nlon, dtype=np.float64)
