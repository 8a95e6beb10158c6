"""A site that fails is left alone for a while, and told about: on plain data."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from dynamo.provision.deciding.breaker import HEALTHY, BreakerSettings, SiteTrust, failed
from dynamo.provision.deciding.health import HealthBook

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = BreakerSettings(failures=3, base_s=30, max_s=200)


def waits(*kinds: str, jitter: float = 0.0) -> list[float | None]:
    """Return the wait after each of several failures, each at the end of the wait before."""
    health, now, found = HEALTHY, NOW, []
    for kind in kinds:
        health = failed(health, kind, "error", now, SETTINGS, jitter)
        found.append(None if health.retry_at is None else (health.retry_at - now).total_seconds())
        now = health.retry_at or now
    return found


def test_passing_failures_count_up_then_the_waits_double_up_to_the_longest() -> None:
    assert waits(*["retryable"] * 7) == [None, None, 30, 60, 120, 200, 200]


@pytest.mark.parametrize("kind", ["auth", "permanent", "no-capacity", "quota"])
def test_what_does_not_pass_by_itself_opens_it_at_once(kind: str) -> None:
    assert waits(kind, kind) == [30, 60]


def test_jitter_shortens_the_wait_by_a_quarter_at_most() -> None:
    assert waits("auth", jitter=1.0) == [22.5]


def test_answers_to_earlier_calls_do_not_prolong_the_wait() -> None:
    first = failed(HEALTHY, "auth", "one", NOW, SETTINGS, 0.0)
    second = failed(first, "quota", "two", NOW + timedelta(seconds=1), SETTINGS, 0.0)
    assert (second.retry_at, second.failures) == (first.retry_at, first.failures)
    assert (second.kind, second.error) == ("quota", "two")


def test_open_and_probing() -> None:
    health = SiteTrust(3, NOW, "retryable", "error")
    assert not health.closed(NOW - timedelta(seconds=1))
    assert health.closed(NOW)
    assert health.probing
    assert HEALTHY.closed(NOW)
    assert not HEALTHY.probing


def test_the_book_tells_changes_once() -> None:
    book = HealthBook({}, SETTINGS, lambda: NOW, random.Random(1))
    book.failure("a", "auth", "expired")
    changed, notes = book.take_changes()
    assert set(changed) == {"a"}
    assert [(note.action, note.site, (note.data or {})["kind"]) for note in notes] == [("leave-alone", "a", "auth")]
    assert book.take_changes() == ({}, [])
    book.success("a")
    changed, notes = book.take_changes()
    assert changed == {"a": HEALTHY}
    assert [note.action for note in notes] == ["trust-again"]
    book.success("a")
    assert book.take_changes() == ({}, [])
