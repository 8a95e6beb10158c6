"""Predict the facts of future files from the newest one; pure.

A nowcast issued ``m`` minutes from now will show at lead ``l`` what the newest one shows at lead ``m + l``; beyond its
last lead the last picture persists.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np

from dynamo.inspection.facts import InputFacts
from dynamo.triggers.condition import Condition

T = TypeVar("T")

#: Uncertainty of storm areas (standard deviation of the natural logarithm): now, and the increase per minute ahead.
_AREA_SPREAD = 0.05
_AREA_SPREAD_PER_MIN = 0.015
_KM_PER_DEGREE = 111.2


def shifted(facts: InputFacts, minutes: float) -> InputFacts:
    """Return the facts expected of the file issued ``minutes`` after this one."""
    leads = np.asarray(facts.leads, dtype=np.float64)
    if minutes <= 0 or len(leads) < 2:
        return facts
    wanted = leads[0] + (leads - leads[0]) + minutes
    after = np.clip(np.searchsorted(leads, wanted), 1, len(leads) - 1)
    before = after - 1
    nearest = np.where(wanted - leads[before] < leads[after] - wanted, before, after).tolist()

    def pick(row: Sequence[T]) -> tuple[T, ...]:
        return tuple(row[index] for index in nearest) if len(row) == len(leads) else tuple(row)

    return replace(
        facts,
        area_km2={level: pick(row) for level, row in facts.area_km2.items()},
        crossings={level: pick(row) for level, row in facts.crossings.items()},
        maximum_dbz=pick(facts.maximum_dbz),
    )


def steps(facts: InputFacts, minutes: float) -> int:
    """Return a number that is equal for all ``minutes`` for which `shifted` returns the same facts."""
    leads = facts.leads
    if len(leads) < 2:
        return 0
    spacing = (leads[-1] - leads[0]) / (len(leads) - 1)
    return min(len(leads) - 1, max(0, round(minutes / spacing))) if spacing > 0 else 0


def chance(condition: Condition | None, facts: InputFacts, minutes: float) -> float:
    """Return how likely a file expected to have these facts meets a condition.

    Parameters
    ----------
    condition
        None is always met.
    facts
        The expected facts; see `shifted`.
    minutes
        How far ahead: the further, the softer the threshold.
    """
    if condition is None:
        return 1.0
    areas = facts.area_km2.get(condition.level_dbz)
    if areas is None:
        return 1.0
    chosen = [
        (lead, area)
        for lead, area in zip(facts.leads, areas, strict=False)
        if not isinstance(condition.leads, tuple) or lead in condition.leads
    ]
    if not chosen:
        return 0.0
    decide = min if condition.leads == "all" else max
    lead, area = decide(chosen, key=lambda pair: pair[1])
    return likely(area, condition.area_km2, max(0.0, minutes) + (lead - facts.leads[0] if minutes > 0 else 0))


def likely(area_km2: float, needed_km2: float, minutes: float) -> float:
    """Return the probability of at least ``needed_km2`` if ``area_km2`` is expected ``minutes`` ahead."""
    if needed_km2 <= 0:
        return 1.0
    if area_km2 <= 0:
        return 0.0
    if minutes <= 0:
        return float(area_km2 >= needed_km2)
    spread = _AREA_SPREAD + _AREA_SPREAD_PER_MIN * minutes
    return 0.5 * (1.0 + math.erf(math.log(area_km2 / needed_km2) / (spread * math.sqrt(2.0))))


@dataclass(frozen=True)
class StormsNear:
    """Area of strong echo that the newest nowcast shows around one radar, by minutes from its issue time.

    Attributes
    ----------
    issued
        Issue time of the nowcast.
    minutes, area_km2
        Ascending minutes, and the area at or above `dynamo.inspection.facts.BLOCK_DBZ` for each.
    """

    issued: datetime
    minutes: tuple[int, ...]
    area_km2: tuple[float, ...]

    def at(self, time: datetime) -> float:
        """Return the area at a time, km2; after the last lead the last one persists."""
        minutes = (time - self.issued).total_seconds() / 60.0
        after = bisect.bisect_left(self.minutes, minutes)
        if after in (0, len(self.minutes)):
            return self.area_km2[min(after, len(self.minutes) - 1)]
        begin, end = self.minutes[after - 1], self.minutes[after]
        share = (minutes - begin) / (end - begin)
        return self.area_km2[after - 1] * (1.0 - share) + self.area_km2[after] * share


class StormMap:
    """Where a nowcast shows strong echo.

    Parameters
    ----------
    nowcast
        A nowcast with blocks; it must have ``bounds``.
    """

    def __init__(self, nowcast: InputFacts) -> None:
        self.issued = nowcast.issue_time
        self._bounds = nowcast.bounds or (0.0, 0.0, 0.0, 0.0)
        self._leads = nowcast.block_leads
        self._blocks = np.array(nowcast.blocks_km2).reshape(-1, 2 + len(nowcast.block_leads))

    def near(self, place: tuple[float, float], range_km: float) -> StormsNear | None:
        """Return the echo within range of a radar; None if the nowcast does not cover it.

        Parameters
        ----------
        place
            Latitude and longitude of the radar, degrees.
        range_km
            How far the radar sees.
        """
        south, west, north, east = self._bounds
        latitude, longitude = place
        longitude += 360.0 * round(((west + east) / 2 - longitude) / 360.0)
        if not self._leads or not (south <= latitude <= north and west <= longitude <= east):
            return None
        north_km = (self._blocks[:, 0] - latitude) * _KM_PER_DEGREE
        east_km = (self._blocks[:, 1] - longitude) * _KM_PER_DEGREE * math.cos(math.radians(latitude))
        sums = self._blocks[np.hypot(north_km, east_km) <= range_km, 2:].sum(axis=0)
        return StormsNear(self.issued, self._leads, tuple(sums.tolist()))
