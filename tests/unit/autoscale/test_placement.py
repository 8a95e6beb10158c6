"""Which group gets the next worker."""

from __future__ import annotations

import pytest

from dynamo.autoscale.model import BootTimes, GroupOption
from dynamo.autoscale.placement import Need, Weights, core_hour, rank, room, unfit, usable_cpus
from tests.unit.autoscale.policy_world import group


def first(*options: GroupOption, need: Need | None = None, **counts: int) -> str:
    places = rank(options, counts, need or Need())
    return places[0].group if places else ""


def test_the_cheaper_of_two_like_groups_is_taken() -> None:
    assert first(group("dear", cost_per_hour=0.4), group("cheap", cost_per_hour=0.1)) == "cheap"


def test_price_counts_by_core_not_by_worker() -> None:
    assert first(group("small", cpus=2, cost_per_hour=0.2), group("large", cpus=16, cost_per_hour=0.8)) == "large"


def test_where_all_is_free_the_faster_one_is_taken() -> None:
    slow = group("slow", cost_per_hour=0.0, boot=BootTimes(900.0, 1500.0))
    assert first(slow, group("fast", cost_per_hour=0.0)) == "fast"


def test_one_that_is_late_comes_after_all_that_are_in_time() -> None:
    slow = group("slow", cost_per_hour=0.01, boot=BootTimes(900.0, 1500.0))
    fast = group("fast", cost_per_hour=2.0, boot=BootTimes(5.0, 8.0))
    assert first(slow, fast, need=Need(slack_s=600.0)) == "fast"
    assert first(slow, fast, need=Need(slack_s=None, hold_s=7200.0)) == "slow"
    places = rank([slow, fast], {}, Need(slack_s=600.0))
    assert [place.in_time for place in places] == [True, False]
    assert "slower than the 600 s left" in places[1].why


def test_workers_that_do_not_come_make_a_group_dear() -> None:
    assert first(group("bad", failure_rate=0.5, cost_per_hour=0.15), group("good", cost_per_hour=0.2)) == "good"


def test_a_paid_hour_is_dear_for_a_short_need_and_not_for_a_long_one() -> None:
    hourly = group("hourly", billing_s=3600.0)
    assert core_hour(hourly, Need(hold_s=600.0)) == pytest.approx(0.2 * 6 / 4)
    assert core_hour(group(), Need(hold_s=600.0)) == pytest.approx(0.2 * 700 / 600 / 4)


def test_near_data_are_better_and_unknown_distance_is_none() -> None:
    assert first(group("far", bandwidth_mbit=10.0), group("near", bandwidth_mbit=1000.0)) == "near"
    assert first(group("near", bandwidth_mbit=1000.0), group("here")) == "here"


def test_a_group_whose_quota_is_nearly_used_comes_later() -> None:
    assert first(group("a"), group("b"), a=18, b=1) == "b"


def test_the_operator_can_prefer_a_group() -> None:
    assert first(group("a", cost_per_hour=0.1), group("b", weight=10.0)) == "b"


def test_weights_can_leave_a_property_out() -> None:
    options = [group("cheap", cost_per_hour=0.1, boot=BootTimes(1000.0, 1500.0)), group("quick", cost_per_hour=0.2)]
    assert rank(options, {}, Need(), Weights(boot=5.0))[0].group == "quick"
    assert rank(options, {}, Need(hold_s=36000.0), Weights(boot=0.0))[0].group == "cheap"


def test_only_groups_with_room_at_open_sites_that_fit_are_considered() -> None:
    need = Need(site="Cloud:c", cores_each=2, memory_mb_each=4000)
    options = [
        group("a"),
        group("b", site="Cloud:c", cpus=1),
        group("c", open=False),
        group("d", site="Cloud:c", most=3),
        group("e", site="Cloud:c", memory_mb=2000),
        group("f", site="Cloud:c", memory_mb=8000),
    ]
    assert [place.group for place in rank(options, {"d": 3}, need)] == ["f"]
    assert not rank(options, {"d": 3, "f": 20}, need)


def test_why_work_does_not_fit_is_said() -> None:
    assert unfit(group("a"), Need(site="Cloud:b")) == "must run at Cloud:b"
    assert unfit(group(), Need(cores_each=8)) == "a job needs 8 cores, its workers have 4"
    assert unfit(group(memory_mb=1000), Need(memory_mb_each=2000)) == "a job needs 2000 MB, its workers have 1000 MB"
    assert unfit(group(), Need(memory_mb_each=2000)) == ""


def test_large_jobs_leave_a_part_of_a_worker_unused() -> None:
    assert usable_cpus(group(cpus=8), 3) == 6
    assert core_hour(group(cpus=8), Need(cores_each=3)) == pytest.approx(core_hour(group(cpus=6), Need()))


def test_room_is_never_negative() -> None:
    assert room(group(most=3), 5) == 0
    assert room(group(open=False), 0) == 0
    assert room(group(most=3), 1) == 2


def test_the_sentence_has_the_numbers() -> None:
    option = group(failure_rate=0.1, bandwidth_mbit=200.0, weight=2.0)
    assert rank([option], {"a": 3}, Need())[0].why == (
        "0.0586 per core-hour, boot p90 140 s, 3 of 20 in use, 10% fail, 200 Mbit/s to the data, weight 2"
    )
