"""Checks for what is no echo at all: the sun, other transmitters, receiver noise, scrambled rays; pure.

The radar equation: a receiver's noise is a constant power, so its reflectivity grows with the square of range
(Holleman et al. 2010, doi:10.1175/2009JTECHA1213.1, use it to find the sun in operational sweeps).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.quality.view import UNKNOWN, Mask, Measure, SweepView, count_true

#: dBZ at 1 km: no weather radar hears fainter echo.
_FAINTEST_DBZ_1_KM = -62.0
#: Weather does not fill the far half of a ray so evenly, dB.
_EVEN_DB = 5.0
#: Nor does receiver noise, averaged over pulses, vary as much.
_NOISE_DB = 3.0
#: Noise, the sun, and transmitters have any phase: their velocity typically changes by half of Nyquist's from gate to
#: gate. In the echo of real files it changes by up to 0.07.
_STEADY_NYQUIST = 0.2


def spokes(view: SweepView) -> Measure:
    """Return the number of rays filled by the sun or another transmitter while those a few degrees away are not."""
    gates = view.valid.shape[1]
    far = view.valid[:, gates // 2 :]
    if far.shape[1] < 15 or view.azimuth_deg.size < 60:
        return UNKNOWN
    share = count_true(far) / far.shape[1]
    # The sun is as wide as the beam, a degree or two.
    step = max(2, round(4.0 / view.spacing_deg))
    beside = np.maximum(np.roll(share, step), np.roll(share, -step))
    suspects = np.flatnonzero((share > 0.7) & (beside < 0.5 * share))
    if suspects.size:
        power = view.dbz[suspects, gates // 2 :] - 20.0 * np.log10(view.sample_range_m[gates // 2 :] / 1000.0)
        spread = np.nanstd(power, axis=1)
        plain = np.nanstd(view.dbz[suspects, gates // 2 :], axis=1)
        suspects = suspects[np.minimum(spread, plain) < _EVEN_DB]
        suspects = suspects[~_moves_steadily(view, suspects, gates // 2)]
    return Measure(float(suspects.size), view.rays_at(suspects[:1]) if suspects.size else "")


def too_faint(view: SweepView) -> Measure:
    """Return the share of echo fainter than any receiver can hear at its range: a wrong sign, scale, or range."""
    dbz = view.echo("DBZH")
    if dbz.size < 300:
        return UNKNOWN
    floor = _FAINTEST_DBZ_1_KM + 20.0 * np.log10(np.maximum(view.sample_range_m, 100.0) / 1000.0)
    faint = int(np.count_nonzero(dbz < floor.astype(np.float32)[view.spots[1]]))
    return Measure(round(faint / dbz.size, 5), view.label)


def noise_floor(view: SweepView) -> Measure:
    """Return the share of the outermost fifth of the gates that receiver noise fills.

    Counted are the rays there whose power is even along range; storms are not. Widespread rain may be, but its velocity
    is steady.
    """
    gates = view.valid.shape[1]
    start = gates - max(gates // 5, 8)
    if gates < 40:
        return UNKNOWN
    full = np.flatnonzero(count_true(view.valid[:, start:]) > 0.6 * (gates - start))
    if not full.size:
        return Measure(0.0)
    far = view.dbz[full, start:] - 20.0 * np.log10(view.sample_range_m[start:] / 1000.0).astype(np.float32)
    even = np.nanstd(far, axis=1) < _NOISE_DB
    level = np.nanmedian(far, axis=1)
    noisy = full[even & (np.abs(level - np.median(level)) < 3.0)]
    noisy = noisy[~_moves_steadily(view, noisy, start)]
    share = noisy.size / view.azimuth_deg.size
    return Measure(round(float(share), 4), view.rays_at(noisy[:1]) if noisy.size else "")


def _moves_steadily(view: SweepView, rays: NDArray[np.intp], start: int) -> Mask:
    """Return which rays have velocities, from a sampled gate on, that agree from gate to gate: they hold echo."""
    steady = np.zeros(rays.size, dtype=np.bool_)
    if "VRADH" not in view.moments or not view.nyquist_m_s > 0 or not rays.size:
        return steady
    ray, gate = np.meshgrid(rays, np.arange(start, view.valid.shape[1]), indexing="ij")
    change = np.abs(view.take("VRADH", ray, gate, 1) - view.take("VRADH", ray, gate))
    # It may fold.
    change = np.minimum(change, np.abs(2.0 * view.nyquist_m_s - change))
    known = np.flatnonzero(count_true(~np.isnan(change)) > 0.5 * gate.shape[1])
    steady[known] = np.nanmedian(change[known], axis=1) < _STEADY_NYQUIST * view.nyquist_m_s
    return steady


def ray_disorder(view: SweepView) -> Measure:
    """Return how many times more reflectivity changes from ray to ray than over the same distance along them.

    It is about 1 in any weather. Compared are the values, and where echo ends.
    """
    half = max(8, view.dbz.shape[1] // 2)
    apart_m = np.deg2rad(view.spacing_deg) * view.sample_range_m[half // 2]
    lag = max(1, round(apart_m / (view.range_m[1] - view.range_m[0])))
    ray, gate = view.spots
    inner = gate < half
    dbz, behind = view.echo("DBZH")[inner], view.echo("DBZH", lag)[inner]
    beside = view.dbz[(ray[inner] + 1) % view.azimuth_deg.size, gate[inner]]
    along, across = np.abs(behind - dbz), np.abs(beside - dbz)
    ends_along, ends_across = np.isnan(along), np.isnan(across)
    both = ~(ends_along | ends_across)
    if dbz.size < 300:
        return UNKNOWN
    values = 0.0
    if np.count_nonzero(both) >= 300:
        values = float(across[both].mean()) / max(float(along[both].mean()), 0.5)
    ends = int(np.count_nonzero(ends_across)) / max(200, int(np.count_nonzero(ends_along)))
    return Measure(round(max(values, ends), 2), view.label)
