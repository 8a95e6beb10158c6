"""Check for a storm above apparent hail in a low sweep: ground and sea clutter have no echo above them.

The vertical gradient of reflectivity separates clutter from storms as in Steiner and Smith (2002,
doi:10.1175/1520-0426(2002)019<0673:UOTDRS>2.0.CO;2); here it is applied only to hail gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.geometry import beam_height_m, ground_range_m, slant_range_m
from dynamo.radar.hail.mesh import PolarSweep, matching_rays

#: A storm with hail has this reflectivity in the next beams above, dBZ.
MIN_ABOVE_DBZ = 30.0
#: How far above a beam must be to count, and how far the storm may lean (gates along the ray), meters.
_MIN_RISE_M, _LEAN_M = 300.0, 2000.0


def without_echo_above(
    sweep: PolarSweep,
    index: NDArray[np.integer[Any]],
    others: Sequence[PolarSweep],
    *,
    min_above_dbz: float = MIN_ABOVE_DBZ,
) -> NDArray[np.bool_]:
    """Return which gates have no storm above.

    Parameters
    ----------
    sweep, index
        The sweep and the positions of its hail gates in the flattened field.
    others
        The other sweeps of the volume; those above that cover a gate are used. A sweep without any echo counts as
        missing.
    min_above_dbz
        Minimum reflectivity above, within a ray and 2 km, dBZ.

    Returns
    -------
    numpy.ndarray
        True if at least one beam passes above the gate and none of them meets such an echo.
    """
    ray, gate = np.divmod(index, sweep.dbz.shape[1])
    covered = np.zeros(index.size, dtype=bool)
    strongest = np.full(index.size, -np.inf)
    if index.size == 0:
        return covered
    ground = ground_range_m(sweep.range_m, sweep.elevation_deg)[gate]
    height = beam_height_m(sweep.range_m, sweep.elevation_deg)[gate]
    for other in others:
        if other.elevation_deg <= sweep.elevation_deg:
            continue
        step = float(other.range_m[1] - other.range_m[0])
        position = (slant_range_m(ground, other.elevation_deg) - other.range_m[0]) / step
        rays = matching_rays(sweep.azimuth_deg, other.azimuth_deg)[ray]
        rise = beam_height_m(other.range_m[0] + position * step, other.elevation_deg) - height
        seen = np.flatnonzero(
            (rays >= 0) & (position >= 0) & (position <= other.range_m.size - 1) & (rise >= _MIN_RISE_M)
        )
        if seen.size == 0 or not np.isfinite(other.dbz).any():
            continue
        covered[seen] = True
        lean = max(1, round(_LEAN_M / step))
        nearest = np.rint(position[seen]).astype(np.int64)
        # Sampling every few gates is enough: a storm is wider than that.
        for along in range(-lean, lean + 1, max(1, lean // 2)):
            gates = np.clip(nearest + along, 0, other.range_m.size - 1)
            for across in (-1, 0, 1):
                values = other.dbz[(rays[seen] + across) % other.dbz.shape[0], gates]
                strongest[seen] = np.fmax(strongest[seen], values)
    return covered & (strongest < min_above_dbz)
