"""The section `[autoscale]` of `dynamo.toml`: whether a fleet follows the weather, by which policy, how often."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dynamo.documents.part_name import PartName
from dynamo.doors import POLICIES

SourceName = Literal["queue", "runs", "forecast"]
SOURCES: tuple[SourceName, ...] = ("queue", "runs", "forecast")

Site = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*:[A-Za-z0-9_.@-]+$")]


class AutoscaleSection(BaseModel):
    """How the fleet on whose pool the runs are follows demand; see docs/autoscale.md."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    enabled: bool = Field(
        False, description="Let `dynamo-provision daemon` scale the fleet; `dynamo autoscale` does it in any case."
    )
    fleet: str | None = Field(
        None, description="The fleet on whose pool the runs are. Without it the only one that lives."
    )
    policy: Annotated[str, PartName(POLICIES)] = Field(
        "predictive", description="How is decided; `dynamo autoscale policies` shows each and its options."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the policy.")
    every_s: float = Field(30.0, ge=0.5, le=3600, description="Seconds between two decisions.")
    horizon_s: float = Field(3600.0, ge=60, le=86_400, description="How far ahead demand is looked for, seconds.")
    sources: list[SourceName] = Field(
        default=list(SOURCES),
        min_length=1,
        description="What tells of work: jobs of the pool, runs of the store, the forecast of the load.",
    )
    sites: dict[str, Site] = Field(
        default_factory=dict,
        description="Workflows that must run at one site: workflow = `Cloud:Region`. Capacity is bought there for them,"
        " and their jobs run only there.",
    )
    trace_s: float = Field(
        600.0, ge=10, description="What a decision was made from is also stored without a change, this often, seconds."
    )
    reserved_share: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="While more work is due than can be bought, this share of `runs.max_runs`, at least one, is kept "
        'for triggers with `shed = "never"`.',
    )
