"""State of everything, load, timeline and costs as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class DaemonItem(BaseModel):
    """A daemon of this store."""

    name: Annotated[str, Field(examples=["watch", "fleet-daemon:*"])]
    alive: bool
    since: Annotated[datetime | None, Field(description="When it began; null if not known.")]
    seen_at: Annotated[datetime | None, Field(description="When it last said that it lives.")]
    host: str


class Caller(BaseModel):
    """Who asks."""

    name: str
    roles: Annotated[list[str], Field(description="`viewer`, `operator`, `admin`, `reporter` of jobs.")]


class StatusShown(BaseModel):
    """State of everything at a glance."""

    now: datetime
    version: str
    store: Annotated[str, Field(description="Its URL, without a password.")]
    daemons: list[DaemonItem]
    problems: Annotated[int, Field(description="Open ones.")]
    runs: Annotated[dict[str, int], Field(description="Runs made in the last 24 hours by state.")]
    you: Caller


class LoadPoint(BaseModel):
    """Demand and capacity at a time, of all fleets."""

    at: datetime
    demand_cores: float
    capacity_cores: Annotated[float | None, Field(description="Null ahead: nobody knows it yet.")]
    kind: Literal["past", "forecast"]


class LoadShown(BaseModel):
    """Demand against capacity, as the autoscaler saw and sees it."""

    now: datetime
    points: list[LoadPoint]
    sentence: str


class TimelineBucket(BaseModel):
    """Runs of one workflow and state that were created in a part of the range."""

    at: datetime
    workflow: str
    state: str
    count: int
    p50_s: Annotated[float | None, Field(description="Median time from creation to end.")]
    p95_s: float | None


class WorkerBucket(BaseModel):
    """Workers of a site that were there in a part of the range."""

    at: datetime
    site: str
    workers: int


class Timeline(BaseModel):
    """Runs by workflow and workers by site on one axis."""

    since: datetime
    until: datetime
    bucket_s: float
    runs: list[TimelineBucket]
    workers: list[WorkerBucket]


class CostItem(BaseModel):
    """What one site, workflow or kind of product cost."""

    key: str
    fleet: str
    currency: str
    cost: float
    core_hours: float
    busy_core_hours: float
    idle_share: float
    products: Annotated[int | None, Field(description="By product: how many were published.")]
    cost_each: float | None


class BudgetItem(BaseModel):
    """What a fleet may cost, and what it cost so far."""

    fleet: str
    currency: str
    total: float | None
    per_day: float | None
    spent: float
    spent_today: float


class CostsShown(BaseModel):
    """What fleets cost in a range, and what is left."""

    by: str
    since: datetime
    until: datetime
    items: list[CostItem]
    budgets: list[BudgetItem]
