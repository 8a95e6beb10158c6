"""University of Wyoming soundings as text: a page with markup, a table with header lines, or bare lines.

The profile is that of an unstable summer day: linear from the ground through given heights of 0 C and -20 C, isothermal
above the tropopause. Cells are blank where a sonde reports nothing: below ground, moisture aloft, and wind at the last
level.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal, get_args

import numpy as np

from dynamo.errors import InputError

Layout = Literal["page", "table", "bare"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_RULE = "-" * 77
_HEADER = "\n".join(
    (
        _RULE,
        "   PRES   HGHT   TEMP   DWPT   RELH   MIXR   DRCT   SKNT   THTA   THTE   THTV",
        "    hPa     m      C      C      %    g/kg    deg   knot     K      K      K ",
        _RULE,
    )
)
_MANDATORY_HPA = (1000, 925, 850, 700, 500, 400, 300, 250, 200, 150, 100, 70, 50, 30, 20, 10)
#: Radiosonde humidity is meaningless above this height, meters.
_DRY_FROM_M = 12_500.0
_TROPOPAUSE_M, _UPPER_LAPSE_K_M = 12_000.0, 0.007
#: Limits between 0 and -20 C: steeper air would not be at rest, flatter would not support storms.
_THICKNESS_M = (2000.0, 8000.0)
_GRAVITY_OVER_GAS = 9.80665 / 287.05
_ZERO_C_K = 273.15


def encode(
    *,
    time: datetime,
    zero_c_m: float = 4200.0,
    minus_20_c_m: float = 7200.0,
    ground_m: float = 171.0,
    station: str = "72249 FWD Ft Worth",
    layout: Layout = "page",
) -> str:
    """Return the text of a sounding.

    Parameters
    ----------
    time
        Time of the sounding; only shown on a page.
    zero_c_m, minus_20_c_m
        Heights of these temperatures, meters above sea level.
    ground_m
        Station height, meters above sea level.
    station
        Station number and name; only shown on a page.
    layout
        ``page``: as the web page; ``table``: header lines and levels; ``bare``: levels only.

    Raises
    ------
    InputError
        If the heights are not physically plausible.
    """
    thin, thick = _THICKNESS_M
    apart_m = minus_20_c_m - zero_c_m
    if not (-500 <= ground_m < zero_c_m and thin <= apart_m <= thick and minus_20_c_m <= _TROPOPAUSE_M):
        raise InputError(
            f"0 C at {zero_c_m:g} m and -20 C at {minus_20_c_m:g} m over {ground_m:g} m",
            expected=f"-20 C {thin:.0f} to {thick:.0f} m above 0 C, between the ground and {_TROPOPAUSE_M:.0f} m",
        )
    lines = "\n".join(_levels(zero_c_m, minus_20_c_m, ground_m))
    if layout == "bare":
        return lines + "\n"
    if layout == "table":
        return f"{_HEADER}\n{lines}\n"
    return (
        f'<HTML>\n<TITLE>University of Wyoming - Radiosonde Data</TITLE>\n<BODY BGCOLOR="white">\n'
        f"<H2>{station} Observations at {time:%H}Z {time:%d %b %Y}</H2>\n<PRE>\n{_HEADER}\n{lines}\n</PRE>"
        "<H3>Station information and sounding indices</H3><PRE>\n"
        f"                         Station number: {station.split(maxsplit=1)[0]}\n"
        f"                       Observation time: {time:%y%m%d/%H%M}\n"
        f"                      Station elevation: {ground_m:.1f}\n</PRE>\n</BODY>\n</HTML>\n"
    )


def _levels(zero_c_m: float, minus_20_c_m: float, ground_m: float) -> list[str]:
    lapse = 20.0 / (minus_20_c_m - zero_c_m)

    def temperature(height_m: float) -> float:
        if height_m <= minus_20_c_m:
            return (zero_c_m - height_m) * lapse
        return -20.0 - (min(height_m, _TROPOPAUSE_M) - minus_20_c_m) * _UPPER_LAPSE_K_M

    # The hydrostatic equation from the ground, in steps of 10 m.
    heights = np.arange(ground_m, 31_000.0, 10.0)
    kelvin = np.array([temperature(height) for height in heights]) + _ZERO_C_K
    ground_hpa = 1013.25 * (1.0 - 2.25577e-5 * ground_m) ** 5.25588
    pressure = ground_hpa * np.exp(-np.concatenate([[0.0], np.cumsum(_GRAVITY_OVER_GAS * 10.0 / kelvin[:-1])]))
    # Levels every 1000 feet, at the given temperatures, and the mandatory ones.
    chosen = {float(height) for height in np.arange(304.8, 30_000.0, 304.8) if height > ground_m}
    chosen |= {ground_m, zero_c_m, minus_20_c_m, _TROPOPAUSE_M}
    chosen |= {
        float(np.interp(-level, -pressure, heights)) for level in _MANDATORY_HPA if pressure[-1] < level < ground_hpa
    }
    ordered = sorted({round(height) for height in chosen})
    below = [
        f"{level:7.1f}{_height_below(level, ground_hpa, ground_m):7d}" for level in _MANDATORY_HPA if level > ground_hpa
    ]
    return [line.ljust(77) for line in below] + [
        _line(float(np.interp(height, heights, pressure)), height, temperature(height), height == ordered[-1])
        for height in ordered
    ]


def _height_below(level_hpa: float, ground_hpa: float, ground_m: float) -> int:
    return round(ground_m - 8300.0 * math.log(level_hpa / ground_hpa))


def _line(pressure_hpa: float, height_m: int, celsius: float, last: bool) -> str:
    """Return a level: 11 cells of 7 characters; formulas of Bolton (1980, Mon. Wea. Rev. 108, 1046-1053)."""
    kelvin = celsius + _ZERO_C_K
    theta = kelvin * (1000.0 / pressure_hpa) ** 0.2854
    wind = (f"{(160 + height_m // 100) % 360:7d}", f"{10 + height_m // 400:7d}")
    cells = [f"{pressure_hpa:7.1f}", f"{height_m:7d}", f"{celsius:7.1f}"]
    if height_m > _DRY_FROM_M:
        cells += [" " * 7] * 3 + list(wind) + [f"{theta:7.1f}", " " * 7, f"{theta:7.1f}"]
    else:
        dew = celsius - 5.0 - height_m / 1000.0
        vapour = 6.112 * math.exp(17.67 * dew / (dew + 243.5))
        humidity = 100.0 * vapour / (6.112 * math.exp(17.67 * celsius / (celsius + 243.5)))
        mixing = 622.0 * vapour / (pressure_hpa - vapour)
        # Equation 22 for the condensation temperature, 43 for the equivalent potential temperature.
        condensed = 2840.0 / (3.5 * math.log(kelvin) - math.log(vapour) - 4.805) + 55.0
        moist = kelvin * (1000.0 / pressure_hpa) ** (0.2854 * (1.0 - 0.28e-3 * mixing))
        equivalent = moist * math.exp((3.376 / condensed - 0.00254) * mixing * (1.0 + 0.81e-3 * mixing))
        virtual = theta * (1.0 + 0.61e-3 * mixing)
        cells += [f"{dew:7.1f}", f"{humidity:7.0f}", f"{mixing:7.2f}", *wind]
        cells += [f"{theta:7.1f}", f"{equivalent:7.1f}", f"{virtual:7.1f}"]
    if last:
        cells[6:8] = [" " * 7] * 2
    return "".join(cells)
