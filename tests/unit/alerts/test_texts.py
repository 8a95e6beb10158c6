"""The words of messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dynamo.alerts.events import Step, advance
from dynamo.alerts.hazards import HazardProduct
from dynamo.alerts.matching import Finding
from dynamo.alerts.places import Place
from dynamo.alerts.texts import direction, line, message_key, payload
from dynamo.config.alerts import AlertsSection, Hazard
from dynamo.radar.proximity import Polygons

ISSUED = datetime(2019, 6, 10, 18, 0, tzinfo=UTC)
PLACE = Place("1", "City Hospital", "Dallas, Texas", 5.0, 45.0, 0.0, 30, ("storm", "hail"))
FINDING = Finding(0, ISSUED + timedelta(minutes=12), 12, 55.0, 50.0, 20, 3.21, 228.0, {})


def product(hazard: Hazard = "storm") -> HazardProduct:
    none = Polygons(np.zeros((0, 2)), np.zeros(1, dtype=int), np.zeros(1, dtype=int))
    return HazardProduct(hazard, ISSUED, hazard, "k", none, np.zeros(0), np.zeros(0, dtype=int), (), 30)


def first(finding: Finding, hazard: Hazard = "storm") -> Step:
    step = advance(None, finding, ISSUED, hazard, AlertsSection())
    assert step is not None
    return step


def test_a_storm_that_comes() -> None:
    assert line(PLACE, product(), first(FINDING), FINDING) == (
        "City Hospital (Dallas, Texas): 50 dBZ storm within 5 km in 12 min (18:12 UTC), 3.2 km to the southwest,"
        " strengthening to 55 dBZ in 20 min"
    )


def test_a_storm_that_is_there() -> None:
    here = replace(FINDING, at=ISSUED, lead_min=0, distance_km=0.0, azimuth_deg=None, strength=50.0)
    assert line(PLACE, product(), first(here), here) == (
        "City Hospital (Dallas, Texas): 50 dBZ storm overhead now (18:00 UTC)"
    )


def test_what_got_worse_and_what_is_over() -> None:
    step = replace(first(FINDING), kind="worse", why="stronger")
    assert "stronger: 50 dBZ storm" in line(PLACE, product(), step, FINDING)
    over = replace(first(FINDING), kind="over")
    assert line(PLACE, product(), over, None) == (
        "City Hospital (Dallas, Texas): storm over; none within 5 km since 18:00 UTC (as of 18:00 UTC)"
    )


def test_hail() -> None:
    facts = {"hail_class": "large", "radars": ["KFWS", "XADD"]}
    finding = replace(FINDING, at=ISSUED, lead_min=0, strongest_lead_min=0, strength=32.4, facts=facts)
    assert line(PLACE, product("hail"), first(finding, "hail"), finding) == (
        "City Hospital (Dallas, Texas): 32 mm hail (large) within 5 km now (18:00 UTC), 3.2 km to the southwest,"
        " seen by KFWS, XADD"
    )


def test_the_key_stays_and_differs_for_each_message() -> None:
    event = first(FINDING).event
    assert message_key("1", "storm", event) == message_key("1", "storm", event)
    others = {
        message_key("2", "storm", event),
        message_key("1", "hail", event),
        message_key("1", "storm", replace(event, messages=2)),
        message_key("1", "storm", replace(event, number=2)),
    }
    assert len(others - {message_key("1", "storm", event)}) == 4


def test_the_payload_says_it_all() -> None:
    data = payload(PLACE, product(), first(FINDING), FINDING, key="k", text="t", made=ISSUED)
    assert (data["kind"], data["hazard"], data["unit"], data["place"]["id"]) == ("start", "storm", "dBZ", "1")
    assert data["finding"]["valid_time"] == "2019-06-10T18:12:00Z"
    assert data["finding"]["direction"] == "south-west"


@pytest.mark.parametrize(("azimuth", "name"), [(0, "north"), (359, "north"), (22.6, "north-east"), (180, "south")])
def test_directions(azimuth: float, name: str) -> None:
    assert direction(azimuth) == name
