"""A sweep as checks look at it: every ray, but only some gates, so that a check costs little beside the decoding.

Damage that matters covers rays, rings, or a share of all gates, which a sample shows as well as the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Gates of a sample; with fewer, the sample is the whole.
SAMPLE = 45_000


@dataclass(frozen=True)
class Measure:
    """What a check measured: a number, and where it is worst; without a number it could not be evaluated."""

    value: float | None
    place: str = ""


#: Too few data to say anything.
UNKNOWN = Measure(None)


@dataclass(frozen=True, eq=False)
class SweepView:
    """One sweep.

    Parameters
    ----------
    azimuth_deg
        Centers of the rays, degrees, ascending, shape ``(rays,)``.
    elevation_deg, time_s
        Of each ray; seconds from any origin.
    range_m
        Centers of the gates, meters, shape ``(gates,)``.
    moments
        By CF/Radial name, shape ``(rays, gates)``, NaN where missing; ``DBZH`` always.
    band
        S, C or X.
    nyquist_m_s
        NaN if unknown.
    latitude_deg, longitude_deg
        Of the radar.
    label
        What places call it, such as ``sweep 3 (1.5 deg)``.
    """

    azimuth_deg: NDArray[np.float64]
    elevation_deg: NDArray[np.float64]
    time_s: NDArray[np.float64]
    range_m: NDArray[np.float64]
    moments: Mapping[str, NDArray[np.float32]]
    band: str = "S"
    nyquist_m_s: float = float("nan")
    latitude_deg: float = float("nan")
    longitude_deg: float = float("nan")
    label: str = ""
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def stride(self) -> int:
        """Every which gate is in the sample."""
        return max(1, self.azimuth_deg.size * self.range_m.size // SAMPLE)

    @cached_property
    def sample_range_m(self) -> NDArray[np.float64]:
        """Range of the gates of the sample."""
        return self.range_m[:: self.stride]

    def sample(self, name: str) -> Floats:
        """Return the sample of a moment."""
        return self._sampled(name, 0)

    def behind(self, name: str, gates: int = 1) -> Floats:
        """Return what is some gates behind those of the sample, NaN beyond the last."""
        return self._sampled(name, gates)

    @cached_property
    def dbz(self) -> Floats:
        """The sample of reflectivity."""
        return self.sample("DBZH")

    @cached_property
    def valid(self) -> Mask:
        """Where the sample has reflectivity."""
        return ~np.isnan(self.dbz)

    @cached_property
    def per_ray(self) -> NDArray[np.int64]:
        """Number of sampled gates with reflectivity in each ray."""
        counts: NDArray[np.int64] = np.count_nonzero(self.valid, axis=1)
        return counts

    @cached_property
    def near(self) -> Floats:
        """Reflectivity near the radar, every gate: in clear air there is echo only there; NaN as -999."""
        part = self.moments["DBZH"][:, : max(32, self.range_m.size // 12)]
        return np.where(np.isnan(part), np.float32(-999.0), part)

    @cached_property
    def densest(self) -> str:
        """The moment with the most values: some radars measure it without echo, too."""
        return max(
            self.moments, key=lambda name: (np.count_nonzero(~np.isnan(self.moments[name][::16, ::16])), name == "DBZH")
        )

    @cached_property
    def spacing_deg(self) -> float:
        """The usual distance between rays."""
        return float(np.median(np.diff(self.azimuth_deg))) if self.azimuth_deg.size > 1 else 360.0

    def at(self, text: str) -> str:
        """Return a place in this sweep."""
        return f"{self.label}: {text}" if self.label and text else text or self.label

    def rays_at(self, rays: NDArray[np.integer[Any]]) -> str:
        """Return the place of some rays."""
        if not rays.size:
            return self.label
        first, last = self.azimuth_deg[int(rays[0])], self.azimuth_deg[int(rays[-1])]
        return self.at(f"azimuth {first:.0f}" + (f" to {last:.0f}" if rays.size > 1 else "") + " deg")

    def _sampled(self, name: str, offset: int) -> Floats:
        key = f"{name}+{offset}"
        if key not in self._cache:
            part = self.moments[name][:, offset :: self.stride][:, : self.sample_range_m.size]
            missing = self.sample_range_m.size - part.shape[1]
            full = np.pad(part, ((0, 0), (0, missing)), constant_values=np.nan) if missing > 0 else part
            self._cache[key] = np.ascontiguousarray(full)
        found: Floats = self._cache[key]
        return found


def worst(measures: list[Measure], *, high: bool = True) -> Measure:
    """Return the measure with the largest value, or the smallest; unknown ones count only if all are."""
    known = [measure for measure in measures if measure.value is not None]
    if not known:
        return UNKNOWN
    sign = 1.0 if high else -1.0
    return max(known, key=lambda measure: sign * (measure.value or 0.0))
