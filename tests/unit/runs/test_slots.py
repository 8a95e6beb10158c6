from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynamo.runs.events import RunEvents
from dynamo.runs.slots import STALLED_S, RunSlots, read_stalled, store_stalled
from dynamo.store.engine import open_store

NOW = datetime(2026, 5, 20, 18, 0, tzinfo=UTC)


class Clock:
    """Monotonic seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> RunEvents:
    return RunEvents()


@pytest.fixture
def slots(clock: Clock, events: RunEvents) -> RunSlots:
    return RunSlots(2, events, clock)


def test_places_that_work_or_are_free_do_not_stall(slots: RunSlots, clock: Clock) -> None:
    slots.take("a", "running")
    clock.now_s += 2 * STALLED_S
    assert (slots.report().waiting, slots.report().stalled) == (0, False)


def test_all_places_must_have_waited_for_long(slots: RunSlots, events: RunEvents, clock: Clock) -> None:
    slots.take("a", "submitted")
    clock.now_s += STALLED_S
    slots.take("b", "created")
    assert not slots.report().stalled
    events.emit("trouble", "b", reason="the pool is down", retry_s=1.0)
    assert (slots.report().waiting, slots.report().stalled) == (2, False)
    clock.now_s += STALLED_S
    report = slots.report()
    assert report.stalled
    assert report.waited_s == STALLED_S
    assert report.reason == "run a: the engine has not started its work"
    for state in ("running", "publishing", "succeeded"):
        events.emit("run_state", "a", state=state, reason="")
        assert not slots.report().stalled
    assert slots.report().reason == "run b: the pool is down"


def test_a_run_that_recovers_waits_for_its_engine_from_the_beginning(
    slots: RunSlots, events: RunEvents, clock: Clock
) -> None:
    for name in ("a", "b"):
        slots.take(name, "planned")
        events.emit("trouble", name, reason="the store is locked", retry_s=1.0)
    clock.now_s += STALLED_S
    assert slots.report().stalled
    events.emit("recovered", "a")
    assert not slots.report().stalled
    events.emit("run_state", "a", state="held", reason="disk quota")
    clock.now_s += STALLED_S / 2
    assert not slots.report().stalled
    slots.free("a")
    slots.free("b")
    assert slots.report().waiting == 0


def test_the_events_of_other_runs_are_not_ours(slots: RunSlots, events: RunEvents) -> None:
    events.emit("trouble", "disk", reason="full", retry_s=1.0)
    events.emit("run_state", "z", state="held", reason="")
    assert slots.report().waiting == 0


def test_what_is_stored_expires(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    with store.reading() as session:
        assert read_stalled(session, NOW) is None
    for stalled in (True, False):
        with store.transaction() as session:
            store_stalled(session, stalled, NOW, 60.0)
        with store.reading() as session:
            assert read_stalled(session, NOW + timedelta(seconds=59)) is stalled
            assert read_stalled(session, NOW + timedelta(seconds=61)) is None
    store.close()
