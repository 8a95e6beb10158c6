"""What each policy wants of a given demand and fleet: plain data, no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from dynamo.autoscale.model import BootTimes, Capacity, Decision, Demand, FleetView, GroupOption, Work
from dynamo.autoscale.policies import make_policy, options_model, policy_names
from dynamo.autoscale.policies.regret import Regret
from dynamo.errors import InputError
from dynamo.provision.deciding.lifecycle import WorkerState
from tests.unit.autoscale.policy_world import BEGIN, Arrival, World, group, work, worker


def fleet(
    groups: Sequence[GroupOption] | GroupOption, workers: Sequence[Capacity] = (), budget: float | None = None
) -> FleetView:
    return FleetView(tuple(workers), (groups,) if isinstance(groups, GroupOption) else tuple(groups), budget)


def workers(count: int, of: str = "a", **more: Any) -> list[Capacity]:
    return [worker(f"{of}{number}", of, **more) for number in range(count)]


def decide(
    items: Sequence[Work],
    view: FleetView,
    after_s: float = 0.0,
    memory: Mapping[str, Any] | None = None,
    missing: Mapping[str, str] | None = None,
    policy: str = "predictive",
    **options: Any,
) -> Decision:
    now = BEGIN + timedelta(seconds=after_s)
    return make_policy(policy, options).decide(
        now, Demand(now, tuple(items), missing=missing or {}), view, memory or {}
    )


def settled(items: Sequence[Work], view: FleetView, policy: str = "predictive", **options: Any) -> Decision:
    """Return the decision after the same has been seen for two hours."""
    before = decide(items, view, -7200.0, policy=policy, **options)
    memory = {"settling": before.memory["settling"]}
    return decide(items, view, 0.0, memory, policy=policy, **options)


class TestRegistry:
    def test_all_policies_are_made_with_their_defaults(self) -> None:
        assert policy_names() == ("static", "reactive", "linear", "predictive")
        for name in policy_names():
            decision = make_policy(name).decide(BEGIN, Demand(BEGIN, ()), fleet(group()), {})
            assert decision.wanted.keys() == {"a"}

    def test_an_unknown_policy_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(InputError, match=r"unknown policy 'predictiv' \(did you mean predictive\?\)"):
            make_policy("predictiv")

    def test_an_unknown_option_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(InputError, match=r"policy predictive: setle_s: unknown option \(did you mean settle_s\?\)"):
            make_policy("predictive", {"setle_s": 3})

    def test_an_unfit_value_is_named(self) -> None:
        with pytest.raises(InputError, match=r"utilisation: input should be less than or equal to 1 \(got 2\)"):
            make_policy("predictive", {"utilisation": 2})
        with pytest.raises(InputError, match="low_utilisation is above high_allocation"):
            make_policy("linear", {"low_utilisation": 0.9})

    def test_every_option_says_what_it_is(self) -> None:
        for name in policy_names():
            assert all(field.description for field in options_model(name).model_fields.values())


class TestStatic:
    def test_named_groups_are_kept_and_others_at_their_least(self) -> None:
        view = fleet([group("a"), group("b", least=2), group("c", most=3)])
        assert decide([], view, policy="static", workers={"a": 5}).wanted == {"a": 5, "b": 2, "c": 0}
        assert decide([], view, policy="static", workers={"a": 5}, peak=True).wanted == {"a": 5, "b": 20, "c": 3}

    def test_limits_are_said(self) -> None:
        decision = decide([], fleet(group(most=3)), policy="static", workers={"a": 5})
        assert decision.reasons["a"] == "+3 at Cloud:a: fixed at 3, 5 requested"


class TestReactive:
    def test_it_answers_what_waits_and_not_what_is_to_come(self) -> None:
        assert decide([work(900, 600, 900)], fleet(group()), policy="reactive").wanted == {"a": 0}
        decision = decide([work(900, cores=9)], fleet(group()), policy="reactive")
        assert decision.wanted == {"a": 3}
        assert decision.reasons["a"] == "+3 at Cloud:a: 9 cores requested, 0 ready or booting, 0 busy"

    def test_a_step_is_limited_and_the_next_one_waits(self) -> None:
        first = decide([work(9000, cores=90)], fleet(group()), policy="reactive")
        assert first.wanted == {"a": 4}
        view = fleet(group(), workers(4, state=WorkerState.BOOTING))
        assert decide([work(9000, cores=90)], view, 30, first.memory, policy="reactive").wanted == {"a": 4}
        assert decide([work(9000, cores=90)], view, 60, first.memory, policy="reactive").wanted == {"a": 8}

    def test_few_waiting_jobs_are_no_reason(self) -> None:
        view = fleet(group(), workers(4, busy_cpus=4))
        assert decide([work(900, cores=20)], view, policy="reactive").wanted == {"a": 4}
        assert decide([work(900, cores=21)], view, policy="reactive").wanted == {"a": 6}

    def test_idle_workers_go_after_their_time(self) -> None:
        view = fleet(group(), workers(4))
        first = decide([work(9, cores=4)], view, policy="reactive")
        assert first.wanted == {"a": 4}
        second = decide([work(9, cores=8)], view, 300, first.memory, policy="reactive")
        third = decide([work(9, cores=4)], view, 601, second.memory, policy="reactive")
        assert third.wanted == {"a": 2}
        assert third.reasons["a"] == "-2 at Cloud:a: not needed for 600 s: 4 cores requested, 16 present"


class TestLinear:
    def test_demand_rises_with_allocation_at_the_rate(self) -> None:
        view = fleet(group(), workers(2, busy_cpus=4))
        memory = decide([], view, policy="linear").memory
        assert decide([], view, 30, memory, policy="linear").wanted == {"a": 3}
        assert decide([], view, 30, memory, policy="linear", rate=0.4).wanted == {"a": 5}

    def test_demand_falls_with_low_utilisation(self) -> None:
        view = fleet(group(), workers(5, busy_cpus=1))
        memory = decide([], view, policy="linear").memory
        later = decide([], view, 60, memory, policy="linear")
        assert later.wanted == {"a": 4}
        assert later.reasons["a"] == "-1 at Cloud:a: 14.0 cores wanted, 20 present, 25% busy, 100% of workers have jobs"

    def test_between_the_thresholds_nothing_changes(self) -> None:
        view = fleet(group(), [*workers(4, busy_cpus=4), *workers(4, "b")])
        decision = decide([], fleet([group(), group("b")], view.workers), policy="linear", high_allocation=0.6)
        later = decide(
            [], fleet([group(), group("b")], view.workers), 60, decision.memory, policy="linear", high_allocation=0.6
        )
        assert later.wanted == {"a": 4, "b": 4}

    def test_an_empty_pool_counts_as_used_and_a_booting_one_is_waited_for(self) -> None:
        memory = decide([], fleet(group()), policy="linear").memory
        assert decide([], fleet(group()), 60, memory, policy="linear").wanted == {"a": 2}
        view = fleet(group(), workers(1, state=WorkerState.BOOTING))
        memory = decide([], view, policy="linear").memory
        assert decide([], view, 60, memory, policy="linear").wanted == {"a": 1}


class TestPredictiveGrowth:
    def test_nothing_to_do_is_no_worker(self) -> None:
        assert decide([], fleet(group())).wanted == {"a": 0}

    def test_the_smallest_work_gets_a_worker_from_zero(self) -> None:
        assert decide([work(0.05)], fleet(group())).wanted == {"a": 1}

    def test_the_reason_has_its_numbers(self) -> None:
        decision = decide([work(2400, 180, 480)], fleet(group(), workers(1)))
        assert decision.wanted == {"a": 3}
        assert decision.reasons["a"] == "+2 at Cloud:a: 40 core-min due by 12:08, 1 worker ready, boot p90 140 s"

    def test_what_is_far_ahead_is_asked_for_later(self) -> None:
        item = work(2400, 1800, 2100)
        assert decide([item], fleet(group())).wanted == {"a": 0}
        assert decide([item], fleet(group()), 1500).wanted == {"a": 0}
        assert decide([item], fleet(group()), 1620).wanted["a"] >= 2

    def test_workers_that_come_are_counted_once(self) -> None:
        items = [work(2400, 180, 480)]
        coming = workers(3, state=WorkerState.BOOTING, ready_at=BEGIN + timedelta(seconds=120))
        assert decide(items, fleet(group(), coming)).wanted == {"a": 3}

    def test_workers_that_often_fail_are_asked_for_in_larger_numbers_once(self) -> None:
        items = [work(9600, 180, 480)]
        sure = decide(items, fleet(group())).wanted["a"]
        unsure = decide(items, fleet(group(failure_rate=0.25))).wanted["a"]
        assert sure == 11
        assert unsure == 15
        coming = workers(unsure, state=WorkerState.BOOTING, ready_at=BEGIN + timedelta(seconds=140))
        assert decide(items, fleet(group(failure_rate=0.25), coming)).wanted["a"] == unsure

    def test_late_work_is_caught_up_with_but_with_no_more_cores_than_it_can_use(self) -> None:
        assert decide([work(6000, due_s=-600, cores=8)], fleet(group(most=500))).wanted == {"a": 2}
        # 60 s after the boot, with 0.8 of each core.
        assert decide([work(6000, due_s=-600)], fleet(group(most=500))).wanted["a"] == pytest.approx(31, abs=1)

    def test_the_cheap_group_comes_first_and_the_fast_one_takes_what_is_urgent(self) -> None:
        groups = [
            group("slow", cost_per_hour=0.05, boot=BootTimes(300.0, 600.0)),
            group("fast", cost_per_hour=1.0, boot=BootTimes(10.0, 20.0)),
        ]
        later = [work(300, 300 + 30 * step, 600 + 30 * step) for step in range(20)]
        assert decide(later, fleet(groups)).wanted == {"slow": pytest.approx(3, abs=1), "fast": 0}
        now = [work(600, 0, 180)]
        assert decide(now, fleet(groups)).wanted == {"slow": 0, "fast": 2}
        both = decide([*now, *later], fleet(groups)).wanted
        assert both["fast"] == 2
        assert both["slow"] >= 1

    def test_where_the_fast_group_is_full_the_slow_one_helps(self) -> None:
        groups = [group("slow", boot=BootTimes(300.0, 600.0)), group("fast", most=1, boot=BootTimes(10.0, 20.0))]
        wanted = decide([work(6000, 0, 180)], fleet(groups)).wanted
        assert wanted["fast"] == 1
        assert wanted["slow"] >= 2

    def test_work_goes_where_it_must_and_where_it_fits(self) -> None:
        groups = [group("a", cost_per_hour=0.1), group("b"), group("c", cpus=16, memory_mb=64000)]
        assert decide([work(1200, site="Cloud:b")], fleet(groups)).wanted == {"a": 0, "b": 3, "c": 0}
        assert decide([work(1200, cores_each=8)], fleet(groups)).wanted == {"a": 0, "b": 0, "c": 1}
        decision = decide([work(1200, cores_each=32)], fleet(groups))
        assert decision.wanted == {"a": 0, "b": 0, "c": 0}
        assert decision.notes == ("20 core-min of work fits no group: 32 cores and 0 MB per job",)

    def test_what_is_bound_to_a_site_does_not_count_as_free_for_all(self) -> None:
        groups = [group("a"), group("b", cost_per_hour=0.3)]
        items = [work(1200, 180, 480, site="Cloud:b"), work(1200, 180, 480)]
        view = fleet(groups, workers(3, "a"))
        assert decide(items, view).wanted == {"a": 3, "b": 2}

    def test_closed_sites_full_groups_and_an_empty_purse_get_nothing(self) -> None:
        items = [work(2400)]
        for view in (fleet(group(open=False)), fleet(group(most=0)), fleet(group(), budget=0.1)):
            decision = decide(items, view)
            assert decision.wanted == {"a": 0}
            assert decision.short_cores > 1
            assert "cores short for 40 core-min" in decision.notes[0]
        assert decide(items, fleet(group(), budget=0.45)).wanted == {"a": 2}

    def test_work_nobody_waits_for_gets_a_slow_minimum(self) -> None:
        decision = decide([work(36000, due_s=None)], fleet(group()))
        assert decision.wanted == {"a": 1}
        assert decision.reasons["a"] == (
            "+1 at Cloud:a: 10.0 core-h without a deadline, 0 workers ready, boot p90 140 s"
        )
        assert decide([work(360000, due_s=None)], fleet(group())).wanted == {"a": 8}
        assert settled([work(36000, due_s=None)], fleet(group(), workers(5))).wanted == {"a": 1}

    def test_the_least_is_there_without_work(self) -> None:
        decision = decide([], fleet(group(least=2)))
        assert decision.wanted == {"a": 2}
        assert decision.reasons["a"] == "+2 at Cloud:a: the group's minimum is 2"

    def test_caution_moves_from_the_expected_to_the_high_amount(self) -> None:
        items = [work(1200, 180, 480, core_s_high=4800)]
        counts = [decide(items, fleet(group()), caution=caution).wanted["a"] for caution in (0.0, 0.5, 1.0)]
        assert counts == [2, 4, 6]


class TestPredictiveShrinking:
    def test_fewer_must_have_been_enough_for_a_while(self) -> None:
        view = fleet(group(), workers(4))
        first = decide([], view)
        assert first.wanted == {"a": 4}
        second = decide([], view, 150, first.memory)
        assert second.wanted == {"a": 4}
        third = decide([], view, 181, second.memory)
        assert third.wanted == {"a": 0}
        assert third.reasons["a"] == "-4 at Cloud:a: no work in the next 3 min (for the past 180 s)"

    def test_workers_that_are_needed_before_new_ones_could_be_there_stay(self) -> None:
        view = fleet(group(), workers(4))
        assert settled([work(2400, 200, 500)], view).wanted == {"a": 3}
        assert settled([work(2400, 1200, 1500)], view).wanted == {"a": 0}

    def test_a_long_boot_keeps_workers_longer(self) -> None:
        slow = group(boot=BootTimes(900.0, 1500.0))
        assert settled([work(2400, 1200, 1500)], fleet(slow, workers(4))).wanted["a"] >= 2

    def test_who_is_paid_for_stays_until_shortly_before_that_ends(self) -> None:
        hourly = group(billing_s=3600.0)
        paid = [worker(f"w{n}", paid_until=BEGIN + timedelta(seconds=s)) for n, s in enumerate((60, 600, 3000))]
        assert settled([], fleet(hourly, paid)).wanted == {"a": 2}

    def test_busy_processors_are_left(self) -> None:
        view = fleet(group(), [*workers(3, busy_cpus=2), *workers(2)])
        assert settled([], view).wanted == {"a": 2}

    def test_where_jobs_may_outlast_the_drain_every_busy_worker_stays(self) -> None:
        view = fleet(group(drain_deadline_s=600.0), [*workers(3, busy_cpus=1), *workers(2)])
        assert settled([work(1800, due_s=36000, cores=1)], view).wanted == {"a": 3}
        assert settled([work(18, due_s=36000, cores=1)], view).wanted == {"a": 1}

    def test_a_silent_source_is_no_reason_to_shrink_but_others_can_make_it_grow(self) -> None:
        view = fleet(group(), workers(4))
        before = decide([], view, -7200)
        decision = decide([], view, 0, before.memory, missing={"forecast": "the store is busy"})
        assert decision.wanted == {"a": 4}
        assert decision.notes == ("no scale-down while forecast is silent: the store is busy",)
        assert decide([work(9600)], view, missing={"queue": "no answer"}).wanted["a"] > 4

    def test_the_dear_group_goes_first(self) -> None:
        groups = [group("a", cost_per_hour=0.1), group("b", cost_per_hour=0.5)]
        view = fleet(groups, [*workers(3, "a"), *workers(3, "b")])
        assert settled([work(2400, 60, 360)], view).wanted == {"a": 3, "b": 0}

    def test_what_a_closed_site_has_it_keeps_while_it_is_needed(self) -> None:
        view = fleet(group(open=False), workers(3))
        assert settled([work(2400, 60, 360)], view).wanted == {"a": 3}

    def test_more_than_allowed_goes_at_once(self) -> None:
        decision = decide([work(9600)], fleet(group(most=2), workers(4)))
        assert decision.wanted == {"a": 2}
        assert decision.reasons["a"] == "-2 at Cloud:a: the group's maximum is 2"

    def test_workers_on_their_way_out_do_not_count(self) -> None:
        view = fleet(group(), workers(3, state=WorkerState.DRAINING))
        assert decide([work(2400, 180, 480)], view).wanted == {"a": 3}


class TestPredictiveSurprise:
    def test_unforeseen_work_is_taken_to_go_on(self) -> None:
        arrivals = [Arrival(60.0 * minute + 7, 60.0 * minute + 187, [20.0] * 30) for minute in range(60)]
        blind = World(make_policy("predictive", {}), [group()], arrivals, forecast=lambda _: None).run(3600)
        trusting = World(
            make_policy("predictive", {"surprise_s": 0}), [group()], arrivals, forecast=lambda _: None
        ).run(3600)
        assert blind.late < 0.2 * len(arrivals)
        assert blind.late < trusting.late / 2

    def test_what_was_foretold_is_no_surprise(self) -> None:
        arrivals = [Arrival(60.0 * minute + 7, 60.0 * minute + 187, [20.0] * 30) for minute in range(60)]
        world = World(make_policy("predictive", {}), [group()], arrivals).run(3000)
        assert world.late == 0
        assert world.decisions[-1].memory["seen"]["cores"] < 2.0


class TestPredictiveCalm:
    """The grid of the plan and the two tests of growing and shrinking must not make the fleet swing by themselves."""

    def test_a_burst_that_just_does_not_fit_is_no_reason_to_grow(self) -> None:
        # In 50 s five workers of two cores, at the utilisation, do 400 core-s.
        view = fleet(group(cpus=2), workers(5, cpus=2))
        assert decide([work(412, 120, 180)], view).wanted == {"a": 5}
        assert decide([work(440, 120, 180)], view).wanted == {"a": 6}

    def test_what_is_released_is_not_asked_for_again_at_once(self) -> None:
        for core_s in range(370, 460, 3):
            items = [work(core_s, 120.0 * number - 85, 120.0 * number - 25) for number in range(1, 20)]
            kept = settled(items, fleet(group(cpus=2), workers(9, cpus=2))).wanted["a"]
            again = decide(items, fleet(group(cpus=2), workers(kept, cpus=2)))
            assert again.wanted == {"a": kept}, core_s

    def test_short_windows_are_not_rounded_to_shorter_ones(self) -> None:
        view = fleet(group(cpus=2))
        # 50 s of computing: 9 cores at the utilisation, 10 with whole workers; in 45 s it would be 12.
        items = [work(362, 120.0 * number + 30, 120.0 * number + 90.5) for number in range(1, 20)]
        assert decide(items, view).wanted == {"a": 5}

    def test_regret_doubles_the_window_and_calm_halves_it(self) -> None:
        memory: dict[str, Any] = {}
        now = 0.0

        def after(passed_s: float, change: int) -> float:
            nonlocal memory, now
            now += passed_s
            regret = Regret(memory, now, 900.0)
            regret.changed("a", change, 180.0)
            memory = json.loads(json.dumps(regret.memory()))
            return regret.window_s("a", 180.0)

        assert after(0, 1) == 180
        assert after(300, -1) == 180
        assert after(30, 0) == 180
        assert after(300, 1) == 360
        assert after(600, -1) == 360
        assert after(1000, 1) == 720
        assert after(600, -1) == 720
        assert after(300, 1) == 900
        # Growth long after a release is none.
        assert after(600, -1) == 900
        assert after(3 * 3600, 1) == 720
        assert after(3 * 3600, 0) == 360
        assert after(3 * 3600, 0) == 180
        assert memory == {}

    def test_a_window_is_never_made_shorter_than_it_was_set(self) -> None:
        assert Regret({"a": {"level": 3, "since": 0.0}}, 10.0, 900.0).window_s("a", 2000.0) == 2000.0


def test_memory_is_json_and_a_policy_keeps_nothing_else() -> None:
    items = [work(600, 60.0 * minute, 60.0 * minute + 180) for minute in range(30)]
    view = fleet([group("a"), group("b", cost_per_hour=0.1)], workers(3, busy_cpus=1))
    for name in policy_names():
        policy = make_policy(name)
        first = policy.decide(BEGIN, Demand(BEGIN, tuple(items)), view, {})
        memory = json.loads(json.dumps(first.memory))
        assert memory == first.memory
        later = BEGIN + timedelta(seconds=30)
        once = policy.decide(later, Demand(later, tuple(items)), view, memory)
        again = make_policy(name).decide(later, Demand(later, tuple(items)), view, memory)
        assert once == again
