"""One simulated sweep as a radar's signal processor hands it over, whatever format it is then written in."""

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
        Of the antenna, the same for all rays.
    azimuth_deg
        Centre of each ray, degrees clockwise from north, in the order of measurement.
    seconds
        When each ray was measured, seconds since 1970.
    start_m, gate_m
        Where the first gate begins, and how long a gate is.
    nyquist_m_s
        Velocities are folded into plus and minus this.
    moments
        By CF/Radial name, float32, shape ``(rays, gates)``, NaN where there is no signal; ``DBZH`` is always there.
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
        """Number of gates of a ray."""
        return int(self.moments["DBZH"].shape[1])

    @property
    def step_deg(self) -> float:
        """Degrees from ray to ray."""
        return 360.0 / self.rays

    @property
    def range_m(self) -> NDArray[np.float64]:
        """Metres to the centre of each gate."""
        return self.start_m + (np.arange(self.gates, dtype=np.float64) + 0.5) * self.gate_m

    @property
    def start(self) -> datetime:
        """When the first ray was measured."""
        return from_epoch(float(self.seconds[0]))

    @property
    def end(self) -> datetime:
        """When the sweep was over."""
        step = float(self.seconds[-1] - self.seconds[0]) / max(self.rays - 1, 1)
        return from_epoch(float(self.seconds[-1]) + step)


def codes(
    values: NDArray[Any], scale: float, offset: float, least: int, most: int, *, missing: int = 0
) -> NDArray[np.uint16]:
    """Return the whole numbers by which a file stores values: ``scale * value + offset``, rounded.

    Parameters
    ----------
    values
        NaN where missing.
    scale, offset
        Of the code.
    least, most
        Codes that stand for values; others are drawn to the nearer one.
    missing
        The code for NaN.
    """
    known = np.isfinite(values)
    scaled = np.rint(np.where(known, values, 0.0).astype(np.float64) * scale + offset)
    return np.where(known, np.clip(scaled, least, most), missing).astype(np.uint16)
