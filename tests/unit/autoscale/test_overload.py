"""Overload: when there is one, which work goes without, what is never left out, and what the dispatcher does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynamo.autoscale.model import BootTimes, Capacity, Demand, FleetView, GroupOption, Work
from dynamo.autoscale.overload import Guard, Overload, assess, store_overload
from dynamo.config.file import parse_config
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Run, StoredDocument
from tests.unit.autoscale.autoscale_world import work

NOW = datetime(2026, 5, 20, 18, tzinfo=UTC)
OPTION = GroupOption("worker", "Cloud:one", 0, 4, 1, 1.0, BootTimes(30, 60))


def view(ready: int, option: GroupOption = OPTION, affordable: float | None = None) -> FleetView:
    workers = tuple(Capacity(f"w{n}", "worker", WorkerState.READY, 1, 0, NOW) for n in range(ready))
    return FleetView(workers, (option,), affordable)


def demand(*items: Work) -> Demand:
    return Demand(NOW, items)


def test_what_can_be_done_is_no_overload() -> None:
    assert assess(demand(work(NOW, 200, 100)), view(4), {"worker": 4}, NOW) is None


def test_as_long_as_more_can_be_had_there_is_none() -> None:
    much = demand(work(NOW, 10_000, 100))
    assert assess(much, view(2), {"worker": 3}, NOW) is None
    assert assess(much, view(4), {"worker": 4}, NOW) is not None


def test_the_reason_says_what_keeps_it_from_growing() -> None:
    much = demand(work(NOW, 10_000, 100))
    found = assess(much, view(4), {"worker": 4}, NOW)
    assert found is not None
    assert found.reason == "worker is at its maximum of 4 workers"
    found = assess(much, view(1, replace(OPTION, open=False)), {"worker": 1}, NOW)
    assert found is not None
    assert found.reason == "Cloud:one is closed after failures"
    found = assess(much, view(1, affordable=0.5), {"worker": 1}, NOW)
    assert found is not None
    assert "no budget for another worker" in found.reason
    # What is decided on already takes what the budget leaves.
    found = assess(much, view(1, affordable=2.0), {"worker": 3}, NOW)
    assert found is not None
    assert "no budget for another worker" in found.reason


def test_the_cut_is_the_least_priority_that_fits() -> None:
    items = [work(NOW, 150, 100, priority=20), work(NOW, 100, 100, priority=10), work(NOW, 900, 100, priority=0)]
    found = assess(demand(*items), view(4), {"worker": 4}, NOW)
    assert found is not None
    assert found.cut == 10
    assert found.deficit_core_s == pytest.approx(790, abs=30)
    found = assess(demand(work(NOW, 5000, 100, priority=20)), view(4), {"worker": 4}, NOW)
    assert found is not None
    assert found.cut is None


def test_where_not_even_the_highest_fits_all_below_goes_first() -> None:
    items = [work(NOW, 5000, 100, priority=20), work(NOW, 10, 100, priority=0)]
    found = assess(demand(*items), view(4), {"worker": 4}, NOW)
    assert found is not None
    assert found.cut == 20


def test_forecasts_undated_and_unfit_work_leave_nothing_out() -> None:
    expected = replace(work(NOW, 10_000, 100), source="forecast")
    unfit = replace(work(NOW, 10_000, 100), cores_each=8)
    found = demand(expected, unfit, work(NOW, 10_000, None))
    assert assess(found, view(4), {"worker": 4}, NOW) is None


def test_workers_that_come_count_from_then_on() -> None:
    # 4 workers for the last 40 of 100 s.
    assert assess(demand(work(NOW, 130, 100)), view(0), {"worker": 4}, NOW) is None
    assert assess(demand(work(NOW, 200, 100)), view(0), {"worker": 4}, NOW) is not None


# ---- the guard ------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "store.sqlite")
    yield store
    store.close()


def guard(store: Store, tmp_path: Path) -> Guard:
    triggers = [
        {"name": name, "feed": "feed", "workflow": "nowcast", "shed": shed}
        for name, shed in (("alerts", "never"), ("storms", "late"), ("extras", "skip"))
    ]
    data = {"feeds": [{"name": "feed", "path": "feed"}], "triggers": triggers}
    return Guard(store, parse_config(data, base=tmp_path))


def run_of(store: Store, trigger: str, *, priority: int = 0, due_in_s: float | None = 60, minute: int = 0) -> Run:
    name = f"{trigger}-{priority}-{minute}"
    with store.transaction() as session:
        if session.get(StoredDocument, "doc") is None:
            session.add(StoredDocument(sha256="doc", name="nowcast", version="1", body={}, recorded_at=NOW))
            session.flush()
        run = Run(
            id=name,
            key=name,
            workflow="nowcast",
            version="1",
            document="doc",
            trigger=trigger,
            engine="condor",
            state="created",
            priority=priority,
            inputs=[],
            parameters={},
            run_dir="",
            software="",
            valid_at=NOW + timedelta(minutes=minute),
            deadline_at=None if due_in_s is None else NOW + timedelta(seconds=due_in_s),
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(run)
    return run


def overloaded(store: Store, cut: int | None = 10) -> None:
    with store.transaction() as session:
        store_overload(session, Overload(500.0, cut, "worker is at its maximum of 4 workers"), NOW, 60.0)


def test_without_overload_nothing_is_left_out(store: Store, tmp_path: Path) -> None:
    keeper = guard(store, tmp_path)
    for trigger in ("alerts", "storms", "extras"):
        assert keeper.judge(run_of(store, trigger, due_in_s=-100), NOW) is None
    assert keeper.reserved(8, NOW) == 0


def test_what_is_of_lower_priority_goes_without(store: Store, tmp_path: Path) -> None:
    overloaded(store)
    keeper = guard(store, tmp_path)
    verdict = keeper.judge(run_of(store, "extras", priority=5), NOW)
    assert verdict is not None
    assert "priority 5 is below the cutoff of 10" in verdict.reason
    assert verdict.data["cut"] == 10
    assert keeper.judge(run_of(store, "extras", priority=10), NOW) is None
    # In time, it runs; what cannot be in time goes without while something higher is due.
    assert keeper.judge(run_of(store, "storms", priority=5), NOW) is None
    late = keeper.judge(run_of(store, "storms", priority=5, due_in_s=-1, minute=1), NOW)
    assert late is not None
    assert "late" in late.reason


def test_the_freshest_is_run_though_late_unless_higher_work_is_due(store: Store, tmp_path: Path) -> None:
    overloaded(store)
    keeper = guard(store, tmp_path)
    old = run_of(store, "storms", priority=20, due_in_s=-5)
    assert keeper.judge(old, NOW) is None
    run_of(store, "storms", priority=20, minute=1)
    verdict = keeper.judge(old, NOW)
    assert verdict is not None
    assert verdict.data["superseded_by"] == "storms-20-1"


def test_where_nothing_fits_priorities_decide_nothing(store: Store, tmp_path: Path) -> None:
    overloaded(store, cut=None)
    keeper = guard(store, tmp_path)
    assert keeper.judge(run_of(store, "extras", priority=-5), NOW) is None


def test_alerts_are_never_left_out_and_keep_their_places(store: Store, tmp_path: Path) -> None:
    overloaded(store)
    keeper = guard(store, tmp_path)
    alert = run_of(store, "alerts", priority=-100, due_in_s=-500)
    assert keeper.spared(alert)
    assert keeper.judge(alert, NOW) is None
    assert [keeper.reserved(threads, NOW) for threads in (1, 2, 8, 100)] == [0, 1, 2, 25]


def test_an_overload_ends_by_itself(store: Store, tmp_path: Path) -> None:
    overloaded(store)
    assert guard(store, tmp_path).reserved(8, NOW + timedelta(seconds=61)) == 0
