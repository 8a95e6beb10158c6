"""Fleet costs over a period, by site, day, flavor, worker, workflow or run.

A job uses its wall time times its processors in core-seconds, spread evenly over the hours in which it ran.
For each hour of a worker it bears the share of the cost that it has of the paid core-seconds; what no job
used is idle. Costs are whole billionths of the currency, split without remainder: the rows of every grouping add up
to exactly the same total.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.errors import UsageError
from dynamo.provision.cycle.accounting import HOUR, full_hour, hours_between
from dynamo.store.fleets import WorkerHour, WorkerUse
from dynamo.times import to_iso

#: Supported groupings.
GROUPINGS = ("site", "day", "flavor", "worker", "workflow", "run")
#: Paid time that no job used, in reports by workflow and by run.
IDLE = "(idle)"
#: Time of jobs without a workflow.
OTHER = "(other)"

_NANO = Decimal(10) ** -9
#: Usage by jobs: worker -> hour -> workflow or run (or an empty string) -> core-seconds.
Uses = dict[str, dict[datetime, dict[str, float]]]


@dataclass(frozen=True)
class CostRow:
    """Cost of one site, day, etc.

    Attributes
    ----------
    key
        The site, the day as ``2026-06-10`` (UTC), the flavor, worker, workflow or run.
    workers
        Number of workers involved.
    worker_hours, core_hours
        Paid time, and that times the processors; for a workflow or run, its share.
    busy_core_hours
        The part of ``core_hours`` used by jobs.
    cost
        To the billionth of ``currency``.
    """

    key: str
    workers: int
    worker_hours: float
    core_hours: float
    busy_core_hours: float
    cost: Decimal
    currency: str

    @property
    def idle_share(self) -> float:
        """The share of ``core_hours`` that no job used, 0 to 1."""
        return max(0.0, 1.0 - self.busy_core_hours / self.core_hours) if self.core_hours > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        return {
            "key": self.key,
            "workers": self.workers,
            "worker_hours": round(self.worker_hours, 6),
            "core_hours": round(self.core_hours, 6),
            "busy_core_hours": round(self.busy_core_hours, 6),
            "idle_share": round(self.idle_share, 6),
            "cost": float(self.cost),
            "currency": self.currency,
        }


@dataclass(frozen=True)
class CostReport:
    """The rows of a report and their sum; days in order, all else most expensive first, idle time last.

    ``since`` and ``until`` are full hours; None for no limit.
    """

    fleet: str
    by: str
    since: datetime | None
    until: datetime | None
    rows: tuple[CostRow, ...]
    total: CostRow

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "fleet": self.fleet,
            "by": self.by,
            "since": to_iso(self.since) if self.since else None,
            "until": to_iso(self.until) if self.until else None,
            "rows": [row.to_json() for row in self.rows],
            "total": self.total.to_json(),
        }


@dataclass(frozen=True, slots=True)
class PaidHour:
    """One worker in one clock hour: a row of `dynamo.store.fleets.WorkerHour`."""

    worker: str
    hour: datetime
    site: str
    flavor: str
    seconds: float
    cost: float
    core_s: float


@dataclass(frozen=True, slots=True)
class Use:
    """Usage of one job: a row of `dynamo.store.fleets.WorkerUse`."""

    worker: str
    ended_at: datetime
    wall_s: float
    core_s: float
    key: str = ""


@dataclass(slots=True)
class _CostSum:
    workers: set[str] = field(default_factory=set)
    seconds: float = 0.0
    core_s: float = 0.0
    busy_s: float = 0.0
    nano: int = 0

    def add(self, worker: str, seconds: float, core_s: float, busy_s: float, nano: int) -> None:
        self.workers.add(worker)
        self.seconds += seconds
        self.core_s += core_s
        self.busy_s += busy_s
        self.nano += nano

    def row(self, key: str, currency: str) -> CostRow:
        hours = (self.seconds / 3600.0, self.core_s / 3600.0, self.busy_s / 3600.0)
        return CostRow(key, len(self.workers), *hours, self.nano * _NANO, currency)


def cost_report(
    session: Session,
    fleet: str,
    by: str = "site",
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    currency: str = "USD",
) -> CostReport:
    """Report a fleet's costs.

    Parameters
    ----------
    by
        One of `GROUPINGS`.
    since, until
        The period, widened to full clock hours; by default everything.
    currency
        Currency of the fleet's costs.

    Raises
    ------
    UsageError
        If ``by`` is not a grouping, or the period ends before it starts.
    """
    if by not in GROUPINGS:
        raise UsageError(f"cannot report by {by!r:.40}", where="by", expected=", ".join(GROUPINGS))
    if since is not None and until is not None and until <= since:
        raise UsageError(
            f"the period ends at {to_iso(until)} but starts at {to_iso(since)}", expected="an end after the start"
        )
    first = None if since is None else full_hour(since)
    last = None if until is None else full_hour(until + HOUR - timedelta(microseconds=1))
    uses = spread(_uses(session, fleet, by, first), first, last)
    return summed(fleet, by, _hours(session, fleet, first, last), uses, since=first, until=last, currency=currency)


def spread(uses: Iterable[Use], since: datetime | None = None, until: datetime | None = None) -> Uses:
    """Spread jobs' core-seconds evenly over the hours in which they ran, within the period only."""
    found: Uses = {}
    for use in uses:
        if use.wall_s <= 0:
            continue
        began = use.ended_at - timedelta(seconds=use.wall_s)
        start = began if since is None else max(began, since)
        stop = use.ended_at if until is None else min(use.ended_at, until)
        cores = use.core_s / use.wall_s
        for hour, seconds in hours_between(start, stop):
            parts = found.setdefault(use.worker, {}).setdefault(hour, {})
            parts[use.key] = parts.get(use.key, 0.0) + seconds * cores
    return found


