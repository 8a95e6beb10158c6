"""Tables for everything that must survive a crash, and the record of decisions and their reasons.

All times are aware UTC. SQLite has no time zones: it stores naive UTC, converted back to aware times on reading.
PostgreSQL stores ``timestamptz``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on every database; naive times are refused as ambiguous."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert the time to UTC before it is stored."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}: times are aware UTC")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface
        """Return the stored time as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: 64-bit keys; SQLite autoincrements only if the type is spelled INTEGER.
_Key = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """Base of the tables; fixed constraint names let migrations refer to them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[dict[str, Any]]: JSON(),
        str: Text(),
    }


class Cursor(Base):
    """Position of a feed or schedule."""

    __tablename__ = "cursors"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    data: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class Arrival(Base):
    """One complete file from a feed, or one that was quarantined."""

    __tablename__ = "arrivals"
    __table_args__ = (
        UniqueConstraint("feed", "path", "size", "mtime_ns"),
        Index(None, "feed", "sha256"),
        Index(None, "feed", "state", "valid_at"),
        Index(None, "feed", "radar", "valid_at"),
        # Lists, the newest first.
        Index(None, "feed", "id"),
        Index(None, "state", "id"),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    feed: Mapped[str] = mapped_column(String(200))
    path: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(default="")
    #: Of its facts; empty if it is not from a single radar.
    radar: Mapped[str] = mapped_column(String(100), default="", server_default="")
    valid_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any] | None]
    moved_to: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    detected_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class StoredDocument(Base):
    """A workflow document as it was when a run was made from it."""

    __tablename__ = "documents"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[str] = mapped_column(String(100))
    body: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]


#: That a run was ordered by somebody; the condition of the index that finds such runs.
OWNED = text("owner <> ''")


class Run(Base):
    """One execution of a workflow document for given inputs; ``key`` makes it unique."""

    __tablename__ = "runs"
    __table_args__ = (
        Index(None, "state", "valid_at"),
        Index(None, "workflow", "valid_at"),
        Index("ix_runs_line", "workflow", "trigger", "radar", "variant", "valid_at"),
        Index(None, "created_at"),
        Index(None, "state", "created_at"),
        Index(None, "workflow", "created_at"),
        Index(None, "backfill", "state"),
        Index(None, "published_at"),
        Index(None, "arrival_id"),
        Index(None, "tier", "workflow", "published_at", "bytes"),
        Index("ix_runs_owner", "owner", "created_at", sqlite_where=OWNED, postgresql_where=OWNED),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    workflow: Mapped[str] = mapped_column(String(200))
    version: Mapped[str] = mapped_column(String(100))
    document: Mapped[str] = mapped_column(String(64), ForeignKey("documents.sha256"))
    trigger: Mapped[str] = mapped_column(String(200), default="")
    arrival_id: Mapped[int | None] = mapped_column(_Key, ForeignKey("arrivals.id"))
    #: The one radar whose data it has; empty for several or none.
    radar: Mapped[str] = mapped_column(String(100), default="", server_default="")
    #: Who asked for it; see `dynamo.runs.ledger.Origin`.
    origin: Mapped[str] = mapped_column(String(20), default="live", server_default="live")
    #: Name of the person who ordered it, or of the token if it is nobody's; empty for triggers and backfills.
    owner: Mapped[str] = mapped_column(String(130), default="", server_default="")
    #: The backfill that it belongs to, if any.
    backfill: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: Empty for the current line of products, else the name that it is published under beside them.
    variant: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: Among the runs of its slot, once published: ``current``, or ``superseded`` by a later one; else empty.
    standing: Mapped[str] = mapped_column(String(20), default="", server_default="")
    engine: Mapped[str] = mapped_column(String(50))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(default="")
    priority: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    cancel_reason: Mapped[str | None]
    inputs: Mapped[list[dict[str, Any]]]
    parameters: Mapped[dict[str, Any]]
    layout: Mapped[str] = mapped_column(default="")
    jobs_total: Mapped[int] = mapped_column(Integer, default=0)
    jobs_done: Mapped[int] = mapped_column(Integer, default=0)
    jobs_failed: Mapped[int] = mapped_column(Integer, default=0)
    predicted_s: Mapped[float] = mapped_column(Float, default=0.0)
    cpu_s: Mapped[float] = mapped_column(Float, default=0.0)
    run_dir: Mapped[str]
    product_dir: Mapped[str | None]
    #: Where the products are: ``hot``, ``warm`` or ``gone``; empty before they are published.
    tier: Mapped[str] = mapped_column(String(10), default="", server_default="")
    #: Size of the products.
    bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    software: Mapped[str] = mapped_column(String(100))
    valid_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    detected_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    planned_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    cleaned_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Product(Base):
    """One published file."""

    __tablename__ = "products"
    __table_args__ = (UniqueConstraint("run_id", "lfn"),)

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"))
    lfn: Mapped[str]
    #: The output of the document that made it, as ``JOB.PORT``.
    output: Mapped[str] = mapped_column(String(200), default="", server_default="")
    path: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    lead_min: Mapped[int | None] = mapped_column(Integer)
    valid_at: Mapped[datetime | None]


class RunInput(Base):
    """Which runs read a file, by the beginning of its checksum."""

    __tablename__ = "run_inputs"

    sha: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"), primary_key=True, index=True)


class Series(Base):
    """What there is of one source and radar, as counters: no list of assets reads runs or arrivals."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("kind", "name", "trigger", "radar", "variant"),)

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    #: ``feed`` or ``workflow``.
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    #: What started the workflow: a trigger's name, or ``submit``.
    trigger: Mapped[str] = mapped_column(String(200), default="")
    radar: Mapped[str] = mapped_column(String(100), default="")
    variant: Mapped[str] = mapped_column(String(64), default="")
    #: Valid times with data, each counted once, and how often they were made, with those made again.
    slots: Mapped[int] = mapped_column(BigInteger)
    made: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    oldest_at: Mapped[datetime]
    newest_at: Mapped[datetime]
    #: Newest valid time that came by itself, and when; what a backfill makes is not fresh.
    live_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]


