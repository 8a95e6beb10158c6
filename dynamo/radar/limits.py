"""Physical limits of what files contain: what lies outside them is damage, whatever the format; pure.

Single values outside are left out and counted. If many are, the field is not what it says it is (raw counts without
their scale, another unit), and none of its values can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

_F = TypeVar("_F", bound="np.floating[Any]")

#: Smallest and largest value of each moment (CF/Radial name); real files stay inside, their noise and clutter too.
MOMENTS: Mapping[str, tuple[float, float]] = {
    # The strongest hail cores measured reach 80 dBZ; writers use numbers down to -100 for no echo.
    "DBZH": (-100.0, 85.0),
    "ZDR": (-20.0, 20.0),
    # Corrected for noise it exceeds 1 a little: NEXRAD's scale ends at 1.05.
    "RHOHV": (0.0, 1.2),
    "PHIDP": (-720.0, 720.0),
    "KDP": (-100.0, 100.0),
    # The fastest wind in a tornado was 142 m/s.
    "VRADH": (-150.0, 150.0),
    "WRADH": (0.0, 100.0),
    "SNRH": (-100.0, 150.0),
    "SQIH": (0.0, 1.1),
}
#: A velocity beyond twice the Nyquist velocity is no unfolding of it.
MOST_NYQUISTS = 2.0
#: mm/h. The wettest 8 minutes measured by a gauge had 945 (126 mm, Füssen 1920); a cell of 1 km2 stays below.
RAIN_RATE_MM_H = (0.0, 1000.0)
#: mm. The largest hailstone measured had 203; column formulas give somewhat more in extreme storms.
HAIL_SIZE_MM = (0.0, 400.0)
#: Spacing of the nodes of a grid, degrees: 11 m to 111 km.
SPACING_DEG = (1e-4, 1.0)
#: Meters between gates.
GATE_M = (1.0, 10_000.0)
#: A field with a larger share of impossible values is refused as a whole.
MOST_IMPOSSIBLE = 0.2


def within(
    values: NDArray[_F], limits: tuple[float, float], *, name: str, where: object = None
) -> tuple[NDArray[_F], int]:
    """Return the values with NaN for those outside their limits, and how many those are.

    Parameters
    ----------
    values
        Any shape; NaN is missing and counts as neither. Returned as it is if nothing is outside.
    limits
        Smallest and largest possible value.
    name, where
        Of the field and of its file, for the error.

    Raises
    ------
    InputError
        If more than `MOST_IMPOSSIBLE` of the values are outside.

    Examples
    --------
    >>> within(np.array([10.0, np.nan, 1e38, 20.0, 30.0, 40.0, 50.0]), MOMENTS["DBZH"], name="DBZH")
    (array([10., nan, nan, 20., 30., 40., 50.]), 1)
    """
    low, high = limits
    if not (np.fmin.reduce(values, axis=None) < low or np.fmax.reduce(values, axis=None) > high):
        return values, 0
    bad = (values < low) | (values > high)
    count, known = int(np.count_nonzero(bad)), int(np.count_nonzero(~np.isnan(values)))
    if count > MOST_IMPOSSIBLE * known:
        raise InputError(
            f"{count} of {known} values of {name} are impossible", where=where, expected=f"{low:g} to {high:g}"
        )
    kept = values.copy()
    kept[bad] = np.nan
    return kept, count


def moment_limits(name: str, nyquist_m_s: float) -> tuple[float, float]:
    """Return the limits of a moment in a sweep with this Nyquist velocity, NaN if unknown."""
    low, high = MOMENTS[name]
    if name == "VRADH" and nyquist_m_s > 0:
        high = min(high, MOST_NYQUISTS * nyquist_m_s)
        low = -high
    return low, high
