"""State of everything, load, timeline and costs as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from dynamo.overview import DaemonSeen, DataSeen, FleetSeen, ProblemSeen, RunSeen


class Caller(BaseModel):
    """Who asks."""

    name: str
    roles: Annotated[list[str], Field(description="`viewer`, `operator`, `admin`, `reporter` of jobs.")]


class StatusShown(BaseModel):
    """State of everything at a glance: what `dynamo status` shows, and who asks."""

    now: datetime
    version: str
    store: Annotated[str, Field(description="Its URL, without a password.")]
    daemons: list[DaemonSeen]
    runs: Annotated[dict[str, int], Field(description="Runs made in the last 24 hours by state.")]
    waiting: Annotated[int, Field(description="Runs that nobody has begun.")]
    at_work: Annotated[int, Field(description="Runs that are worked on.")]
    running: Annotated[list[RunSeen], Field(description="The newest of these.")]
    data: Annotated[list[DataSeen], Field(description="How data come, the worst first.")]
    problems: Annotated[int, Field(description="Open ones.")]
    open_problems: Annotated[list[ProblemSeen], Field(description="The newest of these.")]
    fleets: list[FleetSeen]
    troubles: Annotated[list[str], Field(description="What somebody should look at; empty if all is well.")]
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
