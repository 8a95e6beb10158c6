"""Simulated storms as seen by a polarimetric radar: rain, hail cores of known location and size, clutter, noise.

A core is a round rain cell, some with a round hail shaft at the center. Both move with the wind, grow and decay.
Reflectivity falls off from the center like a Gaussian in dB: by `EDGE_DB` at the radius of the hail shaft, where hail
ends. The radar measures the power-weighted mix of rain and hail:

* rain: ZDR and KDP grow with ZH, RHOHV is 0.985;
* hail: ZDR near 0 dB, RHOHV 0.93 (lower for larger hail), no KDP;
* clutter: strong, stationary, rough, decorrelated gates at fixed locations near the radar;
* noise on all moments; ZDR and RHOHV degrade with weak signal.

Values are in the range of published X-band observations, not from a scattering model; attenuation is assumed to be
corrected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

RegimeName = Literal["clear", "cells", "wide"]
REGIMES: tuple[RegimeName, ...] = get_args(RegimeName)

Floats = NDArray[np.float32]
#: Drop in reflectivity from the center of a hail shaft to its edge, dB.
EDGE_DB = 6.0
#: A decaying shaft stops being hail below this reflectivity at its center, dBZ.
LEAST_HAIL_DBZ = 57.0
#: Receiver sensitivity: SNR at 1 km for 0 dBZ, dB.
_SNR_AT_1_KM_DB = 32.0
_LEAST_SNR_DB = 2.0
_WIND_EAST_M_S, _WIND_NORTH_M_S = 11.0, 6.0
#: The same eastward and northward, km per minute.
WIND_KM_MIN = (_WIND_EAST_M_S * 0.06, _WIND_NORTH_M_S * 0.06)
_LIFE_MIN = 50.0
_REACH = 3.2
_CLUTTER_KM = 14.0
#: A beam as wide as the rays are apart, broadened by the turning antenna, sees a target beside it weaker by, dB.
_BESIDE_DB = 12.0


@dataclass(frozen=True)
class Core:
    """One storm core; position in km east and north of the center of the scene at minute 0.

    ``rain_dbz`` and ``hail_dbz`` are at the center, at the peak of its life; ``hail_radius_km`` and ``hail_mm`` are 0
    without hail. ``top_km`` is the height where the echo starts to fade.
    """

    number: int
    east_km: float
    north_km: float
    born_min: float
    rain_dbz: float
    rain_radius_km: float
    hail_dbz: float
    hail_radius_km: float
    hail_mm: float
    top_km: float

    def place(self, minute: float) -> tuple[float, float]:
        """Return the position, km east and north."""
        seconds = minute * 60.0 / 1000.0
        return self.east_km + _WIND_EAST_M_S * seconds, self.north_km + _WIND_NORTH_M_S * seconds

    def fading_db(self, minute: float) -> float:
        """Return how far the core is below its peak, dB; infinite outside its lifetime."""
        age = (minute - self.born_min) / _LIFE_MIN
        if not 0 < age < 1:
            return math.inf
        return 25.0 * (2 * age - 1) ** 4

    def has_hail(self, minute: float) -> bool:
        """Whether hail falls."""
        return self.hail_radius_km > 0 and self.hail_dbz - self.fading_db(minute) >= LEAST_HAIL_DBZ


@dataclass(frozen=True)
class RadarScene:
    """All cores, and whether widespread rain surrounds them."""

    cores: tuple[Core, ...]
    stratiform: bool


def make_radar_scene(regime: RegimeName, centres_km: NDArray[np.float64], minutes: float, seed: int) -> RadarScene:
    """Generate storms for a network.

    Parameters
    ----------
    regime
        ``clear``: none; ``cells``: isolated cores; ``wide``: many cores in widespread rain.
    centres_km
        Radar positions, km east and north; cores form 8 to 40 km from one of them.
    minutes
        Length of the scene; a longer one starts like a shorter one.
    seed
        Random seed; the same seed gives the same storms.
    """
    if regime == "clear":
        return RadarScene((), False)
    rng = np.random.default_rng([seed, REGIMES.index(regime)])
    together = {"cells": 8, "wide": 36}[regime]
    hail_share = {"cells": 0.6, "wide": 0.35}[regime]
    cores: list[Core] = []
    for generation in range(-1, math.ceil(minutes / _LIFE_MIN) + 1):
        for _ in range(together):
            centre = centres_km[rng.integers(len(centres_km))]
            distance, bearing = rng.uniform(8, 40), rng.uniform(0, 2 * math.pi)
            born = (generation + rng.uniform(0, 1)) * _LIFE_MIN
            # Place cores so that they are near the radars in mid-life.
            drift = (born + _LIFE_MIN / 2) * 60 / 1000
            hail = rng.uniform() < hail_share
            millimetres = float(np.clip(rng.gamma(2.5, 10.0), 8, 70)) if hail else 0.0
            cores.append(
                Core(
                    number=len(cores) + 1,
                    east_km=float(centre[0] + distance * math.sin(bearing) - _WIND_EAST_M_S * drift),
                    north_km=float(centre[1] + distance * math.cos(bearing) - _WIND_NORTH_M_S * drift),
                    born_min=float(born),
                    rain_dbz=float(rng.uniform(42, 50)),
                    rain_radius_km=float(rng.uniform(2.5, 6.0)),
                    hail_dbz=float(59.0 + 6.0 * (millimetres / 70) ** 0.5 + rng.uniform(0, 2)) if hail else 0.0,
                    hail_radius_km=float(rng.uniform(0.8, 2.4)) if hail else 0.0,
                    hail_mm=round(millimetres, 1),
                    top_km=float(rng.uniform(8, 13)),
                )
            )
    return RadarScene(tuple(cores), regime == "wide")


def observe(
    scene: RadarScene,
    minute: float,
    *,
    east_km: float,
    north_km: float,
    azimuth_deg: NDArray[np.float64],
    ground_km: NDArray[np.float64],
    height_km: NDArray[np.float64],
    nyquist_m_s: float,
    site_seed: int,
    sweep_seed: int,
) -> dict[str, Floats]:
    """Return the moments a radar measures.

    Parameters
    ----------
    scene, minute
        The storms, and the time.
    east_km, north_km
        Position of the radar.
    azimuth_deg, ground_km, height_km
        Azimuths of the rays; ground ranges and heights above sea level of the gates.
    nyquist_m_s
        Nyquist velocity for folding, m s-1.
    site_seed, sweep_seed
        Seeds for clutter, which is fixed, and noise, which varies.

    Returns
    -------
    dict
        ``DBZH ZDR RHOHV PHIDP KDP VRADH WRADH SNRH SQIH``, shape ``(rays, gates)``; NaN without signal.
    """
    shape = (azimuth_deg.size, ground_km.size)
    rain, hail, share = _power(scene, minute, east_km, north_km, azimuth_deg, ground_km, height_km)
    rng = np.random.default_rng([sweep_seed, site_seed])
    total = rain + hail
    with np.errstate(divide="ignore"):
        dbz = 10 * np.log10(total)
    rain_dbz = 10 * np.log10(np.maximum(rain, np.float32(1e-6)))
    snr = dbz + np.float32(_SNR_AT_1_KM_DB) - (20 * np.log10(np.maximum(ground_km, 0.1))).astype(np.float32)
    seen = snr >= _LEAST_SNR_DB
    moments = _weather(rain, hail, rain_dbz, share, dbz, snr, ground_km, rng, seen)
    radians = np.deg2rad(azimuth_deg)
    wind = (_WIND_EAST_M_S * np.sin(radians) + _WIND_NORTH_M_S * np.cos(radians)).astype(np.float32)
    velocity = np.broadcast_to(wind[:, np.newaxis], shape)[seen] + 1.5 * rng.standard_normal(seen.sum(), np.float32)
    moments["VRADH"] = _placed(_folded(velocity, nyquist_m_s), seen)
    moments["WRADH"] = _placed(np.abs(2.0 + 0.7 * rng.standard_normal(seen.sum(), np.float32)), seen)
    moments["SQIH"] = _placed(np.clip(0.97 - 0.6 / np.maximum(snr[seen], 1), 0.3, 0.99), seen)
    _add_clutter(moments, ground_km, np.random.default_rng(site_seed), rng)
    return moments


def _power(
    scene: RadarScene,
    minute: float,
    east_km: float,
    north_km: float,
    azimuth_deg: NDArray[np.float64],
    ground_km: NDArray[np.float64],
    height_km: NDArray[np.float64],
) -> tuple[Floats, Floats, Floats]:
    """Return reflectivity of rain and of hail, mm6 m-3, and the power-weighted hail size, mm."""
    shape = (azimuth_deg.size, ground_km.size)
    rain, hail, size = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    sine, cosine = np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))
    if scene.stratiform:
        shift = (
            np.float32(east_km - _WIND_EAST_M_S * minute * 0.06),
            np.float32(north_km - _WIND_NORTH_M_S * minute * 0.06),
        )
        x = (sine[:, np.newaxis] * ground_km).astype(np.float32) + shift[0]
        y = (cosine[:, np.newaxis] * ground_km).astype(np.float32) + shift[1]
        wide = 27 + 7 * np.sin(x / 17 + 1) * np.cos(y / 23) + 5 * np.sin((x + y) / 7.3)
        wide -= (np.maximum(height_km - 6, 0) * 4).astype(np.float32)
        rain += np.power(np.float32(10), (wide / 10).astype(np.float32))
    for core in scene.cores:
        fading = core.fading_db(minute)
        if fading > 30:
            continue
        x0, y0 = core.place(minute)
        x0, y0 = x0 - east_km, y0 - north_km
        distance, reach = math.hypot(x0, y0), core.rain_radius_km * _REACH
        gates = slice(*np.searchsorted(ground_km, (distance - reach, distance + reach)).tolist())
        if gates.start >= gates.stop:
            continue
        bearing = math.degrees(math.atan2(x0, y0))
        width = 180.0 if distance <= reach else math.degrees(math.asin(reach / distance))
        rays = np.flatnonzero(np.abs((azimuth_deg - bearing + 180) % 360 - 180) <= width)
        east = sine[rays, np.newaxis] * ground_km[gates] - x0
        north = cosine[rays, np.newaxis] * ground_km[gates] - y0
        squared = (east * east + north * north).astype(np.float32)
        above = (np.maximum(height_km[gates] - core.top_km, 0) * 6.0 + fading).astype(np.float32)
        block = np.ix_(rays, np.arange(gates.start, gates.stop))
        level = core.rain_dbz - above - EDGE_DB * squared / np.float32(core.rain_radius_km**2)
        rain[block] += np.power(np.float32(10), level / 10)
        if core.has_hail(minute):
            inside = squared <= core.hail_radius_km**2
            level = core.hail_dbz - above - EDGE_DB * squared / np.float32(core.hail_radius_km**2)
            power = np.where(inside, np.power(np.float32(10), level / 10), np.float32(0))
            hail[block] += power
            size[block] += power * np.float32(core.hail_mm)
    np.divide(size, hail, out=size, where=hail > 0)
    return rain, hail, size


def _weather(
    rain: Floats,
    hail: Floats,
    rain_dbz: Floats,
    size_mm: Floats,
    dbz: Floats,
    snr: Floats,
    ground_km: NDArray[np.float64],
    rng: np.random.Generator,
    seen: NDArray[np.bool_],
) -> dict[str, Floats]:
    count = int(seen.sum())
    noise = (rng.standard_normal(count, np.float32) for _ in range(4))
    share = hail[seen] / (rain[seen] + hail[seen])
    # Weak signals are noisier.
    worse = 1 + 6 * np.power(np.float32(10), -snr[seen] / 10)
    zdr_rain = np.clip(0.055 * (rain_dbz[seen] - 20), 0, 3.2)
    zdr_hail = np.clip(0.6 - 0.02 * size_mm[seen], -0.6, 0.5)
    rho_hail = np.clip(0.955 - 0.001 * size_mm[seen], 0.87, 0.95)
    kdp = np.where(rain_dbz > 20, np.power(np.float32(10), np.float32(0.068) * rain_dbz - np.float32(3.1)), 0)
    step_km = float(ground_km[1] - ground_km[0])
    phase = np.cumsum(kdp, axis=1, dtype=np.float32) * np.float32(2 * step_km) + np.float32(60)
    return {
        "DBZH": _placed(dbz[seen] + 0.8 * next(noise), seen),
        "ZDR": _placed((1 - share) * zdr_rain + share * zdr_hail + 0.2 * worse * next(noise), seen),
        "RHOHV": _placed(
            np.clip((1 - share) * 0.985 + share * rho_hail - 0.008 * worse * np.abs(next(noise)), 0.2, 1.0), seen
        ),
        "PHIDP": _placed((phase[seen] + 2.0 * worse * next(noise)) % 360, seen),
        "KDP": _placed(kdp[seen], seen),
        "SNRH": _placed(snr[seen], seen),
    }


def _add_clutter(
    moments: Mapping[str, Floats], ground_km: NDArray[np.float64], fixed: np.random.Generator, rng: np.random.Generator
) -> None:
    """Add patches of ground clutter at positions from the generator ``fixed``, with values from ``rng``.

    The rays beside a patch see it with the edge of the beam: no target stands in one ray alone.
    """
    rays, gates = moments["DBZH"].shape
    near = int(np.searchsorted(ground_km, _CLUTTER_KM))
    if near < 8:
        return
    for _ in range(60):
        ray, gate = int(fixed.integers(rays)), int(near * fixed.uniform(0.02, 1.0) ** 1.5)
        wide, long = int(fixed.integers(1, 4)), int(fixed.integers(2, 9))
        strength = fixed.uniform(30, 55)
        block = np.ix_((ray + np.arange(-1, wide + 1)) % rays, np.arange(gate, min(gate + long, gates)))
        shape = moments["DBZH"][block].shape
        patch = strength + 9.0 * rng.standard_normal((wide, shape[1]))
        clutter = np.pad(patch, ((1, 1), (0, 0)), mode="edge").astype(np.float32)
        clutter[[0, -1]] -= _BESIDE_DB
        stronger = ~(moments["DBZH"][block] > clutter) & (clutter > 0)
        for name, values in (
            ("DBZH", clutter),
            ("ZDR", 3.0 * rng.standard_normal(shape)),
            ("RHOHV", rng.uniform(0.3, 0.95, shape)),
            ("PHIDP", rng.uniform(0, 360, shape)),
            ("VRADH", 0.2 * rng.standard_normal(shape)),
            ("WRADH", np.full(shape, 0.4)),
            ("SNRH", clutter + 30),
            ("SQIH", np.full(shape, 0.98)),
        ):
            moments[name][block] = np.where(stronger, values, moments[name][block])


def _folded(velocity: Floats, nyquist_m_s: float) -> Floats:
    folded: Floats = ((velocity + nyquist_m_s) % (2 * nyquist_m_s) - nyquist_m_s).astype(np.float32)
    return folded


def _placed(values: NDArray[Any], where: NDArray[np.bool_]) -> Floats:
    field = np.full(where.shape, np.nan, dtype=np.float32)
    field[where] = values
    return field
