"""What is expected: when files come, what they will show, whether triggers will start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import pytest

from dynamo.inspection.facts import InputFacts
from dynamo.triggers.condition import Condition
from dynamo.triggers.outlook.cadence import Cadence, learn_cadence
from dynamo.triggers.outlook.hail import Spell, nearest_nowcast
from dynamo.triggers.outlook.pictures import StormMap, StormsNear, chance, likely, shifted, steps
from dynamo.triggers.outlook.streams import Arrived, Stream
from dynamo.triggers.spells import Precursor, PrecursorState

NOON = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
PRECURSOR = Precursor(
    freezing_level_m=4200.0,
    level_dbz=45.0,
    area_km2=2.0,
    low_level_dbz=50.0,
    low_area_km2=2.0,
    stop_share=0.5,
    hold=timedelta(minutes=20),
)


def ago(*seconds: float) -> list[datetime]:
    return [NOON - timedelta(seconds=value) for value in seconds]


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


# -- rhythm


def test_the_rhythm_of_an_even_feed() -> None:
    cadence = learn_cadence(ago(300, 240, 180, 120, 60, 0))
    assert cadence is not None
    assert cadence.interval_s == pytest.approx(60.0)
    times = cadence.expected(NOON + timedelta(seconds=10), 300.0)
    assert times == [NOON + timedelta(seconds=60 * count) for count in range(1, 6)]


def test_a_gap_is_no_part_of_the_rhythm() -> None:
    cadence = learn_cadence(ago(*(9000 + 60 * count for count in range(10)), *(60 * count for count in range(10))))
    assert cadence is not None
    assert cadence.interval_s == pytest.approx(60.0)


def test_sweeps_in_bursts_keep_their_number_in_an_hour() -> None:
    volumes = [240.0 * volume + 8.0 * sweep for volume in range(8) for sweep in range(5)]
    cadence = learn_cadence(ago(*volumes))
    assert cadence is not None
    assert 3600.0 / cadence.interval_s == pytest.approx(5 * 15, rel=0.15)


def test_a_file_that_is_late_is_expected_now_and_a_silent_feed_brings_nothing() -> None:
    cadence = Cadence(60.0, 60.0, NOON)
    late = NOON + timedelta(seconds=130)
    assert cadence.expected(late, 60.0)[0] == late
    assert cadence.expected(NOON + timedelta(seconds=361), 3600.0) == []
    slow = Cadence(600.0, 600.0, NOON)
    assert not slow.silent(NOON + timedelta(minutes=50))
    assert slow.silent(NOON + timedelta(minutes=61))


def test_too_few_or_simultaneous_files_tell_no_rhythm() -> None:
    assert learn_cadence(ago(60, 0)) is None
    assert learn_cadence([NOON] * 5) is None


# -- pictures


def nowcast(areas: list[float]) -> InputFacts:
    leads = tuple(range(0, 5 * len(areas), 5))
    return InputFacts(
        "casa-nowcast",
        NOON,
        leads,
        (21, 21),
        area_km2={45.0: tuple(areas)},
        crossings={45.0: tuple(int(10 * area) for area in areas)},
        maximum_dbz=tuple(areas),
    )


def test_a_later_nowcast_shows_what_the_present_one_foretells_and_then_the_last_of_it() -> None:
    later = shifted(nowcast([0.0, 10.0, 20.0, 30.0]), 10)
    assert later.area_km2[45.0] == (20.0, 30.0, 30.0, 30.0)
    assert later.crossings[45.0] == (200, 300, 300, 300)
    assert later.maximum_dbz == (20.0, 30.0, 30.0, 30.0)
    assert shifted(nowcast([1.0, 2.0]), 600).area_km2[45.0] == (2.0, 2.0)


def test_pictures_that_are_the_same_have_the_same_number() -> None:
    facts = nowcast([0.0, 10.0, 20.0, 30.0])
    for minutes in (0.0, 1.0, 2.4, 2.6, 4.9, 9.0, 14.0, 60.0):
        assert shifted(facts, minutes) == shifted(facts, 5.0 * steps(facts, minutes))


def test_a_sweep_stays_as_it_is() -> None:
    sweep = InputFacts("radar-sweep", NOON, (0,), (360, 100), area_km2={45.0: (3.0,)})
    assert shifted(sweep, 30) is sweep


def test_a_condition_is_judged_on_what_is_expected() -> None:
    condition = Condition(100.0, 45.0)
    growing = nowcast([0.0, 10.0, 150.0, 400.0])
    assert chance(None, growing, 10) == 1.0
    assert chance(condition, shifted(growing, 15), 15) > 0.95
    assert chance(condition, nowcast([10.0, 10.0, 10.0, 10.0]), 0) == 0.0
    assert chance(Condition(100.0, 45.0, "all"), growing, 5) == 0.0
    assert chance(Condition(100.0, 45.0, (5,)), growing, 5) < 0.01


def test_near_a_threshold_nothing_is_certain_and_less_so_further_ahead() -> None:
    assert likely(100.0, 100.0, 10) == pytest.approx(0.5)
    assert likely(120.0, 100.0, 5) > likely(120.0, 100.0, 40) > 0.5
    assert likely(80.0, 100.0, 5) < likely(80.0, 100.0, 40) < 0.5
    assert likely(0.0, 100.0, 30) == 0.0


# -- hail


def spell(*, active: bool = True, seen: datetime = NOON, near: StormsNear | None = None, pace: float = 1.0) -> Spell:
    newest = Arrived(1, PurePath("a.nc"), NOON, NOON, "A")
    return Spell(
        Stream("A", newest, Cadence(60.0, 60.0, NOON), pace), PrecursorState(active, seen), PRECURSOR, near
    )  # fmt: skip


def test_without_a_nowcast_a_spell_persists_and_fades() -> None:
    one = spell()
    assert one.chance(NOON, after(19)) == 1.0
    assert 0.4 < one.chance(NOON, after(60)) < 1.0
    assert one.chance(NOON, after(60)) > one.chance(NOON, after(120))
    assert spell(active=False).chance(NOON, after(30)) == 0.0


def test_a_spell_ends_a_hold_after_the_storms_go() -> None:
    near = StormsNear(NOON, (0, 10, 20, 30), (50.0, 20.0, 0.0, 0.0))
    one = spell(near=near)
    assert one.chance(NOON, after(15)) == 1.0
    assert one.chance(NOON, after(25)) > 0.9
    assert one.chance(NOON, after(45)) == 0.0


def test_storms_that_come_begin_a_spell() -> None:
    near = StormsNear(NOON, (0, 10, 20, 30), (0.0, 0.0, 30.0, 200.0))
    one = spell(active=False, near=near)
    assert one.chance(NOON, after(5)) == 0.0
    assert one.chance(NOON, after(30)) > 0.9


def test_storms_that_began_no_spell_so_far_must_grow_to_begin_one() -> None:
    near = StormsNear(NOON, (0, 10, 20, 30), (80.0, 80.0, 80.0, 80.0))
    assert spell(active=False, near=near).chance(NOON, after(10)) < 0.1


def test_in_a_replay_data_go_faster_than_the_clock() -> None:
    assert spell(pace=10.0).chance(NOON, after(1.9)) == 1.0
    assert spell(pace=10.0).chance(NOON, after(6)) < 1.0


def test_a_spell_that_no_file_has_prolonged_is_over() -> None:
    assert spell(seen=NOON - timedelta(minutes=21)).chance(NOON, after(1)) == 0.0


def test_storms_are_near_the_radar_that_sees_them() -> None:
    blocks = ((32.9, -96.9, 5.0, 10.0), (30.0, -100.0, 7.0, 7.0))
    facts = InputFacts(
        "casa-nowcast",
        NOON,
        (0, 10),
        (21, 21),
        bounds=(28.0, -102.0, 36.0, -92.0),
        block_leads=(0, 10),
        blocks_km2=blocks,
    )
    storms = StormMap(facts)
    near = storms.near((32.98, -96.84), 40.0)
    assert near is not None
    assert near.area_km2 == (5.0, 10.0)
    assert near.at(after(5)) == pytest.approx(7.5)
    assert near.at(after(60)) == 10.0
    assert storms.near((45.0, 8.0), 40.0) is None
    # Longitudes may be counted to the east.
    assert storms.near((32.98, 360 - 96.84), 40.0) == near
    sweep = InputFacts("radar-sweep", NOON, (0,), (1, 1), radar="A", position=(32.98, -96.84), range_km=40.0)
    assert nearest_nowcast([storms], sweep) == near
    assert nearest_nowcast([storms], None) is None
    clear = StormMap(InputFacts("n", NOON, (0,), (2, 2), bounds=(28.0, -102.0, 36.0, -92.0), block_leads=(0,)))
    found = clear.near((32.0, -97.0), 40.0)
    assert found is not None
    assert found.area_km2 == (0.0,)
