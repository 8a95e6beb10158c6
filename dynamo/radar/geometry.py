"""Radar beam geometry: heights and ground ranges of gates over a 4/3 Earth.

Equations 2.28 b and c of Doviak and Zrnic, *Doppler Radar and Weather Observations*, 2nd edition (1993), page 21:
refraction in the standard atmosphere is a straight beam over an Earth of 4/3 the radius.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Radius of the Earth in the beam equations, meters, and the factor for refraction.
EARTH_RADIUS_M = 6_371_000.0
EFFECTIVE_RADIUS_M = EARTH_RADIUS_M * 4.0 / 3.0


def beam_height_m(
    range_m: NDArray[Any] | float, elevation_deg: NDArray[Any] | float, altitude_m: float = 0.0
) -> NDArray[np.float64]:
    """Return the height of the beam's center above sea level, meters.

    Parameters
    ----------
    range_m
        Slant range to the center of the gate, meters.
    elevation_deg
        Elevation of the beam, degrees above the horizon; broadcast against ``range_m``.
    altitude_m
        Height of the antenna above sea level, meters; 0 gives heights above the antenna.

    Examples
    --------
    The lowest beam of a NEXRAD, 100 km away:

    >>> round(float(beam_height_m(100_000.0, 0.5)))
    1461
    """
    slant = np.asarray(range_m, dtype=np.float64)
    sine = np.sin(np.deg2rad(elevation_deg))
    squared = slant**2 + EFFECTIVE_RADIUS_M**2 + 2.0 * slant * EFFECTIVE_RADIUS_M * sine
    height: NDArray[np.float64] = np.sqrt(squared) - EFFECTIVE_RADIUS_M + altitude_m
    return height


def ground_range_m(range_m: NDArray[Any] | float, elevation_deg: NDArray[Any] | float) -> NDArray[np.float64]:
    """Return the distance along the (4/3) Earth's surface to the point below the gate, meters.

    Parameters are those of `beam_height_m`.

    Examples
    --------
    >>> round(float(ground_range_m(100_000.0, 19.5)))
    93891
    """
    slant = np.asarray(range_m, dtype=np.float64)
    height = beam_height_m(slant, elevation_deg)
    sine = slant * np.cos(np.deg2rad(elevation_deg)) / (EFFECTIVE_RADIUS_M + height)
    distance: NDArray[np.float64] = EFFECTIVE_RADIUS_M * np.arcsin(sine)
    return distance


def slant_range_m(ground_m: NDArray[Any] | float, elevation_deg: NDArray[Any] | float) -> NDArray[np.float64]:
    """Return the slant range at which a beam passes over the distance ``ground_m``; inverse of `ground_range_m`.

    NaN if the beam never gets there (steeper than the angle at the Earth's center allows).
    """
    angle = np.asarray(ground_m, dtype=np.float64) / EFFECTIVE_RADIUS_M
    cosine = np.cos(angle + np.deg2rad(elevation_deg))
    with np.errstate(divide="ignore", invalid="ignore"):
        slant = EFFECTIVE_RADIUS_M * np.sin(angle) / cosine
    result: NDArray[np.float64] = np.where(cosine > 0, slant, np.nan)
    return result


def position_deg(
    latitude_deg: float, longitude_deg: float, azimuth_deg: NDArray[Any] | float, ground_m: NDArray[Any] | float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return latitude and longitude of points at an azimuth and a distance along the ground from a radar.

    On a sphere of `EARTH_RADIUS_M` (Snyder, Map Projections: A Working Manual, USGS PP 1395, equations 5-5 and 5-6,
    page 31): 0.3 % of the distance off the ellipsoid at worst.

    Parameters
    ----------
    latitude_deg, longitude_deg
        Of the radar, degrees.
    azimuth_deg, ground_m
        Degrees clockwise from north, meters; broadcast against each other.
    """
    start = np.deg2rad(latitude_deg)
    direction = np.deg2rad(azimuth_deg)
    angle = np.asarray(ground_m, dtype=np.float64) / EARTH_RADIUS_M
    sine = np.sin(start) * np.cos(angle) + np.cos(start) * np.sin(angle) * np.cos(direction)
    east = np.sin(angle) * np.sin(direction)
    north = np.cos(start) * np.cos(angle) - np.sin(start) * np.sin(angle) * np.cos(direction)
    longitude = (longitude_deg + np.rad2deg(np.arctan2(east, north)) + 180.0) % 360.0 - 180.0
    return np.rad2deg(np.arcsin(np.clip(sine, -1.0, 1.0))), np.asarray(longitude, dtype=np.float64)
