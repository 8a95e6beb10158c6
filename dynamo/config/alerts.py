"""The section `[alerts]` of `dynamo.toml`: whom to alert, when and how."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from dynamo.documents.section import ByKind, Section
from dynamo.doors import CHANNELS

Hazard = Literal["storm", "hail"]
HAZARDS: tuple[Hazard, ...] = ("storm", "hail")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class ChannelSection(Section):
    """Where alerts are sent; one `[[alerts.channels]]` per channel. Each kind adds its own options."""

    #: Messages sent at a time when `batch` is not set.
    TOGETHER: ClassVar[int] = 1

    name: Name = Field(description="Name of the channel, used by places and `dynamo alerts`.")
    kind: str = Field(description="`file`, `webhook`, `apprise`, or a kind from an installed package.")
    audience: Literal["places", "operators"] = Field(
        "places",
        description="Who reads it: `places` gets alerts to weather; `operators` gets problems of feeds, workflows, and "
        "jobs instead, with or without places.",
    )
    timeout_s: float = Field(10.0, gt=0, le=300, description="Time limit of one attempt, in seconds.")
    retry_s: float = Field(2.0, gt=0, le=3600, description="Seconds before the first retry; doubles with each retry.")
    longest_retry_s: float = Field(300.0, gt=0, le=86_400, description="Longest pause between retries, in seconds.")
    batch: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Send up to N waiting messages together. Default: 1000 for a file, 100 for a webhook, 10 for "
        "Apprise.",
    )

    @property
    def together(self) -> int:
        """Messages sent at a time."""
        return self.batch or self.TOGETHER


class AlertsSection(Section):
    """Who is alerted to storms and hail (nobody without `places`). Places may set their own limits, lead, products."""

    places: str | None = Field(None, description="GeoJSON file of the places to warn; see docs/howto/alerts.md.")
    distance_km: float = Field(5.0, ge=0, le=200, description="Alert within this distance of a place, in km.")
    level_dbz: float = Field(45.0, ge=-30, le=100, description="Lowest contour level that alerts, in dBZ.")
    hail_mm: float = Field(0.0, ge=0, le=300, description="Smallest hail that alerts, in mm; 0: any.")
    lead_min: int = Field(30, ge=0, le=1440, description="Alert up to this many minutes ahead.")
    products: list[Hazard] = Field(default=["storm", "hail"], description="Hazards to alert to.")
    step_dbz: float = Field(5.0, gt=0, le=100, description="Alert again when the storm is N dBZ stronger.")
    step_mm: float = Field(10.0, gt=0, le=300, description="Alert again when the hail is N mm larger.")
    sooner_min: float = Field(10.0, gt=0, le=1440, description="Alert again when the storm is due N minutes sooner.")
    clear_min: float = Field(
        15.0, ge=0, le=1440, description="All clear after N minutes of product time with nothing near."
    )
    late_min: float = Field(
        30.0, gt=0, le=1e8, description="Do not alert on products older than this, in minutes (`run` and the daemon)."
    )
    expire_min: float = Field(60.0, gt=0, le=100_000, description="Give up on a message after N minutes.")
    keep_days: float = Field(30.0, gt=0, description="Days to keep messages and finished events in the store.")
    channels: list[Annotated[ChannelSection, ByKind(CHANNELS)]] = Field(
        default_factory=list, description="Channels; see below."
    )

    def channels_for(self, audience: Literal["places", "operators"]) -> list[ChannelSection]:
        """Return the channels that have this audience."""
        return [channel for channel in self.channels if channel.audience == audience]

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [channel.name for channel in self.channels]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two channels are named {min(twice)}")
        return self
