"""Kinds of damage that radars, links, and writers do to sweeps; each changes one in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from benchmarks.damage_files import DamagedSweep

Damage = Callable[[DamagedSweep, Generator], None]


def _part(sweep: DamagedSweep, start: float, share: float) -> slice:
    rays = sweep.fields["DBZH"].shape[0]
    return slice(round(start * rays), round((start + share) * rays))


def _all_moments(change: Callable[[np.ndarray], None]) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        for values in sweep.fields.values():
            change(values)

    return damage


def _rays_lost(share: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        lost = _part(sweep, 0.3, share)
        sweep.rays = np.delete(sweep.rays, np.arange(lost.start, lost.stop))

    return damage


def _blank_sector(sweep: DamagedSweep, _: Generator) -> None:
    for values in sweep.fields.values():
        values[_part(sweep, 0.4, 0.12)] = np.nan


def _every_second_blank(values: np.ndarray) -> None:
    values[::2] = np.nan


def _blank_ring(values: np.ndarray) -> None:
    gates = values.shape[1]
    values[:, gates // 10 : gates // 6] = np.nan


def _cut_gates(values: np.ndarray) -> None:
    values[:, values.shape[1] // 4 :] = np.nan


def _all_missing(values: np.ndarray) -> None:
    values[:] = np.nan


def _stuck_rays(values: np.ndarray) -> None:
    rays = values.shape[0]
    values[rays // 3 : rays // 3 + 12] = values[rays // 3]


def _stuck_sweep(values: np.ndarray) -> None:
    values[:] = values[values.shape[0] // 2]


def _flat(name: str, value: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        values = sweep.fields[name]
        values[~np.isnan(values)] = value

    return damage


def _missing_as(value: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        values = sweep.fields["DBZH"]
        values[np.isnan(values)] = value

    return damage


def _clip(sweep: DamagedSweep, _: Generator) -> None:
    np.minimum(sweep.fields["DBZH"], 30.0, out=sweep.fields["DBZH"])


def _coarse(sweep: DamagedSweep, _: Generator) -> None:
    sweep.fields["DBZH"][:] = np.rint(sweep.fields["DBZH"] / 6.0) * 6.0


def _salt(sweep: DamagedSweep, rng: Generator) -> None:
    dbz = sweep.fields["DBZH"]
    dbz[rng.random(dbz.shape) < 0.01] = 60.0


def _bit_flips(sweep: DamagedSweep, rng: Generator) -> None:
    dbz = sweep.fields["DBZH"]
    hit = (rng.random(dbz.shape) < 0.05) & ~np.isnan(dbz)
    dbz[hit] = np.where(dbz[hit] > 32, dbz[hit] - 64, dbz[hit] + 64).clip(-32, 80)


def _lost_gates(sweep: DamagedSweep, rng: Generator) -> None:
    lost = rng.random(sweep.fields["DBZH"].shape) < 0.4
    for values in sweep.fields.values():
        values[lost[:, : values.shape[1]]] = np.nan


def _sun(sweep: DamagedSweep, rng: Generator) -> None:
    dbz = sweep.fields["DBZH"]
    range_km = np.linspace(0.5, 150.0, dbz.shape[1])
    rays = max(2, dbz.shape[0] // 360)
    row = dbz.shape[0] // 5
    dbz[row : row + rays] = -20 + 20 * np.log10(range_km) + rng.normal(0, 1, (rays, dbz.shape[1]))


def _transmitter(sweep: DamagedSweep, rng: Generator) -> None:
    dbz = sweep.fields["DBZH"]
    for row in (0.15, 0.55, 0.8):
        first = int(row * dbz.shape[0])
        dbz[first : first + 2] = 25 + rng.normal(0, 2, (2, dbz.shape[1]))


def _noise(sweep: DamagedSweep, rng: Generator) -> None:
    dbz = sweep.fields["DBZH"]
    range_km = np.linspace(0.5, 150.0, dbz.shape[1])
    level = -28 + 20 * np.log10(range_km) + rng.normal(0, 1, dbz.shape)
    np.fmax(dbz, level.astype(np.float32), out=dbz)


def _wrong_sign(sweep: DamagedSweep, _: Generator) -> None:
    np.negative(sweep.fields["DBZH"], out=sweep.fields["DBZH"])


def _linear(sweep: DamagedSweep, _: Generator) -> None:
    sweep.fields["DBZH"][:] = 10.0 ** (sweep.fields["DBZH"] / 10.0)


def _doubled(sweep: DamagedSweep, _: Generator) -> None:
    sweep.fields["DBZH"] *= 2.0


def _rays_mixed(sweep: DamagedSweep, rng: Generator) -> None:
    order = rng.permutation(sweep.fields["DBZH"].shape[0])
    for values in sweep.fields.values():
        values[:] = values[order]


def _rays_shifted(sweep: DamagedSweep, rng: Generator) -> None:
    for row in range(sweep.fields["DBZH"].shape[0]):
        shift = int(rng.integers(-60, 60))
        for values in sweep.fields.values():
            values[row] = np.roll(values[row], shift)


def _offset(name: str, amount: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        sweep.fields[name] += np.float32(amount)

    return damage


def _scaled(name: str, factor: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        sweep.fields[name] *= np.float32(factor)

    return damage


def _moved_in_range(sweep: DamagedSweep, _: Generator) -> None:
    for name in ("ZDR", "RHOHV", "PHIDP"):
        sweep.fields[name][:] = np.roll(sweep.fields[name], sweep.fields[name].shape[1] // 5, axis=1)


def _moved_in_azimuth(sweep: DamagedSweep, _: Generator) -> None:
    for name in ("ZDR", "RHOHV", "PHIDP"):
        sweep.fields[name][:] = np.roll(sweep.fields[name], sweep.fields[name].shape[0] // 4, axis=0)


def _polarimetry_lost(sweep: DamagedSweep, _: Generator) -> None:
    rows = _part(sweep, 0.0, 0.75)
    for name in ("ZDR", "RHOHV"):
        sweep.fields[name][rows] = np.nan


def _random(name: str, low: float, high: float) -> Damage:
    def damage(sweep: DamagedSweep, rng: Generator) -> None:
        values = sweep.fields[name]
        values[:] = np.where(np.isnan(values), np.nan, rng.uniform(low, high, values.shape))

    return damage


def _velocity_random(sweep: DamagedSweep, rng: Generator) -> None:
    values = sweep.fields["VRADH"]
    highest = float(np.nanmax(np.abs(values)))
    values[:] = np.where(np.isnan(values), np.nan, rng.uniform(-highest, highest, values.shape))


def _exchanged(sweep: DamagedSweep, _: Generator) -> None:
    dbz, zdr = sweep.fields["DBZH"], sweep.fields["ZDR"]
    gates = min(dbz.shape[1], zdr.shape[1])
    one = dbz[:, :gates].copy()
    dbz[:, :gates], zdr[:, :gates] = zdr[:, :gates], one


def _azimuth_stuck(sweep: DamagedSweep, _: Generator) -> None:
    assert sweep.azimuth is not None
    sweep.azimuth[_part(sweep, 0.2, 0.3)] = sweep.azimuth[_part(sweep, 0.2, 0.3)][0]


def _azimuth_halved(sweep: DamagedSweep, _: Generator) -> None:
    assert sweep.azimuth is not None
    sweep.azimuth[:] = sweep.azimuth / 2.0


def _elevation_drift(sweep: DamagedSweep, _: Generator) -> None:
    assert sweep.elevation is not None
    sweep.elevation[_part(sweep, 0.5, 0.4)] += 1.5


def _delay(start: float, share: float, seconds: float) -> Damage:
    def damage(sweep: DamagedSweep, _: Generator) -> None:
        assert sweep.delay_s is not None
        sweep.delay_s[_part(sweep, start, share)] += seconds

    return damage


def _time_mixed(sweep: DamagedSweep, rng: Generator) -> None:
    assert sweep.delay_s is not None
    sweep.delay_s += rng.integers(-60, 60, sweep.delay_s.size)


#: What the damage needs of a sweep: ``any``, ``rain``, polarimetric ``rain``, or what formats whose rays can be changed
#: have: ``rays`` (to leave some out), ``directions``, ``times``.
SWEEPS: Mapping[str, tuple[str, Damage]] = {
    "a sector's rays lost": ("rays", _rays_lost(0.1)),
    "half of the rays lost": ("rays", _rays_lost(0.5)),
    "five rays of 360 lost": ("rays", _rays_lost(5 / 360)),
    "a sector blank": ("any", _blank_sector),
    "every second ray blank": ("any", _all_moments(_every_second_blank)),
    "a ring blank": ("rain", _all_moments(_blank_ring)),
    "outer gates blank": ("rain", _all_moments(_cut_gates)),
    "all blank": ("any", _all_moments(_all_missing)),
    "twelve rays stuck": ("any", _all_moments(_stuck_rays)),
    "one ray all around": ("any", _all_moments(_stuck_sweep)),
    "reflectivity flat": ("any", _flat("DBZH", 20.0)),
    "ZDR flat": ("rain", _flat("ZDR", 0.5)),
    "velocity flat": ("velocity", _flat("VRADH", 0.0)),
    "missing written as 0 dBZ": ("any", _missing_as(0.0)),
    "missing written as -32 dBZ": ("any", _missing_as(-32.0)),
    "clipped at 30 dBZ": ("rain", _clip),
    "steps of 6 dB": ("rain", _coarse),
    "1 % of the gates 60 dBZ": ("any", _salt),
    "a high bit flipped in 5 %": ("rain", _bit_flips),
    "40 % of the gates lost": ("rain", _lost_gates),
    "the sun": ("any", _sun),
    "other transmitters": ("any", _transmitter),
    "receiver noise raised": ("any", _noise),
    "reflectivity's sign wrong": ("rain", _wrong_sign),
    "reflectivity not in dB": ("rain", _linear),
    "reflectivity doubled": ("rain", _doubled),
    "rays in another order": ("rain", _rays_mixed),
    "rays shifted in range": ("rain", _rays_shifted),
    "ZDR 3 dB too high": ("rain", _offset("ZDR", 3.0)),
    "ZDR 1.5 dB too low": ("rain", _offset("ZDR", -1.5)),
    "RHOHV a tenth too low": ("rain", _scaled("RHOHV", 0.9)),
    "RHOHV in percent": ("rain", _scaled("RHOHV", 100.0)),
    "polarimetry moved in range": ("rain", _moved_in_range),
    "polarimetry moved in azimuth": ("rain", _moved_in_azimuth),
    "polarimetry lost in part": ("rain", _polarimetry_lost),
    "velocity random": ("velocity", _velocity_random),
    "phase random": ("rain", _random("PHIDP", 0.0, 180.0)),
    "correlation random": ("rain", _random("RHOHV", 0.0, 1.0)),
    "reflectivity and ZDR exchanged": ("rain", _exchanged),
    "azimuth stuck": ("directions", _azimuth_stuck),
    "azimuth halved": ("directions", _azimuth_halved),
    "elevation drifting": ("directions", _elevation_drift),
    "clock set back within the sweep": ("times", _delay(0.5, 0.5, -600.0)),
    "clock set ahead within the sweep": ("times", _delay(0.4, 0.6, 3600.0)),
    "clock 20 years ahead": ("times", _delay(0.0, 1.0, 20 * 365.25 * 86_400)),
    "times mixed up": ("times", _time_mixed),
}
