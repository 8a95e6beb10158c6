"""Whatever the demand and the fleet, policies keep within what is allowed, settle, and do not swing."""

from __future__ import annotations

import json
import math
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynamo.autoscale.model import BootTimes, Capacity, Demand, FleetView, GroupOption, Work
from dynamo.autoscale.policies import make_policy, policy_names
from dynamo.provision.deciding.lifecycle import SERVING, WorkerState
from tests.unit.autoscale.policy_world import BEGIN, Arrival, World, group

#: Hundreds of simulated hours.
pytestmark = pytest.mark.slow

NAMES = st.sampled_from(policy_names())
STATES = st.sampled_from(
    [WorkerState.REQUESTED, WorkerState.BOOTING, WorkerState.JOINING, WorkerState.READY, WorkerState.DRAINING]
)


@st.composite
def options(draw: st.DrawFn, name: str) -> GroupOption:
    median_s = draw(st.floats(1, 1000))
    most = draw(st.integers(0, 12))
    return group(
        name,
        least=draw(st.integers(0, 3)),
        most=most,
        cpus=draw(st.sampled_from([1, 4, 24])),
        memory_mb=draw(st.sampled_from([0, 4000])),
        cost_per_hour=draw(st.sampled_from([0.0, 0.1, 1.0])),
        boot=BootTimes(median_s, median_s * draw(st.floats(1, 3))),
        billing_s=draw(st.sampled_from([1.0, 3600.0])),
        failure_rate=draw(st.sampled_from([0.0, 0.1, 0.6, 1.0])),
        open=draw(st.booleans()),
        drain_deadline_s=draw(st.sampled_from([10.0, 3600.0])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> FleetView:
    groups = [draw(options(name)) for name in ("a", "b", "c")[: draw(st.integers(1, 3))]]
    workers = []
    for option in groups:
        for number in range(draw(st.integers(0, 6))):
            state = draw(STATES)
            ready = state in (WorkerState.READY, WorkerState.DRAINING)
            paid_s = draw(st.none() | st.floats(0, 3600))
            workers.append(
                Capacity(
                    f"{option.group}{number}",
                    option.group,
                    state,
                    option.cpus,
                    draw(st.integers(0, option.cpus)) if ready else 0,
                    BEGIN + timedelta(seconds=draw(st.floats(-600, 0) if ready else st.floats(-60, 900))),
                    None if paid_s is None else BEGIN + timedelta(seconds=paid_s),
                    BEGIN + timedelta(seconds=draw(st.floats(60, 7200))) if draw(st.booleans()) else None,
                )
            )
    return FleetView(tuple(workers), tuple(groups), draw(st.none() | st.floats(-1, 5)))


@st.composite
def works(draw: st.DrawFn) -> Work:
    ready_s = draw(st.floats(-600, 4000))
    core_s = draw(st.floats(0, 1e5))
    return Work(
        draw(st.sampled_from(["queue", "runs", "forecast"])),
        "x",
        BEGIN + timedelta(seconds=ready_s),
        draw(st.none() | st.floats(-600, 20000).map(lambda s: BEGIN + timedelta(seconds=s))),
        core_s,
        core_s * draw(st.floats(0.5, 3)),
        cores=draw(st.integers(0, 100)),
        cores_each=draw(st.sampled_from([1, 2, 8, 64])),
        memory_mb_each=draw(st.sampled_from([0, 2000, 64000])),
        site=draw(st.sampled_from(["", "", "Cloud:b", "Cloud:nowhere"])),
    )


DEMANDS = st.builds(
    lambda items, missing: Demand(BEGIN, tuple(items), missing={"forecast": "silent"} if missing else {}),
    st.lists(works(), max_size=12),
    st.booleans(),
)


def present(fleet: FleetView, name: str) -> list[Capacity]:
    return [worker for worker in fleet.workers if worker.group == name and worker.state in SERVING]


@settings(max_examples=100, deadline=None)
@given(NAMES, DEMANDS, fleets(), st.booleans())
def test_no_policy_breaks_a_limit(name: str, demand: Demand, fleet: FleetView, settled: bool) -> None:
    policy = make_policy(name)
    memory: dict[str, Any] = {}
    if settled:
        before = BEGIN - timedelta(hours=3)
        memory = json.loads(json.dumps(policy.decide(before, demand, fleet, {}).memory))
    decision = policy.decide(BEGIN, demand, fleet, memory)
    assert list(decision.wanted) == [option.group for option in fleet.groups]
    cost = 0.0
    rises = {}
    for option in fleet.groups:
        count, wanted = len(present(fleet, option.group)), decision.wanted[option.group]
        assert 0 <= wanted <= option.most
        rises[option.group] = rise = max(0, wanted - count)
        cost += rise * option.cost_per_hour
        if not option.open:
            assert wanted <= max(count, option.least)
        # The least is there, unless it may not be or cannot be paid.
        assert wanted >= min(option.least, option.most, count) or wanted == option.most
        if fleet.affordable_per_hour is None:
            assert wanted >= min(option.least, option.most)
        if wanted != count:
            assert decision.reasons[option.group].startswith(f"{wanted - count:+d} at {option.site}: ")
        else:
            assert option.group not in decision.reasons
    if fleet.affordable_per_hour is not None:
        assert cost <= max(0.0, fleet.affordable_per_hour) + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["reactive", "linear", "predictive"]), DEMANDS, fleets())
