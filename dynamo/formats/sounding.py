"""University of Wyoming soundings: fixed-width text, columns of 7 characters (PRES HGHT TEMP DWPT ...).

With or without header lines, with blank cells, and with surrounding web page markup. Only pressure, height and
temperature are needed; a level without one of them is left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.sounding import height_of_temperature, temperature_at_height, two_point_profile

_COLUMN = 7
_EXPECTED = "a University of Wyoming sounding (PRES HGHT TEMP DWPT ... in columns of 7)"
_MAX_BYTES = 1_000_000
_LEAST_LEVELS = 10
#: A sounding that ends lower does not cover -20 C and hail growth.
_LEAST_TOP_M = 8000.0
#: Share of levels that may be out of order (rounding of doubled levels); they are left out.
_MOST_UNORDERED = 0.05
_TITLE_TIME = re.compile(r"\b(\d{2})Z\s+(\d{1,2})\s+([A-Z][a-z]{2})\s+(\d{4})\b")
_LIST_TIME = re.compile(r"Observation time:\s*(\d{2})(\d{2})(\d{2})/(\d{2})(\d{2})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STATION = re.compile(r"^\s*(?:<H2>)?\s*(\d{5}\s+\S.*?)\s+Observations at", re.MULTILINE)

#: Default heights: a warm-season storm in the middle latitudes (meters above sea level).
FALLBACK_ZERO_C_M, FALLBACK_MINUS_20_C_M = 4200.0, 7200.0
MAX_AGE = timedelta(hours=18)


@dataclass(frozen=True, eq=False)
class Sounding:
    """A temperature profile.

    Attributes
    ----------
    pressure_hpa, height_msl_m, temperature_c
        One value per level, heights strictly ascending. Pressures of a fallback profile are those of the standard
        atmosphere.
    time
        When it was measured; None if the file does not say.
    source
        The file's name, or ``fallback``.
    station
        The station according to the file; may be empty.
    """

    pressure_hpa: NDArray[np.float64]
    height_msl_m: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    time: datetime | None
    source: str
    station: str = ""

    def height_of(self, temperature_c: float) -> float | None:
        """Return the height above sea level, meters, where the air cools through a temperature; None if nowhere."""
        return height_of_temperature(self.height_msl_m, self.temperature_c, temperature_c)

    def temperature_at(self, height_msl_m: NDArray[Any] | float) -> NDArray[np.float64]:
        """Return degrees Celsius at heights above sea level (meters, any shape)."""
        return temperature_at_height(self.height_msl_m, self.temperature_c, height_msl_m)


@dataclass(frozen=True)
class ChosenSounding:
    """The profile to use, and why it was chosen."""

    sounding: Sounding
    #: Whether configured heights replace a measured profile.
    fallback: bool
    #: One line for the record: what was used, and what was refused and why.
    reason: str
    zero_c_m: float
    minus_20_c_m: float


def read_sounding(path: Path) -> Sounding:
    """Read a sounding file.

    Raises
    ------
    InputError
        If it is not a sounding, truncated, or physically implausible.
    """
    if not path.is_file():
        raise InputError("is a directory" if path.is_dir() else "no such file", where=path, expected=_EXPECTED)
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"has {path.stat().st_size:,} bytes", where=path, expected=_EXPECTED)
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, expected=_EXPECTED) from error
    return parse_sounding(text, source=path.name, where=path)


def parse_sounding(text: str, *, source: str = "text", where: object = None) -> Sounding:
    """Read a sounding from text; see `read_sounding`."""
    levels: list[tuple[float, float, float]] = []
    after_end = False
    for line in text.splitlines():
        if levels and "</PRE>" in line.upper():
            # The page continues with indices, and with the next sounding.
            after_end = True
        if after_end:
            break
        level = _level(line)
        if level is not None:
            levels.append(level)
    profile = np.array(levels, dtype=np.float64).reshape(-1, 3)
    if len(levels) < _LEAST_LEVELS:
        raise InputError(
            f"{len(levels)} levels with pressure, height and temperature",
            where=where,
            expected=f"at least {_LEAST_LEVELS}; {_EXPECTED}",
        )
    profile = _ordered(profile, where)
    _check(profile, where)
    station = _STATION.search(text)
    return Sounding(
        np.ascontiguousarray(profile[:, 0]),
        np.ascontiguousarray(profile[:, 1]),
        np.ascontiguousarray(profile[:, 2]),
        _time(text),
        source,
        " ".join(station[1].split())[:80] if station else "",
    )


def fallback_sounding(zero_c_m: float = FALLBACK_ZERO_C_M, minus_20_c_m: float = FALLBACK_MINUS_20_C_M) -> Sounding:
    """Return a profile of constant lapse rate through the given heights of 0 C and -20 C (meters above sea level).

    Raises
    ------
    InputError
        If the heights are not plausible.
    """
    if not (-1000 <= zero_c_m < minus_20_c_m <= 15_000 and 1000 <= minus_20_c_m - zero_c_m <= 8000):
        raise InputError(
            f"0 C at {zero_c_m:g} m and -20 C at {minus_20_c_m:g} m",
            where="fallback heights",
            expected="-20 C 1000 to 8000 m above 0 C, metres above sea level",
        )
    heights, temperatures = two_point_profile(zero_c_m, minus_20_c_m)
    pressures = 1013.25 * np.maximum(1.0 - 2.25577e-5 * heights, 0.05) ** 5.25588
    return Sounding(pressures, heights, temperatures, None, "fallback")


def choose_sounding(
    path: Path | None,
    radar_time: datetime,
    *,
    fallback_zero_c_m: float = FALLBACK_ZERO_C_M,
    fallback_minus_20_c_m: float = FALLBACK_MINUS_20_C_M,
    max_age: timedelta = MAX_AGE,
) -> ChosenSounding:
    """Return the sounding of a file, or the fallback if it is unusable; never raises because of the file.

    Parameters
    ----------
    path
        The file, or None.
    radar_time
        When the radar measured.
    fallback_zero_c_m, fallback_minus_20_c_m
        Heights above sea level of the configured fallback, meters.
    max_age
        A sounding further from the radar's time, before or after, is refused. One without a time is accepted, and the
        reason says so.

    Raises
    ------
    InputError
        If the fallback heights are not those of an atmosphere.
    """
    stand_in = fallback_sounding(fallback_zero_c_m, fallback_minus_20_c_m)

    def fall_back(why: str) -> ChosenSounding:
        reason = f"fallback 0 C at {fallback_zero_c_m:.0f} m, -20 C at {fallback_minus_20_c_m:.0f} m: {why}"
        return ChosenSounding(stand_in, True, reason, fallback_zero_c_m, fallback_minus_20_c_m)

    if path is None:
        return fall_back("no sounding given")
    try:
        sounding = read_sounding(path)
    except InputError as error:
        return fall_back(f"refused {error}")
    zero, minus_20 = sounding.height_of(0.0), sounding.height_of(-20.0)
    if zero is None or minus_20 is None:
        return fall_back(f"refused {path.name}: the air does not cool through 0 C and -20 C")
    if sounding.time is None:
        age = "its time is not stated"
    else:
        away = radar_time - sounding.time
        side = "before" if away >= timedelta(0) else "after"
        if abs(away) > max_age:
            return fall_back(
                f"refused {path.name}: {abs(away).total_seconds() / 3600:.0f} h {side} the radar,"
                f" more than {max_age.total_seconds() / 3600:.0f} h"
            )
        age = f"{abs(away).total_seconds() / 3600:.1f} h {side} the radar"
    reason = f"{path.name}: 0 C at {zero:.0f} m, -20 C at {minus_20:.0f} m, {age}"
    return ChosenSounding(sounding, False, reason, zero, minus_20)


def _level(line: str) -> tuple[float, float, float] | None:
    """Return pressure, height and temperature of a line; None if it is not a level, or one of them is blank."""
    if len(line) < 3 * _COLUMN:
        # A file truncated inside a number would give a wrong number.
        return None
    cells = [line[start : start + _COLUMN] for start in range(0, 3 * _COLUMN, _COLUMN)]
    try:
        pressure, height, temperature = (float(cell) for cell in cells)
    except ValueError:
        return None
    return (pressure, height, temperature) if math.isfinite(pressure + height + temperature) else None


def _ordered(profile: NDArray[np.float64], where: object) -> NDArray[np.float64]:
    """Drop levels that do not rise; reject a profile with many of them."""
    kept = [0]
    for row in range(1, len(profile)):
        if profile[row, 1] > profile[kept[-1], 1] and profile[row, 0] < profile[kept[-1], 0]:
            kept.append(row)
    lost = len(profile) - len(kept)
    if lost > max(1, _MOST_UNORDERED * len(profile)):
        raise InputError(
            f"{lost} of {len(profile)} levels are not above the one before",
            where=where,
            expected="falling pressures and rising heights",
        )
    return profile[kept]


def _check(profile: NDArray[np.float64], where: object) -> None:
    pressure, height, temperature = profile.T
    if not (pressure.min() >= 1.0 and 500.0 <= pressure.max() <= 1090.0 and -500.0 <= height[0] <= 6000.0):
        raise InputError(
            f"pressures from {pressure.max():g} to {pressure.min():g} hPa, lowest height {height[0]:g} m",
            where=where,
            expected="a profile from the ground upward, hPa and metres",
        )
    if not (temperature.min() >= -110.0 and temperature.max() <= 60.0):
        raise InputError(
            f"temperatures from {temperature.min():g} to {temperature.max():g}", where=where, expected="degrees Celsius"
        )
    # Geopotential heights of the standard atmosphere differ by less than this share from those of any real one.
    standard = 44_330.8 * (1.0 - (np.maximum(pressure, 226.3) / 1013.25) ** 0.190263)
    low = pressure >= 226.3
    if (np.abs(height - standard)[low] > 0.12 * standard[low] + 500.0).any():
        raise InputError("heights do not fit the pressures", where=where, expected="hPa and metres above sea level")
    lapse = np.diff(temperature) / np.maximum(np.diff(height), 50.0) * 1000.0
    if (np.abs(lapse) > 150.0).any() or (np.diff(height) > 6000.0).any():
        raise InputError("jumps in temperature or height between levels", where=where, expected="a continuous profile")
    if height[-1] < _LEAST_TOP_M:
        raise InputError(
            f"ends at {height[-1]:.0f} m", where=where, expected=f"a profile up to {_LEAST_TOP_M:.0f} m and more"
        )
    if height_of_temperature(height, temperature, 0.0) is None and temperature[0] > 0:
        raise InputError("the air never cools to 0 C", where=where, expected="a profile through 0 C")


def _time(text: str) -> datetime | None:
    """Return the time of the title (``00Z 04 May 1999``) or of the index list (``Observation time: 990504/0000``)."""
    try:
        if match := _TITLE_TIME.search(text):
            return datetime(int(match[4]), _MONTHS.index(match[3]) + 1, int(match[2]), int(match[1]), tzinfo=UTC)
        if match := _LIST_TIME.search(text):
            year, month, day, hour, minute = (int(part) for part in match.groups())
            return datetime(year + (1900 if year >= 70 else 2000), month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    return None
