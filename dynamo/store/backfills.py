"""The table of backfills: what is to be made again, how far that is, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")


class Backfill(Base):
    """A workflow made again over a range of valid times: one row, however many runs it takes."""

    __tablename__ = "backfills"
    __table_args__ = (Index(None, "state"), Index(None, "created_at"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: ``active``, ``paused``, ``done`` or ``cancelled``; see `dynamo.backfill.states`.
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(default="")
    #: What is done next: ``list`` the files of a folder, ``make`` runs, ``finish`` them.
    phase: Mapped[str] = mapped_column(String(20))
    trigger: Mapped[str] = mapped_column(String(200))
    workflow: Mapped[str] = mapped_column(String(200))
    document: Mapped[str] = mapped_column(String(64), ForeignKey("documents.sha256"))
    #: The trigger's options, its other inputs and the complete parameters, as they were when it was started.
    section: Mapped[dict[str, Any]]
    port: Mapped[str] = mapped_column(String(200))
    files: Mapped[dict[str, Any]]
    parameters: Mapped[dict[str, Any]]
    engine: Mapped[str] = mapped_column(String(50))
    #: The feed whose arrivals it takes: a real one, or its own, for the files of a folder.
    feed: Mapped[str] = mapped_column(String(200))
    folder: Mapped[str] = mapped_column(default="")
    radars: Mapped[list[str]] = mapped_column(JSON)
    since: Mapped[datetime]
    until: Mapped[datetime]
    variant: Mapped[str] = mapped_column(String(64), default="")
    at_most: Mapped[int] = mapped_column(Integer)
    #: The last file listed, the last arrival judged, and the last run promoted.
    listed: Mapped[str] = mapped_column(default="")
    cursor_at: Mapped[datetime | None]
    cursor_id: Mapped[int] = mapped_column(_Key)
    promoted_at: Mapped[datetime | None]
    #: Counters: slots looked at; of them made, up to date, started nothing, and without their input.
    slots: Mapped[int] = mapped_column(BigInteger)
    made: Mapped[int] = mapped_column(BigInteger)
    had: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    gone: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
