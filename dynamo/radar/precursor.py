"""What comes before hail: strong echo that reaches above the melting level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def areas_aloft_km2(
    area_by_range_km2: NDArray[Any], height_by_range_m: NDArray[Any], step_m: float
) -> NDArray[np.float64]:
    """Return how much of an area lies at or above each of the heights 0, ``step_m``, 2 ``step_m`` ...

    Parameters
    ----------
    area_by_range_km2
        Area of strong echo at each range, km2; shape ``(gates,)``.
    height_by_range_m
        Height of the beam at each range above sea level, metres; shape ``(gates,)``.
    step_m
        Spacing of the heights, metres.

    Returns
    -------
    numpy.ndarray
        km2, shape ``(n,)``; descending; ends with the highest height at which there is any. Echo below sea level
        counts as at sea level.
    """
    found = np.flatnonzero(area_by_range_km2 > 0)
    if not found.size:
        return np.zeros(1)
    bins = np.maximum(np.floor(np.asarray(height_by_range_m)[found] / step_m), 0).astype(np.int64)
    counts = np.bincount(bins, weights=area_by_range_km2[found])
    return np.asarray(np.cumsum(counts[::-1])[::-1], dtype=np.float64)


def area_above_km2(aloft_km2: Sequence[float], height_m: float, step_m: float) -> float:
    """Return the area above ``height_m`` from what `areas_aloft_km2` gave, linear between its heights.

    Parameters
    ----------
    aloft_km2
        Area at or above each multiple of ``step_m``, km2.
    height_m
        The height, metres above sea level.
    step_m
        Spacing of the heights, metres.
    """
    position = max(height_m, 0.0) / step_m
    return float(np.interp(position, np.arange(len(aloft_km2) + 1), [*aloft_km2, 0.0]))