def test_what_is_busy_stays(name: str, demand: Demand, fleet: FleetView) -> None:
    """Those who stay have as many processors as are busy; all busy workers where jobs may outlast the drain.

    A policy gives numbers only. By them the idle go first, and a worker with jobs is drained, not ended; that the
    jobs end is up to the drain deadline. Only a cap below what is there goes beyond this, as does `static`, which is
    an operator's order.
    """
    policy = make_policy(name)
    memory = policy.decide(BEGIN - timedelta(hours=3), demand, fleet, {}).memory
    decision = policy.decide(BEGIN, demand, fleet, memory)
    for option in fleet.groups:
        workers = present(fleet, option.group)
        busy = sum(worker.busy_cpus for worker in workers)
        assert decision.wanted[option.group] >= min(math.ceil(busy / option.cpus), option.most)
        if demand.missing:
            assert decision.wanted[option.group] >= min(len(workers), option.most)


@settings(max_examples=100, deadline=None)
@given(NAMES, DEMANDS, fleets())
def test_policies_are_pure(name: str, demand: Demand, fleet: FleetView) -> None:
    first = make_policy(name).decide(BEGIN, demand, fleet, {})
    memory = json.loads(json.dumps(first.memory, allow_nan=False))
    assert memory == first.memory
    later = BEGIN + timedelta(seconds=30)
    policy = make_policy(name)
    policy.decide(BEGIN, demand, fleet, {})
    assert policy.decide(later, demand, fleet, memory) == make_policy(name).decide(later, demand, fleet, first.memory)


@settings(max_examples=6, deadline=None)
@given(
    st.floats(1, 30), st.sampled_from([90.0, 180.0, 300.0]), st.sampled_from([30.0, 60.0, 120.0]), st.integers(0, 99)
)
@example(26.383797720081606, 300.0, 120.0, 97)
@example(26.375, 300.0, 120.0, 70)
def test_predictive_converges_when_the_load_is_constant(
    cores: float, deadline_s: float, cadence_s: float, seed: int
) -> None:
    """After the first boots and the settling everything is in time, and the number of workers stays.

    It stays within two: where the right number lies between two whole ones, the plan's bins round it either way, and
    a release may turn out to be wrong; each such one doubles the time that the next one takes.
    """
    amount = cores * cadence_s
    jobs = max(1, math.ceil(amount / 20.0))
    arrivals = [
        Arrival(number * cadence_s, number * cadence_s + deadline_s, [amount / jobs] * jobs)
        for number in range(1, int(3600 / cadence_s))
    ]
    world = World(make_policy("predictive"), [group(most=50)], arrivals, seed=seed).run(2700)
    settled = {count for at_s, count in world.history if at_s >= 900}
    assert max(settled) - min(settled) <= 2
    # What was there before the first worker could be may have been late.
    assert world.late <= 1 + 200 / cadence_s
    # With half of the way to the high amount (0.15) at a utilisation of 0.8, all that comes must be done in its time,
    # and in the time between two arrivals; a tenth more for what jobs take beside their work, and three for rounding
    # and for the surprise that this tenth is.
    pace = amount / min(cadence_s, deadline_s - 25.0)
    assert max(settled) <= pace * 1.15 * 1.1 / 0.8 / 4 + 3


