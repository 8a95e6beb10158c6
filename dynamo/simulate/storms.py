"""Simulated storms: reflectivity fields that move, grow and decay, reproducible by seed.

A scene is a set of elliptical cells in linear reflectivity that grow and decay, carried by a common wind with
individual deviations, over stratiform rain; a texture that moves with the wind roughens everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.grid import LatLonGrid

RegimeName = Literal["clear", "cells", "wide"]
#: Value of no echo in a radar composite: valid data, not missing.
NO_ECHO_DBZ = -10.0
_KM_PER_DEG = 111.2
_LONGEST_LIFE_MIN = 70.0


@dataclass(frozen=True)
class Regime:
    """The weather of a scene.

    Attributes
    ----------
    cells_per_hour
        Births per hour and 10,000 km2.
    peak_dbz
        Range of peak reflectivity of the cells.
    radius_km
        Range of the distance at which a cell is 4.3 dB below its center.
    life_min
        Range of the cells' lifetimes, minutes.
    stratiform_dbz
        Typical reflectivity of the rain area around the cells, or None for none.
    wind_km_min
        Speed of the common motion, km per minute.
    """

    cells_per_hour: float
    peak_dbz: tuple[float, float]
    radius_km: tuple[float, float]
    life_min: tuple[float, float]
    stratiform_dbz: float | None
    wind_km_min: float


REGIMES: Mapping[RegimeName, Regime] = {
    "clear": Regime(0.3, (8, 22), (2, 5), (15, 30), None, 0.4),
    "cells": Regime(7.0, (42, 62), (2.0, 5.0), (25, 60), None, 0.6),
    "wide": Regime(26.0, (43, 64), (2.5, 8.0), (30, 70), 26.0, 0.9),
}


@dataclass(frozen=True)
class Scene:
    """The cells and the texture of one simulation; positions in km east and north of the grid's south-west corner."""

    grid: LatLonGrid
    regime: Regime
    wind: tuple[float, float]
    #: One row per cell: birth, life (min), x, y at mid-life (km), u, v (km/min), peak (dBZ), two radii (km), angle.
    cells: NDArray[np.float64]
    texture: NDArray[np.float32]
    texture_km: float

    def field(self, minute: float) -> NDArray[np.float32]:
        """Return the reflectivity ``minute`` minutes after the scene's start.

        Returns
        -------
        numpy.ndarray
            dBZ, shape ``(nlat, nlon)``, row 0 southernmost; `NO_ECHO_DBZ` where there is no echo.
        """
        x, y = _kilometres(self.grid)
        linear = np.zeros(self.grid.shape, dtype=np.float32)
        for birth, life, cx, cy, u, v, peak, long, short, angle in self.cells:
            age = minute - birth
            if not 0 < age < life:
                continue
            # Grows to its peak in the first third of its life, then decays; 25 dB from nothing to peak.
            phase = age / life
            strength = np.sin(np.pi * phase**0.63) if phase < 1 else 0.0
            dbz = peak - 25 * (1 - strength)
            mid = age - life / 2
            add_cell(linear, x, y, (cx + u * mid, cy + v * mid), dbz, (long, short), angle)
        texture = self.roughness(minute)
        if self.regime.stratiform_dbz is not None:
            linear += 10 ** ((self.regime.stratiform_dbz + 2.5 * texture) / 10)
        with np.errstate(divide="ignore"):
            dbz_field = 10 * np.log10(linear) + 2.0 * texture
        found: NDArray[np.float32] = np.where(dbz_field > 0, np.minimum(dbz_field, 75), NO_ECHO_DBZ).astype(np.float32)
        return found

    def roughness(self, minute: float) -> NDArray[np.float32]:
        """Return the texture (zero mean, unit deviation) advected with the wind; bilinear, periodic."""
        x, y = _kilometres(self.grid)
        size = self.texture.shape[0]
        scale = size / self.texture_km
        i = ((y - self.wind[1] * minute) * scale) % size
        j = ((x - self.wind[0] * minute) * scale) % size
        i0, j0 = i.astype(np.intp) % size, j.astype(np.intp) % size
        fi, fj = (i - np.floor(i)).astype(np.float32)[:, None], (j - np.floor(j)).astype(np.float32)
        upper, lower = self.texture[i0], self.texture[(i0 + 1) % size]
        rows = upper * (1 - fi) + lower * fi
        moved: NDArray[np.float32] = rows[:, j0] * (1 - fj) + rows[:, (j0 + 1) % size] * fj
        return moved


