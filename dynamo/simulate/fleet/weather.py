"""Weather days for the fleet simulator: storms that form, move, grow and decay, as visible to a nowcast.

A storm first appears as weak echo and reaches 45 dBZ some minutes later; that is the radar's lead time for new storms.
Extrapolation moves existing storms unchanged and knows nothing of future ones.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import UsageError
from dynamo.simulate.fleet.network import Network

Floats = NDArray[np.float64]

DAYS = ("quiet", "cells", "line", "two-lines", "outage")
DAY_S = 86400.0
#: Duration of the weak-echo stage of new storms, minutes.
WEAK_MIN = 12.0
#: Share of weak echoes that a forecaster expects to reach 45 dBZ.
WEAK_CHANCE = 0.5
#: Typical lifetime after that, for a forecaster who sees only that a storm exists, minutes.
EXPECTED_LIFE_MIN = 80.0


@dataclass(frozen=True, eq=False)
class Storms:
    """All storms of a day, one element each.

    Attributes
    ----------
    born_min, life_min
        Time of the first echo, minutes of the day, and lifetime of any echo, minutes.
    x_km, y_km
        Initial position.
    u_km_min, v_km_min
        Motion.
    peak_km2
        Largest area at or above 45 dBZ.
    wave_min, phase
        Period and phase of its pulsation.
    """

    born_min: Floats
    life_min: Floats
    x_km: Floats
    y_km: Floats
    u_km_min: Floats
    v_km_min: Floats
    peak_km2: Floats
    wave_min: Floats
    phase: Floats

    def __len__(self) -> int:
        return len(self.born_min)

    def alive(self, minute: float) -> NDArray[np.intp]:
        """Return the storms with any echo at ``minute``."""
        age = minute - self.born_min
        return np.flatnonzero((age >= 0) & (age < self.life_min))

    def area_km2(self, which: NDArray[np.intp], minute: float) -> Floats:
        """Return the areas at or above 45 dBZ; 0 for weak echoes."""
        age = minute - self.born_min[which]
        strong = np.maximum(self.life_min[which] - WEAK_MIN, 1.0)
        share = np.clip((age - WEAK_MIN) / strong, 0.0, 1.0)
        pulse = 1.0 + 0.35 * np.sin(2 * np.pi * age / self.wave_min[which] + self.phase[which])
        # The fourth power grows and decays only at the ends, so long-lived storms have long plateaus.
        area: Floats = self.peak_km2[which] * (1.0 - (2.0 * share - 1.0) ** 4) * pulse
        return np.where(age >= WEAK_MIN, area, 0.0)

    def position_km(self, which: NDArray[np.intp], minute: float) -> Floats:
        """Return the positions at ``minute``, shape (storms, 2)."""
        age = minute - self.born_min[which]
        return np.stack(
            [self.x_km[which] + self.u_km_min[which] * age, self.y_km[which] + self.v_km_min[which] * age], axis=1
        )


def make_storms(day: str, network: Network, seed: int) -> Storms:
    """Return the storms of a day.

    Parameters
    ----------
    day
        ``quiet``: a few brief storms. ``cells``: isolated storms in the afternoon. ``line``: a squall line crosses the
        domain. ``two-lines``: one on each of two networks (or in two regions of one large network). ``outage``: same
        as ``line``.
    network
        The network.
    seed
        Random seed; the same seed gives the same storms.

    Raises
    ------
    UsageError
        If the day is unknown.
    """
    if day not in DAYS:
        raise UsageError(f"unknown day {day!r}", where="--day", expected=", ".join(DAYS))
    kind = "line" if day == "outage" else day
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), network.parts])
    groups: list[Floats] = []
    wide, high = network.size_km
    # A continent has more storms than a metropolitan area, and some on any day.
    large = wide > 1000.0
    for part in range(network.parts):
        x0, y0 = network.corners_km[part]
        box = (float(x0), float(y0), wide, high)
        few = int(rng.integers(40, 60)) if large else int(rng.integers(1, 4))
        groups.append(_cells(rng, box, few, 600.0, 260.0, life_min=38.0, peak_km2=6.0))
        if kind == "cells":
            groups.append(_cells(rng, box, 700 if large else 26, 560.0, 130.0, life_min=55.0, peak_km2=25.0))
        elif kind == "line":
            groups += _system(rng, box, 500.0, large=large)
        elif kind == "two-lines":
            groups += _system(rng, box, 380.0 + 210.0 * part, large=large)
            if network.parts == 1:
                groups += _system(rng, box, 640.0, large=large)
    columns = np.concatenate(groups, axis=1)
    return Storms(*(np.ascontiguousarray(row) for row in columns[:, np.argsort(columns[0], kind="stable")]))


def _cells(
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
    count: int,
    middle_min: float,
    spread_min: float,
    *,
    life_min: float,
    peak_km2: float,
) -> Floats:
    x0, y0, wide, high = box
    speed, heading = 0.6 * rng.uniform(0.7, 1.3), rng.uniform(-0.4, 0.9)
    return np.stack(
        [
            np.clip(rng.normal(middle_min, spread_min, count), 0.0, 1400.0),
            WEAK_MIN + life_min * np.exp(rng.normal(0.0, 0.4, count)),
            rng.uniform(x0, x0 + wide, count),
            rng.uniform(y0, y0 + high, count),
            speed * np.cos(heading) + rng.normal(0.0, 0.1, count),
            speed * np.sin(heading) + rng.normal(0.0, 0.1, count),
            peak_km2 * np.exp(rng.normal(0.0, 0.7, count)),
            rng.uniform(20.0, 60.0, count),
            rng.uniform(0.0, 2 * np.pi, count),
        ]
    )


def _system(
    rng: np.random.Generator, box: tuple[float, float, float, float], start_min: float, *, large: bool
) -> list[Floats]:
    """Return a squall line: a row of storms that move together, decay and are replaced, plus some ahead of it."""
    x0, y0, wide, high = box
    length = 1300.0 if large else high * 1.1
    path = 1500.0 if large else wide * 1.6
    speed = rng.uniform(0.75, 0.95)
    lasts = path / speed
    left = x0 + (rng.uniform(0.15, 0.45) * wide if large else -0.3 * wide)
    bottom = y0 + (rng.uniform(0.1, 0.6) * high if large else -0.05 * high)
    count = int(length * lasts / (600.0 if large else 1100.0))
    born = start_min + rng.uniform(-30.0, lasts - 40.0, count)
    along = rng.uniform(0.0, length, count)
    # New storms form on the line or a little ahead of it.
    front = left + speed * (born - start_min) + rng.exponential(8.0, count)
    line = np.stack(
        [
            born,
            WEAK_MIN + 70.0 * np.exp(rng.normal(0.0, 0.4, count)),
            front,
            bottom + along,
            np.full(count, speed) + rng.normal(0.0, 0.05, count),
            rng.normal(0.15, 0.05, count),
            45.0 * np.exp(rng.normal(0.0, 0.7, count)),
            rng.uniform(20.0, 60.0, count),
            rng.uniform(0.0, 2 * np.pi, count),
        ]
    )
    ahead = _cells(
        rng,
        (left, bottom, path, length),
        max(3, count // 12),
        start_min + lasts / 2,
        lasts / 4,
        life_min=45.0,
        peak_km2=15.0,
    )
    return [line[:, born >= 0], ahead]
