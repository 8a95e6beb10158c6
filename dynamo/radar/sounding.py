"""Heights of given temperatures in a vertical profile; arrays in, numbers out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def height_of_temperature(height_m: NDArray[Any], temperature_c: NDArray[Any], wanted_c: float) -> float | None:
    """Return the height at which a profile cools through a temperature.

    Linear between levels. If the profile crosses more than once (an inversion near the ground, a melting layer under a
    warm nose), the highest crossing from warm to cold counts: above it hail does not melt.

    Parameters
    ----------
    height_m
        Strictly ascending heights, meters, shape ``(n,)``.
    temperature_c
        Temperatures, degrees Celsius, shape ``(n,)``, finite.
    wanted_c
        The temperature.

    Returns
    -------
    float or None
        The height, meters; None if the profile never cools through ``wanted_c``.

    Examples
    --------
    >>> import numpy as np
    >>> height_of_temperature(np.array([0.0, 2000.0, 6000.0]), np.array([20.0, 10.0, -20.0]), 0.0)
    3333.333333333333
    """
    above = np.asarray(temperature_c, dtype=np.float64) - wanted_c
    (crossings,) = np.nonzero((above[:-1] > 0) & (above[1:] <= 0))
    if not crossings.size:
        return None
    lower = int(crossings[-1])
    share = above[lower] / (above[lower] - above[lower + 1])
    return float(height_m[lower] + share * (height_m[lower + 1] - height_m[lower]))


def temperature_at_height(
    profile_height_m: NDArray[Any], profile_temperature_c: NDArray[Any], height_m: NDArray[Any] | float
) -> NDArray[np.float64]:
    """Return temperatures at heights above sea level, linear between levels.

    Extrapolated below the lowest level with the lapse rate of the standard atmosphere (6.5 C/km), and constant above
    the highest level.

    Parameters
    ----------
    profile_height_m, profile_temperature_c
        The profile; heights strictly ascending, meters; degrees Celsius.
    height_m
        Any shape, meters.

    Returns
    -------
    numpy.ndarray
        Degrees Celsius, shape of ``height_m``.

    Examples
    --------
    >>> import numpy as np
    >>> temperature_at_height(np.array([0.0, 4000.0]), np.array([26.0, 0.0]), 2000.0).item()
    13.0
    """
    heights = np.asarray(height_m, dtype=np.float64)
    temperature = np.interp(heights, profile_height_m, profile_temperature_c)
    below = np.maximum(float(profile_height_m[0]) - heights, 0.0)
    result: NDArray[np.float64] = np.asarray(temperature + 0.0065 * below, dtype=np.float64)
    return result


def two_point_profile(zero_c_m: float, minus_20_c_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a profile through given heights of 0 C and -20 C, with their lapse rate, from sea level to -56.5 C.

    Raises
    ------
    ValueError
        If -20 C is not above 0 C.
    """
    if not (math.isfinite(zero_c_m) and math.isfinite(minus_20_c_m) and minus_20_c_m > zero_c_m):
        raise ValueError(f"-20 C at {minus_20_c_m:g} m is not above 0 C at {zero_c_m:g} m")
    lapse = 20.0 / (minus_20_c_m - zero_c_m)
    ground = lapse * zero_c_m
    # -56.5 C: the tropopause of the standard atmosphere.
    top = zero_c_m + 56.5 / lapse
    heights = [0.0, zero_c_m, minus_20_c_m, top] if zero_c_m > 1.0 else [zero_c_m, minus_20_c_m, top]
    temperatures = [ground, 0.0, -20.0, -56.5] if zero_c_m > 1.0 else [0.0, -20.0, -56.5]
    return np.array(heights), np.array(temperatures)
