"""Damage put into a simulated sweep, field, or product is found; what is sound raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.damage_files import DamagedSweep
from benchmarks.damage_kinds import SWEEPS
from dynamo.checks.examine import examine_fields, examine_volume
from dynamo.checks.files import examine_file
from dynamo.checks.judging import CheckRule, SeriesMemory, judge
from dynamo.checks.model import Examination, Flag
from dynamo.checks.products import examine_product
from dynamo.formats.radar.model import Site, make_sweep
from dynamo.formats.radar.volume import make_volume
from dynamo.radar.quality.fields import DBZ, FieldView, image
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.radar import RadarSimulator
from dynamo.simulate.radar_storms import RegimeName

RAYS, GATES = 360, 400
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
SITE = Site("KSIM", 33.0, -97.0, 200.0, "S")


def sound() -> DamagedSweep:
    """Return a sweep with broad rain and storms in it, and the noise that every receiver adds."""
    rng = np.random.default_rng(7)
    azimuth: NDArray[np.float64] = np.arange(RAYS, dtype=np.float64) + 0.5
    range_km = (np.arange(GATES) + 0.5) * 0.25
    ray, gate = np.meshgrid(np.arange(RAYS), np.arange(GATES), indexing="ij")
    dbz = np.full((RAYS, GATES), -30.0)
    for center_ray, center_gate, top, width in (
        (60, 120, 42, 45),
        (150, 200, 55, 40),
        (250, 150, 48, 60),
        (125, 60, 40, 110),
        (300, 230, 44, 110),
    ):
        across = (ray - center_ray) * np.deg2rad(1.0) * range_km[gate] / 0.25
        dbz = np.maximum(dbz, top - np.hypot(across, gate - center_gate) * 40.0 / width)
    dbz += rng.normal(0.0, 1.0, dbz.shape)
    echo = dbz > 5.0
    values = {
        "DBZH": dbz,
        "ZDR": 0.25 + np.maximum(dbz - 25.0, 0) * 0.05 + rng.normal(0.0, 0.2, dbz.shape),
        "RHOHV": 0.99 + rng.normal(0.0, 0.004, dbz.shape),
        "PHIDP": 30.0 + gate * 0.05 + rng.normal(0.0, 2.0, dbz.shape),
        "VRADH": 10.0 * np.cos(np.deg2rad(azimuth))[:, np.newaxis] + rng.normal(0.0, 0.5, dbz.shape),
    }
    fields = {name: np.where(echo, value, np.nan).astype(np.float32) for name, value in values.items()}
    return DamagedSweep(fields, lambda *_: None, azimuth, np.full(RAYS, 0.5), np.zeros(RAYS))


def examined(sweep: DamagedSweep, at: datetime = START) -> Examination:
    kept = sweep.rays
    assert sweep.azimuth is not None
    assert sweep.elevation is not None
    assert sweep.delay_s is not None
    seconds = np.arange(RAYS) * 0.05 + sweep.delay_s
    made = make_sweep(
        site=SITE,
        azimuth_deg=sweep.azimuth[kept],
        elevation_deg=sweep.elevation[kept],
        range_m=(np.arange(GATES) + 0.5) * 250.0,
        time=(np.datetime64(at.replace(tzinfo=None), "ms") + (1000 * seconds).astype("timedelta64[ms]"))[kept],
        moments={name: values[kept] for name, values in sweep.fields.items()},
        fixed_angle_deg=0.5,
        sweep_number=0,
        volume_time=at,
        file_format="simulated",
        nyquist_m_s=30.0,
    )
    return examine_volume(make_volume([made], now=at + timedelta(minutes=5)), "sweep")


def alarms(examination: Examination, memory: SeriesMemory | None = None, **rules: CheckRule) -> set[str]:
    verdicts = judge(examination, memory or SeriesMemory(), rules)
    return {verdict.check for verdict in verdicts if verdict.flag in (Flag.SUSPECT, Flag.BAD, Flag.MISSING)}


def test_a_sound_sweep_raises_no_alarm() -> None:
    assert alarms(examined(sound())) == set()


#: Some of the kinds that benchmarks/damage.py puts into real files, and the check that must find each.
FOUND_BY = {
    "a sector's rays lost": "azimuth_gap",
    "a ring blank": "blank_ring",
    "all blank": "no_echo",
    "twelve rays stuck": "stuck_rays",
    "reflectivity flat": "flat_values",
    "clipped at 30 dBZ": "clipped_values",
    "steps of 6 dB": "coarse_values",
    "1 % of the gates 60 dBZ": "lone_gates",
    "40 % of the gates lost": "holes",
    "the sun": "spokes",
    "receiver noise raised": "noise_floor",
    "reflectivity not in dB": "reader",
    "rays shifted in range": "ray_disorder",
    "ZDR 3 dB too high": "zdr_bias",
    "RHOHV a tenth too low": "rhohv_in_rain",
    "polarimetry lost in part": "moments_apart",
    "velocity random": "velocity_noise",
    "phase random": "phase_noise",
    "correlation random": "low_correlation",
    "elevation drifting": "elevation_spread",
    "clock set back within the sweep": "time_jump",
    "clock 20 years ahead": "reader_remarks",
    "times mixed up": "time_disorder",
}


@pytest.mark.parametrize("kind", sorted(FOUND_BY))
def test_damage_is_found_by_its_check(kind: str) -> None:
    sweep = sound()
    SWEEPS[kind][1](sweep, np.random.default_rng(1))
    if FOUND_BY[kind] == "reader":
        # The reader refuses such a file, or leaves so much out that a check sees it.
        from dynamo.errors import InputError

        try:
            found = alarms(examined(sweep))
        except InputError:
            return
        assert found
        return
    assert FOUND_BY[kind] in alarms(examined(sweep))


def test_rays_whose_echo_lacks_one_moment_are_found() -> None:
    sweep = sound()
    # As where chunks of the Doppler cut are lost: reflectivity is whole.
    sweep.fields["VRADH"][100:200] = np.nan
    value, place = examined(sweep).values["blank_rays"]
    assert (value, place) == (round(100 / RAYS, 4), "0.5 deg: azimuth 100 to 200 deg")
    assert examined(sound()).values["blank_rays"][0] == 0.0


def test_a_ring_is_found_in_a_moment_that_has_values_without_echo() -> None:
    sweep = sound()
    sweep.fields["RHOHV"][:] = 0.5
    assert examined(sweep).values["blank_ring"][0] == 0.0
    sweep.fields["RHOHV"][:, 96:160] = np.nan
    # Every 16th of the 400 gates is looked at: 4 of 25.
    assert examined(sweep).values["blank_ring"] == (0.16, "0.5 deg: 24 to 36 km")


def test_rain_that_fills_distant_rays_is_no_noise_but_the_same_without_a_steady_velocity_is() -> None:
    rng = np.random.default_rng(3)
    sweep = sound()
    # Snow all around that fades with range, and a ray seen through the gap between two buildings.
    level = -15.0 + 20.0 * np.log10((np.arange(GATES) + 0.5) * 0.25) + rng.normal(0.0, 1.0, (RAYS, GATES))
    wind = 10.0 * np.cos(np.deg2rad(np.arange(RAYS)))[:, np.newaxis] + rng.normal(0.0, 1.0, (RAYS, GATES))
    rays = np.r_[0:100, 200]
    sweep.fields["DBZH"][rays] = level[rays]
    sweep.fields["VRADH"][rays] = wind[rays]
    values = examined(sweep).values
    assert (values["noise_floor"][0], values["spokes"][0]) == (0.0, 0.0)
    sweep.fields["VRADH"][rays] = rng.uniform(-30.0, 30.0, (rays.size, GATES))
    values = examined(sweep).values
    assert (values["noise_floor"][0], values["spokes"][0]) == (round(101 / RAYS, 4), 1.0)


def test_single_impossible_values_are_no_damage_that_the_reader_tells_of_but_a_lost_moment_is() -> None:
    sweep = sound()
    sweep.fields["ZDR"][100, :9] = 90.0
    values = examined(sweep).values
    assert values["reader_remarks"] == (0.0, "")
    assert values["impossible_values"][0] == round(9 / (RAYS * GATES), 6)
    sweep.fields["ZDR"][:] = 90.0
    assert examined(sweep).values["reader_remarks"][0] == 1.0


@pytest.mark.parametrize("regime", ["clear", "cells", "wide"])
def test_simulated_sweeps_raise_no_alarm(regime: RegimeName, tmp_path: Path) -> None:
    simulator = RadarSimulator(regime, START, radars=2, sweeps_per_minute=1)
    for sweep in simulator.sweeps():
        assert alarms(examine_file(simulator.write(tmp_path, sweep))) == set()


def test_data_of_the_file_before_are_found_and_late_files_are_not_compared_with() -> None:
    memory = SeriesMemory()
    first = examined(sound())
    memory.learn(first, judge(first, memory, {}))
    again = examined(sound(), START + timedelta(minutes=5))
    verdict = next(one for one in judge(again, memory, {}) if one.check == "repeated")
    assert (verdict.flag, verdict.blocks) == (Flag.BAD, True)
    assert "repeated" not in alarms(first, memory)


def test_a_value_is_compared_with_its_history_only_once_that_is_known() -> None:
    memory = SeriesMemory()
    for number in range(20):
        one = examined(sound(), START + timedelta(minutes=number))
        gates = next(verdict for verdict in judge(one, memory, {}) if verdict.check == "gates")
        assert gates.flag == (Flag.GOOD if number >= 12 else Flag.NOT_EVALUATED)
        memory.learn(one, [])
    short = examined(sound(), START + timedelta(hours=1))
    values = {**short.values, "gates@0.5": (200.0, "")}
    changed = Examination(short.series, short.file, short.kind, short.valid_at, values)
    assert "gates" in alarms(changed, memory)


def test_rules_change_limits_and_severity_and_switch_checks_off() -> None:
    sweep = sound()
    SWEEPS["ZDR 3 dB too high"][1](sweep, np.random.default_rng(1))
    one = examined(sweep)
    assert "zdr_bias" not in alarms(one, zdr_bias=CheckRule(enabled=False))
    assert "zdr_bias" not in alarms(one, zdr_bias=CheckRule(suspect=9.0, fail=9.0))
    assert "zdr_bias" not in alarms(one, zdr_bias=CheckRule(series=("KFWS",)))
    verdict = next(
        v for v in judge(one, SeriesMemory(), {"zdr_bias": CheckRule(severity="block")}) if v.check == "zdr_bias"
    )
    assert verdict.blocks


def storms(lead: int = 0) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:200, 0:240]
    dbz = np.full(rows.shape, -10.0)
    for row, column in ((50, 60), (120, 150), (160, 40)):
        dbz = np.maximum(dbz, 52.0 - 1.5 * np.hypot(rows - row, columns - column - lead))
    return dbz.astype(np.float32)


def spike(field: NDArray[np.float32]) -> None:
    # At the end of one row and the start of the next: flattened, they would stand beside each other.
    field[30, -2], field[90, 100], field[10:90:3, 200] = 70.0, 70.0, 70.0


def stripe(field: NDArray[np.float32]) -> None:
    field[112:128] = field[112]


def flat(field: NDArray[np.float32]) -> None:
    field[field > 10] = 25.0


@pytest.mark.parametrize(("change", "check"), [(spike, "field_spikes"), (stripe, "stripes"), (flat, "flat_field")])
def test_damage_to_a_field_is_found(change: Callable[[NDArray[np.float32]], None], check: str) -> None:
    field = storms()

    def examination() -> Examination:
        return examine_fields([(0, field)], DBZ, series="net", file="grid", valid_at=START)

    assert alarms(examination()) == set()
    change(field)
    assert check in alarms(examination())


def test_an_image_holds_the_share_of_echo_in_each_block() -> None:
    field = np.full((96, 24), -10.0, dtype=np.float32)
    field[8:16, 4] = 30.0
    found = np.array(image(FieldView(field, DBZ))).reshape(12, 12)
    assert found[1, 2] == 50.0
    assert np.count_nonzero(found) == 1


def test_leads_follow_each_other() -> None:
    def found(fields: list[NDArray[np.float32]]) -> set[str]:
        return alarms(examine_fields(enumerate(fields), DBZ, series="net", file="nowcast", valid_at=START))

    leads = [storms(lead) for lead in range(6)]
    assert found(leads) == set()
    assert "lead_jump" in found([*leads[:3], leads[3][::-1, ::-1], *leads[4:]])
    assert "lead_copies" in found([*leads[:3], leads[2], *leads[4:]])


def product(ring: list[list[float]], **properties: Any) -> dict[str, Any]:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"valid_time": "2024-05-01T12:00:00Z", "ReflectivityLevel": 45.0, **properties},
    }
    return {"type": "FeatureCollection", "valid_time": "2024-05-01T12:00:00Z", "features": [feature]}


SQUARE = [[-97.0, 33.0], [-96.9, 33.0], [-96.9, 33.1], [-97.0, 33.1], [-97.0, 33.0]]
#: Of 0.1 by 0.1 degrees at 33.05 N: 11.12 km by 11.12 km times the cosine of the latitude.
SQUARE_KM2 = 103.6


@pytest.mark.parametrize(
    ("collection", "field_km2", "expected"),
    [
        (product(SQUARE, area_km2=SQUARE_KM2), SQUARE_KM2, set()),
        (product(SQUARE[:-1]), SQUARE_KM2, {"product_valid", "product_area"}),
        (
            product([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[4]]),
            SQUARE_KM2,
            {"product_valid", "product_area"},
        ),
        (product(SQUARE), 300.0, {"product_area"}),
        (product(SQUARE, area_km2=50.0), SQUARE_KM2, {"product_values"}),
        (product(SQUARE, max_dbz=30.0), SQUARE_KM2, {"product_values"}),
        (product(SQUARE, valid_time="2024-05-01T12:30:00Z"), SQUARE_KM2, {"product_times"}),
    ],
)
def test_products_are_checked(collection: dict[str, Any], field_km2: float, expected: set[str]) -> None:
    found = examine_product(collection, series="STORM", file="product", field_km2={45.0: field_km2})
    assert alarms(found) == expected


def test_clear_air_is_no_damage(tmp_path: Path) -> None:
    simulator = NowcastSimulator("clear", (51, 51), datetime(2026, 5, 20, 18, 0, tzinfo=UTC), leads=3)
    memory = SeriesMemory()
    for minute in range(3):
        found = examine_file(simulator.write(tmp_path, minute))
        assert found.values["constant_field"][0] == 0.0
        assert [verdict.check for verdict in judge(found, memory, {}) if verdict.blocks] == []
