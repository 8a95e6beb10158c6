"""Radars with known position and band, to complete and check the metadata of files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import cast

from dynamo.errors import InputError
from dynamo.formats.radar.model import Band, Site

#: One line for each radar: its names in files, and the site.
STATIONS: tuple[tuple[tuple[str, ...], Site], ...] = (
    (("addison.tx", "XADD"), Site("addison.tx", 32.9814, -96.8391, 210.0, "X")),
    (("KFWS",), Site("KFWS", 32.573, -97.303, 233.0, "S")),
    (("KLBB",), Site("KLBB", 33.654, -101.814, 1013.0, "S")),
    (("KTLX",), Site("KTLX", 35.333, -97.278, 389.0, "S")),
    (("KLOT",), Site("KLOT", 41.604, -88.085, 231.0, "S")),
    (("monte-lema",), Site("monte-lema", 46.0408, 8.8332, 1626.0, "C")),
    (("terrey-hills",), Site("terrey-hills", -33.7008, 151.2090, 195.0, "S")),
    (("boxpol",), Site("boxpol", 50.7305, 7.0717, 99.5, "X")),
)
#: A file that puts the radar further than this from its known position is wrong.
_FAR_DEG = 0.1
_NEAR_DEG = 0.01
_BANDS_GHZ: Mapping[str, tuple[float, float]] = {"S": (2.0, 4.0), "C": (4.0, 8.0), "X": (8.0, 12.0)}
_SPEED_OF_LIGHT_M_S = 299_792_458.0


def band_of(*, frequency_hz: float = math.nan, wavelength_m: float = math.nan) -> Band | None:
    """Return the band of a frequency or a wavelength; None if neither is valid."""
    if not frequency_hz > 0 and wavelength_m > 0:
        frequency_hz = _SPEED_OF_LIGHT_M_S / wavelength_m
    for band, (low, high) in _BANDS_GHZ.items():
        if low <= frequency_hz / 1e9 < high:
            return cast("Band", band)
    return None


def settle_site(
    name: str, latitude_deg: float, longitude_deg: float, altitude_m: float, band: Band | None, *, where: object
) -> tuple[Site, tuple[str, ...]]:
    """Return the site that a file refers to, with flags for corrections.

    A known position overrides that of the file; an unknown radar must have a plausible position.

    Parameters
    ----------
    name
        The radar's name in the file; may be empty.
    latitude_deg, longitude_deg, altitude_m
        The position in the file; NaN if missing.
    band
        The band in the file, or None.
    where
        The file, for the error.

    Raises
    ------
    InputError
        If the position is impossible (or exactly 0, 0) and the radar is unknown.
    """
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:40]
    known = _by_name(label) or _by_place(latitude_deg, longitude_deg)
    flags: list[str] = []
    possible = (
        math.isfinite(latitude_deg + longitude_deg)
        and abs(latitude_deg) <= 90
        and abs(longitude_deg) <= 180
        and (latitude_deg, longitude_deg) != (0.0, 0.0)
    )
    if not possible and known is None:
        raise InputError(
            f"the radar {label or 'without a name'} stands at {latitude_deg:g}, {longitude_deg:g}",
            where=where,
            expected="latitude and longitude of the radar",
        )
    if known is not None and (not possible or _apart(known, latitude_deg, longitude_deg) > _FAR_DEG):
        flags.append(
            f"site corrected: the file says {latitude_deg:g}, {longitude_deg:g} for {known.radar}"
            f" at {known.latitude_deg:g}, {known.longitude_deg:g}"
        )
        latitude_deg, longitude_deg, altitude_m = known.latitude_deg, known.longitude_deg, known.altitude_m
    if not -500 <= altitude_m <= 9000:
        flags.append(f"altitude corrected: the file says {altitude_m:g} m")
        altitude_m = known.altitude_m if known is not None else 0.0
    if band is None:
        band = known.band if known is not None else "S"
        if known is None:
            flags.append("band unknown: S assumed")
    if known is not None and label.upper() not in _names(known):
        label = known.radar
    if not label or label.lower() == "none":
        label = f"{abs(latitude_deg):.3f}{'NS'[latitude_deg < 0]}-{abs(longitude_deg):.3f}{'EW'[longitude_deg < 0]}"
    return Site(label, float(latitude_deg), float(longitude_deg), float(altitude_m), band), tuple(flags)


def _by_name(label: str) -> Site | None:
    return next((site for names, site in STATIONS if label.upper() in (name.upper() for name in names)), None)


def _by_place(latitude_deg: float, longitude_deg: float) -> Site | None:
    return next((site for _, site in STATIONS if _apart(site, latitude_deg, longitude_deg) < _NEAR_DEG), None)


def _names(known: Site) -> set[str]:
    return {name.upper() for names, site in STATIONS if site is known for name in names}


def _apart(site: Site, latitude_deg: float, longitude_deg: float) -> float:
    return max(abs(site.latitude_deg - latitude_deg), abs(site.longitude_deg - longitude_deg))
