"""Retention tables: moves of products that are under way, and days whose products are kept longer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base


class Move(Base):
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
