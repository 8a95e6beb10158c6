"""What a storm day was, read from the store of its daemons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from benchmarks.report import percentile
from dynamo.autoscale.decisions import stored_decisions
from dynamo.store.engine import Store
from dynamo.store.fleets import Worker, WorkerHour, WorkerUse
from dynamo.store.models import Arrival, Run, RunDecision
from dynamo.times import to_iso

#: From the end of a file to its products, for both workflows of the day.
DEADLINE_S = 60.0


@dataclass
class Sample:
    """The fleet and its demand at one second of the day."""

    at_s: float
    ready: int
    coming: int
    leaving: int
    busy: int
    wanted: int
    demand: Mapping[str, float]
    waiting: int


@dataclass
class Outcome:
    """What the day was, for the figure and for comparisons."""

    began: datetime
    seconds: float
    files: int
    phases: list[tuple[str, float, float]]
    samples: list[Sample]
    decisions: list[tuple[float, str]]
    runs: list[dict[str, Any]]
    arrivals: Counter[str]
    undecided: int
    killed: int
    left: int
    paid_core_h: float
    used_core_h: float
    boots_s: list[float]
    most_workers: int
    problems: list[str] = field(default_factory=list)

    @property
    def latencies_s(self) -> list[float]:
        """From the close of the file to the published products, of all runs that succeeded."""
        return [run["latency_s"] for run in self.runs if run["latency_s"] is not None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        latencies = self.latencies_s or [math.nan]
        late = sum(1 for seconds in self.latencies_s if seconds > DEADLINE_S)
        return {
            "began": to_iso(self.began),
            "seconds": round(self.seconds, 1),
            "files": self.files,
            "arrivals": dict(self.arrivals),
            "runs": dict(Counter(run["state"] for run in self.runs)),
            "latency_s": {str(share): round(percentile(latencies, share), 3) for share in (0.5, 0.95, 0.99, 1.0)},
            "deadline_s": DEADLINE_S,
            "late": late,
            "jobs_killed": self.killed,
            "workers_left": self.left,
            "most_workers": self.most_workers,
            "workers_booted": len(self.boots_s),
            "boot_s": {str(share): round(percentile(self.boots_s or [math.nan], share), 2) for share in (0.5, 0.9)},
            "core_hours_paid": round(self.paid_core_h, 4),
            "core_hours_used": round(self.used_core_h, 4),
            "core_hours_static_peak": round(self.most_workers * self.seconds / 3600.0, 4),
            "decisions": [{"at_s": round(at, 1), "reason": reason} for at, reason in self.decisions],
            "problems": self.problems,
            "samples": [vars(sample) for sample in self.samples],
            "run_list": self.runs,
        }


def outcome_of(
    store: Store,
    fleet: str,
    began: datetime,
    seconds: float,
    files: int,
    phases: list[tuple[str, float, float]],
    samples: list[Sample],
    problems: list[str],
) -> Outcome:
    """Return what a store says of the day, and everything about it that should not be."""
    with store.reading() as session:
        arrivals = session.scalars(select(Arrival)).all()
        runs = session.scalars(select(Run).order_by(Run.created_at)).all()
        decided = set(session.scalars(select(RunDecision.subject).distinct()))
        workers = session.scalars(select(Worker).order_by(Worker.id)).all()
        paid_s = session.scalar(select(func.sum(WorkerHour.core_s))) or 0.0
        used_s = session.scalar(select(func.sum(WorkerUse.core_s))) or 0.0
        decisions = stored_decisions(session, fleet, limit=10_000)
    started = {run.arrival_id for run in runs}
    undecided = [a.path for a in arrivals if a.id not in started and a.path not in decided]
    alive = [worker.name for worker in workers if worker.ended_at is None]
    killed = sum(worker.jobs_killed for worker in workers)
    failed = [f"{run.id} {run.state}: {run.reason}" for run in runs if run.state not in ("succeeded", "skipped")]
    unsaid = [run.id for run in runs if run.state == "skipped" and not (run.reason and run.id in decided)]
    latencies = [s for run in runs if (s := _latency_s(run)) is not None]
    found = list(problems)
    if len(arrivals) != files:
        found.append(f"{files - len(arrivals)} of {files} files are no arrivals")
    found += [f"{len(items)} {what}: {items[0]}" for what, items in (
        ("arrivals without a run or a reason", undecided),
        ("runs did not succeed", failed),
        ("runs were skipped without a reason", unsaid),
        ("workers are left", alive),
    ) if items]  # fmt: skip
    if killed:
        found.append(f"{killed} jobs were killed")
    if not latencies or percentile(latencies, 0.95) > DEADLINE_S:
        found.append(f"p95 is later than {DEADLINE_S:.0f} s")
    return Outcome(
        began=began,
        seconds=seconds,
        files=files,
        phases=phases,
        samples=samples,
        decisions=[((d.time - began).total_seconds(), d.reason) for d in decisions],
        runs=[
            {
                "trigger": run.trigger,
                "state": run.state,
                "closed_s": _since(began, run.closed_at),
                "published_s": _since(began, run.published_at),
                "latency_s": _latency_s(run),
                "cpu_s": run.cpu_s,
                "predicted_s": run.predicted_s,
            }
            for run in runs
        ],
        arrivals=Counter(arrival.state for arrival in arrivals),
        undecided=len(undecided),
        killed=killed,
        left=len(alive),
        paid_core_h=paid_s / 3600.0,
        used_core_h=used_s / 3600.0,
        boots_s=[(w.ready_at - w.requested_at).total_seconds() for w in workers if w.ready_at is not None],
        most_workers=max((sample.ready + sample.coming for sample in samples), default=0),
        problems=found,
    )


def _latency_s(run: Run) -> float | None:
    if run.published_at is None:
        return None
    return round((run.published_at - (run.closed_at or run.created_at)).total_seconds(), 3)


def _since(began: datetime, at: datetime | None) -> float | None:
    return None if at is None else round((at - began).total_seconds(), 3)
