"""Which places a product concerns: when the hazard is first near, how strong it gets, how near it is and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from dynamo.alerts.hazards import Product
from dynamo.alerts.places import Places

#: More different strengths than this (hail sizes that differ in every polygon) are put into classes of 1 mm or 1 dBZ.
_MAX_GROUPS = 12


@dataclass(frozen=True)
class Finding:
    """What a product means for one place.

    Attributes
    ----------
    place
        Index in `Places`.
    at, lead_min
        When the hazard is first within the place's distance: valid time, and minutes after the product was issued.
    strength
        The greatest level, dBZ, or size, mm, that comes within the distance in the whole product.
    strength_first, strongest_lead_min
        The same at the first time alone, and when the greatest is first there.
    distance_km, azimuth_deg
        From the place to the edge of the hazard at the first time; 0 and None where it is over the place.
    facts
        Further properties of the strongest polygon.
    """

    place: int
    at: datetime
    lead_min: int
    strength: float
    strength_first: float
    strongest_lead_min: int
    distance_km: float
    azimuth_deg: float | None
    facts: Mapping[str, Any]


def match(places: Places, product: Product) -> list[Finding]:
    """Return the findings for all places that the product concerns, ordered by place."""
    if not len(product.polygons) or not len(places):
        return []
    strength = product.strength
    if len(np.unique(strength)) > _MAX_GROUPS:
        # Wishes are whole numbers, so this changes nobody's answer.
        strength = np.floor(strength)
    levels, group = np.unique(strength, return_inverse=True)
    wanted = levels[None, :] >= places.strength[product.hazard][:, None]
    near = places.index.first_approaches(
        product.polygons, group, product.lead_min, wanted=wanted, last_step=places.lead_min
    )
    if not len(near.place):
        return []
    return _findings(places, product, product.strength[near.polygon], near.place, near.polygon, near.step)


def _findings(places: Places, product: Product, level: Any, place: Any, polygon: Any, step: Any) -> list[Finding]:
    # For each place the first time, and there the least of the levels: its edge is the nearest.
    order = np.lexsort((level, step, place))
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    number = np.cumsum(np.diff(place[order], prepend=-1) != 0) - 1
    lead, least = step[order][starts], level[order][starts]
    first = (step[order] == lead[number]) & (level[order] == least[number])
    pairs = order[first]
    distance, azimuth = places.index.measure(product.polygons, place[pairs], polygon[pairs])
    nearest = np.lexsort((distance, place[pairs]))
    chosen = nearest[np.flatnonzero(np.diff(place[pairs][nearest], prepend=-1))]
    # The strongest level, and its first time.
    by_strength = np.lexsort((step, -level, place))
    strongest = by_strength[np.flatnonzero(np.diff(place[by_strength], prepend=-1))]
    at_first = step[order] == lead[number]
    strength_first = np.maximum.reduceat(np.where(at_first, level[order], -np.inf), starts)
    times = {minutes: product.issued + timedelta(minutes=minutes) for minutes in np.unique(lead).tolist()}
    rows = zip(
        place[order][starts].tolist(),
        lead.tolist(),
        polygon[strongest].tolist(),
        strength_first.tolist(),
        step[strongest].tolist(),
        distance[chosen].tolist(),
        azimuth[chosen].tolist(),
        strict=True,
    )
    strength = product.strength.tolist()
    return [
        Finding(
            where,
            times[minutes],
            minutes,
            strength[top],
            at_once,
            top_lead,
            away,
            None if angle != angle else angle,  # noqa: PLR0124 - NaN
            product.facts[top],
        )
        for where, minutes, top, at_once, top_lead, away, angle in rows
    ]
