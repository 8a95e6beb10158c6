"""The precursor of hail: area above the freezing level, with hysteresis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.radar.precursor import area_above_km2, areas_aloft_km2
from dynamo.triggers.precursor import PrecursorState, PrecursorTrigger, state_from_json
from dynamo.workflows.model import InputFacts

NOON = datetime(2019, 6, 9, 12, tzinfo=UTC)
TRIGGER = PrecursorTrigger("radar", freezing_level_m=4200.0, hold=timedelta(minutes=5))


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


def test_a_spell_begins_goes_on_and_ends() -> None:
    state = PrecursorState()
    actions = []
    for minute, area in enumerate([0, 1.9, 2.0, 8, 1.2, 0.9, 0, 0, 0, 0, 0, 0, 0, 2.5]):
        verdict, state, action = TRIGGER.judge(facts(minute, area), state)
        actions.append(action)
        assert verdict.start == (action in ("begin", "start"))
        assert verdict.data["area_km2"] == pytest.approx(area)
        assert state_from_json(state.to_json()) == state
    # Last seen at minute 4 (1.2 km2 is above half of 2), so it holds until minute 9.
    assert actions == ["refuse", "refuse", "begin", *["start"] * 7, "end", "refuse", "refuse", "begin"]


def test_low_sweeps_ask_for_more_reflectivity() -> None:
    verdict, _, action = TRIGGER.judge(facts(0, 50.0, low=1.0, top_m=2300.0), PrecursorState())
    assert action == "refuse"
    assert "in a low sweep" in verdict.reason
    assert TRIGGER.judge(facts(0, 50.0, low=3.0, top_m=2300.0), PrecursorState())[2] == "begin"


def test_an_old_file_changes_no_spell() -> None:
    state = PrecursorState(True, NOON)
    for area, action in ((0.0, "refuse"), (9.0, "start")):
        verdict, after, found = TRIGGER.judge(facts(-60, area), state)
        assert (found, after) == (action, state)
        assert "old file" in verdict.reason


def test_refusals() -> None:
    with pytest.raises(InputError, match="radar"):
        TRIGGER.judge(None, PrecursorState())
    with pytest.raises(InputError, match="stop_share"):
        PrecursorTrigger("f", stop_share=0)
    assert state_from_json({"seen": 3}) == PrecursorState()
