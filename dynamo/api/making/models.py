"""Services and backfills as the API shows them, and orders about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dynamo.api.models import OrderBody, Text
from dynamo.api.paging import Page
from dynamo.api.run.models import RunItem


class ServiceItem(BaseModel):
    """Something that makes runs."""

    name: str
    kind: Annotated[
        Literal["continuous", "request", "instant"],
        Field(
            description="`continuous`: a trigger; `request`: a backfill, behind all live work; "
            "`instant`: a workflow that a person starts."
        ),
    ]
    workflow: str
    parameters: Annotated[dict[str, Any], Field(description="Those that are not the workflow's own defaults.")] = {}
    state: Literal["active", "paused", "down"]
    why: Annotated[str, Field(description="Why it is paused or down.")]
    waits_for: str
    last_run: Annotated[RunItem | None, Field(description="Null: none in the last 7 days.")]
    runs: Annotated[int, Field(description="Made in the last 24 hours.")]
    products: Annotated[int, Field(description="Published in the last 24 hours.")]


class ServiceList(Page[ServiceItem]):
    """All services."""


class BackfillOrder(OrderBody):
    """A trigger or workflow to make again over a range of valid times."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"what": "storms", "since": "2026-06-10T00:00Z", "until": "2026-06-11T00:00Z", "name": "trial"}
        }
    )
    what: Annotated[Text, Field(description="A trigger of the configuration; or a workflow, with `feed`.")]
    since: Text
    until: Annotated[Text, Field(description="Does not belong to the range.")]
    radars: Annotated[list[Text], Field(max_length=500, default_factory=list, description="Empty: all.")]
    parameters: Annotated[dict[Text, Any], Field(max_length=100, default_factory=dict, description="Changed ones.")]
    name: Annotated[str, Field(max_length=64, description="Publish beside the current products, under this name.")] = ""
    at_most: Annotated[int, Field(ge=1, le=1000, description="Runs at once.")] = 1
    feed: Annotated[Text | None, Field(description="Feed whose arrivals a workflow takes.")] = None
    input: Annotated[Text | None, Field(description="Workflow input that gets the file.")] = None
    engine: Text | None = None


class BackfillPlanShown(BaseModel):
    """What a backfill would do."""

    slots: Annotated[int, Field(description="Valid times with data in the range.")]
    runs: Annotated[int, Field(description="Would be made.")]
    up_to_date: int
    refused: Annotated[int, Field(description="Not started by the trigger.")]
    gone: Annotated[int, Field(description="Without input.")]
    core_h: float
    hours: Annotated[float, Field(description="Until it is done, without live work.")]
    cost: Annotated[float | None, Field(description="Null: no price of a core-hour is known.")]
    gone_inputs: list[str]


class BackfillItem(BaseModel):
    """One backfill, and how far it is."""

    id: str
    state: Annotated[str, Field(description="`active`, `paused`, `done` or `cancelled`.")]
    reason: str
    phase: str
    trigger: str
    workflow: str
    name: Annotated[str, Field(description="What its products are published under; empty: as the current ones.")]
    since: datetime
    until: datetime
    position: Annotated[datetime | None, Field(description="The last valid time looked at.")]
    radars: list[str]
    folder: str
    parameters: dict[str, Any]
    engine: str
    at_most: int
    slots: int
    made: int
    up_to_date: int
    refused: int
    gone: int
    runs: Annotated[dict[str, int], Field(description="Its runs by state.")]
    created: datetime
    finished: datetime | None
    promoted: datetime | None


class BackfillList(Page[BackfillItem]):
    """Backfills, newest first."""


class PromotedShown(BaseModel):
    """How many runs of a backfill became current, and how many could not."""

    runs: int
    gone: int
    busy: int
