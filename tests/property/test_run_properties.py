from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dynamo.inspection.facts import InputFacts, facts_from_json, facts_to_json
from dynamo.runs.keys import run_key
from dynamo.triggers.condition import Condition, Leads, judge
from dynamo.triggers.schedule import ScheduleTrigger

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
SCHEDULES = st.one_of(
    st.integers(1, 1440).map(lambda minutes: ScheduleTrigger("f", minutes)),
    st.lists(st.integers(0, 59), min_size=1, max_size=5).map(lambda at: ScheduleTrigger("f", None, tuple(at))),
)
VALUES = st.one_of(
    st.integers(-1000, 1000), st.booleans(), st.text(max_size=5), st.lists(st.integers(0, 90), max_size=4)
)


@given(SCHEDULES, TIMES)
def test_the_next_slot_is_later_within_a_day_and_on_a_whole_minute(schedule: ScheduleTrigger, time: datetime) -> None:
    slot = schedule.next_after(time)
    assert time < slot <= time + timedelta(days=1)
    assert slot.second == slot.microsecond == 0
    assert schedule.next_after(slot - timedelta(microseconds=1)) == slot


@given(SCHEDULES, TIMES, st.timedeltas(timedelta(0), timedelta(hours=30)))
def test_the_due_slot_is_the_newest_in_the_interval(
    schedule: ScheduleTrigger, last: datetime, passed: timedelta
) -> None:
    now = last + passed
    slot = schedule.newest_slot(last, now)
    if slot is None:
        assert schedule.next_after(last) > now
    else:
        assert last < slot <= now
        assert schedule.next_after(slot) > now


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5), st.randoms())
def test_the_order_of_parameters_does_not_change_the_key(parameters: dict[str, object], chance: object) -> None:
    names = list(parameters)
    shuffle = getattr(chance, "shuffle")  # noqa: B009 - hypothesis does not type it
    shuffle(names)
    again = {name: parameters[name] for name in names}
    assert run_key("w", "1", "d", {}, parameters) == run_key("w", "1", "d", {}, again)


AREAS = st.lists(st.floats(0, 1e5), min_size=1, max_size=10)


@given(AREAS, st.floats(0, 1e5), st.floats(0, 1e5))
def test_a_condition_that_asks_for_less_is_met_whenever_one_that_asks_for_more_is(
    areas: list[float], one: float, other: float
) -> None:
    facts = _facts(areas)
    less, more = sorted((one, other))
    both: tuple[Leads, ...] = ("any", "all")
    for leads in both:
        if judge(Condition(more, 45.0, leads), facts).start:
            assert judge(Condition(less, 45.0, leads), facts).start


@given(AREAS, st.floats(0, 1e5))
def test_all_leads_is_never_easier_than_any(areas: list[float], area: float) -> None:
    facts = _facts(areas)
    assert judge(Condition(area, 45.0, "any"), facts).start >= judge(Condition(area, 45.0, "all"), facts).start


@given(AREAS, TIMES)
def test_facts_survive_the_store(areas: list[float], time: datetime) -> None:
    facts = _facts([round(area, 3) for area in areas], time.replace(microsecond=0))
    assert facts_from_json(facts_to_json(facts)) == facts


def _facts(areas: list[float], time: datetime | None = None) -> InputFacts:
    count = len(areas)
    return InputFacts(
        "casa-nowcast",
        time or datetime(2026, 5, 20, tzinfo=UTC),
        tuple(range(count)),
        (5, 7),
        area_km2={45.0: tuple(areas)},
        crossings={45.0: (3,) * count, 30.5: (0,) * count},
        maximum_dbz=(50.0,) * count,
    )
