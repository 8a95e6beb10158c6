"""Fleet tables: requested and actual workers, events with their reasons, and costs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")


class Fleet(Base):
    """All workers of one spec. ``id`` is the tag of its servers: names may be reused, ids never.

    ``document`` is the spec as given; ``spec`` has relative lease times resolved to absolute ones.
    """

    __tablename__ = "fleets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(20))
    spec: Mapped[dict[str, Any]]
    document: Mapped[dict[str, Any]]
    next_number: Mapped[int] = mapped_column(Integer)
    base: Mapped[str]
    applied_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FleetWish(Base):
    """Requested number of workers of one group, with source and reason."""

    __tablename__ = "fleet_wishes"

    fleet: Mapped[str] = mapped_column(String(63), primary_key=True)
    group: Mapped[str] = mapped_column(String(130), primary_key=True)
    site: Mapped[str] = mapped_column(String(130))
    wanted: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    updated_at: Mapped[datetime]


class Worker(Base):
    """One worker, from request to server deletion. Rows are stored before the site is contacted."""

    __tablename__ = "workers"
    __table_args__ = (
        UniqueConstraint("fleet", "name"),
        Index(None, "fleet", "state"),
        Index(None, "fleet", "ended_at"),
        Index(None, "fleet", "revoked"),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    fleet: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(63))
    site: Mapped[str] = mapped_column(String(130))
    group: Mapped[str] = mapped_column(String(130))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    since: Mapped[datetime]
    flavor: Mapped[str] = mapped_column(String(200))
    cpus: Mapped[int] = mapped_column(Integer)
    ram_mb: Mapped[int] = mapped_column(Integer)
    cost_per_hour: Mapped[float] = mapped_column(Float)
    server_id: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(Integer)
    attempted_at: Mapped[datetime | None]
    unsure: Mapped[bool] = mapped_column(Boolean)
    addresses: Mapped[list[str]] = mapped_column(JSON)
    requested_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    active_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    busy_cpus: Mapped[int] = mapped_column(Integer)
    jobs: Mapped[int] = mapped_column(Integer)
    drain_at: Mapped[datetime | None]
    drain_deadline: Mapped[datetime | None]
    drained_by: Mapped[str] = mapped_column(server_default="")
    lease_end: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    jobs_killed: Mapped[int] = mapped_column(Integer)
    revoked: Mapped[bool] = mapped_column(Boolean)
    billed_until: Mapped[datetime | None]


class FleetEvent(Base):
    """Something that happened to a fleet, site or worker, with the reason."""

    __tablename__ = "fleet_events"
    __table_args__ = (Index(None, "fleet", "id"), Index(None, "time"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    time: Mapped[datetime]
    fleet: Mapped[str] = mapped_column(String(63))
    site: Mapped[str] = mapped_column(String(130))
    worker: Mapped[str] = mapped_column(String(63))
    action: Mapped[str] = mapped_column(String(50))
    reason: Mapped[str]
    data: Mapped[dict[str, Any]]


class SiteHealth(Base):
    """Health of a site: the state of its circuit breaker, which outlives the process."""

    __tablename__ = "site_health"

    fleet: Mapped[str] = mapped_column(String(63), primary_key=True)
    site: Mapped[str] = mapped_column(String(130), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    retry_at: Mapped[datetime | None]
    kind: Mapped[str] = mapped_column(String(20))
    error: Mapped[str]
    listed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class WorkerHour(Base):
    """Cost of one worker in one clock hour."""

    __tablename__ = "worker_hours"
    __table_args__ = (Index(None, "fleet", "hour"),)

    fleet: Mapped[str] = mapped_column(String(63), primary_key=True)
    worker: Mapped[str] = mapped_column(String(63), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    site: Mapped[str] = mapped_column(String(130))
    group: Mapped[str] = mapped_column(String(130))
    flavor: Mapped[str] = mapped_column(String(200))
    cost_per_hour: Mapped[float] = mapped_column(Float)
    seconds: Mapped[float] = mapped_column(Float)
    cost: Mapped[float] = mapped_column(Float)
    core_s: Mapped[float] = mapped_column(Float)


class WorkerUse(Base):
    """Use of a worker by one job, the basis for allocating cost to runs and workflows."""

    __tablename__ = "worker_uses"
    __table_args__ = (Index(None, "fleet", "ended_at"), Index(None, "fleet", "worker"), Index(None, "run"))

    fleet: Mapped[str] = mapped_column(String(63), primary_key=True)
    job: Mapped[str] = mapped_column(String(200), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(63))
    core_s: Mapped[float] = mapped_column(Float)
    ok: Mapped[bool] = mapped_column(Boolean)
    wall_s: Mapped[float] = mapped_column(Float)
    run: Mapped[str] = mapped_column(String(64))
    workflow: Mapped[str] = mapped_column(String(200))


class ApiToken(Base):
    """An API token and its scopes; only a hash of the token is stored."""

    __tablename__ = "api_tokens"

    name: Mapped[str] = mapped_column(String(130), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    #: Whose it is; empty for one of nobody.
    user: Mapped[str] = mapped_column(String(100), default="", server_default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
