"""Message contents: one line for people, and the same as data for machines."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any

from dynamo.alerts.events import HazardEvent, Step
from dynamo.alerts.hazards import HazardProduct
from dynamo.alerts.matching import Finding
from dynamo.alerts.places import Place
from dynamo.texts import one_line, visible_in
from dynamo.times import to_iso

_WINDS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_UNITS = {"storm": "dBZ", "hail": "mm"}


def direction(azimuth_deg: float) -> str:
    """Return the compass direction, one of eight."""
    return _WINDS[math.floor(azimuth_deg / 45 + 0.5) % 8]


def message_key(place_id: str, hazard: str, event: HazardEvent) -> str:
    """Return the key of a message, the same however often it is created or sent.

    It is derived from the place, the hazard, the event's start time and the message's number.
    """
    text = "\n".join((place_id, hazard, to_iso(event.began), str(event.number), str(event.messages)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def line(place: Place, product: HazardProduct, step: Step, finding: Finding | None) -> str:
    """Return the message as one line: place, what, how strong, when, how far, where."""
    # Radars and classes are named by files.
    return one_line(_words(place, product, step, finding))


def _words(place: Place, product: HazardProduct, step: Step, finding: Finding | None) -> str:
    name = f"{place.name} ({place.locality})" if place.locality else place.name
    if step.kind == "over" or finding is None:
        return (
            f"{name}: {product.hazard} over; none within {place.distance_km:g} km since"
            f" {_clock(step.event.seen)} (as of {_clock(product.issued)})"
        )
    word = {"stronger": "stronger: ", "sooner": "arriving sooner: "}.get(step.why, "")
    parts = [f"{name}: {word}{what(product, finding)} {_when(place, product, finding)}"]
    if finding.azimuth_deg is not None:
        parts.append(f"{finding.distance_km:.1f} km to the {direction(finding.azimuth_deg).replace('-', '')}")
    if finding.strongest_lead_min > finding.lead_min and finding.strength > finding.strength_first:
        parts.append(f"strengthening to {_amount(product, finding.strength)} in {finding.strongest_lead_min} min")
    if "radars" in finding.facts:
        parts.append(f"seen by {', '.join(finding.facts['radars'])}")
    return ", ".join(parts)


def what(product: HazardProduct, finding: Finding) -> str:
    """Return hazard and strength in words, such as ``50 dBZ storm``."""
    if product.hazard == "hail":
        name, source = finding.facts.get("hail_class"), finding.facts.get("size_from")
        kind = f" ({name})" if isinstance(name, str) else ""
        if source == "unknown":
            return "hail of unknown size"
        if source == "level":
            return f"hail of at least {_amount(product, finding.facts['least_mm'])}"
        amount = _amount(product, finding.strength)
        return f"hail of at least {amount}{kind}" if source == "class" else f"{amount} hail{kind}"
    return f"{_amount(product, finding.strength_first)} storm"


def payload(
    place: Place, product: HazardProduct, step: Step, finding: Finding | None, *, key: str, text: str, made: datetime
) -> dict[str, Any]:
    """Return the message as data."""
    event = step.event
    data: dict[str, Any] = {
        "key": key,
        "kind": step.kind,
        "why": step.why or None,
        "text": text,
        "hazard": product.hazard,
        "unit": _UNITS[product.hazard],
        "place": {"id": place.id, "name": place.name, "locality": place.locality, "distance_km": place.distance_km},
        "event": {
            "number": event.number,
            "message": event.messages,
            "began": to_iso(event.began),
            "strongest": event.strongest,
        },
        "issue_time": to_iso(product.issued),
        "made": to_iso(made),
        "product": {"stream": product.stream, "key": product.key},
    }
    if finding is not None:
        data["finding"] = finding_json(finding)
    told: dict[str, Any] = visible_in(data)
    return told


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as data."""
    return {
        "valid_time": to_iso(finding.at),
        "lead_min": finding.lead_min,
        "strength": finding.strength,
        "strength_first": finding.strength_first,
        "strongest_lead_min": finding.strongest_lead_min,
        "distance_km": round(finding.distance_km, 3),
        "azimuth_deg": None if finding.azimuth_deg is None else round(finding.azimuth_deg, 1),
        "direction": None if finding.azimuth_deg is None else direction(finding.azimuth_deg),
        **finding.facts,
    }


def _when(place: Place, product: HazardProduct, finding: Finding) -> str:
    clock = _clock(finding.at)
    over = finding.azimuth_deg is None
    if finding.lead_min:
        near = "overhead" if over else f"within {place.distance_km:g} km"
        return f"{near} in {finding.lead_min} min ({clock})"
    return f"overhead now ({clock})" if over else f"within {place.distance_km:g} km now ({clock})"


def _amount(product: HazardProduct, strength: float) -> str:
    return f"{strength:g} {_UNITS[product.hazard]}" if product.hazard == "storm" else f"{strength:.0f} mm"


def _clock(time: datetime) -> str:
    return time.strftime("%H:%M UTC")
