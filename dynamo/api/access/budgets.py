"""What a user's own runs have cost in the current period, and whether more may be ordered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.provision.fleets import stored_spec
from dynamo.store.fleets import Fleet, WorkerHour, WorkerUse
from dynamo.store.models import OWNED, Run

Period = Literal["day", "week", "month"]


@dataclass(frozen=True)
class Allowance:
    """A user's budget and what is left of it.

    Attributes
    ----------
    limit
        Of each period; None for no limit.
    spent, currency
        What runs ordered in this period have cost so far; the greatest amount if fleets have several currencies.
    """

    limit: float | None
    spent: float
    currency: str
    period: Period
    since: datetime
    until: datetime

    @property
    def left(self) -> float | None:
        """What is left; None for no limit."""
        return None if self.limit is None else max(0.0, self.limit - self.spent)

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.spent >= self.limit


def allowance_of(session: Session, owner: str, limit: float | None, period: Period, now: datetime) -> Allowance:
    """Return what is left of a user's budget."""
    since, until = bounds(period, now)
    spent = spent_by(session, owner, since)
    currency = max(spent, key=lambda name: spent[name], default="")
    return Allowance(limit, spent.get(currency, 0.0), currency, period, since, until)


def spent_by(session: Session, owner: str, since: datetime) -> dict[str, float]:
    """Return what the runs that somebody ordered since a time have cost on their workers, by currency."""
    runs = select(Run.id).where(OWNED, Run.owner == owner, Run.created_at >= since)
    used = session.execute(
        select(WorkerUse.fleet, WorkerUse.worker, func.sum(WorkerUse.core_s))
        .where(WorkerUse.fleet.in_(select(Fleet.name)), WorkerUse.ended_at >= since, WorkerUse.run.in_(runs))
        .group_by(WorkerUse.fleet, WorkerUse.worker)
    ).all()
    currencies: dict[str, str] = {}
    spent: dict[str, float] = {}
    for fleet, worker, core_s in used:
        paid, paid_core_s = session.execute(
            select(func.sum(WorkerHour.cost), func.sum(WorkerHour.core_s)).where(
                WorkerHour.fleet == fleet, WorkerHour.worker == worker
            )
        ).one()
        if paid_core_s:
            if fleet not in currencies:
                currencies[fleet] = stored_spec(session.get_one(Fleet, fleet)).budget.currency
            currency = currencies[fleet]
            spent[currency] = spent.get(currency, 0.0) + paid / paid_core_s * core_s
    return spent


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