def summed(
    fleet: str,
    by: str,
    hours: Iterable[PaidHour],
    uses: Uses,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    currency: str = "USD",
) -> CostReport:
    """Add up paid hours and their usage by jobs; for ``workflow`` and ``run``, these are the keys of ``uses``."""
    sums: dict[str, _CostSum] = {}
    total = _CostSum()
    nothing: dict[datetime, dict[str, float]] = {}
    for paid in hours:
        nano = round(paid.cost * 1e9)
        used = _fitted(uses.get(paid.worker, nothing).get(paid.hour, {}), paid.core_s)
        busy_s = min(sum(used.values()), paid.core_s)
        total.add(paid.worker, paid.seconds, paid.core_s, busy_s, nano)
        if by in ("workflow", "run"):
            for key, core_s, part in _shared(used, paid.core_s, nano):
                seconds = paid.seconds * core_s / paid.core_s if paid.core_s > 0 else paid.seconds
                busy = 0.0 if key == IDLE else core_s
                sums.setdefault(key, _CostSum()).add(paid.worker, seconds, core_s, busy, part)
        else:
            sums.setdefault(_key(paid, by), _CostSum()).add(paid.worker, paid.seconds, paid.core_s, busy_s, nano)
    rows = tuple(sums[key].row(key, currency) for key in sorted(sums, key=lambda key: _place(key, by, sums[key])))
    return CostReport(fleet, by, since, until, rows, total.row("total", currency))


def _place(key: str, by: str, found: _CostSum) -> tuple[int, int, str]:
    return ((OTHER, IDLE).index(key) + 1 if key in (OTHER, IDLE) else 0, 0 if by == "day" else -found.nano, key)


def _key(paid: PaidHour, by: str) -> str:
    if by == "day":
        return paid.hour.astimezone(UTC).date().isoformat()
    return {"site": paid.site, "flavor": paid.flavor, "worker": paid.worker}[by]


def _fitted(used: Mapping[str, float], core_s: float) -> dict[str, float]:
    """Return jobs' usage, scaled down to what was available: clocks differ, and a pool may overcommit."""
    whole = sum(used.values())
    scale = core_s / whole if whole > core_s else 1.0
    return {key: value * scale for key, value in used.items() if value * scale > 0}


def _shared(used: Mapping[str, float], core_s: float, nano: int) -> Iterator[tuple[str, float, int]]:
    """Yield each user of an hour, idle time last, with its core-seconds and share of the cost."""
    given, so_far = 0, 0.0
    for key, value in sorted(used.items()):
        so_far += value
        # Rounding the sums rather than the parts leaves no remainder.
        edge = min(nano, round(nano * (so_far / core_s)))
        yield key or OTHER, value, edge - given
        given = edge
    idle_s = core_s - so_far
    if given < nano or idle_s > 1e-6 or not used:
        yield IDLE, max(0.0, idle_s), nano - given


def _hours(session: Session, fleet: str, since: datetime | None, until: datetime | None) -> Iterator[PaidHour]:
    statement = select(
        WorkerHour.worker,
        WorkerHour.hour,
        WorkerHour.site,
        WorkerHour.flavor,
        WorkerHour.seconds,
        WorkerHour.cost,
        WorkerHour.core_s,
    ).where(WorkerHour.fleet == fleet)
    if since is not None:
        statement = statement.where(WorkerHour.hour >= since)
    if until is not None:
        statement = statement.where(WorkerHour.hour < until)
    for row in session.execute(statement.execution_options(yield_per=5000)):
        yield PaidHour(*row)


def _uses(session: Session, fleet: str, by: str, since: datetime | None) -> Iterator[Use]:
    columns: list[Any] = [WorkerUse.worker, WorkerUse.ended_at, WorkerUse.wall_s, WorkerUse.core_s]
    if by in ("workflow", "run"):
        columns.append(WorkerUse.workflow if by == "workflow" else WorkerUse.run)
    statement = select(*columns).where(WorkerUse.fleet == fleet)
    if since is not None:
        # Jobs that ended after the period may have started in it.
        statement = statement.where(WorkerUse.ended_at > since)
    for row in session.execute(statement.execution_options(yield_per=5000)):
        yield Use(*row)
