"""Facts about an input file that determine the work it causes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dynamo.texts import one_line
from dynamo.times import parse_time, to_iso

#: Spacing of the heights of `InputFacts.aloft_km2`, meters.
ALOFT_STEP_M = 500.0
#: Characters of a radar's name.
_MAX_NAME = 100


#: Echo at or above this is located (`InputFacts.blocks_km2`) in blocks of this size or, if there are many, a multiple.
BLOCK_DBZ, BLOCK_DEG = 45.0, 0.25


@dataclass(frozen=True)
class InputFacts:
    """Facts about an input file that determine the work it causes; read once, on arrival.

    Attributes
    ----------
    format
        The name of the file's format, as in the modules' ports (``casa-nowcast``).
    issue_time
        The time used in product names.
    leads
        The leads in minutes.
    shape
        Rows and columns of each grid.
    area_km2
        Area at or above each level at each lead: ``area_km2[level][i]`` for ``leads[i]``.
    crossings
        Grid edges that cross each level, at each lead: the cost of contouring.
    maximum_dbz
        Largest value of each lead, NaN where a grid is empty.
    radar
        The name of the radar; empty if the file is not from a single radar.
    aloft_km2
        Area at or above each level where the beam is at least this high, for heights of 0, 500, 1000 ... meters above
        sea level: ``aloft_km2[level][k]`` for ``k * ALOFT_STEP_M``; the largest of the sweeps.
    low_km2
        Area at or above each level where the highest beam is below this height, for the same heights:
        ``low_km2[level][k]`` for ``k * ALOFT_STEP_M``; nothing above was scanned there. The largest of the
        sweeps; the last value also applies above.
    top_m
        Height of the highest gate that the radar scanned, meters above sea level; None if not applicable.
    flags
        Remarks on the file as a whole (``incomplete``, ``no valid reflectivity``, ...).
    position, range_km
        Latitude and longitude of the radar, degrees, and its ground range; None if not from a single radar.
    bounds
        South, west, north and east edge of the grids, degrees; None if there are no grids.
    block_leads
        The leads, minutes, of ``blocks_km2``.
    blocks_km2
        Location of echo at or above `BLOCK_DBZ`: latitude and longitude of a block's center, degrees, then the area in
        the block at each of ``block_leads``. Blocks without any are left out.
    """

    format: str
    issue_time: datetime
    leads: tuple[int, ...]
    shape: tuple[int, int]
    area_km2: Mapping[float, tuple[float, ...]] = field(default_factory=dict)
    crossings: Mapping[float, tuple[int, ...]] = field(default_factory=dict)
    maximum_dbz: tuple[float, ...] = ()
    radar: str = ""
    aloft_km2: Mapping[float, tuple[float, ...]] = field(default_factory=dict)
    low_km2: Mapping[float, tuple[float, ...]] = field(default_factory=dict)
    top_m: float | None = None
    flags: tuple[str, ...] = ()
    position: tuple[float, float] | None = None
    range_km: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    block_leads: tuple[int, ...] = ()
    blocks_km2: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        # Both come from the file as they are, and get into names, messages and tables.
        object.__setattr__(self, "radar", one_line(self.radar)[:_MAX_NAME])
        object.__setattr__(self, "flags", tuple(map(one_line, self.flags)))

    @property
    def cells(self) -> int:
        """Number of nodes of each grid."""
        return self.shape[0] * self.shape[1]


def in_words(facts: InputFacts) -> str:
    """Return the facts that tell a person what a file holds, in one line."""
    strongest = max((value for value in facts.maximum_dbz if not math.isnan(value)), default=None)
    leads = len(facts.leads)
    told = [
        f"{facts.format} of {facts.issue_time:%Y-%m-%d %H:%M:%S} UTC" + (f" from {facts.radar}" if facts.radar else ""),
        f"{facts.shape[0]} x {facts.shape[1]}" if facts.cells else "",
        f"{leads} leads" if leads > 1 else "",
        "" if strongest is None else f"at most {strongest:.0f} dBZ",
        *facts.flags,
    ]
    return ", ".join(filter(None, told))


def facts_to_json(facts: InputFacts) -> dict[str, Any]:
    """Return facts as JSON data; `facts_from_json` reads it back."""
    return {
        "format": facts.format,
        "issue_time": to_iso(facts.issue_time),
        "leads": list(facts.leads),
        "shape": list(facts.shape),
        "area_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.area_km2.items()},
        "crossings": {repr(level): list(row) for level, row in facts.crossings.items()},
        "maximum_dbz": [None if math.isnan(value) else round(value, 3) for value in facts.maximum_dbz],
        "radar": facts.radar,
        "aloft_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.aloft_km2.items()},
        "low_km2": {repr(level): [round(area, 3) for area in row] for level, row in facts.low_km2.items()},
        "top_m": facts.top_m,
        "flags": list(facts.flags),
        "position": None if facts.position is None else list(facts.position),
        "range_km": facts.range_km,
        "bounds": None if facts.bounds is None else list(facts.bounds),
        "block_leads": list(facts.block_leads),
        "blocks_km2": [list(block) for block in facts.blocks_km2],
    }


def facts_from_json(data: Mapping[str, Any]) -> InputFacts:
    """Read what `facts_to_json` wrote."""
    rows, columns = data["shape"]
    position, bounds = data.get("position"), data.get("bounds")
    return InputFacts(
        format=data["format"],
        issue_time=parse_time(data["issue_time"]),
        leads=tuple(data["leads"]),
        shape=(rows, columns),
        area_km2={float(level): tuple(row) for level, row in data["area_km2"].items()},
        crossings={float(level): tuple(row) for level, row in data["crossings"].items()},
        maximum_dbz=tuple(math.nan if value is None else value for value in data["maximum_dbz"]),
        radar=data.get("radar", ""),
        aloft_km2={float(level): tuple(row) for level, row in data.get("aloft_km2", {}).items()},
        low_km2={float(level): tuple(row) for level, row in data.get("low_km2", {}).items()},
        top_m=data.get("top_m"),
        flags=tuple(data.get("flags", ())),
        position=None if position is None else (position[0], position[1]),
        range_km=data.get("range_km"),
        bounds=None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3]),
        block_leads=tuple(data.get("block_leads", ())),
        blocks_km2=tuple(tuple(block) for block in data.get("blocks_km2", ())),
    )
