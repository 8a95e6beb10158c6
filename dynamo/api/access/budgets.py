"""What a user's own runs have cost in the current period, and whether more may be ordered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Subquery, func, select
from sqlalchemy.orm import Session

from dynamo.provision.fleets import stored_spec
from dynamo.runs.states import UNFINISHED
from dynamo.store.fleets import Fleet, Worker, WorkerHour, WorkerUse
from dynamo.store.models import OWNED, Run

Period = Literal["day", "week", "month"]
#: The engine that uses no workers.
_FREE = "local"


#: Runs of a workflow that tell how much the next one will take.
_LIKE = 20


@dataclass(frozen=True)
class Allowance:
    """A user's budget and what is left of it.

    Attributes
    ----------
    limit
        Of each period; None for no limit.
    spent, currency
        What runs ordered in this period have cost so far; the greatest amount if fleets have several currencies.
    reserved
        What those of them that are not finished are expected to cost.
    """

    limit: float | None
    spent: float
    reserved: float
    currency: str
    period: Period
    since: datetime
    until: datetime

    @property
    def left(self) -> float | None:
        """What is left; None for no limit."""
        return None if self.limit is None else max(0.0, self.limit - self.spent - self.reserved)

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        return self.left is not None and self.left <= 0


def allowance_of(session: Session, owner: str, limit: float | None, period: Period, now: datetime) -> Allowance:
    """Return what is left of a user's budget."""
    since, until = bounds(period, now)
    spent = _spent(session, owner, since)
    currency = max(spent, key=lambda name: spent[name], default="")
    reserved = _reserved(session, owner, since)
    return Allowance(limit, spent.get(currency, 0.0), reserved, currency, period, since, until)


def _spent(session: Session, owner: str, since: datetime) -> dict[str, float]:
    """Return what the runs that somebody ordered since a time have cost on their workers, by currency."""
    runs = select(Run.id).where(OWNED, Run.owner == owner, Run.created_at >= since)
    used = session.execute(
        select(WorkerUse.fleet, WorkerUse.worker, func.sum(WorkerUse.core_s))
        .where(WorkerUse.run.in_(runs))
        .group_by(WorkerUse.fleet, WorkerUse.worker)
    ).all()
    fleets = {
        fleet.name: fleet for fleet in session.scalars(select(Fleet).where(Fleet.name.in_({row[0] for row in used})))
    }
    currencies = {name: stored_spec(fleet).budget.currency for name, fleet in fleets.items()}
    spent: dict[str, float] = {}
    for fleet, worker, core_s in used:
        paid, paid_core_s = session.execute(
            select(func.sum(WorkerHour.cost), func.sum(WorkerHour.core_s)).where(
                WorkerHour.fleet == fleet, WorkerHour.worker == worker
            )
        ).one()
        if paid_core_s and fleet in currencies:
            currency = currencies[fleet]
            spent[currency] = spent.get(currency, 0.0) + paid / paid_core_s * core_s
    return spent


def _reserved(session: Session, owner: str, since: datetime) -> float:
    """Return what somebody's unfinished runs are expected to cost, on the dearest worker that there is.

    Before a run is planned, it is expected to take as long as others of its workflow did.
    """
    price = session.scalar(select(func.max(Worker.cost_per_hour / Worker.cpus)).where(Worker.ended_at.is_(None)))
    if not price:
        return 0.0
    waiting = session.execute(
        select(Run.workflow, Run.predicted_s).where(
            OWNED, Run.owner == owner, Run.created_at >= since, Run.state.in_(UNFINISHED), Run.engine != _FREE
        )
    ).all()
    usual = {
        workflow: session.scalar(select(func.avg(_newest_cpu_s(workflow).c.cpu_s))) or 0.0
        for workflow in {workflow for workflow, predicted_s in waiting if not predicted_s}
    }
    return sum(predicted_s or usual[workflow] for workflow, predicted_s in waiting) * price / 3600.0


def _newest_cpu_s(workflow: str) -> Subquery:
    done = (Run.workflow == workflow, Run.state == "succeeded")
    return select(Run.cpu_s).where(*done).order_by(Run.created_at.desc()).limit(_LIKE).subquery()


def bounds(period: Period, now: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and end of the day, week or month of a time, UTC.

    Examples
    --------
    >>> begin, end = bounds("month", datetime(2026, 12, 9, 8, tzinfo=UTC))
    >>> f"{begin:%Y-%m-%d} {end:%Y-%m-%d}"
    '2026-12-01 2027-01-01'
    """
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        begin = day - timedelta(days=day.weekday())
        return begin, begin + timedelta(weeks=1)
    begin = day.replace(day=1)
    return begin, (begin + timedelta(days=32)).replace(day=1)
