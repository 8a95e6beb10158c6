"""Options of the predictive policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynamo.autoscale.model import GroupOption
from dynamo.autoscale.policies.options import PolicyOptions


class PredictiveOptions(PolicyOptions):
    """Options of `predictive`."""

    caution: Annotated[
        float,
        Field(ge=0, le=2, description="Estimate of work: 0 for the expected amount, 1 for its 90th percentile."),
    ] = 0.5
    utilisation: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of a worker's time that jobs can fill; the rest is startup, shutdown and waiting.",
        ),
    ] = 0.8
    overhead_s: Annotated[
        float, Field(ge=0, description="Time before and after computing until the product is published, s.")
    ] = 10.0
    lead_s: Annotated[
        float, Field(ge=0, description="Request workers this long before they must start booting, s.")
    ] = 60.0
    catch_up_s: Annotated[
        float, Field(gt=0, description="Catch up within this time with work that can no longer be on time, s.")
    ] = 60.0
    settle_s: Annotated[
        float,
        Field(
            ge=0,
            description="Release workers only after fewer have been enough for this long, s; doubled each time workers "
            "are bought back soon after, and halved again after some calm hours.",
        ),
    ] = 180.0
    settle_most_s: Annotated[float, Field(ge=0, description="Maximum of `settle_s` after doubling, s.")] = 3600.0
    hold_boots: Annotated[
        float,
        Field(ge=0, description="Hold an idle worker this many boot times longer than a new one would take."),
    ] = 0.5
    release_before_s: Annotated[
        float, Field(ge=0, description="Release a prepaid worker this long before its paid time ends, s.")
    ] = 120.0
    background_s: Annotated[
        float,
        Field(gt=0, description="Finish work without a deadline within this time, s."),
    ] = 14400.0
    surprise_s: Annotated[
        float,
        Field(
            ge=0,
            description="Assume that unforeseen work keeps arriving, and forget it over about this time, s; 0 trusts "
            "the forecast.",
        ),
    ] = 600.0
    bin_s: Annotated[
        float, Field(ge=1, le=600, description="Resolution of the plan, s; at most a tenth of the deadlines.")
    ] = 5.0


def look_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return how far a group looks ahead to grow, s: work that is ready later can wait."""
    return option.boot.p90_s + settings.lead_s


def hold_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return how far a group looks ahead to shrink, s: an idle worker is held for what a new one costs."""
    return look_s(settings, option) + settings.hold_boots * option.boot.median_s


def mean_over_s(settings: PredictiveOptions) -> float:
    """Return the averaging time for the flow of work, s."""
    return max(settings.lead_s, 4 * settings.bin_s)


def pace_at_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return when a new worker of a group must start to keep pace with the flow of work, s from now."""
    return max(option.boot.p90_s, mean_over_s(settings))
