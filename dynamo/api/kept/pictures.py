"""Contours and hail areas of published files, made small for a map: read once, kept for the next who asks."""

from __future__ import annotations

import gzip
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dynamo.api.problems import Refusal
from dynamo.errors import InputError
from dynamo.places.opening import open_place
from dynamo.store.models import Product, Run

#: Digits of a coordinate: 11 m, less than a screen shows.
_DIGITS = 4
#: Properties of a storm contour that the map needs, by their names in the product.
_CONTOUR = {"ReflectivityLevel": "level_dbz", "level": "level_dbz", "max_dbz": "max_dbz", "area_km2": "area_km2"}
#: Said once for the whole product.
_SAID = frozenset({"timestamp", "valid_time", "issue_time", "lead_min", "hazardType"})
#: Bytes of packed pictures that are kept; one that does not fit pushes out those not asked for the longest.
_KEPT_BYTES = 64_000_000
#: Lists inside each other that a MultiPolygon has.
_DEEPEST = 4


@dataclass(frozen=True)
class PackedJson:
    """JSON as it is sent, kept as small as it is sent to most."""

    packed: bytes

    @property
    def body(self) -> bytes:
        """The JSON itself."""
        return gzip.decompress(self.packed)


class Pictures:
    """Pictures by the checksums of what they were made from; those not asked for the longest are forgotten."""

    def __init__(self, kept_bytes: int = _KEPT_BYTES) -> None:
        self._known: OrderedDict[tuple[str, ...], PackedJson] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()

    def nowcast(self, run: Run, products: Sequence[Product]) -> PackedJson:
        """Return all leads of a nowcast.

        Raises
        ------
        Refusal, InputError
            If a product is gone, or is not GeoJSON.
        """
        key = (run.id, *(str(product.id) for product in products))
        with self._lock:
            if (found := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return found
        made = PackedJson(gzip.compress(orjson.dumps(_nowcast(run, products)), 6, mtime=0))
        with self._lock:
            self._known[key] = made
            while sum(len(one.packed) for one in self._known.values()) > self._kept_bytes and len(self._known) > 1:
                self._known.popitem(last=False)
        return made


def hail_areas(run: Run, product: Product) -> dict[str, Any]:
    """Return one hail product; raise `Refusal` if it is gone, `InputError` if it is not GeoJSON."""
    data = _read(run, product)
    return {
        "run": run.id,
        "product": product.id,
        "workflow": run.workflow,
        "radar": run.radar,
        "valid_at": str(data.get("valid_time", "")),
        "areas": _collection(data, lambda properties: {k: v for k, v in properties.items() if k not in _SAID}),
    }


def _nowcast(run: Run, products: Sequence[Product]) -> dict[str, Any]:
    leads: list[dict[str, Any]] = []
    levels: set[float] = set()
    issued_at = ""
    for product in products:
        data = _read(run, product)
        issued_at = str(data.get("issue_time", issued_at))
        levels.update(level for level in data.get("levels_dbz", ()) if isinstance(level, int | float))
        leads.append(
            {
                "lead_min": product.lead_min or 0,
                "valid_at": str(data.get("valid_time", "")),
                "product": product.id,
                "contours": _collection(
                    data, lambda properties: {_CONTOUR[k]: v for k, v in properties.items() if k in _CONTOUR}
                ),
            }
        )
    return {
        "run": run.id,
        "workflow": run.workflow,
        "issued_at": issued_at,
        "levels_dbz": sorted(levels),
        "leads": sorted(leads, key=lambda lead: lead["lead_min"]),
    }


def _read(run: Run, product: Product) -> dict[str, Any]:
    where = product.path
    try:
        content = open_place(run.product_dir or "").read(product.lfn)
    except OSError as error:
        raise Refusal(410, "the file is gone", where=where, hint=f"dynamo runs retry {run.id}") from error
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(f"cannot be shown: {error}", where=where, expected="GeoJSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("features"), list):
        raise InputError("cannot be shown: not a FeatureCollection", where=where)
    return data


def _collection(data: Mapping[str, Any], chosen: Any) -> dict[str, Any]:
    features = []
    for feature in data["features"]:
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        if not isinstance(geometry, dict) or "coordinates" not in geometry:
            continue
        properties = feature.get("properties") or {}
        try:
            shape = {"type": geometry.get("type"), "coordinates": _rounded(geometry["coordinates"])}
        except (TypeError, ValueError):
            # One that is none does not hide the others.
            continue
        properties = chosen(properties) if isinstance(properties, dict) else {}
        features.append({"type": "Feature", "geometry": shape, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _rounded(part: Any, depth: int = 0) -> Any:
    if isinstance(part, float | int):
        return round(part, _DIGITS)
    if not isinstance(part, list) or depth == _DEEPEST:
        raise ValueError(f"not a coordinate: {part!r:.40}")
    if part and isinstance(part[0], list) and part[0] and not isinstance(part[0][0], list):
        return _line([[round(x, _DIGITS), round(y, _DIGITS)] for x, y, *_ in part])
    return [_rounded(item, depth + 1) for item in part]


def _line(points: list[list[float]]) -> list[list[float]]:
    """Leave out points that rounding has put on the one before; a ring keeps the four that it needs."""
    kept = [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
    return kept if len(kept) >= min(4, len(points)) else points
