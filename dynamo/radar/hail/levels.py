"""Temperatures over a radar, as needed for classification and hail sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.sounding import height_of_temperature, temperature_at_height

#: Levels outside are not plausible weather, meters.
_LOWEST_M, _HIGHEST_M = -1000.0, 15_000.0


@dataclass(frozen=True, eq=False)
class Temperatures:
    """Temperature by height.

    Parameters
    ----------
    height_m, temperature_c
        A profile, heights above sea level in meters, strictly ascending.
    melting_level_m, minus20_level_m
        Heights of 0 C and -20 C above sea level, meters.
    source
        Its origin in words, as recorded in products.
    fallback
        Whether configured heights replace a measured profile.

    Raises
    ------
    InputError
        If the levels are not one above the other or out of bounds, or the heights do not ascend.
    """

    height_m: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    melting_level_m: float
    minus20_level_m: float
    source: str
    fallback: bool = False

    def __post_init__(self) -> None:
        if not _LOWEST_M <= self.melting_level_m < self.minus20_level_m <= _HIGHEST_M:
            raise InputError(
                f"0 C at {self.melting_level_m:g} m, -20 C at {self.minus20_level_m:g} m",
                where=self.source,
                expected=f"one above the other, {_LOWEST_M:g} to {_HIGHEST_M:g} m",
            )
        if self.height_m.shape != self.temperature_c.shape or not (np.diff(self.height_m) > 0).all():
            raise InputError("the heights do not ascend", where=self.source, expected="ascending heights in meters")

    @property
    def minus25_level_m(self) -> float:
        """Height of -25 C above sea level, meters; extrapolated from 0 C and -20 C if the profile ends below."""
        found = height_of_temperature(self.height_m, self.temperature_c, -25.0)
        if found is None:
            found = self.melting_level_m + 1.25 * (self.minus20_level_m - self.melting_level_m)
        return max(found, self.minus20_level_m)

    def at(self, height_m: NDArray[Any]) -> NDArray[np.float32]:
        """Return the temperature at heights above sea level (m), degrees Celsius."""
        return temperature_at_height(self.height_m, self.temperature_c, height_m).astype(np.float32)