@st.composite
def load_shapes(draw: st.DrawFn) -> tuple[list[Arrival], float]:
    """Arrivals of an hour: steps, ramps, bursts and noise, and how wrong the forecast of them is."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    level, arrivals = 0.0, []
    kind = draw(st.sampled_from(["steps", "walk", "bursts", "square"]))
    period = draw(st.integers(2, 40))
    for minute in range(60):
        if kind == "steps" and minute % period == 0:
            level = rng.choice([0.0, 5.0, 20.0, 60.0])
        elif kind == "walk":
            level = max(0.0, level + rng.gauss(0, 6))
        elif kind == "bursts":
            level = 60.0 if rng.random() < 1 / period else 1.0
        elif kind == "square":
            level = 40.0 if minute // period % 2 else 2.0
        amount = level * 60 * rng.uniform(0.8, 1.2)
        if amount > 1:
            jobs = max(1, math.ceil(amount / 20))
            arrivals.append(Arrival(minute * 60.0 + 7, minute * 60.0 + 187, [amount / jobs] * jobs))
    return arrivals, draw(st.sampled_from([0.0, 0.3, 1.0]))


@settings(max_examples=10, deadline=None)
@given(load_shapes(), st.sampled_from([5.0, 100.0, 400.0]))
def test_predictive_turns_only_as_often_as_its_window_allows(shape: tuple[list[Arrival], float], boot_s: float) -> None:
    """The bound is two turns in each window, whatever the load.

    A number that was aimed at is held for the window (`settle_s`, or half a boot if that is longer), so that between
    a rise and the first fall after it lies at least a window: there is at most one rise-then-fall in a window, and
    between two of them one fall-then-rise.
    """
    arrivals, error = shape
    rng = random.Random(5)
    factors = {arrival.at_s: math.exp(rng.gauss(0, error)) for arrival in arrivals}
    option = group(most=50, boot=BootTimes(boot_s, boot_s * 1.4))
    world = World(
        make_policy("predictive"),
        [option],
        arrivals,
        forecast=lambda arrival: (factors[arrival.at_s], factors[arrival.at_s] * 1.5),
    ).run(3600)
    window_s = max(180.0, 0.5 * boot_s)
    assert world.turns() <= 2 * math.ceil(3600 / window_s)
    rises = [at_s for (at_s, new), (_, old) in zip(world.history[1:], world.history, strict=False) if new > old]
    falls = [at_s for (at_s, new), (_, old) in zip(world.history[1:], world.history, strict=False) if new < old]
    for fall_s in falls:
        before = [rise_s for rise_s in rises if rise_s < fall_s]
        assert not before or fall_s - before[-1] >= window_s - 1e-6


@settings(max_examples=8, deadline=None)
@given(
    st.floats(30, 600),
    st.floats(60, 600),
    st.sampled_from([60.0, 120.0]),
    st.sampled_from([20.0, 100.0, 300.0]),
    st.sampled_from([30.0, 45.0]),
)
def test_predictive_does_not_breathe_with_periodic_bursts(
    period_s: float, amount_s: float, deadline_s: float, boot_s: float, every_s: float
) -> None:
    """The same burst again and again, every half minute to every ten minutes: 14 turns at most in three hours.

    A release that is bought back soon doubles the window, from 180 s to an hour at most: in three hours there is room
    for six such errors (180 + 360 + 720 + 1440 + 2880 + 3600 s), of two turns each. Two more are for the beginning,
    when late work is caught up with. After that a day has at most two turns in each hour, and only where the right
    number lies between two whole ones.
    """
    jobs = math.ceil(amount_s / 12)
    arrivals = [
        Arrival(number * period_s + 7, number * period_s + 7 + deadline_s, [amount_s / jobs] * jobs)
        for number in range(1, int(10800 / period_s))
    ]
    option = group(most=80, cpus=2, boot=BootTimes(boot_s, boot_s * 1.4))
    # Jobs take two seconds of a core beside their work.
    right = (amount_s + 2 * jobs) / amount_s
    world = World(
        make_policy("predictive"), [option], arrivals, forecast=lambda _: (right, 1.2 * right), every_s=every_s
    ).run(10800)
    assert world.turns() <= 14
