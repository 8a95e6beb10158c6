"""The precursor of hail: area above the freezing level, with hysteresis."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts, facts_from_json, facts_to_json
from dynamo.inspection.look import inspect_input
from dynamo.radar.hail.precursor import (
    area_above_km2,
    area_below_km2,
    areas_aloft_km2,
    areas_below_km2,
    highest_beam_m,
)
from dynamo.simulate.radar import RadarSimulator
from dynamo.triggers.spells import Precursor, PrecursorState, state_from_json

NOON = datetime(2019, 6, 9, 12, tzinfo=UTC)
PRECURSOR = Precursor(freezing_level_m=4200.0, hold=timedelta(minutes=5))


def facts(minute: float, area: float = 0.0, *, low: float = 0.0, top_m: float = 12_000.0) -> InputFacts:
    """A file with ``area`` at 45 dBZ all at 6 km, and ``low`` at 50 dBZ near the ground."""
    aloft = (area,) * 12
    return InputFacts(
        format="radar-volume",
        issue_time=NOON + timedelta(minutes=minute),
        leads=(0,),
        shape=(360, 1000),
        area_km2={45.0: (area,), 50.0: (low,)},
        radar="KFWS",
        aloft_km2={45.0: aloft, 50.0: (low,)},
        low_km2={45.0: (0.0,), 50.0: (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, low)},
        top_m=top_m,
    )


def test_area_by_height() -> None:
    heights = np.array([100.0, 600.0, 1600.0, 4200.0])
    aloft = areas_aloft_km2(np.array([1.0, 2.0, 0.0, 4.0]), heights, 500.0)
    assert aloft.tolist() == [7, 6, 4, 4, 4, 4, 4, 4, 4]
    assert area_above_km2(aloft.tolist(), 0, 500) == 7
    assert area_above_km2(aloft.tolist(), 250, 500) == pytest.approx(6.5)
    assert area_above_km2(aloft.tolist(), 2000, 500) == 4
    assert area_above_km2(aloft.tolist(), 9000, 500) == 0
    assert areas_aloft_km2(np.zeros(4), heights, 500.0).tolist() == [0]
    assert areas_aloft_km2(np.ones(1), np.array([1e12]), 500.0).size < 1000


def test_area_below_the_highest_beam() -> None:
    ground = np.array([0.0, 1000.0, 2000.0, 3000.0])
    low, high = np.array([0.0, 100.0, 300.0, 600.0]), np.array([0.0, 1200.0])
    tops = highest_beam_m(ground, [(ground, low), (np.array([0.0, 2000.0]), high)])
    assert tops.tolist() == [0, 600, 1200, 600]
    assert highest_beam_m(np.array([5000.0]), [(ground, low)]).tolist() == [-np.inf]
    below = areas_below_km2(np.array([0.0, 2.0, 1.0, 4.0]), tops, 500.0)
    assert below.tolist() == [0, 0, 6, 7]
    assert [area_below_km2(below.tolist(), height, 500) for height in (500, 750, 1500, 9000)] == [0, 3, 7, 7]
    assert area_below_km2(areas_below_km2(np.zeros(2), tops[:2], 500.0).tolist(), 4000, 500) == 0
    assert area_below_km2((), 4000, 500) == 0


def test_a_spell_begins_goes_on_and_ends() -> None:
    state = PrecursorState()
    actions = []
    for minute, area in enumerate([0, 1.9, 2.0, 8, 1.2, 0.9, 0, 0, 0, 0, 0, 0, 0, 2.5]):
        verdict, state, action = PRECURSOR.judge(facts(minute, area), state)
        actions.append(action)
        assert verdict.start == (action in ("begin", "start"))
        assert verdict.data["area_km2"] == pytest.approx(area)
        assert state_from_json(state.to_json()) == state
    # Last seen at minute 4 (1.2 km2 is above half of 2), so it holds until minute 9.
    assert actions == ["refuse", "refuse", "begin", *["start"] * 7, "end", "refuse", "refuse", "begin"]


def test_low_sweeps_ask_for_more_reflectivity() -> None:
    verdict, _, action = PRECURSOR.judge(facts(0, low=1.0, top_m=2300.0), PrecursorState())
    assert action == "refuse"
    assert "where no beam is above 4200 m" in verdict.reason
    assert PRECURSOR.judge(facts(0, low=3.0, top_m=2300.0), PrecursorState())[2] == "begin"


def test_a_core_near_the_radar_counts_though_the_sweep_ends_high() -> None:
    """The lowest cut of a long-range radar is above 0 C only far away."""
    verdict, state, action = PRECURSOR.judge(facts(0, 0.5, low=30.0, top_m=16_000.0), PrecursorState())
    assert (action, verdict.data["low"], verdict.data["area_km2"]) == ("begin", True, 30.0)
    assert (verdict.data["aloft_area_km2"], verdict.data["low_area_km2"]) == (0.5, 30.0)
    # It goes on by either.
    assert PRECURSOR.judge(facts(4, 1.2), state)[2] == "start"


def test_after_a_long_silence_a_spell_begins_anew() -> None:
    state = PrecursorState(True, NOON)
    assert PRECURSOR.judge(facts(5, 1.2), state)[2] == "start"
    verdict, after, action = PRECURSOR.judge(facts(3 * 24 * 60, 1.2), state)
    assert (verdict.start, action, after.active) == (False, "end", False)
    assert PRECURSOR.judge(facts(3 * 24 * 60, 3.0), state)[2] == "begin"


def test_a_file_without_any_value_says_nothing() -> None:
    state = PrecursorState(True, NOON)
    nothing = replace(facts(30), flags=("no valid reflectivity",), maximum_dbz=(math.nan,))
    verdict, after, action = PRECURSOR.judge(nothing, state)
    assert (verdict.start, verdict.reason, action, after) == (False, "no valid reflectivity", "refuse", state)
    assert verdict.data["flags"] == ["no valid reflectivity"]
    # One empty sweep of a volume that has others is a remark, no more.
    partly = replace(facts(2), flags=("no valid reflectivity",), maximum_dbz=(55.0,))
    assert PRECURSOR.judge(partly, state)[2] == "start"


def test_the_facts_of_a_sweep_tell_what_lies_below_its_beam(tmp_path: Path) -> None:
    simulator = RadarSimulator("wide", NOON, 1, 1, 1, seed=2)
    path = simulator.write(tmp_path, next(iter(simulator.sweeps())))
    found = inspect_input(path, [45.0])
    low, whole = found.low_km2[45.0], found.area_km2[45.0][0]
    assert low[0] == 0
    assert list(low) == sorted(low)
    # In a single sweep the highest beam over each place is its own: what is not above a height lies below it.
    assert low[-1] == pytest.approx(whole)
    for height_m in (500.0, 1000.0):
        above = area_above_km2(found.aloft_km2[45.0], height_m, 500)
        assert area_below_km2(low, height_m, 500) + above == pytest.approx(whole)
    again = facts_from_json(facts_to_json(found))
    assert again.low_km2[45.0] == pytest.approx(low, abs=1e-3)
    assert again.flags == found.flags


def test_an_old_file_changes_no_spell() -> None:
    state = PrecursorState(True, NOON)
    for area, action in ((0.0, "refuse"), (9.0, "start")):
        verdict, after, found = PRECURSOR.judge(facts(-60, area), state)
        assert (found, after) == (action, state)
        assert "old file" in verdict.reason


def test_refusals() -> None:
    with pytest.raises(InputError, match="radar"):
        PRECURSOR.judge(None, PrecursorState())
    with pytest.raises(InputError, match="stop_share"):
        Precursor(stop_share=0)
    assert state_from_json({"seen": 3}) == PrecursorState()
