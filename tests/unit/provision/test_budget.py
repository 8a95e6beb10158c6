"""Caps on cost, and the sharing out of costs: both without a store."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.provision.cost_report import GROUPINGS, IDLE, OTHER, PaidHour, Use, spread, summed
from dynamo.provision.cycle.accounting import HOUR, full_hour, hours_between
from dynamo.provision.deciding.budget import Budget, highest_rate, most_extra, refusal

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def refused(budget: Budget, extra: float = 4.4, *, rate: float = 0.0, workers: int = 8, **values: object) -> str | None:
    facts = {"spent_today": 0.0, "spent_total": 0.0, "now": NOON, **values}
    return refusal(budget, rate_now=rate, extra_rate=extra, extra_workers=workers, **facts)  # type: ignore[arg-type]


# -- refusal


def test_without_caps_nothing_is_refused() -> None:
    assert refused(Budget(), 1e9) is None
    assert highest_rate(Budget(), spent_today=1.0, spent_total=1.0, now=NOON) is None
    assert not Budget().capped


def test_growth_that_costs_nothing_is_never_refused() -> None:
    assert refused(Budget(per_hour=0, per_day=0, total=0), 0.0, rate=5.0, spent_today=9.0) is None


def test_a_day_is_refused_with_the_time_at_which_its_cap_would_be_passed() -> None:
    budget = Budget(per_day=30.0)
    # 12.1 spent, 4.4 an hour: the other 17.9 last for 4 h 4 min.
    assert refused(budget, spent_today=12.1) == (
        "the cap of 30 USD per day would be exceeded at 16:04 UTC: 12.1 spent today, 0/h now, 8 more workers at 0.55/h"
    )
    assert refused(budget, 0.55, rate=3.85, workers=1, spent_today=12.1) == (
        "the cap of 30 USD per day would be exceeded at 16:04 UTC: "
        "12.1 spent today, 3.85/h now, 1 more worker at 0.55/h"
    )
    assert refused(budget, workers=0, spent_today=12.1) == (
        "the cap of 30 USD per day would be exceeded at 16:04 UTC: 12.1 spent today, 0/h now, 4.4/h more"
    )


def test_a_day_lasts_until_midnight_utc() -> None:
    budget = Budget(per_day=20.0)
    assert refused(budget, 1.5, spent_today=2.0) is None
    assert refused(budget, 1.51, spent_today=2.0) is not None
    paris = NOON.astimezone(timezone(timedelta(hours=2)))
    assert refused(budget, 1.5, spent_today=2.0, now=paris) is None
    assert refused(budget, 4.5, spent_today=2.0, now=NOON + timedelta(hours=8)) is None


def test_just_before_midnight_growth_must_fit_for_an_hour() -> None:
    late = NOON.replace(hour=23, minute=58)
    assert refused(Budget(per_day=20.0), 8.0, spent_today=12.0, now=late) is None
    assert refused(Budget(per_day=20.0), 9.0, spent_today=12.0, now=late) == (
        "the cap of 20 USD per day would be exceeded within an hour: 12 spent today, 0/h now, 8 more workers at 1.125/h"
    )


def test_an_hour_and_all_time_have_caps_too() -> None:
    assert refused(Budget(per_hour=8.8, currency="SU"), rate=4.4) is None
    assert refused(Budget(per_hour=8.5, currency="SU"), rate=4.4) == (
        "the cap of 8.5 SU per hour would be exceeded: 4.4/h now, 8 more workers at 0.55/h"
    )
    assert refused(Budget(total=500.0), spent_total=495.0) is None
    assert refused(Budget(total=500.0), spent_total=496.0) == (
        "the cap of 500 USD in total would be exceeded at 12:54 UTC: 496 spent, 0/h now, 8 more workers at 0.55/h"
    )


def test_a_cap_that_is_used_up_says_so() -> None:
    assert (
        refused(Budget(per_day=20.0), spent_today=20.004) == "the cap of 20 USD per day is used up: 20.004 spent today"
    )
    assert refused(Budget(total=1234.5), spent_total=2000.0) == "the cap of 1234.5 USD in total is used up: 2000 spent"


def test_the_narrowest_cap_is_named() -> None:
    budget = Budget(per_hour=4.0, per_day=12.0, total=3.0)
    assert "per day" in (refused(budget) or "")
    assert "in total" in (refused(Budget(per_hour=4.0, per_day=48.0, total=3.0)) or "")
    assert "per hour" in (refused(Budget(per_hour=0.5, per_day=12.0, total=3.0)) or "")
    assert highest_rate(budget, spent_today=0.0, spent_total=0.0, now=NOON) == 1.0
    assert highest_rate(budget, spent_today=13.0, spent_total=13.0, now=NOON) == 0.0


# -- how much fits


def test_eight_workers_at_0_55_fit_under_4_4() -> None:
    def fits(cap: float, each: float, **values: float) -> int | None:
        facts = {"rate_now": 0.0, "spent_today": 0.0, "spent_total": 0.0, **values}
        return most_extra(Budget(per_hour=cap), rate_each=each, now=NOON, **facts)

    assert fits(4.4, 0.55) == 8
    assert fits(0.3, 0.1) == 3
    assert fits(4.4, 0.55, rate_now=4.0) == 0
    assert fits(4.4, 0.55, rate_now=9.0) == 0
    assert fits(4.4, 0.0) is None
    assert most_extra(Budget(), rate_now=0, rate_each=1, spent_today=0, spent_total=0, now=NOON) is None


amounts = st.floats(0, 1000, allow_nan=False)
caps = st.none() | amounts


@given(caps, caps, caps, amounts, st.floats(0.001, 50), amounts, amounts, st.integers(0, 86399))
def test_what_fits_is_not_refused_and_one_more_is(
    per_hour: float | None,
    per_day: float | None,
    total: float | None,
    rate_now: float,
    each: float,
    today: float,
    before: float,
    second: int,
) -> None:
    budget = Budget(per_hour, per_day, total)
    now = full_hour(NOON) - 12 * HOUR + timedelta(seconds=second)

    def sentence(count: int) -> str | None:
        return refused(budget, count * each, rate=rate_now, spent_today=today, spent_total=today + before, now=now)

    count = most_extra(
        budget, rate_now=rate_now, rate_each=each, spent_today=today, spent_total=today + before, now=now
    )
    assert (count is None) == (not budget.capped)
    if count is not None:
        assert sentence(count) is None
        assert sentence(count + 1) is not None


# -- hours


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.floats(0, 2e5))  # noqa: DTZ001 - the strategy adds the zone
def test_time_is_split_at_full_hours_without_a_rest(start: datetime, length_s: float) -> None:
    end = start + timedelta(seconds=length_s)
    parts = list(hours_between(start, end))
    assert sum(seconds for _, seconds in parts) == pytest.approx((end - start).total_seconds(), abs=1e-6)
    assert all(0 < seconds <= 3600 and full_hour(hour) == hour for hour, seconds in parts)
    assert all(after[0] - before[0] == HOUR for before, after in pairwise(parts))
    assert all(seconds == 3600 for _, seconds in parts[1:-1])


def test_hours_are_those_of_utc() -> None:
    start = datetime(2026, 6, 10, 23, 45, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert list(hours_between(start, start + HOUR)) == [(NOON + 6 * HOUR, 2700.0), (NOON + 7 * HOUR, 900.0)]


# -- sharing out

hours = st.builds(
    lambda worker, hour, site, seconds, cpus, rate: PaidHour(
        worker, NOON + hour * HOUR, site, f"m{cpus}", seconds, seconds / 3600 * rate, seconds * cpus
    ),
    st.sampled_from(["w1", "w2", "w3"]),
    st.integers(-30, 30),
    st.sampled_from(["A:1", "B:2"]),
    st.floats(0, 3600),
    st.integers(0, 64),
    st.floats(0, 100),
)
uses = st.builds(
    lambda worker, end_s, wall_s, cpus, key: Use(worker, NOON + timedelta(seconds=end_s), wall_s, wall_s * cpus, key),
    st.sampled_from(["w1", "w2", "w3", "w9"]),
    st.floats(-100_000, 100_000),
    st.floats(0, 50_000),
    st.integers(0, 32),
    st.sampled_from(["", "nowcast", "hail", "x"]),
)


@given(st.lists(hours, max_size=30, unique_by=lambda paid: (paid.worker, paid.hour)), st.lists(uses, max_size=40))
def test_every_grouping_adds_up_to_exactly_the_same_cost(paid: list[PaidHour], used: list[Use]) -> None:
    expected = sum((round(item.cost * 1e9) * Decimal("1e-9") for item in paid), Decimal(0))
    for by in GROUPINGS:
        report = summed("f", by, paid, spread(used))
        assert sum((row.cost for row in report.rows), Decimal(0)) == report.total.cost == expected
        for name in ("worker_hours", "core_hours", "busy_core_hours"):
            added = sum(getattr(row, name) for row in report.rows)
            assert added == pytest.approx(getattr(report.total, name), rel=1e-9, abs=1e-9)
        assert all(row.cost >= 0 and 0 <= row.idle_share <= 1 for row in (*report.rows, report.total))
        assert report.total.workers == len({item.worker for item in paid})


@given(st.lists(uses, max_size=40))
def test_spreading_jobs_over_hours_loses_nothing(used: list[Use]) -> None:
    expected: dict[tuple[str, str], float] = defaultdict(float)
    found: dict[tuple[str, str], float] = defaultdict(float)
    for use in used:
        expected[use.worker, use.key] += use.core_s
    for worker, parts in spread(used).items():
        for part in parts.values():
            for key, core_s in part.items():
                found[worker, key] += core_s
    # Times are kept to the microsecond.
    assert {key: found[key] for key in expected} == pytest.approx(dict(expected), abs=1e-3)


def test_the_cost_of_an_hour_goes_to_those_who_used_it() -> None:
    paid = [PaidHour("w1", NOON, "A:1", "m4", 3600.0, 1.0, 4 * 3600.0)]
    ended = NOON + timedelta(minutes=30)
    used = [Use("w1", ended, 1800.0, 3600.0, "hail"), Use("w1", ended, 900.0, 3600.0, "")]
    report = summed("f", "workflow", paid, spread(used))
    assert [(row.key, row.cost, row.worker_hours, row.idle_share) for row in report.rows] == [
        ("hail", Decimal("0.25"), 0.25, 0.0),
        (OTHER, Decimal("0.25"), 0.25, 0.0),
        (IDLE, Decimal("0.5"), 0.5, 1.0),
    ]
    assert report.total.idle_share == 0.5
    assert report.total.busy_core_hours == 2.0


def test_what_jobs_used_beyond_what_was_paid_for_is_scaled_down() -> None:
    paid = [PaidHour("w1", NOON, "A:1", "m4", 600.0, 0.1, 600.0)]
    end = NOON + HOUR
    used = [Use("w1", end, 3600.0, 3600.0, "a"), Use("w1", end, 3600.0, 7200.0, "b"), Use("w1", end, 0.0, 0.0, "c")]
    report = summed("f", "run", paid, spread(used))
    assert [(row.key, row.cost) for row in report.rows] == [
        ("b", Decimal("0.066666667")),
        ("a", Decimal("0.033333333")),
    ]
    assert report.total.idle_share == 0.0


def test_a_worker_without_processors_is_idle() -> None:
    report = summed("f", "run", [PaidHour("w1", NOON, "A:1", "m0", 600.0, 0.1, 0.0)], {})
    assert [(row.key, row.cost, row.worker_hours) for row in report.rows] == [(IDLE, Decimal("0.1"), 1 / 6)]


def test_days_are_in_their_order_and_all_else_the_dearest_first() -> None:
    paid = [
        PaidHour("w1", NOON + day * 24 * HOUR, site, "m", 60.0, cost, 60.0)
        for day, site, cost in ((1, "A:1", 5.0), (0, "B:2", 9.0))
    ]
    assert [row.key for row in summed("f", "day", paid, {}).rows] == ["2026-06-10", "2026-06-11"]
    assert [row.key for row in summed("f", "site", paid, {}).rows] == ["B:2", "A:1"]


def test_an_empty_report_is_one() -> None:
    report = summed("f", "day", [], {}, currency="SU")
    assert report.rows == ()
    assert json.loads(json.dumps(report.to_json())) == {
        "fleet": "f",
        "by": "day",
        "since": None,
        "until": None,
        "rows": [],
        "total": {
            "key": "total",
            "workers": 0,
            "worker_hours": 0.0,
            "core_hours": 0.0,
            "busy_core_hours": 0.0,
            "idle_share": 0.0,
            "cost": 0.0,
            "currency": "SU",
        },
    }
