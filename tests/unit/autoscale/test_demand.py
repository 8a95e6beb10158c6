"""Sources of demand add up; one that fails is missing, not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from dynamo.autoscale.demand.base import gather
from dynamo.autoscale.model import Work
from dynamo.errors import InputError, RetryableError

NOON = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)


class Source:
    def __init__(self, name: str, core_s: float, notes: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._core_s = core_s
        self.notes = notes or {}

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        assert horizon_s == 600.0
        return [Work(self.name, "work", now, None, self._core_s, self._core_s)]


class Plain:
    name = "plain"

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        assert now == NOON
        assert horizon_s
        return []


class Failing:
    name = "failing"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        assert now == NOON
        assert horizon_s
        raise self._error


def test_sources_add_up() -> None:
    demand = gather([Source("queue", 10.0), Source("runs", 5.0), Plain()], NOON, 600.0)
    assert demand.by_source() == {"queue": 10.0, "runs": 5.0}
    assert demand.taken_at == NOON
    assert demand.horizon_s == 600.0
    assert not demand.missing


def test_a_source_that_cannot_say_anything_is_missing_and_the_others_count() -> None:
    demand = gather([Failing(RetryableError("the queue is silent", where="pool")), Source("runs", 5.0)], NOON, 600.0)
    assert demand.missing == {"failing": "pool: the queue is silent"}
    assert demand.by_source() == {"runs": 5.0}


def test_a_permanent_error_is_not_hidden() -> None:
    with pytest.raises(InputError):
        gather([Failing(InputError("a wrong workflow"))], NOON, 600.0)


def test_what_sources_remark_is_kept() -> None:
    demand = gather([Source("forecast", 0.0, {"feed casa": "silent"})], NOON, 600.0)
    assert demand.notes == {"forecast feed casa": "silent"}
