"""Spells of hail work: they start when strong echo reaches the freezing level and end once it is gone; pure.

Each radar has its own state. It becomes active when the area of strong echo above the 0 C height is large enough, and
stays active, with hysteresis, until the area has been below a smaller limit for some time. Where no beam of the file is
above the 0 C height (near the radar in a low sweep), a higher reflectivity at any height is used instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dynamo.errors import InputError
from dynamo.inspection.facts import ALOFT_STEP_M, InputFacts
from dynamo.radar.hail.precursor import area_above_km2, area_below_km2
from dynamo.times import parse_time, to_iso
from dynamo.triggers.verdict import Verdict

#: The flag of radar readers for a file in which no gate has a value; `InputFacts.flags`.
_NO_DATA = "no valid reflectivity"


@dataclass(frozen=True)
class PrecursorState:
    """Whether hail work is on for one radar, and when the precursor was last seen."""

    active: bool = False
    seen: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {"active": self.active, "seen": None if self.seen is None else to_iso(self.seen)}


def state_from_json(data: Mapping[str, Any]) -> PrecursorState:
    """Read what `PrecursorState.to_json` wrote; anything else is the inactive state."""
    seen = data.get("seen")
    return PrecursorState(bool(data.get("active")), parse_time(seen) if isinstance(seen, str) else None)


@dataclass(frozen=True)
class Precursor:
    """When hail work is worth it.

    Parameters
    ----------
    freezing_level_m
        Height of 0 C above sea level, meters.
    level_dbz, area_km2
        This much area at or above this reflectivity, above the freezing level, starts the work.
    low_level_dbz, low_area_km2
        The same at any height, where no beam is above the freezing level.
    stop_share
        The precursor counts as gone below this share of the area.
    hold
        Work continues for this long after the precursor was last seen; after a longer silence it starts again.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    freezing_level_m: float = 4200.0
    level_dbz: float = 45.0
    area_km2: float = 2.0
    low_level_dbz: float = 50.0
    low_area_km2: float = 2.0
    stop_share: float = 0.5
    hold: timedelta = timedelta(minutes=20)

    def __post_init__(self) -> None:
        if not 0 < self.stop_share <= 1:
            raise InputError(f"stop_share {self.stop_share:g}", where="precursor", expected="above 0, at most 1")
        if self.hold < timedelta(0):
            raise InputError(f"hold {self.hold}", where="precursor", expected="0 or longer")

    @property
    def levels(self) -> tuple[float, float]:
        """The reflectivities at which the facts of an arrival must include areas."""
        return self.level_dbz, self.low_level_dbz

    def judge(self, facts: InputFacts | None, state: PrecursorState) -> tuple[Verdict, PrecursorState, str]:
        """Decide about one arrival of one radar.

        Parameters
        ----------
        facts
            Facts of the arrival.
        state
            State of its radar, as the previous arrival left it.

        Returns
        -------
        Verdict, PrecursorState, str
            Whether the workflow runs on this arrival, the state afterwards, and the action: ``begin`` (the first of a
            spell), ``start`` (the spell continues), ``end`` (the spell is over) or ``refuse``.

        Raises
        ------
        InputError
            If the facts are not from a radar.
        """
        if facts is None or not facts.radar or any(level not in facts.area_km2 for level in self.levels):
            raise InputError("not a radar's sweep or volume", where="precursor", expected="a file of one radar")
        data: dict[str, Any] = {"radar": facts.radar, "flags": list(facts.flags), "was_active": state.active}
        if _NO_DATA in facts.flags and all(map(math.isnan, facts.maximum_dbz)):
            # A radar that sees nothing at all shows neither that the precursor is present nor that it is gone.
            return Verdict(False, _NO_DATA, {**data, "unusable": True}), state, "refuse"
        areas = (
            area_above_km2(facts.aloft_km2.get(self.level_dbz, ()), self.freezing_level_m, ALOFT_STEP_M),
            area_below_km2(facts.low_km2.get(self.low_level_dbz, ()), self.freezing_level_m, ALOFT_STEP_M),
        )
        low = areas[1] / self.low_area_km2 > areas[0] / self.area_km2
        area, level, needed = (
            (areas[1], self.low_level_dbz, self.low_area_km2) if low else (areas[0], self.level_dbz, self.area_km2)
        )
        height = f"{self.freezing_level_m:.0f} m (0 C)"
        data |= {
            "area_km2": round(area, 2),
            "needed_km2": needed,
            "level_dbz": level,
            "low": low,
            "aloft_area_km2": round(areas[0], 2),
            "low_area_km2": round(areas[1], 2),
            "freezing_level_m": self.freezing_level_m,
            "top_m": facts.top_m,
        }
        where = f"where no beam is above {height}" if low else f"above {height}"
        measured = f"{area:.1f} km2 at or above {level:g} dBZ {where}"
        time = facts.issue_time
        if state.seen is not None and time < state.seen - self.hold:
            # An old file must not end or prolong the spell of today.
            return Verdict(area >= needed, f"{measured}; an old file", data), state, _action(area >= needed)
        # After an outage longer than the hold, a spell is over though no file has shown it.
        active = state.active and state.seen is not None and time - state.seen <= self.hold
        enough = needed * (self.stop_share if active else 1.0)
        if area >= enough:
            seen = time if state.seen is None else max(time, state.seen)
            reason = f"{measured}, {enough:g} km2 needed"
            return Verdict(True, reason, data), PrecursorState(True, seen), "start" if active else "begin"
        if active and state.seen is not None:
            gone_s = (time - state.seen).total_seconds()
            reason = f"{measured}, gone for {max(gone_s, 0):.0f} s of {self.hold.total_seconds():.0f} s"
            return Verdict(True, reason, data), state, "start"
        if state.active:
            reason = f"{measured}, gone for more than {self.hold.total_seconds():.0f} s"
            return Verdict(False, reason, data), PrecursorState(False, state.seen), "end"
        return Verdict(False, f"{measured}, {needed:g} km2 needed", data), state, "refuse"


def _action(start: bool) -> str:
    return "start" if start else "refuse"
