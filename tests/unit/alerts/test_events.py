"""When a place is told: tables of products in the order in which they come, and what is told of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dynamo.alerts.events import HazardEvent, advance
from dynamo.alerts.matching import Finding
from dynamo.config.alerts import AlertsSection, Hazard

START = datetime(2019, 6, 10, 18, 0, tzinfo=UTC)
SETTINGS = AlertsSection(clear_min=15, step_dbz=5, step_mm=10, sooner_min=10)

#: Minute of issue, and strength and lead of the finding, or None where nothing is near.
Row = tuple[int, tuple[float, int] | None]


def play(rows: list[Row], hazard: Hazard = "storm", settings: AlertsSection = SETTINGS) -> list[tuple[int, str]]:
    """Return the minutes at which something was told, and what."""
    event: HazardEvent | None = None
    told = []
    for minute, seen in rows:
        issued = START + timedelta(minutes=minute)
        finding = None
        if seen is not None:
            strength, lead = seen
            at = issued + timedelta(minutes=lead)
            finding = Finding(0, at, lead, strength, strength, lead, 1.0, 90.0, {})
        step = advance(event, finding, issued, hazard, settings)
        if step is not None:
            event = step.event
            if step.kind is not None:
                told.append((minute, step.why or step.kind))
    return told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param([(0, None)], [], id="nothing"),
        pytest.param([(m, (45, 20 - m)) for m in range(15)], [(0, "start")], id="once for an event"),
        pytest.param(
            [(0, (45, 20)), (1, (50, 19)), (2, (52, 18)), (3, (55, 17))],
            [(0, "start"), (1, "stronger"), (3, "stronger")],
            id="stronger",
        ),
        pytest.param([(0, (55, 20)), (1, (45, 19)), (2, (55, 18))], [(0, "start")], id="up and down"),
        pytest.param(
            [(0, (45, 25)), (1, (45, 20)), (2, (45, 13)), (3, (45, 3))], [(0, "start"), (2, "sooner")], id="sooner"
        ),
        pytest.param([(0, (45, 0)), (20, None)], [(0, "start"), (20, "over")], id="over"),
        pytest.param([(0, (45, 0)), (5, None), (14, None)], [(0, "start")], id="not over yet"),
        pytest.param(
            [(0, (45, 0)), (5, None), (10, (45, 0)), (20, None), (25, None)],
            [(0, "start"), (25, "over")],
            id="gone for a while",
        ),
        pytest.param(
            [(0, (45, 0)), (15, None), (16, None), (17, (45, 5))],
            [(0, "start"), (15, "over"), (17, "start")],
            id="again",
        ),
        pytest.param([(0, (45, 0)), (120, (45, 0))], [(0, "start"), (120, "start")], id="the end was not seen"),
        pytest.param(
            [(0, (45, 0)), (15, None), (10, (60, 0)), (15, (60, 0))],
            [(0, "start"), (15, "over")],
            id="late after the end",
        ),
        pytest.param(
            [(10, (45, 0)), (5, None), (9, (52, 0)), (11, (52, 0))],
            [(10, "start"), (9, "stronger")],
            id="another radar, a little older",
        ),
        pytest.param([(10, (45, 9)), (-10, (45, 0))], [(10, "start")], id="older is not sooner"),
    ],
)
def test_what_is_told(rows: list[Row], told: list[tuple[int, str]]) -> None:
    assert play(rows) == told


def test_hail_has_steps_of_its_own() -> None:
    rows: list[Row] = [(0, (20, 0)), (1, (28, 0)), (2, (30, 0)), (3, (31, 0)), (18, None)]
    assert play(rows, "hail") == [(0, "start"), (2, "stronger"), (18, "over")]


def test_a_time_of_zero_ends_at_the_next_product() -> None:
    assert play([(0, (45, 0)), (0, None), (1, None)], settings=SETTINGS.model_copy(update={"clear_min": 0.0})) == [
        (0, "start"),
        (1, "over"),
    ]


def test_the_event_remembers_its_greatest_strength() -> None:
    finding = Finding(0, START, 0, 45.0, 45.0, 0, 0.0, None, {})
    first = advance(None, finding, START, "storm", SETTINGS)
    assert first is not None
    later = START + timedelta(minutes=1)
    second = advance(first.event, replace(finding, strength=49.0), later, "storm", SETTINGS)
    assert second is not None
    assert (second.kind, second.event.strongest, second.event.told_strength, second.event.seen) == (None, 49, 45, later)
