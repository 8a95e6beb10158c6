"""The mild smoothing used in the original's images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def smooth(field: NDArray[np.floating[Any]], passes: int = 3) -> NDArray[np.float32]:
    """Average each value with the mean of its eight neighbors, ``passes`` times.

    Only neighbors inside the domain with a value contribute to the mean; missing values stay missing.

    Parameters
    ----------
    field
        Values, shape ``(nlat, nlon)``; NaN and infinities are missing.
    passes
        Number of passes, 0 or more; the original makes 3.

    Returns
    -------
    numpy.ndarray
        float32, same shape.

    Examples
    --------
    >>> import numpy as np
    >>> field = np.zeros((3, 3))
    >>> field[1, 1] = 8.0
    >>> print(smooth(field, passes=1).round(2))
    [[1.33 0.8  1.33]
     [0.8  4.   0.8 ]
     [1.33 0.8  1.33]]
    """
    values = np.array(field, dtype=np.float32)
    if passes < 1:
        return values
    missing = ~np.isfinite(values)
    any_missing = bool(missing.any())
    if any_missing:
        values[missing] = 0.0
    present = (~missing).astype(np.float32)
    neighbours = _box(present) - present
    # A value without any neighbor stays unchanged: its own weight is 1, otherwise one half.
    share = np.where(neighbours > 0, np.float32(0.5) / np.maximum(neighbours, 1), 0).astype(np.float32)
    own = np.where(neighbours > 0, np.float32(0.5), np.float32(1.0)).astype(np.float32) - share
    for _ in range(passes):
        # (box - value) * share + value * (own + share), with the two terms in value gathered.
        total = _box(values)
        total *= share
        values *= own
        values += total
        if any_missing:
            values[missing] = 0.0
    if any_missing:
        values[missing] = np.nan
    return values


def _box(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum over the 3 x 3 neighborhood, clipped to the domain."""
    rows = values.copy()
    rows[1:] += values[:-1]
    rows[:-1] += values[1:]
    total = rows.copy()
    total[:, 1:] += rows[:, :-1]
    total[:, :-1] += rows[:, 1:]
    return total
