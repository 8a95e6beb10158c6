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
#: Of the sampled gates with echo, as many are enough for a statement on their values.
MOST_ECHO = 15_000
#: Gates near the radar looked at besides.
NEAR_GATES = 64
#: As many gates of a ray tell whether a moment is there that has values without echo, too.
GATES_OF_DENSE = 24
#: Every which ray tells which moments those are; odd, as damage may be to every second ray.
RAYS_OF_DENSE = 9


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
        key = f"sample of {name}"
        if key not in self._cache:
            self._cache[key] = np.ascontiguousarray(self.moments[name][:, :: self.stride])
        found: Floats = self._cache[key]
        return found

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
        return count_true(self.valid)

    @cached_property
    def per_gate(self) -> NDArray[np.int64]:
        """Number of rays with reflectivity at each sampled gate."""
        return count_true(self.valid.T)

    @cached_property
    def near(self) -> Floats:
        """Reflectivity near the radar, more gates than the sample has: in clear air there is echo only there."""
        gates = max(32, self.range_m.size // 12)
        return self.moments["DBZH"][:, : gates : max(1, gates // NEAR_GATES)]

    @cached_property
    def per_ray_near(self) -> NDArray[np.int64]:
        """Number of the gates of `near` with reflectivity in each ray."""
        return count_true(~np.isnan(self.near))

    @cached_property
    def all_spots(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Ray, sampled gate, and value wherever the sample has reflectivity.

        Most gates of most sweeps are empty; what is asked of echo need not look at them.
        """
        places = np.flatnonzero(self.valid)
        ray, gate = np.divmod(places, self.valid.shape[1])
        return ray, gate, np.take(self.dbz, places)

    @cached_property
    def spots(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Ray and gate of `all_spots`, or of `MOST_ECHO` of them."""
        ray, gate, _ = self.all_spots
        step = 1 + max(0, ray.size - 1) // MOST_ECHO
        return ray[::step], gate[::step]

    def echo(self, name: str, gates: int = 0) -> Floats:
        """Return a moment at the `spots`, or some gates behind them, NaN beyond the last."""
        key = f"{name} at spots+{gates}"
        if key not in self._cache:
            ray, gate = self.spots
            self._cache[key] = self.take(name, ray, gate, gates)
        found: Floats = self._cache[key]
        return found

    def take(self, name: str, ray: NDArray[np.intp], gate: NDArray[np.intp], gates: int = 0) -> Floats:
        """Return a moment at some rays and sampled gates, or some gates behind those, NaN beyond the last."""
        size = self.range_m.size
        place = gate * self.stride + gates
        found: Floats = np.take(self.moments[name], ray * size + np.minimum(place, size - 1))
        if gates:
            found[place >= size] = np.nan
        return found

    @cached_property
    def dense(self) -> Mapping[str, Mask]:
        """Where moments besides reflectivity have values, of some gates of every ray.

        Those that most gates have, as some radars measure them without echo, too; but not all gates: of those, none
        was lost.
        """
        step = max(1, self.range_m.size // GATES_OF_DENSE)
        some = {name: values[:, ::step] for name, values in self.moments.items() if name != "DBZH"}
        # Gates so far apart are slow to read: a few rays tell which moments need all of them.
        most = {name: part for name, part in some.items() if np.isnan(part[::RAYS_OF_DENSE]).mean() < 2 / 3}
        known = {name: ~np.isnan(part) for name, part in most.items()}
        return {name: mask for name, mask in known.items() if not mask.all()}

    @cached_property
    def steps_deg(self) -> NDArray[np.float64]:
        """Degrees from each ray to the next, of the last one to the first."""
        return np.diff(self.azimuth_deg, append=self.azimuth_deg[:1] + 360.0)

    @cached_property
    def steps_s(self) -> NDArray[np.float64]:
        """Seconds from each ray to the next along the azimuth, of the last one to the first."""
        return np.diff(self.time_s, append=self.time_s[:1])

    @cached_property
    def spacing_deg(self) -> float:
        """The usual distance between rays."""
        return middle(self.steps_deg) if self.azimuth_deg.size > 1 else 360.0

    def at(self, text: str) -> str:
        """Return a place in this sweep."""
        return f"{self.label}: {text}" if self.label and text else text or self.label

    def rays_at(self, rays: NDArray[np.integer[Any]]) -> str:
        """Return the place of some rays."""
        if not rays.size:
            return self.label
        first, last = self.azimuth_deg[int(rays[0])], self.azimuth_deg[int(rays[-1])]
        return self.at(f"azimuth {first:.0f}" + (f" to {last:.0f}" if rays.size > 1 else "") + " deg")


def worst(measures: list[Measure], *, high: bool = True) -> Measure:
    """Return the measure with the largest value, or the smallest; unknown ones count only if all are."""
    known = [measure for measure in measures if measure.value is not None]
    if not known:
        return UNKNOWN
    sign = 1.0 if high else -1.0
    return max(known, key=lambda measure: sign * (measure.value or 0.0))


def count_true(mask: Mask) -> NDArray[np.int64]:
    """Return how many elements of each row are true."""
    # Several times faster than to count along an axis; exact up to 2**24.
    counts = mask.astype(np.float32) @ np.ones(mask.shape[1], dtype=np.float32)
    return counts.astype(np.int64)


def middle(values: NDArray[Any], share: float = 0.5) -> float:
    """Return the value that a share of the values does not exceed, one of them: the median, unless told otherwise."""
    place = int(share * values.size)
    return float(np.partition(values, place)[place])
