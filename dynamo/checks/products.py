"""Examine products: GeoJSON of storm and hail areas, as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from dynamo.checks.model import Examination
from dynamo.errors import InputError
from dynamo.radar.quality.polygons import polygon_area_km2, ring_problem
from dynamo.times import is_plausible, parse_time, to_iso

#: Stated areas are rounded, and holes below the least size are left out.
_AREA_OFF = 0.05


def examine_product(
    collection: Mapping[str, Any],
    *,
    series: str,
    file: str,
    field_km2: Mapping[float, float] | None = None,
    counted: bool = True,
) -> Examination:
    """Return what the checks measure in a FeatureCollection.

    Parameters
    ----------
    collection
        The parsed file.
    series, file
        See `Examination`.
    field_km2
        The area of the field at and above each level, if the field is at hand.
    counted
        Whether its polygons are compared with the usual number: not those of later leads, which follow the first.

    Raises
    ------
    InputError
        If it is no FeatureCollection.
    """
    features = collection.get("features")
    if collection.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise InputError("not a FeatureCollection", where=file, expected="GeoJSON with features")
    valid_at = _time(collection.get("valid_time"))
    problems, times, values = [], [], []
    enclosed: dict[float, float] = {}
    for number, feature in enumerate(features):
        name = str(feature.get("id", number)) if isinstance(feature, dict) else str(number)
        try:
            problem, area = _polygons(feature["geometry"])
            properties = feature["properties"]
            level = float(properties.get("ReflectivityLevel", "nan"))
            enclosed[level] = enclosed.get(level, 0.0) + area
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            problems.append(f"{name} has no polygon")
            continue
        if problem:
            problems.append(f"{name} {problem}")
        if _time(properties.get("valid_time")) != valid_at or valid_at is None:
            times.append(name)
        if not problem and _contradicts(properties, area, level):
            values.append(name)
    known = valid_at is not None and is_plausible(valid_at)
    measured: dict[str, tuple[float | None, str]] = {
        "product_valid": (float(len(problems)), "; ".join(problems)[:160]),
        "product_times": (float(len(times) or not known), "; ".join(times)[:160]),
        "product_values": (float(len(values)), "; ".join(values)[:160]),
    }
    if counted:
        measured["product_count"] = (float(len(features)), "")
    if field_km2:
        measured["product_area"] = area_off(enclosed, field_km2)
    return Examination(series, file, "product", to_iso(valid_at) if valid_at else "", measured)


def product_series(collection: Mapping[str, Any]) -> str:
    """Return the series of a product: each radar's hail, that of composites, or storms anywhere."""
    if collection.get("product") != "hail":
        return "storms"
    radars = collection.get("radars")
    one = radars[0] if collection.get("kind") == "radar" and isinstance(radars, list) and radars else "composite"
    return f"hail-{one}"[:100]


def _polygons(geometry: Mapping[str, Any]) -> tuple[str, float]:
    """Return the first problem of a polygon or several, and their area."""
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise ValueError(geometry["type"])
    several: Sequence[Any] = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    area = 0.0
    for polygon in several:
        rings = [np.asarray(ring, dtype=np.float64) for ring in polygon]
        problem = "has no ring" if not rings else next(filter(None, map(ring_problem, rings)), "")
        if problem:
            return problem, 0.0
        area += polygon_area_km2(rings)
    return "", area


def _contradicts(properties: Mapping[str, Any], area_km2: float, level: float) -> bool:
    stated, strongest = properties.get("area_km2"), properties.get("max_dbz")
    wrong_area = isinstance(stated, int | float) and abs(stated - area_km2) > _AREA_OFF * max(area_km2, 1.0)
    too_weak = isinstance(strongest, int | float) and strongest < level - 0.01
    return bool(wrong_area or too_weak)


def area_off(enclosed: Mapping[float, float], field_km2: Mapping[float, float]) -> tuple[float | None, str]:
    """Return how far the area enclosed at a level is from that of the field, as a share, and where; of the worst."""
    worst: tuple[float | None, str] = (None, "")
    for level, there in field_km2.items():
        # Below some cells, the smoothing and the least size of polygons decide.
        if there < 50.0:
            continue
        off = round(abs(enclosed.get(level, 0.0) - there) / there, 4)
        if worst[0] is None or off > worst[0]:
            worst = (off, f"{level:g} dBZ: {enclosed.get(level, 0.0):.0f} of {there:.0f} km2")
    return worst


def _time(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except InputError:
        return None
