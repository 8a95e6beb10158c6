"""Stores with arrivals and runs of a made-up day, for the tests of demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.autoscale.demand.registry import Parts
from dynamo.config.file import Config, parse_config
from dynamo.inspection.facts import InputFacts, facts_from_json, facts_to_json
from dynamo.runs.ledger import create_run
from dynamo.runs.setup import make_planner
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Cursor, Run
from dynamo.triggers.rules import Rule, make_rules
from dynamo.triggers.spells import PrecursorState
from dynamo.workflows.model import Plan

NOON = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
LEADS = tuple(range(31))
NOWCASTS: dict[str, Any] = {
    "feeds": [{"name": "nowcasts", "path": "in"}],
    "triggers": [{"name": "storms", "feed": "nowcasts", "workflow": "nowcast", "engine": "condor"}],
}
HAIL: dict[str, Any] = {
    "feeds": [
        {"name": "nowcasts", "path": "in"},
        {"name": "sweeps", "path": "radar"},
        {"name": "grids", "kind": "products", "workflow": "hail"},
    ],
    "triggers": [
        {"name": "storms", "feed": "nowcasts", "workflow": "nowcast", "engine": "local"},
        {"name": "hail", "kind": "precursor", "feed": "sweeps", "workflow": "hail", "input": "volume",
         "engine": "condor"},
        {"name": "network", "kind": "gather", "feed": "grids", "workflow": "hail_composite", "engine": "condor",
         "gather": {"radars": ["A", "B"], "sweeps": "sweeps"}},
    ],
}  # fmt: skip


def nowcast_facts(
    issued: datetime,
    crossings: Sequence[int],
    *,
    area_km2: Sequence[float] = (0.0,) * 31,
    blocks: tuple[tuple[float, ...], ...] = (),
    shape: tuple[int, int] = (201, 201),
) -> InputFacts:
    return InputFacts(
        "casa-nowcast",
        issued,
        LEADS,
        shape,
        area_km2={45.0: tuple(area_km2)},
        crossings={45.0: tuple(crossings)},
        maximum_dbz=(60.0,) * 31,
        bounds=(31.8, -98.0, 33.8, -96.0),
        block_leads=(0, 10, 20, 30),
        blocks_km2=blocks,
    )


def sweep_facts(time: datetime, radar: str, place: tuple[float, float] | None = None, aloft: float = 0.0) -> InputFacts:
    return InputFacts(
        "radar-sweep",
        time,
        (0,),
        (360, 1000),
        area_km2={45.0: (aloft,), 50.0: (0.0,)},
        crossings={45.0: (0,), 50.0: (0,)},
        maximum_dbz=(50.0,),
        radar=radar,
        aloft_km2={45.0: (aloft,) * 12},
        position=place,
        range_km=40.0,
    )


@dataclass
class Day:
    """A configuration with its store; arrivals and runs are put into it as a daemon would."""

    root: Path
    data: Mapping[str, Any]
    config: Config = field(init=False)
    store: Store = field(init=False)
    rules: dict[str, Rule] = field(init=False)

    def __post_init__(self) -> None:
        self.config = parse_config(self.data, base=self.root)
        self.store = open_store(self.root / "store.sqlite")
        self.planner = make_planner(self.config)
        self.rules = {rule.name: rule for rule in make_rules(self.config, self.planner)}
        self.count = 0
        self.plans: dict[tuple[str, str], Plan] = {}

    def parts(self, **options: Any) -> Parts:
        return Parts(self.config, self.store, self.root / "pool", **options)

    def arrive(self, feed: str, facts: InputFacts, time: datetime | None = None) -> int:
        """Store an arrival; its file was closed at ``time``, its valid time by default."""
        self.count += 1
        came = facts.issue_time if time is None else time
        with self.store.transaction() as session:
            arrival = Arrival(
                feed=feed,
                path=str(self.root / feed / f"file{self.count}.nc"),
                size=1,
                mtime_ns=self.count,
                sha256=f"{self.count:064x}",
                state="accepted",
                valid_at=facts.issue_time,
                facts=facts_to_json(facts),
                closed_at=came,
                detected_at=came,
                recorded_at=came,
            )
            session.add(arrival)
            session.flush()
            return arrival.id

    def run(self, trigger: str, arrival_id: int, state: str = "created", **values: Any) -> Run:
        """Store the run that a trigger makes of an arrival."""
        rule = self.rules[trigger]
        with self.store.transaction() as session:
            arrival = session.get_one(Arrival, arrival_id)
            request = rule.request([arrival], arrival.detected_at)
            run, _ = create_run(session, request, runs_dir=self.root / "runs")
            values = {"created_at": arrival.detected_at, **values}
            for name, value in {"state": state, **values}.items():
                setattr(run, name, value)
            return run

    def finish(self, trigger: str, arrival_id: int, factor: float = 1.0) -> float:
        """Store a succeeded run that cost ``factor`` times what its plan says; return its CPU seconds."""
        rule = self.rules[trigger]
        with self.store.reading() as session:
            facts = facts_from_json(session.get_one(Arrival, arrival_id).facts or {})
        plan, _ = self.planner.plan(
            rule.workflow,
            {rule.port: self.root / "in.nc"},
            rule.parameters,
            {rule.port: facts},
            engine="local",
            coefficients={},
        )
        cpu_s = plan.predicted_s * factor
        self.run(trigger, arrival_id, "succeeded", predicted_s=plan.predicted_s, cpu_s=cpu_s, jobs_total=len(plan.jobs))
        return cpu_s

    def spell(self, trigger: str, radar: str, seen: datetime, *, active: bool = True) -> None:
        """Store the spell of a radar."""
        name = f"precursor {trigger} {radar}"
        with self.store.transaction() as session:
            session.merge(Cursor(name=name, data=PrecursorState(active, seen).to_json(), updated_at=seen))

    def runs(self) -> Sequence[Run]:
        with self.store.reading() as session:
            return session.scalars(select(Run)).all()


def every(seconds: float, count: int, until: datetime = NOON) -> list[datetime]:
    """Return ``count`` times that far apart, the last one at ``until``."""
    return [until - timedelta(seconds=seconds * back) for back in range(count - 1, -1, -1)]
