"""How many workers each group should have, and which go: on plain data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dynamo.provision.deciding.balance import (
    GroupNeed,
    RemovalCandidate,
    targets,
    victims,
)
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.provision.deciding.removals import Removals, removal_allowance

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def need(group: str, wanted: int, serving: int, ready: int | None = None, **more: Any) -> GroupNeed:
    values = {"most": 10, **more}
    ready = serving if ready is None else ready
    return GroupNeed(group, f"Site:{group}", wanted, serving=serving, ready=ready, **values)


def test_each_group_gets_its_wish_but_no_more_than_its_most() -> None:
    assert targets([need("a", 3, 0), need("b", 12, 0)]) == {"a": 3, "b": 10}


def test_open_sites_stand_in_for_closed_ones_up_to_their_most() -> None:
    needs = [need("a", 4, 1, open=False), need("b", 1, 1, most=3), need("c", 1, 1, most=9)]
    assert targets(needs) == {"a": 4, "b": 2, "c": 3}
    assert targets([need("a", 9, 0, open=False), need("b", 1, 1, most=3)]) == {"a": 9, "b": 3}


def test_weights_share_out_what_is_missing() -> None:
    found = targets([need("a", 6, 0, open=False), need("b", 0, 0, weight=2.0), need("c", 0, 0, weight=1.0)])
    assert found == {"a": 6, "b": 4, "c": 2}


def test_those_who_stood_in_stay_until_the_others_are_ready() -> None:
    assert targets([need("a", 4, 4, ready=1), need("b", 1, 4)]) == {"a": 4, "b": 4}
    assert targets([need("a", 4, 4, ready=3), need("b", 1, 4)]) == {"a": 4, "b": 2}
    assert targets([need("a", 4, 4, ready=4), need("b", 1, 4)]) == {"a": 4, "b": 1}


def test_nobody_stands_in_twice_for_the_same_worker() -> None:
    assert targets([need("a", 4, 0, open=False), need("b", 1, 5)]) == {"a": 4, "b": 5}


def test_stand_ins_are_counted_in_processors() -> None:
    """Two missing machines of one processor are not worth two leases of 24."""
    small, large = {"cpus": 1}, {"cpus": 24}
    assert targets([need("a", 2, 0, open=False, **small), need("b", 0, 0, **large)]) == {"a": 2, "b": 1}
    assert targets([need("a", 2, 0, open=False, **large), need("b", 0, 0, most=99, **small)]) == {"a": 2, "b": 48}
    # It stays until both are back, and nobody stands in for them as well.
    assert targets([need("a", 2, 2, ready=0, **small), need("b", 0, 1, **large)]) == {"a": 2, "b": 1}
    assert targets([need("a", 2, 0, open=False, **small), need("b", 0, 1, **large)]) == {"a": 2, "b": 1}
    assert targets([need("a", 2, 2, ready=2, **small), need("b", 0, 1, **large)]) == {"a": 2, "b": 0}


def test_stand_ins_have_the_memory_that_is_asked_for() -> None:
    missing = need("a", 4, 0, open=False, cpus=1, ram_mb=9000, asked_mb=8000)
    assert targets([missing, need("b", 0, 0, cpus=4, ram_mb=16_000)]) == {"a": 4, "b": 2}
    assert targets([missing, need("b", 0, 0, cpus=4, ram_mb=64_000)]) == {"a": 4, "b": 1}
    # What a machine happens to have is not asked for, and an unknown size is no objection.
    idle = need("a", 4, 0, open=False, cpus=1, ram_mb=500_000)
    assert targets([idle, need("b", 0, 0, cpus=4, ram_mb=16_000)]) == {"a": 4, "b": 1}
    assert targets([missing, need("b", 0, 0, cpus=4)]) == {"a": 4, "b": 1}


def candidate(name: str, state: WorkerState, busy: int = 0, age_s: float = 0.0) -> RemovalCandidate:
    return RemovalCandidate(name, state, busy, NOW - timedelta(seconds=age_s))


def test_what_costs_least_to_give_up_goes_first() -> None:
    given = [
        candidate("busy", WorkerState.READY, 4),
        candidate("idle-old", WorkerState.READY, 0, 100),
        candidate("idle-new", WorkerState.READY, 0, 10),
        candidate("joining", WorkerState.JOINING),
        candidate("booting", WorkerState.BOOTING),
        candidate("requested", WorkerState.REQUESTED),
    ]
    order = [found.name for found in victims(given, 99)]
    assert order == ["requested", "booting", "joining", "idle-new", "idle-old", "busy"]
    assert [found.name for found in victims(given, 2)] == order[:2]
    assert victims(given, 0) == victims(given, -1) == []


@pytest.mark.parametrize(
    ("living", "share", "expected"), [(0, 0.5, 0), (1, 0.25, 1), (3, 0.25, 1), (8, 0.25, 2), (8, 1.0, 8)]
)
def test_the_share_that_may_go_is_at_least_one_worker(living: int, share: float, expected: int) -> None:
    assert removal_allowance(living, share) == expected


def test_removals_are_counted_over_the_time_of_a_cycle() -> None:
    removals = Removals(share=0.25, span_s=10)
    moments = [NOW + timedelta(seconds=second) for second in (0, 1, 2, 9, 10, 11, 12)]
    assert [removals.take(8, moment) for moment in moments] == [True, True, False, False, True, True, False]
