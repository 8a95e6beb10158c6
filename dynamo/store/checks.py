"""Tables of checks: what was not right, how often all was, what is usual for a series, and what waits for review."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")


class CheckResult(Base):
    """One value that was not good; what passed is only counted, in `CheckDay`."""

    __tablename__ = "check_results"
    __table_args__ = (Index(None, "run_id"), Index(None, "time"), Index(None, "series", "id"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"))
    series: Mapped[str] = mapped_column(String(200))
    file: Mapped[str]
    check: Mapped[str] = mapped_column(String(100))
    severity: Mapped[str] = mapped_column(String(10))
    flag: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None] = mapped_column(Float)
    limit: Mapped[float | None] = mapped_column(Float)
    place: Mapped[str]
    time: Mapped[datetime]


class CheckDay(Base):
    """How many values of a series had each flag on one day (UTC)."""

    __tablename__ = "check_days"

    series: Mapped[str] = mapped_column(String(200), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    good: Mapped[int] = mapped_column(BigInteger, default=0)
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)
    suspect: Mapped[int] = mapped_column(BigInteger, default=0)
    bad: Mapped[int] = mapped_column(BigInteger, default=0)
    missing: Mapped[int] = mapped_column(BigInteger, default=0)


class CheckRun(Base):
    """What a run added to `CheckDay`, and the series that learned from it, so that a retried run counts once."""

    __tablename__ = "check_runs"

    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10))
    #: By series, and then by column of `CheckDay`.
    counts: Mapped[dict[str, Any]]
    #: Series as keys.
    learned: Mapped[dict[str, Any]]


class CheckUsual(Base):
    """Mean and variance of a check's values in a series, kept so that no history is read."""

    __tablename__ = "check_usual"

    series: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    mean: Mapped[float] = mapped_column(Float)
    variance: Mapped[float] = mapped_column(Float)


class CheckLast(Base):
    """What the next file of a series is compared with."""

    __tablename__ = "check_last"
    __table_args__ = (Index(None, "valid_at"),)

    series: Mapped[str] = mapped_column(String(200), primary_key=True)
    valid_at: Mapped[datetime]
    marks: Mapped[dict[str, Any]]


class CheckReview(Base):
    """A run whose products a check kept from being published: waiting, released, or dropped."""

    __tablename__ = "check_reviews"
    __table_args__ = (Index(None, "state", "opened_at"),)

    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"), primary_key=True)
    check: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
