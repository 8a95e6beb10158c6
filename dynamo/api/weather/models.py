"""What the map shows, as the API sends it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from dynamo.api.paging import Page


class FeatureCollection(BaseModel):
    """GeoJSON (RFC 7946)."""

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]


class NowcastFrame(BaseModel):
    """A nowcast that there is."""

    run: str
    workflow: str
    radar: str
    issued_at: datetime | None
    leads_min: list[int]
    ahead: Annotated[bool, Field(description="Of a clock that is ahead: not the newest, whatever its time.")]


class HailFrame(BaseModel):
    """A hail product that there is."""

    run: str
    product: int
    workflow: str
    radar: str
    valid_at: datetime | None
    ahead: Annotated[bool, Field(description="As of nowcasts.")]


class Frames(BaseModel):
    """The times that the map can show, the oldest first."""

    nowcasts: list[NowcastFrame]
    hail: list[HailFrame]


class LeadShown(BaseModel):
    """One lead of a nowcast."""

    lead_min: int
    valid_at: str
    product: Annotated[int, Field(description="Where the whole file is: `/v1/products/{product}/file`.")]
    contours: Annotated[
        FeatureCollection,
        Field(description="By level; properties `level_dbz`, `max_dbz`, `area_km2`. Rounded to 11 m."),
    ]


class NowcastShown(BaseModel):
    """All leads of a nowcast."""

    run: str
    workflow: str
    issued_at: str
    levels_dbz: list[float]
    leads: list[LeadShown]


class HailShown(BaseModel):
    """The hail areas of one product."""

    run: str
    product: int
    workflow: str
    radar: str
    valid_at: str
    areas: Annotated[
        FeatureCollection, Field(description="Properties as in the product, such as `size_mm`. Rounded to 11 m.")
    ]


class HailList(Page[HailShown]):
    """Hail areas of several products."""


class RadarItem(BaseModel):
    """A radar, where it is, and how its data come."""

    radar: str
    feed: str
    state: Annotated[str, Field(description="`fresh`, `late`, `silent`, `not expected`; empty if not watched.")]
    reason: str
    latitude: float
    longitude: float
    range_km: float | None
    last_valid_at: datetime


class RadarList(Page[RadarItem]):
    """All radars whose place is known."""
