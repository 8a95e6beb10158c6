"""The section `[autoscale]` of `dynamo.toml`: whether a fleet follows the weather, by what policy, how often."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dynamo.documents.part_name import PartName
from dynamo.doors import POLICIES

SourceName = Literal["queue", "runs", "forecast"]
SOURCES: tuple[SourceName, ...] = ("queue", "runs", "forecast")

Site = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*:[A-Za-z0-9_.@-]+$")]


class AutoscaleSection(BaseModel):
    """How the fleet whose pool runs the workflows follows demand; see docs/howto/autoscale.md."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    enabled: bool = Field(
        False, description="Let `dynamo-provision daemon` scale the fleet; `dynamo autoscale` always does."
    )
    fleet: str | None = Field(
        None, description="The fleet to scale: the one whose pool runs the workflows. Default: the only live fleet."
    )
    policy: Annotated[str, PartName(POLICIES)] = Field(
        "predictive", description="Scaling policy; `dynamo autoscale policies` lists them with their options."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the policy.")
    every_s: float = Field(30.0, ge=0.5, le=3600, description="Seconds between decisions.")
    horizon_s: float = Field(3600.0, ge=60, le=86_400, description="How far ahead to estimate demand, in seconds.")
    sources: list[SourceName] = Field(
        default=list(SOURCES),
        min_length=1,
        description="Where demand comes from: jobs in the pool, runs in the store, the load forecast.",
    )
    sites: dict[str, Site] = Field(
        default_factory=dict,
        description="Pin workflows to a site: workflow = `Cloud:Region`. Their capacity is bought there, and their "
        "jobs run only there.",
    )
    trace_s: float = Field(
        600.0, ge=10, description="Also store what decisions are based on every N seconds while nothing changes."
    )
    reserved_share: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="When more work is due than capacity can be bought for, reserve this share of `runs.max_runs` (at "
        'least one run) for triggers with `shed = "never"`.',
    )