def make_scene(grid: LatLonGrid, regime: RegimeName, minutes: float, seed: int) -> Scene:
    """Generate a random scene that lasts ``minutes``.

    Parameters
    ----------
    grid
        The output grid.
    regime
        ``clear``, ``cells`` (isolated convective cells) or ``wide`` (widespread convection in rain).
    minutes
        Length of the scene.
    seed
        Random seed; the same seed, grid, regime and length give the same scene.
    """
    chosen = REGIMES[regime]
    rng = np.random.default_rng([seed, sorted(REGIMES).index(regime)])
    x, y = _kilometres(grid)
    width, height = float(x[-1]), float(y[-1])
    direction = rng.uniform(-0.35, 0.9)  # radians north of east: storms mostly come from the west
    wind = (chosen.wind_km_min * np.cos(direction), chosen.wind_km_min * np.sin(direction))
    hours = (minutes + _LONGEST_LIFE_MIN) / 60
    margin = 20.0
    area = (width + 2 * margin) * (height + 2 * margin)
    count = max(1, int(rng.poisson(chosen.cells_per_hour * area / 1e4 * hours)))
    long = rng.uniform(*chosen.radius_km, count)
    cells = np.column_stack(
        [
            rng.uniform(-_LONGEST_LIFE_MIN, minutes, count),
            rng.uniform(*chosen.life_min, count),
            rng.uniform(-margin, width + margin, count),
            rng.uniform(-margin, height + margin, count),
            wind[0] + rng.normal(0, 0.08, count),
            wind[1] + rng.normal(0, 0.08, count),
            rng.uniform(*chosen.peak_dbz, count),
            long,
            long * rng.uniform(0.45, 0.95, count),
            rng.uniform(0, np.pi, count),
        ]
    )
    size, texture_km = 512, 256.0
    return Scene(grid, chosen, wind, cells, noise(rng, size), texture_km)


def noise(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return periodic noise with a power spectrum of slope -2.6, like rain at these scales."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    # Rain is smooth below 2 km: without this cutoff, contours would be noise.
    amplitude = frequency**-1.3 * np.exp(-((frequency * 4) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * amplitude, s=(size, size))
    field -= field.mean()
    texture: NDArray[np.float32] = (field / field.std()).astype(np.float32)
    return texture


def _kilometres(grid: LatLonGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middle = np.radians((grid.latitudes[0] + grid.latitudes[-1]) / 2)
    x: NDArray[np.float64] = (
        np.arange(grid.nlon, dtype=np.float64) * grid.dlon_deg * _KM_PER_DEG * float(np.cos(middle))
    )
    y: NDArray[np.float64] = np.arange(grid.nlat, dtype=np.float64) * grid.dlat_deg * _KM_PER_DEG
    return x, y


def add_cell(
    linear: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    centre: tuple[float, float],
    dbz: float,
    radii: tuple[float, float],
    angle: float,
) -> None:
    """Add one elliptical Gaussian (in linear reflectivity) where it is above about -10 dBZ."""
    reach = max(radii) * 3.5
    left, right = np.searchsorted(x, (centre[0] - reach, centre[0] + reach))
    bottom, top = np.searchsorted(y, (centre[1] - reach, centre[1] + reach))
    if left >= right or bottom >= top:
        return
    dx = (x[left:right] - centre[0])[None, :]
    dy = (y[bottom:top] - centre[1])[:, None]
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / radii[0]
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / radii[1]
    linear[bottom:top, left:right] += 10 ** (dbz / 10) * np.exp(-(along**2 + across**2))
