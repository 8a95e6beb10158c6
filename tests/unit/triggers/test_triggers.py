from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import pytest

from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.triggers.arrival import ArrivalTrigger
from dynamo.triggers.condition import Condition, Leads, judge
from dynamo.triggers.schedule import ScheduleTrigger

NOON = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
FACTS = InputFacts("casa-nowcast", NOON, (0, 5, 10), (21, 21), area_km2={45.0: (0.0, 8.0, 30.0)})


@pytest.mark.parametrize(
    ("area", "leads", "start", "lead"),
    [
        (10.0, "any", True, 10),
        (30.0, "any", True, 10),
        (30.1, "any", False, 10),
        (0.0, "all", True, 0),
        (1.0, "all", False, 0),
        (5.0, (0, 5), True, 5),
        (9.0, (0, 5), False, 5),
    ],
)
def test_a_condition_is_judged_with_its_numbers(area: float, leads: Leads, start: bool, lead: int) -> None:
    verdict = judge(Condition(area, 45.0, leads), FACTS)
    assert verdict.start is start
    assert verdict.data["lead_min"] == lead
    assert verdict.data["wanted_km2"] == area
    assert f"{area:g} km2" in verdict.reason
    assert verdict.reason.startswith("at most ") is (not start and leads != "all")


def test_no_condition_is_always_met() -> None:
    assert judge(None, None).start


@pytest.mark.parametrize(
    ("condition", "facts"),
    [(Condition(1, 40.0), FACTS), (Condition(1, 45.0, (99,)), FACTS), (Condition(1, 45.0), None)],
)
def test_what_cannot_be_judged_is_an_error(condition: Condition, facts: InputFacts | None) -> None:
    with pytest.raises(InputError):
        judge(condition, facts)


def test_an_arrival_trigger_concerns_its_feed_and_pattern() -> None:
    trigger = ArrivalTrigger("a", "MERGE_*.nc")
    assert trigger.concerns("a", PurePath("/x/MERGE_1.nc"))
    assert not trigger.concerns("b", PurePath("/x/MERGE_1.nc"))
    assert not trigger.concerns("a", PurePath("/MERGE_x/other.nc"))


@pytest.mark.parametrize(
    ("every", "at", "after", "expected"),
    [
        (5, (), "12:00:00", "12:05:00"),
        (5, (), "12:04:59", "12:05:00"),
        (7, (), "23:59:00", "00:00:00"),
        (1440, (), "12:00:00", "00:00:00"),
        (None, (30, 0), "12:00:00", "12:30:00"),
        (None, (30, 0), "12:30:00", "13:00:00"),
        (None, (15,), "23:59:59", "00:15:00"),
    ],
)
def test_slots(every: int | None, at: tuple[int, ...], after: str, expected: str) -> None:
    time = datetime.fromisoformat(f"2026-05-20T{after}+00:00")
    assert f"{ScheduleTrigger('f', every, at).next_after(time):%H:%M:%S}" == expected


def test_missed_slots_count_once_and_the_first_start_waits_for_the_next() -> None:
    schedule = ScheduleTrigger("f", 10)
    assert schedule.newest_slot(None, NOON) is None
    assert schedule.newest_slot(NOON - timedelta(hours=3, minutes=1), NOON + timedelta(minutes=4)) == NOON
    assert schedule.newest_slot(NOON, NOON + timedelta(minutes=9)) is None
    assert schedule.newest_slot(NOON - timedelta(days=400), NOON) == NOON


@pytest.mark.parametrize(("every", "at"), [(None, ()), (5, (0,)), (0, ()), (2000, ()), (None, (60,)), (None, (-1,))])
def test_unfit_schedules_are_refused(every: int | None, at: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        ScheduleTrigger("f", every, at)
