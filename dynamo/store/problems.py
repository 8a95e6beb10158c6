"""Tables of problems: what is late, silent or failed, and what jobs of other people reported."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")
_OPEN = text("closed_at IS NULL")


class ProblemRecord(Base):
    """Something that does not come as it should; a subject has one that is open at most, by the index."""

    __tablename__ = "problems"
    __table_args__ = (
        Index("ix_problems_open", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(None, "opened_at"),
        Index(None, "closed_at"),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    #: ``feed:NAME/RADAR``, ``workflow:NAME/TRIGGER/RADAR`` or ``job:NAME``.
    subject: Mapped[str] = mapped_column(String(400))
    #: ``late``, ``silent`` or ``failed``.
    kind: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    #: Why it is over; empty while it is not.
    ending: Mapped[str] = mapped_column(server_default="")
    #: Whether the operators' channels were given a message about it.
    told: Mapped[bool] = mapped_column(Boolean)


class JobReport(Base):
    """How a job of ``[[jobs]]`` stands by its last reports."""

    __tablename__ = "job_reports"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    #: Since when reports are expected.
    known_at: Mapped[datetime]
    #: None if it is not running, as far as it told.
    started_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    #: None if it succeeded since.
    failed_at: Mapped[datetime | None]
    #: What it sent when it last ended.
    message: Mapped[str] = mapped_column(server_default="")
