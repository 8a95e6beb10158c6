"""Cost caps of a fleet: how much growth fits under them, and why no more. No clock, no store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: Growth the budget cannot fund for an hour is not worth booting; seconds to midnight or to the budget's end.
_LEAST_H = 1.0
#: Rates are sums of many rounded numbers: eight workers at 0.55 an hour fit under 4.4.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Budget:
    """Cost caps of a fleet; None for no cap.

    Attributes
    ----------
    per_hour
        Maximum rate, per hour.
    per_day
        Maximum cost in one day, UTC.
    total
        Maximum total cost.
    currency
        Currency of all caps, e.g. USD or SU.
    """

    per_hour: float | None = None
    per_day: float | None = None
    total: float | None = None
    currency: str = "USD"

    @property
    def capped(self) -> bool:
        """Whether there is any cap."""
        return not (self.per_hour is None and self.per_day is None and self.total is None)


@dataclass(frozen=True)
class _Limit:
    """One cap as a rate: the highest, per hour, that stays within it."""

    rate: float
    cap: float
    period: str
    spent: float | None = None
    spent_when: str = ""

    def allows(self, rate: float) -> bool:
        return rate <= self.rate + _TOLERANCE * max(1.0, abs(self.rate))


def highest_rate(budget: Budget, *, spent_today: float, spent_total: float, now: datetime) -> float | None:
    """Return the highest hourly rate that stays within all caps; None without caps.

    ``per_day`` counts to the end of the day UTC, but at least an hour; ``total`` counts for an hour. Zero when
    a cap has been reached.
    """
    limits = _limits(budget, spent_today, spent_total, now)
    return max(0.0, min(limit.rate for limit in limits)) if limits else None


def refusal(
    budget: Budget,
    *,
    rate_now: float,
    extra_rate: float,
    spent_today: float,
    spent_total: float,
    now: datetime,
    extra_workers: int = 0,
) -> str | None:
    """Return why a fleet must not grow, as a sentence; None if it may.

    Parameters
    ----------
    rate_now
        Cost per hour of the current workers.
    extra_rate
        Cost per hour added by the growth; free growth is never refused.
    spent_today, spent_total
        Spending since midnight UTC, and in total.
    extra_workers
        Number of workers added, for the sentence.
    """
    if extra_rate <= 0:
        return None
    rate = rate_now + extra_rate
    broken = [limit for limit in _limits(budget, spent_today, spent_total, now) if not limit.allows(rate)]
    if not broken:
        return None
    limit = min(broken, key=lambda item: item.rate)
    cap = f"the cap of {_amount(limit.cap)} {budget.currency} {limit.period}"
    growth = f"{_amount(extra_rate)}/h more"
    if extra_workers > 0:
        plural = "" if extra_workers == 1 else "s"
        growth = f"{extra_workers} more worker{plural} at {_amount(extra_rate / extra_workers)}/h"
    rates = f"{_amount(rate_now)}/h now, {growth}"
    if limit.spent is None:
        return f"{cap} would be exceeded: {rates}"
    spent = f"{_amount(limit.spent)} spent{limit.spent_when}"
    if limit.spent >= limit.cap:
        return f"{cap} is used up: {spent}"
    return f"{cap} would be exceeded {_passed(limit, rate, now)}: {spent}, {rates}"


def most_extra(
    budget: Budget, *, rate_now: float, rate_each: float, spent_today: float, spent_total: float, now: datetime
) -> int | None:
    """Return how many more workers at ``rate_each`` per hour fit under the caps; None if any number does."""
    limits = _limits(budget, spent_today, spent_total, now)
    if rate_each <= 0 or not limits:
        return None
    limit = min(limits, key=lambda item: item.rate)
    count = max(0, math.floor((limit.rate - rate_now) / rate_each))
    # The division may be off by rounding; `refusal` decides.
    if limit.allows(rate_now + (count + 1) * rate_each):
        return count + 1
    return count - 1 if count and not limit.allows(rate_now + count * rate_each) else count


def _limits(budget: Budget, spent_today: float, spent_total: float, now: datetime) -> list[_Limit]:
    limits = []
    if budget.per_hour is not None:
        limits.append(_Limit(budget.per_hour, budget.per_hour, "per hour"))
    if budget.per_day is not None:
        left_h = max(_LEAST_H, (_midnight(now) - now).total_seconds() / 3600.0)
        rate = (budget.per_day - spent_today) / left_h
        limits.append(_Limit(rate, budget.per_day, "per day", spent_today, " today"))
    if budget.total is not None:
        rate = (budget.total - spent_total) / _LEAST_H
        limits.append(_Limit(rate, budget.total, "in total", spent_total))
    return limits


def _midnight(now: datetime) -> datetime:
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _passed(limit: _Limit, rate: float, now: datetime) -> str:
    at = now.astimezone(UTC) + timedelta(hours=(limit.cap - (limit.spent or 0.0)) / rate)
    # After midnight the next day's budget applies, so an exact time would be misleading.
    return f"at {at:%H:%M} UTC" if at < _midnight(now) else "within an hour"


def _amount(value: float) -> str:
    """Format an amount for people: at most four significant digits, but all digits before the point."""
    digits = 2 if abs(value) >= 100 else 4
    text = f"{value:.{digits}f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
