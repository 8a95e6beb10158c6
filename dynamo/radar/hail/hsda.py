"""The Hail Size Discrimination Algorithm: small, large or giant hail from ZH, ZDR and RHOHV at S band.

Ryzhkov et al. (2013, doi:10.1175/JAMC-D-13-074.1) and Ortega et al. (2016, doi:10.1175/JAMC-D-15-0203.1), with the
parameters and the order of operations of pyhail 3.4 (MIT license), whose ``hsda.main`` gives the same size at every
gate. It smooths ZH, ZDR and RHOHV over five gates along the ray; missing gates count as zero, as in pyhail, so sizes
next to missing data tend to be too small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

#: Sizes by class: 1 small (below 25 mm), 2 large (25 to 50 mm), 3 giant (above 50 mm); the lower bound in mm. Hail is
#: ice of at least 5 mm.
LOWER_BOUND_MM = (np.nan, 5.0, 25.0, 50.0)
SIZES = ("small_below_25_mm", "large_25_to_50_mm", "giant_above_50_mm")
#: The membership functions are valid for this band only.
BAND = "S"

_WINDOW = 5
#: Rules 1 to 3 of Ortega et al.: minimum membership, minimum aggregate, and ZDR (dB) above which hail is small.
_MIN_MEMBERSHIP, _MIN_AGGREGATE, _MAX_ZDR_DB = 0.2, 0.6, 2.0

# By layer (from above -25 C down to 3 km below 0 C): weights of ZH, ZDR, RHOHV.
_WEIGHTS = np.array(
    [[1.0, 0.3, 0.6], [1.0, 0.3, 0.6], [0.8, 0.5, 0.6], [0.7, 0.8, 0.6], [0.7, 1.0, 0.6], [0.7, 1.0, 0.6]]
)
# By layer and size: corners of the trapezoids of ZH (dBZ) and RHOHV (1).
_ZH = np.array(
    [
        [[45, 50, 60, 65], [48, 58, 63, 68], [50, 60, 100, 101]],
        [[45, 50, 60, 65], [48, 58, 63, 68], [50, 60, 100, 101]],
        [[45, 50, 60, 65], [48, 58, 63, 68], [50, 60, 100, 101]],
        [[45, 52, 62, 67], [50, 60, 65, 70], [52, 62, 100, 101]],
        [[45, 49, 59, 64], [50, 57, 62, 67], [50, 59, 100, 101]],
        [[45, 47, 57, 62], [50, 55, 60, 65], [50, 57, 100, 101]],
    ],
    dtype=np.float64,
)
_RHOHV = np.array(
    [
        [[0.92, 0.96, 0.99, 1.0], [0.92, 0.96, 0.99, 1.0], [-1.0, 0.0, 0.99, 1.0]],
        [[0.92, 0.96, 0.99, 1.0], [0.86, 0.90, 0.96, 0.98], [-1.0, 0.0, 0.93, 0.98]],
        [[0.93, 0.96, 0.99, 1.0], [0.80, 0.91, 0.97, 0.98], [-1.0, 0.0, 0.94, 0.98]],
        [[0.94, 0.96, 0.98, 1.0], [0.80, 0.91, 0.97, 0.98], [-1.0, 0.0, 0.96, 0.98]],
        [[0.91, 0.94, 0.96, 0.99], [0.80, 0.90, 0.96, 0.99], [-1.0, 0.0, 0.93, 0.98]],
        [[0.91, 0.94, 0.96, 0.99], [0.80, 0.90, 0.96, 0.99], [-1.0, 0.0, 0.93, 0.98]],
    ]
)
# ZDR (dB): fixed corners in the three upper layers; below, the inner corners are functions of ZH.
_ZDR_ALOFT = np.array(
    [
        [[-0.5, -0.3, 0.3, 0.5], [-0.5, -0.3, 0.3, 0.5], [-8.75, -7.75, 0.3, 0.5]],
        [[-0.5, -0.3, 0.3, 0.5], [-0.5, -0.3, 0.3, 0.5], [-8.75, -7.75, 0.2, 0.5]],
        [[-0.1, 0.3, 0.7, 1.2], [-0.3, 0.1, 0.5, 1.0], [-8.75, -7.75, 0.2, 0.7]],
    ]
)
_ZDR_MARGIN_DB = 0.3

_Array = NDArray[np.float64]


def hsda_class(
    dbz: NDArray[Any],
    zdr: NDArray[Any],
    rhohv: NDArray[Any],
    index: NDArray[np.integer[Any]],
    height_m: NDArray[Any],
    *,
    melting_level_m: float,
    minus25_level_m: float,
    band: str = BAND,
) -> NDArray[np.uint8]:
    """Return the size class of the hail gates ``index``.

    Parameters
    ----------
    dbz, zdr, rhohv
        Fields of the sweep, dBZ, dB and 1, shape ``(rays, gates)``, NaN where missing.
    index
        Positions of the hail gates in the flattened fields.
    height_m
        Height of the gates of a ray above sea level, meters, shape ``(gates,)``.
    melting_level_m, minus25_level_m
        Heights above sea level of the 0 C (wet-bulb, if known) and -25 C levels, meters.
    band
        Must be ``S``.

    Returns
    -------
    numpy.ndarray
        1 to 3 (see `SIZES`); 0 where ZH, ZDR or RHOHV is missing.

    Raises
    ------
    InputError
        At another band, or if the levels are not one above the other.
    """
    if band != BAND:
        raise InputError(f"hail sizes by HSDA at band {band!r:.20}", expected="S, for which its functions were made")
    if not minus25_level_m > melting_level_m:
        raise InputError(
            f"the -25 C level ({minus25_level_m:g} m) is not above the 0 C level ({melting_level_m:g} m)",
            expected="heights above sea level in meters",
        )
    sizes = np.zeros(index.size, dtype=np.uint8)
    if index.size == 0:
        return sizes
    gates = dbz.shape[1]
    ray, gate = np.divmod(index, gates)
    values = [_smoothed(field, ray, gate) for field in (dbz, zdr, rhohv)]
    valid = ~np.any(np.isnan(values), axis=0)
    for field in (dbz, zdr, rhohv):
        valid &= ~np.isnan(field.ravel()[index])
    height = np.asarray(height_m, dtype=np.float64)[gate]
    edges = [melting_level_m - 3000, melting_level_m - 2000, melting_level_m - 1000, melting_level_m, minus25_level_m]
    layer = len(edges) - np.searchsorted(edges, height, side="right")
    for number in range(len(_WEIGHTS)):
        chosen = np.flatnonzero(valid & (layer == number))
        if chosen.size:
            sizes[chosen] = _sizes(number, *(value[chosen] for value in values))
    return sizes


def _smoothed(field: NDArray[Any], ray: NDArray[Any], gate: NDArray[Any]) -> _Array:
    """Return the five-gate mean at the given gates; the two gates at either end of a ray keep their values."""
    rows, position = np.unique(ray, return_inverse=True)
    some = field[rows].astype(np.float64)
    half = _WINDOW // 2
    # Differences of a running sum, not sums: this reproduces pyhail's rounding, and thus every tie.
    total = np.nancumsum(np.hstack((np.zeros((rows.size, 1)), some)), axis=1)
    some[:, half:-half] = (total[:, _WINDOW:] - total[:, :-_WINDOW]) / float(_WINDOW)
    result: _Array = some[position, gate]
    return result


def _sizes(layer: int, zh: _Array, zdr: _Array, rhohv: _Array) -> NDArray[np.uint8]:
    weights = _WEIGHTS[layer]
    aggregates = np.zeros((3, zh.size))
    for size in range(3):
        members = (
            _trapezoid(zh, *_ZH[layer, size]),
            _trapezoid(zdr, *_zdr_corners(layer, size, zh)),
            _trapezoid(rhohv, *_RHOHV[layer, size]),
        )
        mean = (weights[0] * members[0] + weights[1] * members[1] + weights[2] * members[2]) / (
            weights[0] + weights[1] + weights[2]
        )
        aggregates[size] = np.where(np.min(members, axis=0) < _MIN_MEMBERSHIP, 0.0, mean)
    # The largest size among those with the highest aggregate.
    best = aggregates.max(axis=0)
    sizes = np.asarray(3 - np.argmax(aggregates[::-1] == best, axis=0), dtype=np.uint8)
    sizes[(best < _MIN_AGGREGATE) | (zdr >= _MAX_ZDR_DB)] = 1
    return sizes


def _zdr_corners(layer: int, size: int, zh: _Array) -> tuple[Any, Any, Any, Any]:
    if layer < len(_ZDR_ALOFT):
        corners = _ZDR_ALOFT[layer, size]
        return corners[0], corners[1], corners[2], corners[3]
    # Ortega et al. (2016), the functions g1 to g3 (layer 3) and f1 to f3 (below): dB of ZDR at a given ZH.
    if layer == 3:
        curves = (-0.9 + 0.015 * zh + 5.0e-4 * zh**2, 0.075 * (zh - 50.0), 0.075 * (zh - 60.0))
    else:
        curves = (-0.5 + 2.5e-3 * zh + 7.5e-4 * zh**2, 0.1 * (zh - 50.0), 0.1 * (zh - 60.0))
    upper = curves[size]
    if size == 2:
        return -8.75, -7.75, upper, upper + _ZDR_MARGIN_DB
    lower = curves[size + 1]
    return lower - _ZDR_MARGIN_DB, lower, upper, upper + _ZDR_MARGIN_DB


def _trapezoid(x: _Array, a: Any, b: Any, c: Any, d: Any) -> _Array:
    result: _Array = np.zeros_like(x)
    rising = (x > a) & (x < b)
    falling = (x > c) & (x < d)
    flat = (x >= b) & (x <= c)
    np.copyto(result, (x - a) / (b - a), where=rising)
    np.copyto(result, (d - x) / (d - c), where=falling)
    result[flat] = 1.0
    return result
