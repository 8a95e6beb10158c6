"""Feeds, arrivals, assets, problems, alerts as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dynamo.api.models import OrderBody, Text
from dynamo.api.paging import Page
from dynamo.api.run.models import CheckItem, DecisionItem


class FeedRadar(BaseModel):
    """How one radar of a feed comes."""

    radar: str
    state: Annotated[str, Field(description="`fresh`, `late`, `silent` or `not expected`.")]
    reason: str
    last_valid_at: datetime | None
    last_arrival_at: datetime | None
    age_s: float | None
    late_after_s: Annotated[float | None, Field(description="Age at which it is late; null if not known.")]


class FeedItem(BaseModel):
    """A feed, and how its data come."""

    name: str
    kind: str
    state: Annotated[str, Field(description="The worst of its radars.")]
    last_valid_at: datetime | None
    last_arrival_at: datetime | None
    per_radar: list[FeedRadar]
    waiting: Annotated[int, Field(description="Unfinished runs that its triggers started.")]
    quarantined: Annotated[int, Field(description="Refused files that wait for a person.")]


class Feeds(Page[FeedItem]):
    """All configured feeds."""


class ArrivalItem(BaseModel):
    """One file that came, or was refused."""

    id: int
    feed: str
    path: str
    bytes: int
    state: Annotated[str, Field(description="`accepted`, `duplicate`, `quarantined`, `released` or `dropped`.")]
    reason: str
    radar: str
    valid_at: datetime | None
    detected_at: datetime
    recorded_at: datetime
    sha256: str | None


class Arrivals(Page[ArrivalItem]):
    """A page of arrivals, newest first."""


class ProblemItem(BaseModel):
    """Something that is, or was, late, silent or failed."""

    id: int
    subject: Annotated[str, Field(examples=["feed:dfw/KFWS"])]
    state: Annotated[str, Field(description="`late`, `silent` or `failed`.")]
    reason: str
    opened_at: datetime
    closed_at: Annotated[datetime | None, Field(description="Null while it is open.")]
    ending: str
    told: Annotated[bool, Field(description="Whether the operators got a message.")]


class ProblemList(Page[ProblemItem]):
    """A page of problems, newest first."""


class SeriesItem(BaseModel):
    """Counters of an asset for one radar and trigger."""

    radar: str
    trigger: str
    variant: str
    state: Annotated[str, Field(description="As of feeds; empty if it is not watched.")]
    slots: Annotated[int, Field(description="Valid times with data, each once.")]
    made: Annotated[int, Field(description="How often they were made.")]
    bytes: int
    oldest_at: datetime
    newest_at: datetime
    live_at: datetime | None
    heard_at: datetime | None


class AssetItem(BaseModel):
    """A named set of data: a feed, or an output of a workflow."""

    name: str
    kind: Annotated[str, Field(description="`feed` or `workflow`.")]
    of: str
    source: str
    output: str
    description: str
    owner: str
    dimensions: list[str]
    made_from: list[str]
    cadence_s: float | None
    state: Annotated[str, Field(description="The worst of its series; empty if it is not watched.")]
    series: list[SeriesItem]


class AssetList(Page[AssetItem]):
    """All assets."""


class AssetDay(BaseModel):
    """Counters of one series and day of valid time."""

    radar: str
    trigger: str
    day: Annotated[str, Field(examples=["2026-06-10"])]
    slots: int
    made: int
    bytes: int


class AssetGap(BaseModel):
    """Valid times that are missing."""

    radar: str
    trigger: str
    begin: datetime
    end: datetime
    missing: int


class AssetDetail(AssetItem):
    """One asset with its days and gaps in a range."""

    since: datetime
    until: datetime
    days: list[AssetDay]
    gaps: list[AssetGap]


class MakingItem(BaseModel):
    """One making of a partition: an arrival, or a published run."""

    valid_at: datetime | None
    radar: str
    standing: Annotated[str, Field(description="`current`, or `superseded` by a later making.")]
    origin: str
    name: Annotated[str, Field(description="The run, or the file.")]
    made_at: datetime | None
    bytes: int | None


class AssetHistory(Page[MakingItem]):
    """How the newest partitions were made."""


class LineageNode(BaseModel):
    """A file, and what made it or what was made from it."""

    path: str
    sha256: str
    role: str
    facts: dict[str, Any]
    run: dict[str, Any] | None
    files: list[LineageNode]
    more: int


class LineageTree(BaseModel):
    """What a file was made from, and all that was made from it."""

    file: LineageNode
    made: list[LineageNode]


class CheckRuleItem(BaseModel):
    """A check with its limits, as configured."""

    name: str
    subject: str
    description: str
    unit: str
    severity: str
    suspect: float | None
    fail: float | None
    low: bool
    usual: Annotated[bool, Field(description="Whether limits are standard deviations from the usual value.")]
    enabled: bool
    origin: str


class CheckRules(Page[CheckRuleItem]):
    """All checks."""


class CheckResults(Page[CheckItem]):
    """A page of values that were not good, newest first."""


class Decisions(Page[DecisionItem]):
    """A page of decisions, newest first."""


class DeliveryItem(BaseModel):
    """How a message fared on one channel."""

    channel: str
    state: str
    attempts: int
    error: str


class AlertItem(BaseModel):
    """One message about a place."""

    id: int
    created_at: datetime
    place: str
    hazard: str
    kind: str
    text: str
    deliveries: list[DeliveryItem]
    payload: dict[str, Any]


class Alerts(Page[AlertItem]):
    """A page of alerts, newest first."""


class OngoingAlert(BaseModel):
    """A hazard that a place is alerted to now."""

    hazard: str
    since: datetime
    strongest: Annotated[float, Field(description="dBZ for storms, mm for hail.")]


class PlaceItem(BaseModel):
    """A place that is alerted."""

    id: str
    name: str
    locality: str
    distance_km: float
    level_dbz: float
    hail_mm: float
    lead_min: int
    products: list[str]
    channels: Annotated[list[str] | None, Field(description="Null: all.")]
    geometry: Annotated[dict[str, Any], Field(description="GeoJSON.")]
    alerts: Annotated[list[OngoingAlert], Field(description="What goes on there; empty if nothing does.")]


class PlaceList(Page[PlaceItem]):
    """All places that are alerted."""


class ReviewItem(BaseModel):
    """A file that intake refused, or a run that a check kept back."""

    kind: Literal["file", "run"]
    id: Annotated[str, Field(description="The file's number, or the run.")]
    state: str
    source: Annotated[str, Field(description="The feed, or the workflow.")]
    path: str
    bytes: int
    reason: str
    since: datetime
    drawable: Annotated[bool, Field(description="Whether there is a file to draw: `/v1/reviews/{id}/picture`.")]
    checks: Annotated[list[CheckItem], Field(description="Of a run: what checks found in it, the worst first.")]


class ReviewList(Page[ReviewItem]):
    """What waits for a person."""


class ReviewOrder(OrderBody):
    """What a person decides about something that waits."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "the gap is a wind farm"}})
    reason: Annotated[Text, Field(description="Kept with the decision.")]
