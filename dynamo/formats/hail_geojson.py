"""Hail areas as RFC 7946 GeoJSON: `hmt_HAIL_CASA_{...}.geojson`.

Contains the areas of hail of any size and of at least each requested size. A grid without hail gives a collection
without features, which is a valid result. The collection states the valid time, the radars included, and those
expected but missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.hail_grid import NO_HEIGHT_M, HailGrid
from dynamo.radar.contour import Contours, contours
from dynamo.radar.date_line import cut_at_date_line, wrapped
from dynamo.times import file_stamp, to_iso

#: Sizes of hail in words, by their lower bound, mm (HSDA; Ortega et al. 2016).
WORDS: tuple[tuple[float, str], ...] = ((50.0, "giant"), (25.0, "large"), (5.0, "small"))
DEFAULT_SIZES_MM = (5.0, 25.0, 50.0)
#: Masks of 0 and 1 are traced halfway.
_HALF = 0.5


@dataclass(frozen=True)
class HailAreas:
    """The areas of one level: hail of any size (``size_mm`` None), or of at least ``size_mm``."""

    size_mm: float | None
    found: Contours


def hail_name(label: str, stamp: str) -> str:
    """Return the file name of the hail areas of a radar or of a composite."""
    return f"hmt_HAIL_CASA_{label}_{stamp}.geojson"


def size_word(size_mm: float | None) -> str:
    """Return the word for a size: giant, large, small; hail if unknown."""
    if size_mm is None:
        return "hail"
    return next((word for least, word in WORDS if size_mm >= least), "small")


def trace_hail(
    hail: HailGrid,
    sizes_mm: Sequence[float] = DEFAULT_SIZES_MM,
    *,
    min_area_km2: float = 0.0,
    decimals: int = 5,
) -> list[HailAreas]:
    """Trace the areas of hail and of its sizes.

    The outline runs halfway between nodes with and without hail; sizes are traced only if the grid has them.

    Raises
    ------
    InputError
        If the grid is too fine for the number of decimals, or holds only hydrometeor classes.
    """
    if hail.classes_only:
        raise InputError("a grid of hydrometeor classes only", expected="a grid with output of the module hail")
    is_hail = hail.fields["hail_class"] > 0
    if not is_hail.any():
        return [HailAreas(None, _nothing(_HALF)), *(HailAreas(size, _nothing(size)) for size in sizes_mm)]
    size = hail.get("hail_size")
    areas = [HailAreas(None, _mask(hail, is_hail, min_area_km2, decimals))]
    for least in sizes_mm:
        large = np.zeros_like(is_hail) if size is None else is_hail & (size >= least)
        areas.append(HailAreas(least, _mask(hail, large, min_area_km2, decimals) if large.any() else _nothing(least)))
    return areas


def encode_hail(hail: HailGrid, areas: Sequence[HailAreas]) -> bytes:
    """Return the areas as a FeatureCollection; the same input gives the same bytes.

    Each feature has ``level`` (``hail`` or as ``hail_25mm``), ``level_mm``, ``hail_class`` (hail, small, large, giant),
    ``size_mm`` (the largest known size inside, null if unknown), ``area_km2``, ``max_dbz``, ``radars``,
    ``hail_height_m`` (lowest beam that saw it), ``max_age_s``, and the node of the largest size (or reflectivity).
    """
    valid, stamp = to_iso(hail.time), file_stamp(hail.time)
    label = hail.radars[0].name if hail.kind == "radar" and hail.radars else "COMPOSITE"
    collection = {
        "type": "FeatureCollection",
        "product": "hail",
        "kind": hail.kind,
        "valid_time": valid,
        "issue_time": valid,
        "radars": [view.name for view in hail.radars],
        "radar_times": {view.name: to_iso(view.time) for view in hail.radars},
        "missing_radars": list(hail.missing),
        "blind_radars": blind_radars(hail),
        "implausible_values": hail.sources.get("implausible_values", 0),
        "levels_mm": [area.size_mm for area in areas if area.size_mm is not None],
        "mesh_method": hail.sources.get("mesh_method"),
        "temperatures_from": hail.sources.get("temperatures_from", hail.sources.get("sounding")),
        "flags": list(hail.flags),
        "features": [feature for area in areas for feature in _features(hail, area, label, stamp, valid)],
    }
    return orjson.dumps(collection, option=orjson.OPT_SERIALIZE_NUMPY)


def blind_radars(hail: HailGrid) -> list[str]:
    """Return the radars that are there but looked for no hail: what they do not see may still be there."""
    if hail.kind == "radar":
        return [view.name for view in hail.radars] if hail.blind else []
    blind = hail.sources.get("blind_radars", [])
    return [str(name) for name in blind] if isinstance(blind, list) else []


def _mask(hail: HailGrid, mask: NDArray[np.bool_], min_area_km2: float, decimals: int) -> Contours:
    field = mask.astype(np.float32)
    found = contours(field, hail.grid, [_HALF], min_points=4, min_area_km2=min_area_km2, decimals=decimals)[0]
    return cut_at_date_line(found, decimals)


def _nothing(level: float) -> Contours:
    zero = np.zeros(1, dtype=np.int64)
    return Contours(level, np.empty((0, 2)), zero, zero, np.empty(0), np.empty(0))


def _features(hail: HailGrid, area: HailAreas, label: str, stamp: str, valid: str) -> list[dict[str, Any]]:
    found = area.found
    if not len(found):
        return []
    level = "hail" if area.size_mm is None else f"hail_{area.size_mm:g}mm"
    inside = _nodes_inside(hail, found)
    names = [view.name for view in hail.radars]
    points, rings = found.points, found.rings.tolist()
    areas = np.round(found.area_km2, 4).tolist()
    features = []
    for number, (first, last) in enumerate(itertools.pairwise(found.polygons.tolist())):
        features.append(
            {
                "type": "Feature",
                "id": f"HAIL_CASA_{label}_{stamp}_{level}_{number + 1}",
                "hazardType": "HAIL_CASA",
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [points[rings[ring] : rings[ring + 1]] for ring in range(first, last)],
                },
                "properties": {
                    "hazardType": "HAIL_CASA",
                    "timestamp": valid,
                    "valid_time": valid,
                    "level": level,
                    "level_mm": area.size_mm,
                    "area_km2": areas[number],
                    **_facts(hail, inside[number], names, area.size_mm),
                },
            }
        )
    return features


def _nodes_inside(hail: HailGrid, found: Contours) -> list[NDArray[np.intp]]:
    """Return for each polygon the flattened hail nodes inside."""
    node = np.flatnonzero(hail.fields["hail_class"].ravel() > 0)
    row, column = np.divmod(node, hail.grid.nlon)
    places = np.column_stack((wrapped(hail.grid.longitudes[column]), hail.grid.latitudes[row]))
    spots = np.asarray(shapely.points(places), dtype=np.object_)
    which, spot = shapely.STRtree(spots).query(found.to_shapely(), predicate="intersects")
    return [node[spot[which == number]] for number in range(len(found))]


def _facts(hail: HailGrid, node: NDArray[np.intp], names: list[str], level_mm: float | None) -> dict[str, Any]:
    def at(name: str) -> NDArray[Any] | None:
        field = hail.get(name)
        return None if field is None or node.size == 0 else field.ravel()[node]

    size, dbz, height, radar, age = (at(name) for name in ("hail_size", "reflectivity", "hail_height", "radar", "age"))
    largest = None if size is None or not size.max() > 0 else round(float(size.max()), 1)
    facts: dict[str, Any] = {
        "hail_class": size_word(level_mm if largest is None else largest),
        "size_mm": largest if largest is not None else level_mm,
        "radars": names if radar is None else [names[number] for number in np.unique(radar[radar >= 0]).tolist()],
    }
    if dbz is not None:
        facts["max_dbz"] = round(float(dbz.max()), 1)
    if height is not None and (height != NO_HEIGHT_M).any():
        facts["hail_height_m"] = int(height[height != NO_HEIGHT_M].min())
    if age is not None:
        facts["max_age_s"] = int(age.max())
    strongest = size if largest is not None else dbz
    if strongest is not None:
        row, column = divmod(int(node[int(np.argmax(strongest))]), hail.grid.nlon)
        place = (float(wrapped(hail.grid.longitudes[[column]])[0]), float(hail.grid.latitudes[row]))
        facts["strongest_at"] = [round(degrees, 5) for degrees in place]
    return facts
