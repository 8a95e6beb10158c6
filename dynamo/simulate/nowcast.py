"""Nowcast simulator: writes a feed of CASA nowcast files with moving storms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import UsageError
from dynamo.formats.nowcast import NowcastHeader, nowcast_name, write_nowcast
from dynamo.radar.grid import LatLonGrid
from dynamo.simulate.storms import RegimeName, Scene, make_scene

#: South-west corner of the CASA Dallas/Fort Worth test bed, and its node spacing.
_WEST_DEG, _SOUTH_DEG, _SPACING_DEG = -98.0, 31.8, 0.01


@dataclass(frozen=True)
class NowcastSimulator:
    """A sequence of nowcasts of one scene; each is a perfect forecast.

    Parameters
    ----------
    regime
        ``clear``, ``cells`` or ``wide``.
    shape
        Rows and columns of the grids.
    start
        Issue time of the first nowcast (aware).
    count
        Number of nowcasts.
    every_min
        Minutes between them.
    leads
        Number of grids in each.
    seed
        Random seed; the same seed gives the same files.
    """

    regime: RegimeName
    shape: tuple[int, int]
    start: datetime
    count: int = 1
    every_min: float = 1.0
    leads: int = 31
    seed: int = 1
    _scenes: dict[str, Scene] = field(default_factory=dict, compare=False, repr=False)

    @property
    def grid(self) -> LatLonGrid:
        """The grid over Dallas/Fort Worth, 0.01 degree spacing, finer if it would otherwise leave the Earth."""
        nlat, nlon = self.shape
        spacing = min(_SPACING_DEG, 50.0 / nlat, 60.0 / nlon)
        return LatLonGrid(_SOUTH_DEG + spacing * (nlat - 1), _WEST_DEG, spacing, spacing, nlat, nlon)

    def header(self, index: int) -> NowcastHeader:
        """Return the header of nowcast ``index``."""
        return NowcastHeader(self.grid, self.start + timedelta(minutes=index * self.every_min), self.leads)

    def grids(self, index: int) -> Iterator[NDArray[np.float32]]:
        """Yield the grids of nowcast ``index`` in lead order, rounded to 0.1 dBZ."""
        if "scene" not in self._scenes:
            minutes = (self.count - 1) * self.every_min + self.leads
            # Whole hours, so that a longer feed starts like a shorter one.
            self._scenes["scene"] = make_scene(self.grid, self.regime, math.ceil(minutes / 60) * 60, self.seed)
        scene = self._scenes["scene"]
        for lead in range(self.leads):
            yield np.round(scene.field(index * self.every_min + lead), 1)

    def write(self, folder: Path, index: int) -> Path:
        """Write nowcast ``index`` into ``folder`` (atomically) and return its path."""
        header = self.header(index)
        path = folder / nowcast_name(header.issue_time)
        write_nowcast(path, header, self.grids(index))
        return path


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``NLATxNLON``.

    Raises
    ------
    UsageError
        If it is not two whole numbers of at least 2.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) >= 2 for part in parts):
        raise UsageError(f"not a size: {text!r}", where="--size", expected="NLATxNLON, e.g. 201x201")
    nlat, nlon = (int(part) for part in parts)
    return nlat, nlon
