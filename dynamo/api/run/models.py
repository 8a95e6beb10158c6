"""Runs and products as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dynamo.api.models import OrderBody, Text
from dynamo.api.paging import Page


class RunItem(BaseModel):
    """One run in a list."""

    id: str
    workflow: str
    radar: Annotated[str, Field(description="The one radar whose data it has; empty for several or none.")]
    state: str
    reason: str
    valid_at: Annotated[datetime | None, Field(description="Time of the data.")]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime | None
    duration_s: Annotated[float | None, Field(description="From its creation to its end.")]
    trigger: Annotated[str, Field(description="What started it; `submit` for a person.")]
    owner: Annotated[str, Field(description="Who ordered it; empty for triggers and backfills.")]
    engine: str
    products: Annotated[int, Field(description="Published files.")]
    background: Annotated[bool, Field(description="Whether it belongs to a backfill.")]


class Runs(Page[RunItem]):
    """A page of runs, newest first."""


class RunInputFile(BaseModel):
    """One input of a run."""

    port: str
    path: str
    sha256: str
    bytes: int


class JobShown(BaseModel):
    """How one job of a run ended."""

    job: str
    module: str
    state: Annotated[str, Field(description="`succeeded`, `failed` or `skipped`.")]
    reason: Annotated[str, Field(description="Why it failed or was skipped.")]
    wall_s: float
    cpu_s: float
    started_at: datetime | None
    ended_at: datetime | None
    metrics: dict[str, Any]


class LogFile(BaseModel):
    """One log of a run, of a task or of what executes it."""

    name: Annotated[str, Field(examples=["logs/nowcast.out"])]
    bytes: int


class ProductItem(BaseModel):
    """One published file."""

    id: int
    run: str
    workflow: str
    radar: str
    name: str
    output: Annotated[str, Field(description="The output of the document, as JOB.PORT.")]
    path: str
    tier: Annotated[str, Field(description="`hot`: here; `warm`: at another place; `gone`.")]
    bytes: int
    sha256: str
    lead_min: int | None
    valid_at: datetime | None
    published_at: datetime | None


class Products(Page[ProductItem]):
    """A page of products, newest first."""


class DecisionItem(BaseModel):
    """What was decided about something, why, and with which numbers."""

    id: int
    time: datetime
    subject: Annotated[str, Field(description="A run, or the path of a file.")]
    action: str
    reason: str
    data: dict[str, Any]


class CheckItem(BaseModel):
    """One value that was not good, found by a check."""

    id: int
    run: str
    series: str
    file: str
    check: str
    severity: str
    flag: Annotated[int, Field(description="3 suspect, 4 bad, 9 missing.")]
    value: float | None
    limit: float | None
    place: str
    time: datetime


class JobCounts(BaseModel):
    """Jobs of a run by how they stand."""

    total: int
    done: int
    failed: int


class RunDetail(RunItem):
    """One run with everything about it."""

    key: str
    version: str
    origin: str
    backfill: str
    variant: str
    standing: str
    priority: int
    attempts: int
    attended: Annotated[bool | None, Field(description="Whether a process works on it; null if it is over.")]
    software: str
    run_dir: str
    product_dir: str | None
    plan_reason: Annotated[str, Field(description="How its jobs were grouped into tasks, and why.")]
    predicted_s: Annotated[float, Field(description="CPU time as predicted.")]
    cpu_s: float
    times: dict[str, datetime | None]
    latencies: dict[str, float]
    parameters: dict[str, Any]
    counts: JobCounts
    inputs: list[RunInputFile]
    jobs: list[JobShown]
    skipped: Annotated[dict[str, str], Field(description="Jobs that were left out, with the reasons.")]
    logs: list[LogFile]
    product_files: list[ProductItem]
    decisions: list[DecisionItem]
    remarks: list[str]
    checks: list[CheckItem]
    cost: Annotated[float | None, Field(description="Its share of what workers cost; null if not known.")]
    currency: str


class WorkflowItem(BaseModel):
    """A workflow that may be run on request."""

    name: str
    version: str
    description: str
    inputs: Annotated[dict[str, str], Field(description="Inputs and their formats.")]
    optional: Annotated[list[str], Field(description="Inputs that may be left out.")]
    many: Annotated[list[str], Field(description="Inputs that take several files.")]
    parameters: Annotated[dict[str, Any], Field(description="With their defaults.")]


class WorkflowList(Page[WorkflowItem]):
    """All workflows."""


class Uploaded(BaseModel):
    """A stored file."""

    upload: Annotated[str, Field(description="Names it in an order.")]
    name: str


class InputRef(OrderBody):
    """One file: an upload, an arrival, a product, or, for callers on the server itself, a path there."""

    upload: Text | None = None
    arrival: Annotated[int | None, Field(ge=1, le=2**62)] = None
    product: Annotated[int | None, Field(ge=1, le=2**62)] = None
    path: Annotated[str | None, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("one of upload, arrival, product, path")
        return self


class RunOrder(OrderBody):
    """What to run."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"workflow": "nowcast", "inputs": {"nowcast": [{"arrival": 17}]}}}
    )
    workflow: Text
    inputs: Annotated[
        dict[Text, Annotated[list[InputRef], Field(max_length=1000)]], Field(max_length=100, default_factory=dict)
    ]
    parameters: Annotated[dict[Text, Any], Field(max_length=100, default_factory=dict)]
    engine: Text | None = None
    force: Annotated[bool, Field(description="Make the products again even if they are there.")] = False


class RunOrdered(BaseModel):
    """A stored order."""

    id: str
    state: str
    new: Annotated[bool, Field(description="Whether the run was made by this order.")]
    run: Annotated[str, Field(description="Path of the run.", examples=["/v1/runs/3f9a21bc00de"])]
