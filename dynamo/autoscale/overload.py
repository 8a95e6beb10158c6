"""Detect overload, when more work is due than all available workers can do, and choose the runs to skip.

`assess` is pure. The loop stores its result; the daemon that starts the runs reads it: see `Guard`.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.model import Demand, FleetView, Work
from dynamo.autoscale.placement import Need, unfit
from dynamo.config.file import Config
from dynamo.errors import RetryableError
from dynamo.runs.ledger import superseded_by
from dynamo.runs.shedding import Shed
from dynamo.store.engine import Store
from dynamo.store.models import Cursor, Run
from dynamo.times import parse_time, to_iso

#: Share of a worker's time that jobs can fill.
_FILLED = 0.9
_BIN_S = 15.0
_MOST_BINS = 240
#: Less work than this is within the uncertainty, core-seconds.
_TOLERANCE_CORE_S = 1.0
_CURSOR = "overload"
_LOOK_S = 2.0
_LEARN_S = 60.0
_LEARNED_RUNS = 20


@dataclass(frozen=True)
class Overload:
    """More work is due than can be done.

    Attributes
    ----------
    deficit_core_s
        Known work that cannot finish on time.
    cut
        Work of lower priority than this is skipped first: all work of this priority or higher fits. If not even the
        work of highest priority fits, that priority; None if there is no other.
    reason
        Why the fleet cannot grow.
    """

    deficit_core_s: float
    cut: int | None
    reason: str


def assess(demand: Demand, view: FleetView, wanted: Mapping[str, int], now: datetime) -> Overload | None:
    """Return the overload if more is due than the requested workers can do and the fleet cannot grow.

    Only waiting work counts, not expected work: nothing is skipped because of a forecast.
    """
    work = [
        item
        for item in demand.work
        # Work that fits no group is not a lack of workers: the policy reports it.
        if item.due_at is not None and item.source != "forecast" and any(not unfit(o, _need(item)) for o in view.groups)
    ]
    why = _capped(view, wanted)
    if not work or why is None:
        return None
    arrives = _capacity(view, wanted, now)
    deficit = _deficit(work, arrives, now)
    if deficit <= _TOLERANCE_CORE_S:
        return None
    priorities = {item.priority for item in work}
    fits = [
        priority
        for priority in sorted(priorities, reverse=True)
        if _deficit([item for item in work if item.priority >= priority], arrives, now) <= _TOLERANCE_CORE_S
    ]
    cut = min(fits, default=max(priorities) if len(priorities) > 1 else None)
    return Overload(round(deficit, 1), cut, why)


def _need(item: Work) -> Need:
    return Need(site=item.site, cores_each=item.cores_each, memory_mb_each=item.memory_mb_each)


def _capped(view: FleetView, wanted: Mapping[str, int]) -> str | None:
    """Return what keeps the fleet from growing beyond ``wanted``; None if it can grow."""
    reasons = []
    rise = sum(
        max(0, wanted.get(option.group, 0) - view.count(option.group)) * option.cost_per_hour for option in view.groups
    )
    left = None if view.affordable_per_hour is None else view.affordable_per_hour - rise
    for option in view.groups:
        count = wanted.get(option.group, 0)
        if count >= option.most:
            reasons.append(f"{option.group} is at its maximum of {option.most} workers")
        elif not option.open:
            reasons.append(f"{option.site} is closed after failures")
        elif left is not None and option.cost_per_hour > left + 1e-9:
            reasons.append(f"no budget for another worker of {option.group}")
        else:
            return None
    return ", ".join(reasons) or "no groups"


def _capacity(view: FleetView, wanted: Mapping[str, int], now: datetime) -> list[tuple[float, float]]:
    """Return the cores that become available, with their times in seconds from now."""
    arrives = []
    for option in view.groups:
        present = [worker for worker in view.workers if worker.group == option.group]
        arrives += [(max(0.0, (worker.ready_at - now).total_seconds()), float(worker.cpus)) for worker in present]
        new = max(0, wanted.get(option.group, 0) - len(present))
        arrives += [(option.boot.p90_s, float(option.cpus))] * new
    return arrives


def _deficit(work: list[Work], arrives: list[tuple[float, float]], now: datetime) -> float:
    """Return the largest excess, over all intervals, of the work due within one over what can be done in it."""
    ready = np.array([max(0.0, (item.ready_at - now).total_seconds()) for item in work])
    due = np.array([max(0.0, (item.due_at - now).total_seconds()) for item in work if item.due_at is not None])
    core_s = np.array([item.core_s for item in work])
    starts = np.unique(np.floor(ready / _BIN_S))[:_MOST_BINS] * _BIN_S
    ends = np.unique(np.ceil(np.maximum(due, ready) / _BIN_S))[:_MOST_BINS] * _BIN_S
    at = np.array([second for second, _ in arrives])
    cores = np.array([count for _, count in arrives])
    worst = 0.0
    for start in starts:
        later = ready >= start
        for end in ends[ends >= start]:
            asked = float(core_s[later & (due <= end)].sum())
            can = float((cores * np.maximum(0.0, end - np.maximum(at, start))).sum()) if arrives else 0.0
            worst = max(worst, asked - _FILLED * can)
    return worst


def store_overload(session: Session, found: Overload | None, now: datetime, valid_s: float) -> None:
    """Store the loop's result; it expires after ``valid_s`` in case the loop stops."""
    data = {} if found is None else {**asdict(found), "until": to_iso(now + timedelta(seconds=valid_s))}
    session.merge(Cursor(name=_CURSOR, data=data, updated_at=now))


