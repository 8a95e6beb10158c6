"""One simulated sweep as output by a radar's signal processor, independent of file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.times import from_epoch


@dataclass(frozen=True, eq=False)
class Scan:
    """A sweep in azimuth.

    Attributes
    ----------
    elevation_deg
        Antenna elevation, the same for all rays.
    azimuth_deg
        Center of each ray, degrees clockwise from north, in the order of measurement.
    seconds
        Time of each ray, seconds since 1970.
    start_m, gate_m
        Start of the first gate, and gate length.
    nyquist_m_s
        Nyquist velocity: velocities are folded to plus and minus this.
    moments
        By CF/Radial name, float32, shape ``(rays, gates)``, NaN without signal; ``DBZH`` is always present.
    """

    elevation_deg: float
    azimuth_deg: NDArray[np.float64]
    seconds: NDArray[np.float64]
    start_m: float
    gate_m: float
    nyquist_m_s: float
    moments: Mapping[str, NDArray[np.float32]]

    @property
    def rays(self) -> int:
        """Number of rays."""
        return int(self.azimuth_deg.size)

    @property
    def gates(self) -> int:
        """Number of gates per ray."""
        return int(self.moments["DBZH"].shape[1])

    @property
    def step_deg(self) -> float:
        """Azimuth step between rays, degrees."""
        return 360.0 / self.rays

    @property
    def range_m(self) -> NDArray[np.float64]:
        """Range to the center of each gate, meters."""
        return self.start_m + (np.arange(self.gates, dtype=np.float64) + 0.5) * self.gate_m

    @property
    def start(self) -> datetime:
        """Time of the first ray."""
        return from_epoch(float(self.seconds[0]))

    @property
    def end(self) -> datetime:
        """End time of the sweep."""
        step = float(self.seconds[-1] - self.seconds[0]) / max(self.rays - 1, 1)
        return from_epoch(float(self.seconds[-1]) + step)


def codes(
    values: NDArray[Any], scale: float, offset: float, least: int, most: int, *, missing: int = 0
) -> NDArray[np.uint16]:
    """Return values encoded as integers: ``scale * value + offset``, rounded.

    Parameters
    ----------
    values
        NaN where missing.
    scale, offset
        Scale and offset of the code.
    least, most
        Range of valid codes; values outside are clipped.
    missing
        The code for NaN.
    """
    known = np.isfinite(values)
    scaled = np.rint(np.where(known, values, 0.0).astype(np.float64) * scale + offset)
    return np.where(known, np.clip(scaled, least, most), missing).astype(np.uint16)
