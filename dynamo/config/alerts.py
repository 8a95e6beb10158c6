"""The section `[alerts]` of `dynamo.toml`: whom to tell, when, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from dynamo.documents.section import ByKind, Section
from dynamo.doors import CHANNELS

Hazard = Literal["storm", "hail"]
HAZARDS: tuple[Hazard, ...] = ("storm", "hail")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class ChannelSection(Section):
    """A way to tell people; one `[[alerts.channels]]` for each. Its kind has options of its own, beside these."""

    #: How many messages go at a time where `batch` says nothing.
    TOGETHER: ClassVar[int] = 1

    name: Name = Field(description="Name of the channel, as places and `dynamo alerts` use it.")
    kind: str = Field(description="`file`, `webhook`, `apprise`, or the kind of an installed package.")
    timeout_s: float = Field(10.0, gt=0, le=300, description="Seconds until an attempt counts as failed.")
    retry_s: float = Field(
        2.0, gt=0, le=3600, description="Seconds before the second attempt; each further pause is twice as long."
    )
    longest_retry_s: float = Field(300.0, gt=0, le=86_400, description="The longest of these pauses, seconds.")
    batch: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Messages that wait go together, up to so many at a time. Without it 1000 for a file, 100 for a "
        "webhook, 10 for Apprise.",
    )

    @property
    def together(self) -> int:
        """How many messages go at a time."""
        return self.batch or self.TOGETHER


class AlertsSection(Section):
    """Who is told of storms and hail; without `places` nobody is."""

    places: str | None = Field(None, description="GeoJSON of the places, see docs/alerts.md.")
    distance_km: float = Field(
        5.0, ge=0, le=200, description="How near is near, km, for places that do not say it themselves."
    )
    level_dbz: float = Field(45.0, ge=-30, le=100, description="Least contour level of a storm, dBZ, likewise.")
    hail_mm: float = Field(0.0, ge=0, le=300, description="Least hail size, mm, likewise; 0 is any hail.")
    lead_min: int = Field(30, ge=0, le=1440, description="How long ahead storms are told of, minutes, likewise.")
    products: list[Hazard] = Field(default=["storm", "hail"], description="What of, likewise.")
    step_dbz: float = Field(5.0, gt=0, le=100, description="Told again when the storm is so much stronger, dBZ.")
    step_mm: float = Field(10.0, gt=0, le=300, description="Told again when the hail is so much larger, mm.")
    sooner_min: float = Field(10.0, gt=0, le=1440, description="Told again when the storm comes so much sooner, min.")
    clear_min: float = Field(
        15.0, ge=0, le=1440, description="Over when nothing was near for so many minutes of products' time."
    )
    late_min: float = Field(
        30.0, gt=0, le=1e8, description="Products older than this, in minutes, alert nobody (`run` and the daemon)."
    )
    expire_min: float = Field(60.0, gt=0, le=100_000, description="A message is given up after so many minutes.")
    keep_days: float = Field(30.0, gt=0, description="Days until messages and ended events are removed from the store.")
    channels: list[Annotated[ChannelSection, ByKind(CHANNELS)]] = Field(
        default_factory=list, description="The channels."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [channel.name for channel in self.channels]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two channels are named {min(twice)}")
        return self
