"""Match products to places: when the hazard first comes near, how strong it gets, and where its edge is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from dynamo.alerts.hazards import HazardProduct
from dynamo.alerts.places import Places

#: More distinct strengths than this (hail sizes that differ in every polygon) are binned to 1 mm or 1 dBZ.
_MAX_GROUPS = 12


@dataclass(frozen=True)
class Finding:
    """What a product means for one place.

    Attributes
    ----------
    place
        Index in `Places`.
    at, lead_min
        When the hazard is first within the place's distance: valid time, and minutes after the issue time.
    strength
        The greatest level, dBZ, or size, mm, within the distance over the whole product.
    strength_first, strongest_lead_min
        The same at the first time only, and the lead at which the greatest is first near.
    distance_km, azimuth_deg
        From the place to the edge of the hazard at the first time; 0 and None if it is overhead.
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


def match(places: Places, product: HazardProduct) -> list[Finding]:
    """Return a finding for each place that the product affects, ordered by place."""
    if not len(product.polygons) or not len(places):
        return []
    strength = product.strength
    if len(np.unique(strength)) > _MAX_GROUPS:
        # Thresholds are whole numbers, so this changes no result.
        strength = np.floor(strength)
    levels, group = np.unique(strength, return_inverse=True)
    wanted = levels[None, :] >= places.strength[product.hazard][:, None]
    near = places.index.first_approaches(
        product.polygons, group, product.lead_min, wanted=wanted, last_step=places.lead_min
    )
    if not len(near.place):
        return []
    return _findings(places, product, product.strength[near.polygon], near.place, near.polygon, near.step)


def _findings(places: Places, product: HazardProduct, level: Any, place: Any, polygon: Any, step: Any) -> list[Finding]:
    # Each place's first time, and the lowest level at that time: its edge is the nearest.
    order = np.lexsort((level, step, place))
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    number = np.cumsum(np.diff(place[order], prepend=-1) != 0) - 1
    lead, least = step[order][starts], level[order][starts]
    first = (step[order] == lead[number]) & (level[order] == least[number])
    pairs = order[first]
    distance, azimuth = places.index.measure(product.polygons, place[pairs], polygon[pairs])
    nearest = np.lexsort((distance, place[pairs]))
    chosen = nearest[np.flatnonzero(np.diff(place[pairs][nearest], prepend=-1))]
    # The strongest level, and when it is first near.
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
