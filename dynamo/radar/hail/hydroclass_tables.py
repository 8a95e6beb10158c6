"""Parameters of the fuzzy hydrometeor classification: one-dimensional beta functions for each class and variable.

The numbers are the published ones of the ten-class summer scheme for S, C and X band of Colorado State University:
Dolan and Rutledge (2009, doi:10.1175/2009JTECHA1208.1; X band), Dolan et al. (2013,
doi:10.1175/JAMC-D-12-0275.1; C band) and the S-band set that goes with them, as distributed with version
1.5 of CSU_RadarTools. A membership is ``1 / (1 + (((x - m) / a) ** 2) ** b)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Variable = Literal["dbz", "zdr", "kdp", "rhohv", "temperature"]
#: Center ``m``, half width ``a`` (both in the variable's unit) and slope ``b`` (1) of a beta function.
Beta = tuple[float, float, int]

#: Names of the classes; class ``k`` (1 to 10) is ``CLASSES[k - 1]``, and 0 means "not classified".
CLASSES = (
    "drizzle",
    "rain",
    "ice_crystals",
    "aggregates",
    "wet_snow",
    "vertical_ice",
    "low_density_graupel",
    "high_density_graupel",
    "hail",
    "big_drops",
)
HAIL = CLASSES.index("hail") + 1

#: Weights of the polarimetric variables (Dolan and Rutledge 2009; the depolarization ratio is not used).
WEIGHTS: Mapping[Variable, float] = {"zdr": 0.8, "kdp": 1.0, "rhohv": 0.8}

# The scheme uses one set of temperatures (degrees Celsius) for all bands.
_TEMPERATURE: tuple[Beta, ...] = (
    (40.0, 41.0, 50),
    (48.0, 51.0, 30),
    (-50.0, 50.0, 25),
    (-25.0, 26.0, 15),
    (1.0, 3.5, 5),
    (-50.0, 50.0, 25),
    (-50.0, 50.0, 25),
    (-2.5, 20.0, 2),
    (0.0, 100.0, 5),
    (48.0, 51.0, 30),
)

#: By band, then by variable (dBZ, dB, degrees km-1, 1, degrees Celsius), ten beta functions in the order of `CLASSES`.
TABLES: Mapping[str, Mapping[Variable, tuple[Beta, ...]]] = {
    "S": {
        "dbz": (
            (2.0, 29.0, 10),
            (41.5, 15.5, 10),
            (-3.0, 22.0, 20),
            (17.0, 17.0, 15),
            (21.0, 22.0, 10),
            (-3.0, 22.0, 20),
            (37.0, 8.0, 8),
            (49.0, 9.0, 6),
            (58.0, 12.0, 10),
            (57.0, 9.0, 10),
        ),
        "zdr": (
            (0.35, 0.35, 5),
            (2.6, 2.8, 9),
            (3.2, 2.8, 10),
            (0.6, 0.6, 7),
            (1.3, 1.3, 10),
            (-0.9, 0.9, 10),
            (0.3, 0.8, 6),
            (1.0, 1.9, 8),
            (0.14, 0.55, 8),
            (4.0, 1.7, 8),
        ),
        "kdp": (
            (0.01, 0.01, 2),
            (3.7, 4.0, 10),
            (0.043, 0.043, 6),
            (0.04, 0.05, 1),
            (0.13, 0.5, 6),
            (-0.23, 0.23, 3),
            (0.2, 0.56, 3),
            (0.55, 1.155, 3),
            (0.2, 0.8, 6),
            (1.6, 1.5, 6),
        ),
        "rhohv": (
            (1.0, 0.015, 3),
            (1.0, 0.02, 2),
            (1.0, 0.02, 3),
            (0.998, 0.02, 3),
            (0.78, 0.2, 10),
            (0.97, 0.04, 3),
            (1.0, 0.01, 1),
            (1.0, 0.04, 4),
            (0.96, 0.1, 3),
            (0.98, 0.04, 3),
        ),
        "temperature": _TEMPERATURE,
    },
    "C": {
        "dbz": (
            (1.75, 29.0, 10),
            (39.0, 19.0, 10),
            (-3.0, 22.0, 20),
            (17.0, 18.1, 10),
            (24.0, 21.3, 10),
            (-3.0, 22.0, 20),
            (37.0, 9.2, 8),
            (44.3, 10.2, 6),
            (62.3, 14.3, 10),
            (57.8, 8.5, 10),
        ),
        "zdr": (
            (0.46, 0.46, 5),
            (2.3, 2.2, 9),
            (2.9, 2.7, 10),
            (1.0, 1.1, 7),
            (1.3, 0.9, 10),
            (-0.9, 0.9, 10),
            (0.9, 0.9, 6),
            (1.6, 1.2, 3),
            (0.14, 0.56, 8),
            (4.4, 1.9, 8),
        ),
        "kdp": (
            (0.03, 0.03, 2),
            (5.5, 5.5, 10),
            (0.08, 0.08, 6),
            (-0.008, 0.3, 1),
            (0.25, 0.43, 6),
            (-0.75, 0.75, 30),
            (0.1, 0.08, 3),
            (1.9, 1.9, 3),
            (0.6, 3.5, 6),
            (3.4, 3.3, 6),
        ),
        "rhohv": (
            (1.0, 0.018, 3),
            (1.0, 0.025, 3),
            (0.98, 0.025, 3),
            (0.93, 0.07, 3),
            (0.74, 0.25, 10),
            (0.975, 0.022, 3),
            (1.0, 0.025, 1),
            (1.0, 0.04, 2),
            (0.97, 0.1, 3),
            (0.99, 0.03, 3),
        ),
        "temperature": _TEMPERATURE,
    },
    "X": {
        "dbz": (
            (2.0, 29.0, 10),
            (42.0, 17.0, 10),
            (-3.0, 22.0, 20),
            (16.0, 17.0, 15),
            (28.0, 29.0, 10),
            (-3.0, 22.0, 20),
            (36.0, 9.0, 8),
            (43.0, 9.0, 5),
            (59.0, 10.3, 6),
            (56.0, 9.0, 10),
        ),
        "zdr": (
            (0.45, 0.45, 5),
            (2.85, 3.02, 9),
            (3.2, 2.6, 10),
            (0.7, 0.7, 7),
            (1.6, 1.2, 10),
            (-0.9, 1.0, 10),
            (0.3, 1.0, 6),
            (0.6, 1.5, 2),
            (0.12, 0.5, 8),
            (4.3, 2.0, 8),
        ),
        "kdp": (
            (0.03, 0.03, 2),
            (12.75, 13.0, 60),
            (0.15, 0.15, 6),
            (0.2, 0.2, 1),
            (-7.0, 8.1, 6),
            (-0.79, 0.79, 3),
            (0.7, 2.1, 3),
            (1.55, 3.05, 3),
            (0.5, 1.5, 6),
            (3.6, 3.3, 6),
        ),
        "rhohv": (
            (1.0, 0.015, 2),
            (1.0, 0.04, 2),
            (1.0, 0.03, 3),
            (0.998, 0.02, 3),
            (0.7, 0.26, 10),
            (0.98, 0.02, 3),
            (1.0, 0.015, 1),
            (1.0, 0.035, 1),
            (0.97, 0.15, 3),
            (0.98, 0.03, 3),
        ),
        "temperature": _TEMPERATURE,
    },
}
