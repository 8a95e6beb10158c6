"""Composite simulator: moving storms as composites of a weather service, for nowcasts without real data."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import UsageError
from dynamo.extras import need
from dynamo.files import write_bytes
from dynamo.formats.composites.reprojection import ProjectedGrid
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.zr import METEOSWISS, WSR88D_CONVECTIVE, ZRelation
from dynamo.simulate.formats import bom, meteoswiss, mrms
from dynamo.simulate.storms import RegimeName, Scene, make_scene

CompositeName = Literal["mrms", "meteoswiss", "bom"]
Floats = NDArray[np.float64]
Rates = NDArray[np.float32]
#: Stronger echo is hail, for which services cap the rain rate at this reflectivity.
_CAP_DBZ = 53.0
#: North Texas, at MRMS grid spacing.
_TEXAS = LatLonGrid(33.795, -97.995, 0.01, 0.01, 200, 200)


@dataclass(frozen=True)
class CompositeFormat:
    """One service: interval, grid, relation of rain rate and reflectivity, and files.

    ``grid`` is regular, or in a projection with row 0 northernmost.
    """

    description: str
    every_min: int
    grid: LatLonGrid | ProjectedGrid
    relation: ZRelation
    file_name: Callable[[datetime], str]
    encode: Callable[[Rates, datetime], bytes]


FORMATS: Mapping[CompositeName, CompositeFormat] = {
    "mrms": CompositeFormat(
        "NOAA MRMS PrecipRate (GRIB2), North Texas, every 2 min",
        2,
        _TEXAS,
        WSR88D_CONVECTIVE,
        lambda time: f"PrecipRate_00.00_{time:%Y%m%d-%H%M%S}.grib2",
        lambda rate, time: mrms.encode(rate, _TEXAS, time),
    ),
    "meteoswiss": CompositeFormat(
        "MeteoSwiss AQC (GIF), Switzerland, every 5 min",
        meteoswiss.MINUTES,
        meteoswiss.GRID,
        METEOSWISS,
        lambda time: f"AQC{time:%y%j%H%M}V_00005.801.gif",
        meteoswiss.encode,
    ),
    "bom": CompositeFormat(
        "BoM Rainfields (NetCDF), Melbourne, every 6 min",
        bom.MINUTES,
        bom.GRID,
        WSR88D_CONVECTIVE,
        lambda time: f"2_{time:%Y%m%d_%H%M%S}.prcp-cscn.nc",
        bom.encode,
    ),
}


@dataclass(frozen=True)
class CompositeSimulator:
    """A sequence of composites of one scene.

    Parameters
    ----------
    service
        One of `FORMATS`.
    regime
        ``clear``, ``cells`` or ``wide``.
    start
        Time of the first composite (aware, whole minutes).
    count
        Number of composites.
    seed
        Random seed; the same seed gives the same files.

    Raises
    ------
    UsageError
        If the service is unknown.
    """

    service: CompositeName
    regime: RegimeName
    start: datetime
    count: int = 1
    seed: int = 1
    _scenes: dict[str, Scene] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.service not in FORMATS:
            raise UsageError(f"unknown composite {self.service!r}", expected=", ".join(FORMATS))

    @property
    def written_as(self) -> CompositeFormat:
        """The service's format."""
        return FORMATS[self.service]

    def time(self, index: int) -> datetime:
        """Return the valid time of composite ``index``."""
        return self.start + timedelta(minutes=index * self.written_as.every_min)

    def rates(self, index: int) -> Rates:
        """Return rain rates, mm/h, on the service's grid; NaN outside coverage, an ellipse in the grid."""
        usual = self.written_as
        dbz = self._scene().field(index * usual.every_min)
        if isinstance(usual.grid, ProjectedGrid):
            rows, columns = _nodes(usual.grid)
            dbz = dbz[rows, columns]
        rate = usual.relation.rain_rate(np.minimum(dbz, np.float32(_CAP_DBZ)))
        rate[~_covered(rate.shape)] = np.nan
        return rate

    def write(self, folder: Path, index: int) -> Path:
        """Write composite ``index`` into ``folder`` (atomically) and return its path."""
        time = self.time(index)
        path = folder / self.written_as.file_name(time)
        write_bytes(path, self.written_as.encode(self.rates(index), time))
        return path

    def _scene(self) -> Scene:
        if "scene" not in self._scenes:
            grid = self.written_as.grid
            # Whole hours, so that a longer sequence starts like a shorter one.
            minutes = math.ceil(max(1, self.count * self.written_as.every_min) / 60) * 60
            regular = _around(grid) if isinstance(grid, ProjectedGrid) else grid
            self._scenes["scene"] = make_scene(regular, self.regime, minutes, self.seed)
        return self._scenes["scene"]


def cells_lonlat(grid: ProjectedGrid) -> tuple[Floats, Floats]:
    """Return longitude and latitude of the cell centers, degrees, shape ``(rows, columns)``."""
    pyproj: Any = need("pyproj")
    x, y = np.meshgrid(grid.x0 + grid.dx * np.arange(grid.columns), grid.y0 + grid.dy * np.arange(grid.rows))
    longitude, latitude = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)


@functools.lru_cache(maxsize=2)
def _around(grid: ProjectedGrid) -> LatLonGrid:
    """Return a regular grid with about the same spacing that covers a projected one."""
    longitude, latitude = cells_lonlat(grid)
    dlat = abs(grid.dy) / 111_200
    dlon = dlat / math.cos(math.radians(float(latitude.mean())))
    rows = math.ceil(float(np.ptp(latitude)) / dlat) + 1
    columns = math.ceil(float(np.ptp(longitude)) / dlon) + 1
    return LatLonGrid(float(latitude.min()) + (rows - 1) * dlat, float(longitude.min()), dlat, dlon, rows, columns)


@functools.lru_cache(maxsize=2)
def _nodes(grid: ProjectedGrid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the node of `_around` nearest to each cell."""
    regular = _around(grid)
    longitude, latitude = cells_lonlat(grid)
    row = np.rint((latitude - regular.latitudes[0]) / regular.dlat_deg).astype(np.intp)
    column = np.rint((longitude - regular.west_deg) / regular.dlon_deg).astype(np.intp)
    return row.clip(0, regular.nlat - 1), column.clip(0, regular.nlon - 1)


def _covered(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = (np.linspace(-1.0, 1.0, size) for size in shape)
    covered: NDArray[np.bool_] = (x**2 + y[:, np.newaxis] ** 2) <= 1.0
    return covered