class SeriesDay(Base):
    """The counters of a series for one day of valid time."""

    __tablename__ = "series_days"

    series_id: Mapped[int] = mapped_column(_Key, ForeignKey("series.id"), primary_key=True)
    #: ``YYYYmmdd``.
    day: Mapped[str] = mapped_column(String(8), primary_key=True)
    slots: Mapped[int] = mapped_column(BigInteger)
    made: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)


class RunDecision(Base):
    """What the system decided about something, with the reason and its numbers."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "subject"), Index(None, "time"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    time: Mapped[datetime]
    subject: Mapped[str] = mapped_column(String(400))
    action: Mapped[str] = mapped_column(String(50))
    reason: Mapped[str]
    data: Mapped[dict[str, Any]]


class CostObservation(Base):
    """Cost of one logical job, and the features that predict it."""

    __tablename__ = "cost_observations"
    __table_args__ = (UniqueConstraint("run_id", "job"), Index(None, "module", "id"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), ForeignKey("runs.id"))
    job: Mapped[str] = mapped_column(String(200))
    module: Mapped[str] = mapped_column(String(100))
    features: Mapped[dict[str, Any]]
    cpu_s: Mapped[float] = mapped_column(Float)
    wall_s: Mapped[float] = mapped_column(Float)
    observed_at: Mapped[datetime]


class CostCoefficients(Base):
    """Fitted cost-model coefficients of a module; the newest row is used."""

    __tablename__ = "cost_coefficients"
    __table_args__ = (Index(None, "module", "id"),)

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    module: Mapped[str] = mapped_column(String(100))
    coefficients: Mapped[dict[str, Any]]
    observations: Mapped[int] = mapped_column(Integer)
    fitted_at: Mapped[datetime]


class ProcessLease(Base):
    """Who may act as the one daemon of this store, and until when."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    token: Mapped[str] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(BigInteger)
    pid_started: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
