"""Retention tables: moves of products that are under way, and days whose products are kept longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from dynamo.store.inserts import insert_new
from dynamo.store.models import Base
from dynamo.times import utc_now

INTENDED, COPIED, REFUSED = "intended", "copied", "refused"


class ProductMove(Base):
    """A move of a run's products to another tier, stored before anything is copied or removed.

    ``intended``: the products are at ``source``. ``copied``: they are at ``target`` as well, verified, and the run
    says so. ``refused``: they cannot be moved, for ``reason``. When ``source`` is gone, so is the row.
    """

    __tablename__ = "moves"
    __table_args__ = (Index(None, "state"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str]
    #: Empty if the products are to be removed altogether.
    target: Mapped[str] = mapped_column(default="")
    tier: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20))
    rule: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(default="")
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ImportantDay(Base):
    """A day, UTC, with hail or alerts, or one that somebody named."""

    __tablename__ = "important_days"
    __table_args__ = (Index(None, "begins_at"),)

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str]
    noted_at: Mapped[datetime]


def note_day(session: Session, time: datetime, reason: str) -> bool:
    """Note that the day of ``time`` is important; return whether it was not noted before."""
    begin = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return insert_new(
        session,
        ImportantDay,
        day=begin.strftime("%Y-%m-%d"),
        begins_at=begin,
        ends_at=begin + timedelta(days=1),
        reason=reason,
        noted_at=utc_now(),
    )
