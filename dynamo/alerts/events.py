"""When to alert a place: a pure state machine for one place and hazard, fed with products in time order.

An event starts with the first finding. Another message follows if the hazard becomes stronger by a step, or is due
sooner by some minutes, than last reported. The event is over once nothing has been near for some minutes of product
time: a silent feed ends no event. Only the radars that last saw the hazard can end it: others may not cover the place.
A product older than an event's end never reopens it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from dynamo.alerts.matching import Finding
from dynamo.config.alerts import AlertsSection, Hazard

Kind = Literal["start", "worse", "over"]


@dataclass(frozen=True)
class HazardEvent:
    """The newest event of one place and hazard.

    Attributes
    ----------
    number
        1 for the first event of this place and hazard, then 2, 3, ...
    open
        Whether it is still going on.
    began, seen
        Issue times of the first and the newest product that affected the place.
    ended
        Issue time of the product that ended it.
    told_strength, told_at
        The strength and the arrival time last reported.
    strongest
        The greatest strength of the event.
    messages
        Number of messages so far.
    eyes
        Who saw the hazard last (see `dynamo.alerts.hazards.HazardProduct`), one name per line; empty if unknown.
    """

    number: int
    open: bool
    began: datetime
    seen: datetime
    ended: datetime | None
    told_strength: float
    told_at: datetime
    strongest: float
    messages: int
    eyes: str = ""


@dataclass(frozen=True)
class Step:
    """The event after a product, and the message to send, if any: none if ``kind`` is None.

    ``only_seen`` means that only `HazardEvent.seen` (now the product's time) and `HazardEvent.eyes` have changed.
    """

    event: HazardEvent
    kind: Kind | None
    why: str = ""
    only_seen: bool = False


def advance(
    event: HazardEvent | None,
    finding: Finding | None,
    issued: datetime,
    hazard: Hazard,
    settings: AlertsSection,
    *,
    eyes: frozenset[str] = frozenset(),
) -> Step | None:
    """Return the next state of a place, or None if nothing changes.

    Parameters
    ----------
    event
        The newest event of the place; None if it never had one.
    finding
        What the product means for the place; None if nothing is near.
    issued
        Issue time of the product.
    hazard, settings
        Provide the steps and times.
    eyes
        Who observed: the product's radars, or its stream.
    """
    if event is not None and not event.open and issued <= (event.ended or event.seen):
        return None
    if finding is None:
        return None if event is None or not event.open else _maybe_over(event, issued, settings, eyes)
    silent = timedelta(minutes=settings.clear_min)
    if event is None or not event.open or issued - event.seen > silent:
        # A gap longer than `clear_min` means the old event ended unobserved: this is a new one.
        return Step(_begin(event, finding, issued, _seen_by(finding, eyes)), "start")
    return _go_on(event, finding, issued, hazard, settings, _seen_by(finding, eyes))


def _seen_by(finding: Finding, eyes: frozenset[str]) -> str:
    """Return which observers saw it: for a composite, only the radars of that polygon."""
    return "\n".join(sorted(eyes.intersection(finding.facts.get("radars", ())) or eyes))


def _begin(before: HazardEvent | None, finding: Finding, issued: datetime, eyes: str) -> HazardEvent:
    return HazardEvent(
        number=1 if before is None else before.number + 1,
        open=True,
        began=issued,
        seen=issued,
        ended=None,
        told_strength=finding.strength,
        told_at=finding.at,
        strongest=finding.strength,
        messages=1,
        eyes=eyes,
    )


def _go_on(
    event: HazardEvent, finding: Finding, issued: datetime, hazard: Hazard, settings: AlertsSection, eyes: str
) -> Step | None:
    step = settings.step_dbz if hazard == "storm" else settings.step_mm
    stronger = finding.strength >= event.told_strength + step
    # Only a hazard still ahead can come sooner; one already near has been reported.
    sooner = event.seen <= issued < event.told_at and finding.at <= event.told_at - timedelta(
        minutes=settings.sooner_min
    )
    # Radars scan out of step: an older sweep of another radar counts, but does not turn time back.
    only_seen = issued >= event.seen and finding.strength <= event.strongest
    eyes = eyes if issued >= event.seen else event.eyes
    strongest = max(event.strongest, finding.strength)
    event = replace(event, seen=max(event.seen, issued), strongest=strongest, eyes=eyes)
    if not stronger and not sooner:
        return Step(event, None, only_seen=only_seen)
    told = replace(
        event,
        told_strength=max(event.told_strength, finding.strength),
        told_at=min(event.told_at, finding.at),
        messages=event.messages + 1,
    )
    return Step(told, "worse", "stronger" if stronger else "sooner")


def _maybe_over(event: HazardEvent, issued: datetime, settings: AlertsSection, eyes: frozenset[str]) -> Step | None:
    if event.eyes and not eyes.issuperset(event.eyes.split("\n")):
        return None
    if issued - event.seen < timedelta(minutes=settings.clear_min) or issued == event.seen:
        return None
    return Step(replace(event, open=False, ended=issued, messages=event.messages + 1), "over")
