"""What a network's composite waits for, leaves out and remembers, with the real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from dynamo.config.file import Config, parse_config
from dynamo.inspection.facts import InputFacts
from dynamo.runs.ledger import create_run, decide
from dynamo.runs.setup import make_planner
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Cursor
from dynamo.triggers.deciding import Wish, on_arrival, on_time
from dynamo.triggers.rules import Rule, make_rules

NOW = datetime(2026, 6, 9, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def config(root: Path, *, radars: str = "AB", **hail: Any) -> Config:
    return parse_config(
        {
            "feeds": [
                {"name": "sweeps", "path": "sweeps"},
                {"name": "grids", "kind": "products", "workflow": "hail", "patterns": ["*"]},
            ],
            "triggers": [
                {"name": "hail", "kind": "precursor", "feed": "sweeps", "workflow": "hail", **hail},
                {
                    "name": "network",
                    "kind": "gather",
                    "feed": "grids",
                    "workflow": "hail_composite",
                    "gather": {"radars": list(radars), "sweeps": "sweeps", "deadline_s": 30.0},
                },
            ],
        },
        base=root,
    )


class Network:
    """A store with the arrivals of radars, and the rules."""

    def __init__(self, root: Path, settings: Config) -> None:
        self.root = root
        self.store: Store = open_store(root / "store.sqlite")
        self.hail, self.rule = make_rules(settings, make_planner(settings))
        self._number = 0

    def arrive(self, feed: str, radar: str, time: datetime, detected_at: datetime) -> int:
        self._number += 1
        values = {
            "feed": feed,
            "path": f"/{feed}/{self._number}",
            "size": 1,
            "mtime_ns": 1,
            "sha256": f"{self._number:064d}",
            "state": "accepted",
            "valid_at": time,
            "facts": {"radar": radar},
            "closed_at": detected_at,
            "detected_at": detected_at,
            "recorded_at": detected_at,
        }
        with self.store.transaction() as session:
            return int(session.execute(insert(Arrival).values(values).returning(Arrival.id)).scalar_one())

    def begin(self, arrival_id: int, rule: Rule | None = None) -> None:
        """Let an arrival have a run of the hail workflow."""
        with self.store.transaction() as session:
            request = (rule or self.hail).request([session.get_one(Arrival, arrival_id)], NOW)
            create_run(session, request, runs_dir=self.root / "runs")

    def due(self, now: datetime = NOW) -> list[Wish]:
        with self.store.transaction() as session:
            return on_time(session, self.rule, now)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path, config(tmp_path))
    yield made
    made.store.close()


def test_a_quiet_radar_is_not_waited_for_and_not_told_as_missing(network: Network) -> None:
    network.begin(network.arrive("sweeps", "A", NOW, NOW))
    network.arrive("sweeps", "B", NOW, NOW)
    # Radar A is still at work: the slot stays open beyond its deadline.
    assert network.due(NOW + 5 * MINUTE) == []
    network.arrive("grids", "A", NOW, NOW + timedelta(seconds=20))
    (due,) = network.due(NOW + timedelta(seconds=21))
    assert (due.action, due.data["quiet"], due.data["missing"]) == ("start", ["B"], [])
    assert due.request is not None
    assert due.request.parameters["expected"] == "A"
    assert network.due(NOW + MINUTE) == []


def test_a_radar_that_could_not_be_judged_is_missing(network: Network) -> None:
    network.begin(network.arrive("sweeps", "A", NOW, NOW))
    network.arrive("sweeps", "B", NOW, NOW)
    network.arrive("grids", "A", NOW, NOW)
    with network.store.transaction() as session:
        decide(session, "/sweeps/2", "refuse", "no valid reflectivity", unusable=True)
    assert network.due() == []
    (due,) = network.due(NOW + 2 * MINUTE)
    assert (due.action, due.data["quiet"], due.data["missing"]) == ("start", [], ["B"])
    assert due.request is not None
    assert due.request.parameters["expected"] == "A,B"


def test_a_radar_whose_run_is_at_work_is_not_quiet(network: Network) -> None:
    network.begin(network.arrive("sweeps", "A", NOW, NOW))
    network.begin(network.arrive("sweeps", "B", NOW, NOW))
    network.arrive("sweeps", "B", NOW + timedelta(seconds=15), NOW)
    network.arrive("grids", "A", NOW, NOW)
    assert network.due() == []
    network.arrive("grids", "B", NOW, NOW)
    (due,) = network.due()
    assert (due.data["radars"], due.data["quiet"]) == (["A", "B"], [])


def test_a_quiet_network_is_skipped_once(network: Network) -> None:
    network.arrive("sweeps", "A", NOW, NOW)
    network.arrive("sweeps", "B", NOW, NOW)
    (due,) = network.due()
    assert (due.action, due.reason) == ("skip", "all 2 radars are quiet")
    assert network.due() == []


def test_pieces_of_other_radars_and_of_the_future_are_told_once(network: Network) -> None:
    network.arrive("grids", "X", NOW, NOW)
    network.arrive("grids", "A", NOW + timedelta(minutes=40), NOW)
    found = network.due()
    assert [(due.action, due.subject) for due in found] == [("skip", "/grids/1"), ("skip", "/grids/2")]
    assert "radar X is not in the network A, B" in found[0].reason
    assert "ahead by 40 min" in found[1].reason
    for minutes in (0, 1, 9):
        assert network.due(NOW + timedelta(minutes=minutes)) == []
    # Long gone: nothing of them is kept.
    late = NOW + timedelta(minutes=30)
    network.arrive("grids", "X", late, late)
    assert len(network.due(late)) == 1
    with network.store.reading() as session:
        cursor = session.scalars(select(Cursor)).one()
    assert cursor.data["left_out"] == [3]


def test_a_long_replay_decides_each_slot_once(network: Network) -> None:
    start = NOW - timedelta(days=3)
    for minute in range(620):
        network.arrive("sweeps", "A", start + minute * MINUTE, NOW)
    for minute in range(620):
        network.arrive("sweeps", "B", start + minute * MINUTE, NOW)
    assert len(network.due()) == 620
    network.arrive("grids", "X", NOW, NOW)
    assert len(network.due(NOW + MINUTE)) == 1
    assert network.due(NOW + 2 * MINUTE) == []


def test_a_file_that_the_workflow_can_do_without_is_left_out_where_it_is_not_there(tmp_path: Path) -> None:
    network = Network(tmp_path, config(tmp_path, files={"sounding": "none.txt"}))
    number = network.arrive("sweeps", "A", NOW, NOW)
    with network.store.reading() as session:
        arrival = session.get_one(Arrival, number)
        request = network.hail.request([arrival], NOW)
        assert [item.port for item in request.inputs] == ["volume"]
        assert network.hail.left_out(request) == [f"sounding: {tmp_path / 'none.txt'}"]
        (tmp_path / "none.txt").write_text("there")
        request = network.hail.request([arrival], NOW)
        assert [item.port for item in request.inputs] == ["volume", "sounding"]
        assert network.hail.left_out(request) == []
    network.store.close()


def test_a_composite_that_cannot_be_asked_for_is_decided_on_once(tmp_path: Path, network: Network) -> None:
    # A fixed file that has to be there, and is not.
    network.rule = replace(network.rule, files={"more": tmp_path / "none.nc"})
    for radar in "AB":
        network.arrive("grids", radar, NOW, NOW)
    (due,) = network.due()
    assert (due.request, due.action) == (None, "refuse")
    assert "none.nc" in due.reason
    assert network.due() == []


def test_a_file_of_the_future_touches_no_spell(network: Network) -> None:
    def judge(minute: float) -> tuple[str, str]:
        time = NOW + timedelta(minutes=minute)
        areas = {45.0: (9.0,), 50.0: (9.0,)}
        facts = InputFacts("radar-sweep", time, (0,), (1, 1), areas, radar="A", aloft_km2={45.0: (9.0,) * 12})
        number = network.arrive("sweeps", "A", time, NOW)
        with network.store.transaction() as session:
            wish = on_arrival(session, replace(network.hail, files={}), session.get_one(Arrival, number), facts, NOW)
        assert wish is not None
        return wish.action, wish.reason

    assert judge(60 * 24 * 30) == ("refuse", "its clock is ahead by 30 days: not judged")
    assert judge(0)[0] == "begin"
    assert judge(4)[0] == "start"
