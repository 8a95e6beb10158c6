"""What is missing between valid times, and how far apart they usually are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dynamo.assets.coverage import gaps_between, usual_step

START = datetime(2026, 6, 1, tzinfo=UTC)


def at(*minutes: float) -> list[datetime]:
    return [START + timedelta(minutes=minute) for minute in minutes]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((0, 1, 2, 3, 4), []),
        # Late, but not missing.
        ((0, 1.7, 3, 4), []),
        ((0, 1, 4), [(2, 4, 2)]),
        ((2, 3, 4), [(0, 2, 2)]),
        ((0, 1, 2), [(3, 5, 2)]),
        ((), [(0, 5, 5)]),
    ],
    ids=["whole", "late", "middle", "begin", "end", "nothing"],
)
def test_gaps(minutes: tuple[float, ...], expected: list[tuple[float, float, int]]) -> None:
    begin, end = at(0, 5)
    found = gaps_between(at(*minutes), 60.0, begin, end)
    assert [(gap.begin, gap.end, gap.missing) for gap in found] == [(*at(a, b), n) for a, b, n in expected]


def test_a_range_shorter_than_the_cadence_misses_nothing() -> None:
    assert gaps_between([], 600.0, *at(0, 4)) == []


def test_the_usual_step_is_that_of_most() -> None:
    assert usual_step(at(0, 5)) is None
    assert usual_step(at(0, 5, 5, 10, 15, 60)) == 300.0
