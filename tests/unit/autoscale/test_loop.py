"""The loop on a simulated fleet: from nothing up and back, what is stored, who wins, and what does not end it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dynamo.autoscale.decisions import read_state, stored_decisions
from dynamo.autoscale.loop import Look
from dynamo.autoscale.model import Decision, Demand, FleetView
from dynamo.autoscale.overload import read_overload
from dynamo.errors import RetryableError
from dynamo.provision import ledger
from dynamo.provision.fleets import scale
from dynamo.provision.holding import hold, release
from dynamo.store.engine import StoreUnavailableError
from tests.unit.autoscale.autoscale_world import SITE, ScaledWorld, work
from tests.waiting import wait_for

#: Hours of fleets, cycle by cycle.
pytestmark = pytest.mark.slow


class Wants:
    """A policy that wants what it is told, and remembers how often it was asked."""

    def __init__(self, wanted: int = 0) -> None:
        self.wanted = wanted
        self.error: BaseException | None = None

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:  # noqa: ARG002
        if self.error is not None:
            raise self.error
        return Decision({"worker": self.wanted}, {"worker": "because"}, {"asked": memory.get("asked", 0) + 1})


@pytest.fixture
def world(tmp_path: Path) -> ScaledWorld:
    return ScaledWorld(tmp_path)


def wanted(world: ScaledWorld) -> tuple[int, str]:
    with world.store.reading() as session:
        wish = ledger.wishes(session, "fleet")["worker"]
        return wish.wanted, wish.source


def test_from_nothing_up_and_back_to_nothing(world: ScaledWorld) -> None:
    world.live(60)
    assert world.workers() == []
    assert world.decisions() == []
    world.source.amount = [work(world.clock.now(), 3000, 900)]
    world.live(500)
    assert world.states()["ready"] >= 4
    (first, *_) = world.decisions()
    assert f"at {SITE}" in first.reason
    assert first.reason.startswith("+")
    world.source.amount = []
    world.live(600)
    assert set(world.states()) == {"released"}
    assert sum(worker.jobs_killed for worker in world.workers()) == 0


def test_a_decision_is_stored_with_its_inputs_and_its_sentence(world: ScaledWorld) -> None:
    world.scaler = world.new_scaler(Wants(3))
    world.source.amount = [work(world.clock.now(), 100, 600)]
    found = world.scaler.look()
    assert found.applied
    assert [change.after for change in found.changes] == [3]
    (decision,) = world.decisions()
    assert decision.subject == "fleet:fleet"
    assert decision.reason == f"+3 at {SITE} (worker): because"
    inputs = decision.data["inputs"]
    assert inputs["work"][0]["core_s"] == 100
    assert inputs["groups"][0]["most"] == 10
    assert wanted(world) == (3, "autoscaler")
    (event,) = world.events("autoscale")
    assert event.reason == decision.reason
    assert event.data == {"group": "worker", "wanted": 3, "before": 0}
    with world.store.reading() as session:
        assert [item.id for item in stored_decisions(session, "fleet")] == [decision.id]


def test_only_changes_are_stored_and_inputs_now_and_then(world: ScaledWorld) -> None:
    world.scaler = world.new_scaler(Wants(2))
    for _ in range(130):
        world.scaler.look()
        world.clock.advance(10)
    assert len(world.decisions()) == 1
    # 1300 s, of which the decision itself is the first.
    assert len(world.decisions("inputs")) == 2


def test_a_dry_run_stores_nothing(world: ScaledWorld) -> None:
    world.scaler = world.new_scaler(Wants(2))
    found = world.scaler.look(dry_run=True)
    assert not found.applied
    assert found.changes[0].after == 2
    with world.store.reading() as session:
        assert ledger.wishes(session, "fleet") == {}
        assert read_state(session, "fleet") is None
    assert world.decisions() == []
    assert world.decisions("inputs") == []


def test_a_person_wins_until_the_release(world: ScaledWorld) -> None:
    world.scaler = world.new_scaler(Wants(2))
    world.scaler.look()
    with world.store.transaction() as session:
        scale(session, "fleet", "worker", 5, world.clock.now())
    found = world.scaler.look()
    assert found.changes == ()
    assert "worker" in found.observed.held
    option = found.observed.view.groups[0]
    assert (option.least, option.most) == (5, 5)
    assert wanted(world) == (5, "operator")
    with world.store.transaction() as session:
        assert release(session, "fleet", "all", world.clock.now(), autoscaled=True) == {"worker": 5}
    assert wanted(world) == (5, "autoscaler")
    world.scaler.look()
    assert wanted(world) == (2, "autoscaler")


def test_a_hold_keeps_what_is_wanted(world: ScaledWorld) -> None:
    policy = Wants(4)
    world.scaler = world.new_scaler(policy)
    world.scaler.look()
    with world.store.transaction() as session:
        assert hold(session, "fleet", SITE, world.clock.now()) == {"worker": 4}
    policy.wanted = 0
    world.scaler.look()
    assert wanted(world) == (4, "operator")
    with world.store.transaction() as session:
        assert release(session, "fleet", "worker", world.clock.now(), autoscaled=False) == {"worker": None}
    with world.store.reading() as session:
        assert ledger.wishes(session, "fleet") == {}


def test_an_order_during_the_look_wins(world: ScaledWorld) -> None:
    class Slow(Wants):
        def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
            with world.store.transaction() as session:
                scale(session, "fleet", "worker", 7, now)
            return super().decide(now, demand, fleet, memory)

    world.scaler = world.new_scaler(Slow(1))
    assert world.scaler.look().changes == ()
    assert wanted(world) == (7, "operator")


def test_memory_survives_a_restart_and_goes_with_the_policy(world: ScaledWorld) -> None:
    world.scaler = world.new_scaler(Wants(1))
    world.scaler.look()
    world.scaler = world.new_scaler(Wants(1))
    world.scaler.look()
    with world.store.reading() as session:
        state = read_state(session, "fleet")
    assert state is not None
    assert state.memory == {"asked": 2}
    assert state.wanted == {"worker": 1}
    world.settings = world.settings.model_copy(update={"policy": "static"})
    world.scaler = world.new_scaler(Wants(1))
    world.scaler.look()
    with world.store.reading() as session:
        state = read_state(session, "fleet")
    assert state is not None
    assert state.memory == {"asked": 1}


@pytest.mark.parametrize("error", [RetryableError("away"), OSError("no"), ZeroDivisionError("defect")])
def test_a_silent_source_is_no_demand_of_zero(world: ScaledWorld, error: BaseException) -> None:
    world.source.amount = [work(world.clock.now(), 3000, 900)]
    world.live(500)
    before = world.states()["ready"]
    assert before >= 4
    world.source.error = error
    world.live(600, step_s=20.0)
    assert world.states()["ready"] >= before
    with world.store.reading() as session:
        state = read_state(session, "fleet")
    assert state is not None
    assert set(state.missing) == {"runs"}


def test_what_is_wanted_and_not_there_yet_is_not_given_up_for_a_silence(world: ScaledWorld) -> None:
    with world.store.transaction() as session:
        ledger.wish(
            session, "fleet", "worker", site=SITE, wanted=3, source="autoscaler", reason="", now=world.clock.now()
        )
    world.source.error = RetryableError("its pool is not up yet")
    assert world.scaler.look().changes == ()
    assert wanted(world) == (3, "autoscaler")
    world.source.error = None
    assert [change.after for change in world.scaler.look().changes] == [0]


def test_a_source_without_work_says_zero(world: ScaledWorld) -> None:
    world.scaler.look()
    with world.store.reading() as session:
        state = read_state(session, "fleet")
    assert state is not None
    assert state.demand_core_s == state.demand_high_core_s == {"runs": 0.0}
    assert state.missing == {}


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ZeroDivisionError("defect")])
def test_no_failure_ends_the_loop(world: ScaledWorld, error: BaseException) -> None:
    policy = Wants(1)
    world.settings = world.settings.model_copy(update={"every_s": 0.01})
    world.scaler = world.new_scaler(policy)
    policy.error = error
    stop = threading.Event()
    seen: list[Look] = []
    thread = threading.Thread(target=world.scaler.run, args=(stop, seen.append))
    thread.start()
    stop.wait(0.3)
    assert thread.is_alive()
    assert not seen
    policy.error = None
    wait_for(lambda: seen)
    stop.set()
    thread.join(300)
    assert seen
    assert not thread.is_alive()


def test_a_fleet_that_ends_is_left_alone(world: ScaledWorld) -> None:
    world.end()
    world.scaler = world.new_scaler(Wants(3))
    assert not world.scaler.look().applied
    assert world.decisions() == []


def test_overload_is_found_where_nothing_more_can_be_had(tmp_path: Path) -> None:
    world = ScaledWorld(tmp_path, most=2)
    world.source.amount = [work(world.clock.now(), 5000, 300)]
    found = world.scaler.look()
    assert found.overload is not None
    assert found.overload.deficit_core_s > 4000
    assert "worker is at its maximum of 2 workers" in found.overload.reason
    now = world.clock.now()
    with world.store.reading() as session:
        assert read_overload(session, now) == found.overload
        # A loop that has ended says nothing of an hour later.
        assert read_overload(session, now + timedelta(hours=1)) is None
    world.source.amount = []
    world.scaler.look()
    with world.store.reading() as session:
        assert read_overload(session, world.clock.now()) is None
