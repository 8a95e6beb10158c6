"""Counters and histograms since this process started, read from rows added since the last scrape."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.metric_names import COUNTERS, HISTOGRAMS
from dynamo.provision.states import ENDED
from dynamo.runs.states import UNFINISHED
from dynamo.store.fleets import Fleet, FleetEvent, Worker
from dynamo.store.models import Run, RunDecision

#: Rows may be committed a little later than their timestamp.
_LATE = timedelta(seconds=30)
_OVER = ("succeeded", "failed", "cancelled", "skipped")
_OUTCOMES = ("met", "late", "skipped")


@dataclass
class Histogram:
    """Counts of values up to each bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[next((i for i, bound in enumerate(self.bounds) if value <= bound), len(self.bounds))] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the number of values up to each bound."""
        running = 0
        result = []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            running += count
            result.append((bound, float(running)))
        return result


@dataclass
class Tail:
    """Position in a table: rows committed late are still counted, none twice."""

    since: datetime
    seen: dict[str, datetime] = field(default_factory=dict)

    @property
    def start(self) -> datetime:
        """The time from which to read rows."""
        return self.since - _LATE

    def fresh(self, key: str, at: datetime) -> bool:
        """Return whether a row is seen for the first time."""
        if key in self.seen:
            return False
        self.seen[key] = at
        return True

    def advance(self, now: datetime) -> None:
        """Continue from ``now`` next time."""
        self.since = now
        horizon = self.start - _LATE
        self.seen = {key: at for key, at in self.seen.items() if at >= horizon}


class Counts:
    """Counters and histograms of a store.

    Parameters
    ----------
    began
        Start time; earlier rows do not count.
    """

    def __init__(self, began: datetime) -> None:
        self._began = began
        self._decisions, self._events, self._runs, self._boots, self._ends = (Tail(began) for _ in range(5))
        self.counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in COUNTERS}
        self.histograms: dict[str, dict[tuple[str, ...], Histogram]] = {name: {} for name in HISTOGRAMS}
        self._looked = False

    def read(self, session: Session, now: datetime) -> None:
        """Count the rows added since the last call."""
        self._begin_at_zero(session)
        tail = self._decisions
        decisions = select(RunDecision.id, RunDecision.time, RunDecision.action)
        for row in session.execute(decisions.where(RunDecision.time > tail.start)):
            if row.time >= self._began and tail.fresh(str(row.id), row.time):
                self.counts["dynamo_decisions"][(row.action,)] += 1
        tail.advance(now)
        tail = self._events
        events = select(FleetEvent.id, FleetEvent.time, FleetEvent.fleet, FleetEvent.action)
        for event in session.execute(events.where(FleetEvent.time > tail.start)):
            if event.time >= self._began and tail.fresh(str(event.id), event.time):
                self.counts["dynamo_fleet_events"][event.fleet, event.action] += 1
        tail.advance(now)
        self._read_runs(session, now)
        self._read_workers(session, now)

    def _begin_at_zero(self, session: Session) -> None:
        """Create counters before they count: Prometheus sees no increase in one that starts at 1."""
        for fleet in session.scalars(select(Fleet.name).where(Fleet.state != ENDED)):
            self.counts["dynamo_jobs_killed"][(fleet,)] += 0
        workflows = select(Run.workflow).distinct()
        if self._looked:
            workflows = workflows.where(Run.state.in_(UNFINISHED))
        self._looked = True
        for workflow in session.scalars(workflows):
            for state in _OVER:
                self.counts["dynamo_runs"][workflow, state] += 0
            for outcome in _OUTCOMES:
                self.counts["dynamo_deadlines"][workflow, outcome] += 0

    def _read_runs(self, session: Session, now: datetime) -> None:
        tail = self._runs
        for run in session.scalars(select(Run).where(Run.updated_at > tail.start, Run.state.in_(_OVER))):
            if run.updated_at < self._began or not tail.fresh(f"{run.id} {run.attempts} {run.state}", run.updated_at):
                continue
            self.counts["dynamo_runs"][run.workflow, run.state] += 1
            if run.deadline_at is not None:
                if run.published_at is not None:
                    late = run.published_at > run.deadline_at
                    self.counts["dynamo_deadlines"][run.workflow, "late" if late else "met"] += 1
                elif run.state == "skipped":
                    self.counts["dynamo_deadlines"][run.workflow, "skipped"] += 1
            if run.published_at is not None:
                took_s = (run.published_at - (run.closed_at or run.created_at)).total_seconds()
                self._observe("dynamo_run_latency_seconds", (run.workflow,), took_s)
        tail.advance(now)

    def _read_workers(self, session: Session, now: datetime) -> None:
        tail = self._boots
        for row in session.execute(
            select(Worker.id, Worker.fleet, Worker.group, Worker.requested_at, Worker.ready_at).where(
                Worker.ready_at > tail.start
            )
        ):
            if row.ready_at >= self._began and tail.fresh(str(row.id), row.ready_at):
                took_s = (row.ready_at - row.requested_at).total_seconds()
                self._observe("dynamo_worker_boot_seconds", (row.fleet, row.group), took_s)
        tail.advance(now)
        tail = self._ends
        for end in session.execute(
            select(Worker.id, Worker.fleet, Worker.ended_at, Worker.jobs_killed).where(Worker.ended_at > tail.start)
        ):
            if end.ended_at >= self._began and tail.fresh(str(end.id), end.ended_at):
                self.counts["dynamo_jobs_killed"][(end.fleet,)] += end.jobs_killed
        tail.advance(now)

    def _observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        histograms = self.histograms[name]
        if labels not in histograms:
            histograms[labels] = Histogram(HISTOGRAMS[name][2])
        histograms[labels].observe(value)
