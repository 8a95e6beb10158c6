"""Options of the predictive policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynamo.autoscale.model import GroupOption
from dynamo.autoscale.policies.options import Options


class PredictiveOptions(Options):
    """Options of `predictive`."""

    caution: Annotated[
        float,
        Field(ge=0, le=2, description="Work counts as expected (0) to as what it exceeds once in ten times (1)."),
    ] = 0.5
    utilisation: Annotated[
        float,
        Field(gt=0, le=1, description="Share of a worker's time that jobs can fill: the rest is start, end, waiting."),
    ] = 0.8
    overhead_s: Annotated[
        float, Field(ge=0, description="Time between the end of the computing and the product, and before it, s.")
    ] = 10.0
    lead_s: Annotated[
        float, Field(ge=0, description="Workers are asked for so long before they must be on their way, s.")
    ] = 60.0
    catch_up_s: Annotated[
        float, Field(gt=0, description="Work that cannot be in time any more is caught up with within this, s.")
    ] = 60.0
    settle_s: Annotated[
        float,
        Field(
            ge=0,
            description="Fewer workers must have been enough for so long before any goes, s; each time that workers "
            "are bought back soon after, the time is doubled, and halved again after some calm hours.",
        ),
    ] = 180.0
    settle_most_s: Annotated[
        float, Field(ge=0, description="The longest that the time of `settle_s` is made by doubling, s.")
    ] = 3600.0
    hold_boots: Annotated[
        float,
        Field(ge=0, description="An idle worker is held for so many boot times longer than a new one would take."),
    ] = 0.5
    release_before_s: Annotated[
        float, Field(ge=0, description="A worker that is paid for ahead goes so long before that ends, s.")
    ] = 120.0
    background_s: Annotated[
        float,
        Field(gt=0, description="Work that nobody waits for gets as many workers as finish it in this time, s."),
    ] = 14400.0
    surprise_s: Annotated[
        float,
        Field(
            ge=0,
            description="Work that came though nobody had said so is taken to go on coming; it is forgotten over about "
            "this time, s. 0 believes the forecast.",
        ),
    ] = 600.0
    bin_s: Annotated[
        float, Field(ge=1, le=600, description="Resolution of the plan, s; a tenth of the deadlines or less.")
    ] = 5.0


def look_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return how far a group looks ahead when it may grow, s: what is ready later can be asked for later."""
    return option.boot.p90_s + settings.lead_s


def hold_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return how far a group looks ahead when it may shrink, s: an idle worker is held for what a new one costs."""
    return look_s(settings, option) + settings.hold_boots * option.boot.median_s


def mean_over_s(settings: PredictiveOptions) -> float:
    """Return over what time the flow of work is averaged, s."""
    return max(settings.lead_s, 4 * settings.bin_s)


def pace_at_s(settings: PredictiveOptions, option: GroupOption) -> float:
    """Return from when on a new worker of a group must keep pace with the flow of work, s from now."""
    return max(option.boot.p90_s, mean_over_s(settings))
