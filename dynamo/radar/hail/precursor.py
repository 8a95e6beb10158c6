"""Precursors of hail: strong echo that reaches above the melting level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: No weather echo is higher, meters; heights come from files, and each step takes memory.
_HIGHEST_M = 30_000.0


def areas_aloft_km2(
    area_by_range_km2: NDArray[Any], height_by_range_m: NDArray[Any], step_m: float
) -> NDArray[np.float64]:
    """Return the area of echo at or above each of the heights 0, ``step_m``, 2 ``step_m`` ...

    Parameters
    ----------
    area_by_range_km2
        Area of strong echo at each range, km2; shape ``(gates,)``.
    height_by_range_m
        Height of the beam at each range above sea level, meters; shape ``(gates,)``.
    step_m
        Spacing of the heights, meters.

    Returns
    -------
    numpy.ndarray
        km2, shape ``(n,)``; descending; ends at the greatest height with any echo. Echo below sea level
        counts as at sea level, and echo above 30 km as at 30 km.
    """
    found = np.flatnonzero(area_by_range_km2 > 0)
    if not found.size:
        return np.zeros(1)
    counts = _by_height(area_by_range_km2[found], np.asarray(height_by_range_m)[found], step_m)
    return np.asarray(np.cumsum(counts[::-1])[::-1], dtype=np.float64)


def areas_below_km2(
    area_by_range_km2: NDArray[Any], top_by_range_m: NDArray[Any], step_m: float
) -> NDArray[np.float64]:
    """Return the area of echo where the radar's highest beam is below each of the heights 0, ``step_m`` ...

    Parameters
    ----------
    area_by_range_km2
        Area of strong echo at each range, km2; shape ``(gates,)``.
    top_by_range_m
        Height of the highest beam over each range, see `highest_beam_m`; shape ``(gates,)``.
    step_m
        Spacing of the heights, meters.

    Returns
    -------
    numpy.ndarray
        km2, shape ``(n,)``; ascending from 0; the last value is the whole area.
    """
    found = np.flatnonzero(area_by_range_km2 > 0)
    if not found.size:
        return np.zeros(1)
    counts = _by_height(area_by_range_km2[found], np.asarray(top_by_range_m)[found], step_m)
    return np.concatenate(([0.0], np.cumsum(counts)))


def highest_beam_m(ground_m: NDArray[Any], beams: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> NDArray[np.float64]:
    """Return the height of the highest beam at each distance from the radar.

    Parameters
    ----------
    ground_m
        Distances along the ground, meters; shape ``(n,)``.
    beams
        For each sweep, the ground distances of its gates, ascending, and their heights, meters.

    Returns
    -------
    numpy.ndarray
        Meters, shape ``(n,)``; minus infinity where no sweep has a gate.
    """
    top = np.full(np.shape(ground_m), -np.inf)
    for ground, height in beams:
        top = np.maximum(top, np.interp(ground_m, ground, height, left=-np.inf, right=-np.inf))
    return top


def _by_height(area_km2: NDArray[Any], height_m: NDArray[Any], step_m: float) -> NDArray[np.float64]:
    bins = np.floor(np.clip(np.nan_to_num(height_m), 0.0, _HIGHEST_M) / step_m).astype(np.int64)
    return np.asarray(np.bincount(bins, weights=area_km2), dtype=np.float64)


def area_above_km2(aloft_km2: Sequence[float], height_m: float, step_m: float) -> float:
    """Return the area above ``height_m`` from the result of `areas_aloft_km2`, linear between its heights.

    Parameters
    ----------
    aloft_km2
        Area at or above each multiple of ``step_m``, km2.
    height_m
        The height, meters above sea level.
    step_m
        Spacing of the heights, meters.
    """
    position = max(height_m, 0.0) / step_m
    return float(np.interp(position, np.arange(len(aloft_km2) + 1), [*aloft_km2, 0.0]))


def area_below_km2(low_km2: Sequence[float], height_m: float, step_m: float) -> float:
    """Return the area over which no beam reaches ``height_m`` from the result of `areas_below_km2`, linear between.

    Parameters
    ----------
    low_km2
        Area where the highest beam is lower than each multiple of ``step_m``, km2.
    height_m
        The height, meters above sea level.
    step_m
        Spacing of the heights, meters.
    """
    if not low_km2:
        return 0.0
    return float(np.interp(max(height_m, 0.0) / step_m, np.arange(len(low_km2)), low_km2))
