"""A radar network and the nowcasts of its region, both of the same storms: what a live system gets, in order."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.formats.nowcast import nowcast_name, write_nowcast
from dynamo.radar.grid import LatLonGrid
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.radar import RadarSimulator, Sweep, to_plane
from dynamo.simulate.radar_storms import EDGE_DB, WIND_KM_MIN, RadarScene
from dynamo.simulate.storms import NO_ECHO_DBZ, REGIMES, Scene, add_cell, noise

#: An `add_cell` of radius r is as wide as a core of this many r, since both say where it is weaker by how much.
_WIDTH = math.sqrt(EDGE_DB / (10 * math.log10(math.e)))
_NOISE_NODES, _NOISE_KM, _NOISE_DB = 512, 256.0, 4.0


@dataclass(frozen=True)
class Delivery:
    """A file that arrives: when, in which feed, and how it is written."""

    due: datetime
    feed: Literal["nowcasts", "radars"]
    write: Callable[[Path], Path]


@dataclass(frozen=True)
class NetworkSimulator:
    """Radars and nowcasts of one scene.

    Parameters
    ----------
    radars
        The radars; nowcasts begin with them and last as long.
    shape
        Rows and columns of the nowcasts' grids.
    leads
        Grids of a nowcast, one minute apart.
    """

    radars: RadarSimulator
    shape: tuple[int, int] = (201, 201)
    leads: int = 31

    def deliveries(self) -> Iterator[Delivery]:
        """Yield what arrives: in each minute a nowcast, then the sweeps that begin in it."""
        sweeps = self.radars.sweeps()
        lasts = timedelta(seconds=self.radars.sweep_s)
        for minute in range(self.radars.minutes):
            due = self.radars.start + timedelta(minutes=minute)
            yield Delivery(due, "nowcasts", functools.partial(self.write_nowcast, minute))
            for sweep in itertools.islice(sweeps, self.radars.radars * self.radars.sweeps_per_minute):
                yield Delivery(sweep.time + lasts, "radars", functools.partial(self._write_sweep, sweep))

    def write_nowcast(self, minute: int, folder: Path) -> Path:
        """Write the nowcast issued in a minute into ``folder`` (atomically) and return its path."""
        nowcasts = NowcastSimulator(self.radars.regime, self.shape, self.radars.start, leads=self.leads)
        header, scene = nowcasts.header(minute), self.radars.scene()
        path = folder / nowcast_name(header.issue_time)
        texture = noise(np.random.default_rng(self.radars.seed), _NOISE_NODES)
        air = Scene(header.grid, REGIMES["cells"], WIND_KM_MIN, np.empty((0, 10)), texture, _NOISE_KM)
        fields = (_composite(scene, air, header.grid, minute + lead) for lead in range(self.leads))
        write_nowcast(path, header, fields)
        return path

    def _write_sweep(self, sweep: Sweep, folder: Path) -> Path:
        return self.radars.write(folder, sweep)


def _composite(scene: RadarScene, air: Scene, grid: LatLonGrid, minute: float) -> NDArray[np.float32]:
    """Return the reflectivity of the cores, dBZ, roughened by what moves with them; row 0 southernmost."""
    west, south = to_plane(float(grid.latitudes[0]), float(grid.longitudes[0]))
    east, north = to_plane(float(grid.latitudes[-1]), float(grid.longitudes[-1]))
    x, y = np.linspace(west, east, grid.nlon), np.linspace(south, north, grid.nlat)
    linear = np.zeros(grid.shape, dtype=np.float32)
    for core in scene.cores:
        fading = core.fading_db(minute)
        if fading > 30:
            continue
        for dbz, radius in ((core.rain_dbz, core.rain_radius_km), (core.hail_dbz, core.hail_radius_km)):
            if radius > 0:
                add_cell(linear, x, y, core.place(minute), dbz - fading, (radius / _WIDTH,) * 2, 0.0)
    with np.errstate(divide="ignore"):
        dbz_field = 10 * np.log10(linear) + _NOISE_DB * air.roughness(minute)
    return np.where(dbz_field > 0, np.round(np.minimum(dbz_field, 75), 1), NO_ECHO_DBZ).astype(np.float32)