def read_overload(session: Session, now: datetime) -> Overload | None:
    """Return the current overload, or None."""
    row = session.get(Cursor, _CURSOR)
    if row is None or not row.data or parse_time(row.data["until"]) < now:
        return None
    return Overload(row.data["deficit_core_s"], row.data["cut"], row.data["reason"])


class Guard:
    """Tells the dispatcher which runs to skip during overload; implements `dynamo.runs.shedding.Shedding`.

    Parameters
    ----------
    store, config
        The store of the runs, and the configuration with the triggers' settings.
    clock
        Monotonic seconds, used to expire cached values.
    """

    def __init__(self, store: Store, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._share = config.autoscale.reserved_share
        self._shed = {trigger.name: trigger.shed for trigger in config.triggers}
        self._clock = clock
        self._lock = threading.Lock()
        self._overload: Overload | None = None
        self._looked_at: float | None = None
        self._durations: dict[str, tuple[float, float]] = {}

    def spared(self, run: Run) -> bool:
        """Return whether a run is never skipped, such as those that alerts depend on."""
        return self._shed.get(run.trigger, "late") == "never"

    def reserved(self, threads: int, now: datetime) -> int:
        """Return how many concurrent runs are reserved for those that are never skipped."""
        if self._current(now) is None or threads < 2 or "never" not in self._shed.values():
            return 0
        return min(threads - 1, max(1, round(self._share * threads)))

    def judge(self, run: Run, now: datetime) -> Shed | None:
        """Return why to skip a run that has not started; None to keep it."""
        found = self._current(now)
        if found is None or self.spared(run):
            return None
        below = found.cut is None or run.priority < found.cut
        data: dict[str, Any] = {"deficit_core_s": found.deficit_core_s, "priority": run.priority, "cut": found.cut}
        overload = f"overload: {found.deficit_core_s:.0f} core-s over capacity, {found.reason}"
        if below and found.cut is not None and self._shed.get(run.trigger) == "skip":
            return Shed(f"{overload}; priority {run.priority} is below the cutoff of {found.cut}", data)
        if run.deadline_at is None:
            return None
        needs_s = self._duration_s(run.workflow)
        late_s = (now - run.deadline_at).total_seconds() + needs_s
        if late_s <= 0:
            return None
        with self._store.reading() as session:
            newer = superseded_by(session, run)
        data |= {"late_s": round(late_s, 3), "superseded_by": newer.id if newer is not None else None}
        if newer is not None:
            return Shed(f"{overload}; it would be {late_s:.0f} s late, and {newer.id} supersedes it", data)
        if below and found.cut is not None:
            words = (
                f"it would be {late_s:.0f} s late, and its priority {run.priority} is below the cutoff of {found.cut}"
            )
            return Shed(f"{overload}; {words}", data)
        return None

    def _current(self, now: datetime) -> Overload | None:
        with self._lock:
            stamp = self._clock()
            if self._looked_at is None or stamp - self._looked_at >= _LOOK_S:
                self._looked_at = stamp
                try:
                    with self._store.reading() as session:
                        self._overload = read_overload(session, now)
                except RetryableError:
                    # Skip nothing on a guess.
                    self._overload = None
            return self._overload

    def _duration_s(self, workflow: str) -> float:
        """Return how long recent runs of a workflow took from start to publication, seconds."""
        stamp = self._clock()
        known = self._durations.get(workflow)
        if known is None or stamp - known[0] >= _LEARN_S:
            with self._store.reading() as session:
                rows = session.execute(
                    select(Run.started_at, Run.published_at)
                    .where(Run.workflow == workflow, Run.state == "succeeded")
                    .order_by(Run.updated_at.desc())
                    .limit(_LEARNED_RUNS)
                ).all()
            took = [(row[1] - row[0]).total_seconds() for row in rows if row[0] is not None and row[1] is not None]
            known = self._durations[workflow] = (stamp, statistics.median(took) if took else 0.0)
        return known[1]
