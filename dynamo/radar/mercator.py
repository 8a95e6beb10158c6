"""Grids of latitude and longitude as maps in browsers want them: rows at equal steps of Web Mercator; pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Where Web Mercator's square ends, degrees north and south.
LIMIT_DEG = math.degrees(math.atan(math.sinh(math.pi)))


def mercator_rows(north_deg: float, south_deg: float, count: int) -> NDArray[np.intp]:
    """Return which row of a grid stands in each row of its picture.

    Parameters
    ----------
    north_deg, south_deg
        Outer edges of the grid's first and last row, degrees north.
    count
        Rows of the grid, and about as many of the picture: none for rows beyond `LIMIT_DEG`.

    Returns
    -------
    numpy.ndarray
        For each row of the picture, the northern one first, the row of the grid that its middle is in.

    Examples
    --------
    >>> mercator_rows(60.0, 0.0, 6).tolist()
    [0, 1, 1, 3, 4, 5]
    >>> mercator_rows(80.0, 0.0, 8).tolist()
    [0, 0, 1, 1, 2, 4, 5, 7]
    """
    step = (north_deg - south_deg) / count
    top, bottom = min(north_deg, LIMIT_DEG), max(south_deg, -LIMIT_DEG)
    shown = max(1, round((top - bottom) / step))
    high, low = _y(top), _y(bottom)
    middles = high - (np.arange(shown) + 0.5) / shown * (high - low)
    latitude = np.degrees(np.arctan(np.sinh(middles)))
    rows: NDArray[np.intp] = np.clip(np.floor((north_deg - latitude) / step), 0, count - 1).astype(np.intp)
    return rows


def thinned(values: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the maximum of each square of ``factor`` times ``factor`` values; those at the end may be smaller."""
    if factor == 1:
        return values
    rows, columns = (range(0, size, factor) for size in values.shape)
    upright = np.maximum.reduceat(values, rows, axis=0)
    found: NDArray[np.uint8] = np.maximum.reduceat(upright, columns, axis=1)
    return found


def _y(latitude_deg: float) -> float:
    return math.asinh(math.tan(math.radians(latitude_deg)))
