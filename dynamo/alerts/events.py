"""When a place is told: a pure state machine of one place and hazard, fed with products in the order of their times.

An event begins with the first finding. It is told again when the hazard is stronger by a step than what was told, or
comes sooner by some minutes than what was told. It is over when nothing was near for some minutes of the products' own
time: a feed that falls silent ends no event. Only the radars that saw the hazard last can say that it is over:
another one may not cover the place. A product that is older than an event's end never brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from dynamo.alerts.matching import Finding
from dynamo.config.alerts import AlertsSection, Hazard

Kind = Literal["start", "worse", "over"]


@dataclass(frozen=True)
class Event:
    """What is known about the newest event of one place and hazard.

    Attributes
    ----------
    number
        1 for the first event of this place and hazard, then 2, 3, ...
    open
        Whether it goes on.
    began, seen
        Issue times of the first and of the newest product that concerned the place.
    ended
        Issue time of the product that ended it.
    told_strength, told_at
        Strength, and the time at which the hazard comes near, that were told last.
    strongest
        The greatest strength of the event.
    messages
        How many messages it has had.
    eyes
        Who saw the hazard last (see `dynamo.alerts.hazards.Product`), a name in each line; empty if not known.
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
    """The event after a product, and what is to be told of it: nothing where ``kind`` is None.

    ``only_seen`` says that nothing but `Event.seen` and `Event.eyes` has changed, and that it is the product's time.
    """

    event: Event
    kind: Kind | None
    why: str = ""
    only_seen: bool = False


def advance(
    event: Event | None,
    finding: Finding | None,
    issued: datetime,
    hazard: Hazard,
    settings: AlertsSection,
    *,
    eyes: frozenset[str] = frozenset(),
) -> Step | None:
    """Return the next state of a place, or None where nothing changes.

    Parameters
    ----------
    event
        The newest event of the place; None if it never had one.
    finding
        What the product means for the place; None if nothing is near.
    issued
        Issue time of the product.
    hazard, settings
        Give the steps and times.
    eyes
        Who looked: the radars of the product, or its stream.
    """
    if event is not None and not event.open and issued <= (event.ended or event.seen):
        return None
    if finding is None:
        return None if event is None or not event.open else _maybe_over(event, issued, settings, eyes)
    silent = timedelta(minutes=settings.clear_min)
    if event is None or not event.open or issued - event.seen > silent:
        # Where the gap is longer than what ends an event, its end was only never seen: this is another one.
        return Step(_begin(event, finding, issued, _seen_by(finding, eyes)), "start")
    return _go_on(event, finding, issued, hazard, settings, _seen_by(finding, eyes))


def _seen_by(finding: Finding, eyes: frozenset[str]) -> str:
    """Return who of those that looked saw it: of a composite only the radars of that polygon."""
    return "\n".join(sorted(eyes.intersection(finding.facts.get("radars", ())) or eyes))


def _begin(before: Event | None, finding: Finding, issued: datetime, eyes: str) -> Event:
    return Event(
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
    event: Event, finding: Finding, issued: datetime, hazard: Hazard, settings: AlertsSection, eyes: str
) -> Step | None:
    step = settings.step_dbz if hazard == "storm" else settings.step_mm
    stronger = finding.strength >= event.told_strength + step
    # Only what is still ahead can come sooner; what is near already was told to come.
    sooner = event.seen <= issued < event.told_at and finding.at <= event.told_at - timedelta(
        minutes=settings.sooner_min
    )
    # Radars do not look in step: what an older sweep of another one saw counts, but does not turn the time back.
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


def _maybe_over(event: Event, issued: datetime, settings: AlertsSection, eyes: frozenset[str]) -> Step | None:
    if event.eyes and not eyes.issuperset(event.eyes.split("\n")):
        return None
    if issued - event.seen < timedelta(minutes=settings.clear_min) or issued == event.seen:
        return None
    return Step(replace(event, open=False, ended=issued, messages=event.messages + 1), "over")
