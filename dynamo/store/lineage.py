"""The table of steps of runs that others are still to be told of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base


class UntoldStep(Base):
    """A step of a run, stored with the state that it led to, and removed once it was told; see `RunStep`."""

    __tablename__ = "untold_steps"
    __table_args__ = (Index(None, "failures", "id"), Index(None, "at"))

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    #: Not a foreign key: the run may be pruned before.
    run_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str]
    #: How often it was sent in vain: what the other side refuses does not hold up the rest.
    failures: Mapped[int] = mapped_column(Integer, default=0)
