"""A file from a clock that is ahead: every kind of trigger refuses it and says why, and it replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from dynamo.config.file import find_config
from dynamo.doors import TRIGGERS
from dynamo.inspection.facts import InputFacts, facts_to_json
from dynamo.runs.ledger import create_run, superseded_by
from dynamo.runs.setup import make_planner
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run
from dynamo.times import ahead_of, utc_now
from dynamo.triggers.base import Due, Trigger
from dynamo.triggers.book import Book
from dynamo.triggers.deciding import Wish, on_arrival, on_time
from dynamo.triggers.rules import Rule, make_rules
from dynamo.triggers.verdict import Verdict

CONFIG = """
[[feeds]]
name = "f"
path = "incoming"

[[triggers]]
name = "arrival"
feed = "f"
workflow = "nowcast"

[[triggers]]
name = "schedule"
kind = "schedule"
every_min = 1
feed = "f"
workflow = "nowcast"

[[triggers]]
name = "precursor"
kind = "precursor"
feed = "f"
workflow = "hail"

[[triggers]]
name = "gather"
kind = "gather"
gather = { radars = ["KFWS"], deadline_s = 0 }
feed = "f"
workflow = "hail_composite"
"""
KINDS = ("arrival", "schedule", "precursor", "gather")
NOW = datetime(2026, 5, 20, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAR = timedelta(days=1200)


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, Rule]:
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    (tmp_path / "incoming").mkdir()
    settings = find_config(tmp_path / "dynamo.toml")
    return {rule.name: rule for rule in make_rules(settings, make_planner(settings))}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    store = open_store(f"sqlite:///{tmp_path}/store.sqlite")
    with store.transaction() as opened:
        yield opened
    store.close()


def facts_of(time: datetime) -> InputFacts:
    levels = {45.0: (500.0,), 50.0: (500.0,)}
    return InputFacts(
        "radar-sweep",
        time,
        (0,),
        (360, 100),
        radar="KFWS",
        area_km2=levels,
        crossings={45.0: (9,), 50.0: (9,)},
        maximum_dbz=(60.0,),
        aloft_km2=dict.fromkeys(levels, (500.0,) * 20),
        low_km2=dict.fromkeys(levels, (500.0,) * 20),
        top_m=15_000.0,
        position=(32.6, -97.3),
        range_km=200.0,
    )


def arrive(session: Session, number: int, time: datetime) -> Arrival:
    arrival = Arrival(
        feed="f",
        path=f"/data/{number}.nc",
        size=1,
        mtime_ns=number,
        sha256=f"{number:064x}",
        state="accepted",
        valid_at=time,
        facts=facts_to_json(facts_of(time)),
        closed_at=NOW,
        detected_at=NOW,
        recorded_at=NOW,
    )
    session.add(arrival)
    session.flush()
    return arrival


def ask(session: Session, rule: Rule, arrival: Arrival, now: datetime) -> list[Wish]:
    """Return what a rule decides of an arrival, at once or when next asked."""
    assert arrival.valid_at is not None
    wish = on_arrival(session, rule, arrival, facts_of(arrival.valid_at), now)
    wishes = [] if wish is None else [wish]
    return [*wishes, *on_time(session, rule, now)] if rule.trigger.ask_s is not None else wishes


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trigger_refuses_it_and_says_why(session: Session, rules: dict[str, Rule], kind: str) -> None:
    rule = rules[kind]
    Book(session, rule.kind, rule.name, NOW).recall()
    ahead = arrive(session, 1, NOW + FAR)
    (refused,) = ask(session, rule, ahead, NOW + 2 * MINUTE)
    assert (refused.request, refused.action in ("refuse", "skip")) == (None, True)
    assert "clock is ahead" in refused.reason
    # What comes later and is right is judged as if it had never been there.
    good = ask(session, rule, arrive(session, 2, NOW + 2 * MINUTE), NOW + 4 * MINUTE)
    (request,) = [wish.request for wish in good if wish.request is not None]
    assert [item.path.name for item in request.inputs if item.port == rule.port] == ["2.nc"]


def test_no_kind_is_forgotten_here() -> None:
    assert set(KINDS) == set(TRIGGERS.names())


def test_what_a_trigger_of_somebody_else_is_due_for_is_looked_at_too(session: Session, rules: dict[str, Rule]) -> None:
    class Careless(Trigger):
        def due(self, book: Book) -> list[Due]:
            return [Due("mine", Verdict(True, "always"), book.arrivals(self.feed, NOW - FAR))]

    arrive(session, 1, NOW + FAR)
    (wish,) = on_time(session, replace(rules["arrival"], trigger=Careless("f")), NOW)
    assert (wish.request, wish.action, "clock is ahead" in wish.reason) == (None, "refuse", True)


def test_it_supersedes_nothing(session: Session, rules: dict[str, Rule], tmp_path: Path) -> None:
    def run_of(number: int, time: datetime) -> Run:
        request = rules["arrival"].request([arrive(session, number, time)], NOW)
        return create_run(session, request, runs_dir=tmp_path)[0]

    now = utc_now()
    real = run_of(1, now - 10 * MINUTE)
    run_of(2, now + FAR)
    session.flush()
    assert superseded_by(session, real) is None
    newer = run_of(3, now)
    session.flush()
    assert superseded_by(session, real) is newer


def test_clocks_may_differ_a_little() -> None:
    assert ahead_of(NOW, NOW - 5 * MINUTE) == ""
    assert ahead_of(NOW, NOW + FAR) == ""
    assert ahead_of(NOW, NOW - 40 * MINUTE) == "its clock is ahead by 40 min"
