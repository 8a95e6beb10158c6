"""SHI, POSH and MESH of a volume: hail from the reflectivity above the melting level.

Witt et al. (1998, doi:10.1175/1520-0434(1998)013<0286:AEHDAF>2.0.CO;2), the size also by Murillo and Homeyer (2021,
doi:10.1175/JAMC-D-20-0271.1), on the polar grid of the lowest sweep as `pyhail.mesh_ppi` 3.4 (MIT license) does it;
the results are those of that library at every gate for the same rays. Two things that it leaves to its user are done
here: sweeps are matched by azimuth (pyhail pairs rays by number, which is wrong between sweeps of 720 and 360 rays),
and the warning threshold of POSH does not fall below 20 J m-1 s-1 (Witt et al.).

Only columns with an echo above 40 dBZ are integrated: elsewhere SHI is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.geometry import beam_height_m, ground_range_m

#: Bands for which the method is valid (C with the correction of Brook et al. 2023, arXiv:2306.12016).
BANDS = ("S", "C")
#: A column needs at least this many elevations for a meaningful integral (pyhail's limit).
MIN_ELEVATIONS = 5

_RAIN_DBZ, _HAIL_DBZ = 40.0, 50.0
_C_SLOPE, _C_OFFSET_DBZ = 1.113, -3.929
#: A sweep whose nearest gate is farther from the column than this does not see it.
_MAX_SHIFT_M = 2500.0
#: Rays farther apart than this many ray spacings are not the same direction (a gap).
_MAX_RAY_STEPS = 1.0
_MIN_WARNING_THRESHOLD = 20.0

_Array = NDArray[np.float64]


def _blend(shi: _Array) -> _Array:
    """Witt et al. for low, Murillo and Homeyer for high SHI, logistic between (pyhail's default)."""
    pivot = (15.096 / 2.54) ** (1.0 / (0.5 - 0.206))
    steepness = 2.0 * np.log(9.0) / 200.0
    weight = 1.0 / (1.0 + np.exp(np.clip(-steepness * (shi - pivot), -50.0, 50.0)))
    result: _Array = (1.0 - weight) * 2.54 * shi**0.5 + weight * 15.096 * shi**0.206
    return result


#: MESH (mm) from SHI (J m-1 s-1), by name: 75th percentile of 147 reports, 75th and 95th of 5897, and the blend.
MESH_METHODS: Mapping[str, Callable[[_Array], _Array]] = {
    "blend": _blend,
    "witt1998": lambda shi: 2.54 * shi**0.5,
    "mh2019_75": lambda shi: 15.096 * shi**0.206,
    "mh2019_95": lambda shi: 22.157 * shi**0.212,
}


@dataclass(frozen=True)
class PolarSweep:
    """Reflectivity of one sweep: ``dbz`` of shape ``(rays, gates)``, azimuths ascending, one elevation."""

    dbz: NDArray[Any]
    azimuth_deg: NDArray[Any]
    range_m: NDArray[Any]
    elevation_deg: float


@dataclass(frozen=True)
class Columns:
    """Column hail on the polar grid of the lowest sweep, where SHI is above zero.

    ``index`` are positions in the flattened ``(rays, gates)`` grid of sweep ``base`` (as given), ascending; ``shi``
    in J m-1 s-1, ``mesh`` in mm, ``posh`` in percent. Inside the ground ranges ``min_range_m`` to ``max_range_m`` all
    other columns are zero, outside they are unknown.
    """

    base: int
    index: NDArray[np.int64]
    shi: _Array
    mesh: _Array
    posh: _Array
    min_range_m: float
    max_range_m: float
    method: str
    elevations: int


def columns(
    sweeps: Sequence[PolarSweep],
    *,
    altitude_m: float,
    melting_level_m: float,
    minus20_level_m: float,
    band: str,
    method: str = "blend",
    min_range_m: float = 10_000.0,
    max_range_m: float = 150_000.0,
) -> Columns:
    """Integrate the hail of a volume.

    Parameters
    ----------
    sweeps
        In any order; of sweeps at the same elevation (within 0.1 degree) the first is used.
    altitude_m
        Height of the antenna above sea level, meters.
    melting_level_m, minus20_level_m
        Heights of 0 C and -20 C above sea level, meters.
    band
        ``S`` or ``C``.
    method
        One of `MESH_METHODS`.
    min_range_m, max_range_m
        Ground range of the columns, meters; closer in, the volume does not reach high; farther out, beams are too wide.

    Raises
    ------
    InputError
        At another band, with fewer than five elevations, or with invalid levels or an unknown method.
    """
    if band not in BANDS:
        raise InputError(f"MESH at band {band!r:.20}", expected=" or ".join(BANDS))
    if method not in MESH_METHODS:
        raise InputError(f"unknown MESH method {method!r:.40}", expected=", ".join(MESH_METHODS))
    if not minus20_level_m > melting_level_m:
        raise InputError(
            f"the -20 C level ({minus20_level_m:g} m) is not above the 0 C level ({melting_level_m:g} m)",
            expected="heights above sea level in meters",
        )
    order = elevations(sweeps)
    if len(order) < MIN_ELEVATIONS:
        raise InputError(f"MESH from {len(order)} elevations", expected=f"at least {MIN_ELEVATIONS}")
    base = sweeps[order[0]]
    nearest, thickness = _lookup([sweeps[number] for number in order])
    ground = ground_range_m(base.range_m, base.elevation_deg)
    inside = (ground >= min_range_m) & (ground <= max_range_m)
    # Memory pages stay untouched where nothing is added.
    total = np.zeros(base.dbz.shape)
    for position, number in enumerate(order):
        sweep = sweeps[number]
        _add(
            total,
            sweep,
            rays=matching_rays(base.azimuth_deg, sweep.azimuth_deg),
            gates=np.where(inside, nearest[position], -1),
            thickness=thickness[position],
            weight=np.clip(
                (beam_height_m(sweep.range_m, sweep.elevation_deg, altitude_m) - melting_level_m)
                / (minus20_level_m - melting_level_m),
                0.0,
                1.0,
            ),
            correct=band == "C",
        )
    index = np.flatnonzero(total > 0)
    shi = 0.1 * total.ravel()[index]
    return Columns(
        base=order[0],
        index=index,
        shi=shi,
        mesh=MESH_METHODS[method](shi),
        posh=posh(shi, melting_level_m),
        min_range_m=min_range_m,
        max_range_m=max_range_m,
        method=method,
        elevations=len(order),
    )


def posh(shi: _Array, melting_level_m: float) -> _Array:
    """Return the probability of severe hail, per cent (Witt et al. 1998).

    Examples
    --------
    With 0 C at 4200 m, SHI of 120.5 J/m/s is as likely severe as not:

    >>> import numpy as np
    >>> posh(np.array([0.0, 120.5, 600.0]), melting_level_m=4200.0).round().tolist()
    [0.0, 50.0, 97.0]
    """
    threshold = max(57.5 * melting_level_m / 1000.0 - 121.0, _MIN_WARNING_THRESHOLD)
    with np.errstate(divide="ignore"):
        result: _Array = np.clip(29.0 * np.log(shi / threshold) + 50.0, 0.0, 100.0)
    return result


def elevations(sweeps: Sequence[PolarSweep]) -> list[int]:
    """Return the numbers of the sweeps from low to high, each elevation once (its first sweep)."""
    chosen: list[int] = []
    for number in sorted(range(len(sweeps)), key=lambda item: round(sweeps[item].elevation_deg, 1)):
        if not chosen or sweeps[number].elevation_deg - sweeps[chosen[-1]].elevation_deg > 0.1:
            chosen.append(number)
    return chosen


def matching_rays(base_deg: NDArray[Any], other_deg: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each base azimuth the number of the nearest ray of another sweep, or -1 in a gap.

    Both are in degrees, ascending, from 0 to 360.
    """
    count = other_deg.size
    right = np.searchsorted(other_deg, base_deg) % count
    left = (right - 1) % count
    to_right = np.abs((other_deg[right] - base_deg + 180.0) % 360.0 - 180.0)
    to_left = np.abs((other_deg[left] - base_deg + 180.0) % 360.0 - 180.0)
    nearest = np.where(to_left <= to_right, left, right)
    spacing = 360.0 / count if count > 1 else 360.0
    result: NDArray[np.int64] = np.where(np.minimum(to_left, to_right) <= _MAX_RAY_STEPS * spacing, nearest, -1)
    return result


def _lookup(sweeps: Sequence[PolarSweep]) -> tuple[NDArray[np.int64], _Array]:
    """Return for each sweep and column the gate over (or under) it, or -1, and the layer it represents, meters."""
    base = ground_range_m(sweeps[0].range_m, sweeps[0].elevation_deg)
    gates = np.full((len(sweeps), base.size), -1, dtype=np.int64)
    heights = np.full((len(sweeps), base.size), np.nan)
    for number, sweep in enumerate(sweeps):
        ground = ground_range_m(sweep.range_m, sweep.elevation_deg)
        right = np.clip(np.searchsorted(ground, base), 1, ground.size - 1)
        nearest = np.where(base - ground[right - 1] <= ground[right] - base, right - 1, right)
        near = np.abs(ground[nearest] - base) < _MAX_SHIFT_M
        gates[number, near] = nearest[near]
        heights[number, near] = beam_height_m(sweep.range_m, sweep.elevation_deg)[nearest[near]]
    return gates, _layers(heights)


def _layers(heights: _Array) -> _Array:
    """Return the thickness of the layer around each height of a column, by central differences; NaN is skipped."""
    below = np.full_like(heights, np.nan)
    above = np.full_like(heights, np.nan)
    last = np.full(heights.shape[1], np.nan)
    for number in range(len(heights)):
        below[number] = last
        last = np.where(np.isnan(heights[number]), last, heights[number])
    last = np.full(heights.shape[1], np.nan)
    for number in range(len(heights) - 1, -1, -1):
        above[number] = last
        last = np.where(np.isnan(heights[number]), last, heights[number])
    thickness = np.where(
        np.isnan(below), above - heights, np.where(np.isnan(above), heights - below, (above - below) / 2.0)
    )
    # A column of a single height has no layers.
    return np.nan_to_num(thickness, nan=0.0)


def _add(
    total: _Array,
    sweep: PolarSweep,
    *,
    rays: NDArray[np.int64],
    gates: NDArray[np.int64],
    thickness: _Array,
    weight: _Array,
    correct: bool,
) -> None:
    """Add the kinetic energy flux of one sweep, weighted by temperature and layer, to the columns it covers."""
    floor = (_RAIN_DBZ - _C_OFFSET_DBZ) / _C_SLOPE if correct else _RAIN_DBZ
    # Nothing counts below the melting level, which excludes most of a low sweep.
    counted = np.flatnonzero(weight > 0)
    if counted.size == 0:
        return
    first = int(counted[0])
    warm = sweep.dbz[:, first:] > floor
    hot_rays: NDArray[np.bool_] = np.asarray(warm.any(axis=1))
    hot_gates = np.zeros(sweep.range_m.size, dtype=bool)
    if not hot_rays.any():
        return
    hot_gates[first:] = warm.any(axis=0)
    rows = np.flatnonzero((rays >= 0) & hot_rays[rays])
    cells = np.flatnonzero((gates >= 0) & hot_gates[gates])
    if rows.size == 0 or cells.size == 0:
        return
    taken = gates[cells]
    dbz = sweep.dbz[np.ix_(rays[rows], taken)].astype(np.float64)
    if correct:
        dbz = dbz * _C_SLOPE + _C_OFFSET_DBZ
    np.clip(dbz, -100.0, 100.0, out=dbz)
    share = np.clip((dbz - _RAIN_DBZ) / (_HAIL_DBZ - _RAIN_DBZ), 0.0, 1.0)
    energy = np.nan_to_num(5.0e-6 * np.power(10.0, 0.084 * dbz) * share, nan=0.0)
    total[np.ix_(rows, cells)] += energy * weight[taken] * thickness[cells]
