"""Quality control of a sweep: remove and count noise, ground clutter and other non-weather echo.

Only gates that a product will use are examined (``index``), so a quiet sweep costs nothing. A gate is counted under the
first reason that removes it, in the order of `REASONS`.

Ground clutter stands still and is rough: reflectivity jumps from gate to gate far more than in a storm, whose core
may well have no radial velocity either. So a still gate is clutter only where it is also rough or decorrelated; the
test of roughness is the standard deviation of reflectivity in the 3 rays x 5 gates around (the "texture" of Gourley
et al. 2007, doi:10.1175/JTECH2035.1). On the unfiltered reflectivity of an Alpine C-band radar (Monte Lema) its median
is 15 dB in clutter and 4 dB in storms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

#: Why a gate is removed: ZDR or RHOHV missing; signal too weak; correlation of non-weather; ground clutter; rough
#: echo without correlation (interference, chaff, clutter without velocities).
REASONS = ("not_polarimetric", "noise", "low_correlation", "clutter", "rough")

_Fields = Mapping[str, NDArray[np.float32]]
#: Rays and gates on each side included in the texture.
_HALF_RAYS, _HALF_GATES = 1, 2


@dataclass(frozen=True)
class QualityLimits:
    """Limits of the tests; each applies if its moment is available.

    Parameters
    ----------
    min_snr_db
        Signal-to-noise ratio, dB.
    min_sqi
        Signal quality index (normalized coherent power), 0 to 1; used where the correlation is below
        ``rough_rhohv``.
    min_rhohv
        Co-polar correlation, 1; wet hail goes down to 0.7, biota and clutter far lower.
    still_m_s
        A gate with a smaller absolute radial velocity may be ground, m s-1.
    still_texture_db, still_rhohv
        Such a gate is ground if the texture is above, or the correlation below.
    rough_texture_db, rough_rhohv
        Any gate is removed if the texture is above and the correlation below.
    """

    min_snr_db: float = 3.0
    min_sqi: float = 0.25
    min_rhohv: float = 0.70
    still_m_s: float = 1.0
    still_texture_db: float = 9.0
    still_rhohv: float = 0.80
    rough_texture_db: float = 12.0
    rough_rhohv: float = 0.90

    def __post_init__(self) -> None:
        if not (0 <= self.min_rhohv <= 1 and 0 <= self.still_rhohv <= 1 and 0 <= self.rough_rhohv <= 1):
            raise InputError("invalid limit of the correlation", expected="0 to 1")
        if self.still_m_s < 0 or self.still_texture_db < 0 or self.rough_texture_db < 0:
            raise InputError("negative limit of velocity or texture", expected="0 or more")


#: At X band the signal of a distant core is attenuated and its correlation is lowered by resonance at small sizes.
LIMITS: Mapping[str, QualityLimits] = {
    "S": QualityLimits(),
    "C": QualityLimits(),
    "X": QualityLimits(min_rhohv=0.65),
}


def limits_for(band: str) -> QualityLimits:
    """Return the default limits of a band.

    Raises
    ------
    InputError
        If the band is not S, C or X.
    """
    if band not in LIMITS:
        raise InputError(f"no quality limits for band {band!r:.20}", expected=", ".join(LIMITS))
    return LIMITS[band]


def screen(
    moments: _Fields, index: NDArray[np.integer[Any]], limits: QualityLimits
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Return which of the gates ``index`` are weather.

    Parameters
    ----------
    moments
        Fields of one sweep by CF/Radial name, shape ``(rays, gates)``, NaN where missing: ``DBZH``, ``ZDR`` and
        ``RHOHV``; ``VRADH``, ``SNRH`` and ``SQIH`` are used if available.
    index
        Positions of the gates in the flattened fields.
    limits
        The limits, see `limits_for`.

    Returns
    -------
    tuple
        True for the gates to keep, and the number removed by reason (all of `REASONS`).
    """

    def at(name: str) -> NDArray[np.float32] | None:
        return moments[name].ravel()[index] if name in moments else None

    counts = dict.fromkeys(REASONS, 0)
    keep = np.ones(index.size, dtype=bool)
    rhohv = moments["RHOHV"].ravel()[index]

    def drop(reason: str, bad: NDArray[np.bool_]) -> None:
        bad &= keep
        counts[reason] += int(np.count_nonzero(bad))
        np.logical_and(keep, ~bad, out=keep)

    if index.size == 0:
        return keep, counts
    drop("not_polarimetric", np.isnan(moments["ZDR"].ravel()[index]) | np.isnan(rhohv))
    snr, sqi = at("SNRH"), at("SQIH")
    if snr is not None:
        drop("noise", snr < limits.min_snr_db)
    if sqi is not None:
        # Alone it means little: turbulent storm cores seen by CASA radars have 0.1 with a correlation of 0.98.
        drop("noise", (sqi < limits.min_sqi) & (rhohv < limits.rough_rhohv))
    drop("low_correlation", rhohv < limits.min_rhohv)
    velocity = at("VRADH")
    still = np.zeros(index.size, dtype=bool) if velocity is None else np.abs(velocity) < limits.still_m_s
    # Compute the texture only where it can decide.
    suspects = np.flatnonzero(keep & (still | (rhohv < limits.rough_rhohv)))
    texture = np.zeros(index.size, dtype=np.float32)
    texture[suspects] = texture_db(moments["DBZH"], index[suspects])
    drop("clutter", still & ((texture > limits.still_texture_db) | (rhohv < limits.still_rhohv)))
    drop("rough", (texture > limits.rough_texture_db) & (rhohv < limits.rough_rhohv))
    return keep, counts


def texture_db(dbz: NDArray[np.float32], index: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Return the standard deviation of reflectivity around each gate of ``index``, dB.

    Computed over the valid gates among 3 rays x 5 gates; rays wrap around, gates end at the edges.
    """
    rays, gates = dbz.shape
    ray, gate = np.divmod(index, gates)
    flat = dbz.ravel()
    count = np.zeros(index.size, dtype=np.float32)
    total = np.zeros(index.size, dtype=np.float32)
    square = np.zeros(index.size, dtype=np.float32)
    # Differences from the gate itself: sums of squares of large numbers would lose digits.
    centre = flat[index]
    for ray_step in range(-_HALF_RAYS, _HALF_RAYS + 1):
        row = (ray + ray_step) % rays * gates
        for gate_step in range(-_HALF_GATES, _HALF_GATES + 1):
            column = gate + gate_step
            inside = (column >= 0) & (column < gates)
            difference = flat[row + np.where(inside, column, gate)] - centre
            good = inside & ~np.isnan(difference)
            difference[~good] = 0
            count += good
            total += difference
            square += difference * difference
    mean = total / count
    spread: NDArray[np.float32] = np.sqrt(np.maximum(square / count - mean * mean, 0))
    return spread
