"""The places to alert: a GeoJSON FeatureCollection, each feature with its own thresholds.

Properties of a feature, all optional except the name: ``id`` (default: the feature's ``id``, then the name), ``name``,
``locality``, ``distance_km``, ``level_dbz``, ``hail_mm``, ``lead_min``, ``products`` (list of ``storm`` and ``hail``)
and ``channels`` (list of names; default: all). Other properties are ignored, with a warning for one that looks like a
misspelled setting. Levels and sizes are rounded down to whole dBZ and mm.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from dynamo.config.alerts import HAZARDS, AlertsSection, Hazard
from dynamo.documents.problems import MistakesError
from dynamo.errors import InputError, NotFoundError
from dynamo.radar.proximity import PlaceIndex
from dynamo.texts import one_line

#: Numeric settings with their minimum and maximum.
_NUMBERS = {"distance_km": (0.0, 200.0), "level_dbz": (-30.0, 100.0), "hail_mm": (0.0, 300.0), "lead_min": (0, 1440)}
WISHES = (*_NUMBERS, "products", "channels")
_MAX_TEXT = 200
_TYPES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
_GENERIC = frozenset({"id", "name", "locality"})


@dataclass(frozen=True)
class Place:
    """One place and its alert settings; see `AlertsSection` for meaning and units."""

    id: str
    name: str
    locality: str
    distance_km: float
    level_dbz: float
    hail_mm: float
    lead_min: int
    products: tuple[Hazard, ...]
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Places:
    """All places, with a spatial index of what comes near them.

    Attributes
    ----------
    places, geometries
        In file order; geometries in longitude and latitude.
    warnings
        Properties that look wrong but are allowed.
    """

    places: tuple[Place, ...]
    geometries: NDArray[np.object_]
    warnings: tuple[str, ...] = ()
    where: str = field(default="places", compare=False)

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def index(self) -> PlaceIndex:
        """The spatial index, built once."""
        return PlaceIndex(self.geometries, np.array([place.distance_km for place in self.places]))

    @cached_property
    def strength(self) -> Mapping[Hazard, NDArray[np.float64]]:
        """Each place's threshold, dBZ for storms and mm for hail; infinite if it takes no such alerts."""
        wishes: dict[Hazard, list[float]] = {
            "storm": [place.level_dbz for place in self.places],
            "hail": [place.hail_mm for place in self.places],
        }
        return {
            hazard: np.where([hazard in place.products for place in self.places], wishes[hazard], np.inf)
            for hazard in HAZARDS
        }

    @cached_property
    def lead_min(self) -> NDArray[np.int64]:
        """Each place's longest lead, minutes."""
        return np.array([place.lead_min for place in self.places], dtype=np.int64)


def read_places(path: Path, settings: AlertsSection) -> Places:
    """Read a GeoJSON file of places.

    Parameters
    ----------
    path
        The file.
    settings
        Provides the defaults for what a place does not set.

    Raises
    ------
    NotFoundError, InputError
        If the file does not exist or is not a FeatureCollection of places; the message names the feature.
    """
    try:
        data = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError("places file not found", where=path) from None
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=path, expected="GeoJSON") from error
    return parse_places(data, settings, where=path)


def parse_places(data: Any, settings: AlertsSection, *, where: object = "places") -> Places:
    """Return the places of decoded GeoJSON; see `read_places`."""
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, list) or data.get("type") != "FeatureCollection":
        raise InputError("not a FeatureCollection", where=where, expected="GeoJSON with features")
    places: list[Place] = []
    geometries: list[BaseGeometry] = []
    warnings: list[str] = []
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    for number, feature in enumerate(features, start=1):
        read = _Feature(f"feature {number}", mistakes)
        if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
            read.wrong("not a feature", expected="an object with geometry and properties")
            continue
        properties = feature.get("properties") or {}
        place = read.place(feature, properties, settings)
        geometry = read.geometry(feature.get("geometry"))
        if place is None:
            continue
        if place.id in seen:
            read.wrong(
                f"the id {place.id!r} is already used by feature {seen[place.id]}",
                hint="give each place a unique id in its properties",
            )
        seen[place.id] = number
        warnings += _misspelt(properties, place.name, settings)
        if geometry is not None:
            places.append(place)
            geometries.append(geometry)
    if mistakes:
        raise MistakesError(mistakes, where=where)
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    result = Places(tuple(places), array, tuple(warnings), str(where))
    try:
        _ = result.index
    except InputError as error:
        raise InputError(error.what, where=f"{where}: {error.where}", expected=error.expected) from error
    return result


class _Feature:
    """Reads one feature, and notes everything that is wrong with it."""

    def __init__(self, at: str, mistakes: list[str]) -> None:
        self._at = at
        self._mistakes = mistakes

    def wrong(self, what: str, *, expected: str | None = None, hint: str | None = None) -> None:
        """Note a mistake."""
        self._mistakes.append(str(InputError(what, where=self._at, expected=expected, hint=hint)))

    def place(self, feature: Mapping[str, Any], properties: Mapping[str, Any], settings: AlertsSection) -> Place | None:
        """Return the place, or None after noting what is wrong with its name."""
        name = properties.get("name", properties.get("id", feature.get("id")))
        identity = properties.get("id", feature.get("id"))
        if identity is None:
            identity = name
        for value in (name, identity):
            if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
                self.wrong(f"the name or id is {value!r:.60}", expected="text in the property name")
                return None
        numbers = {key: self._number(properties, key, getattr(settings, key)) for key in _NUMBERS}
        products = self._words(properties, "products") or settings.products
        for word in products:
            if word not in HAZARDS:
                self.wrong(f"unknown product {word!r:.60}", expected=" and ".join(HAZARDS))
        channels = self._words(properties, "channels")
        for missing in sorted(set(channels or ()) - {channel.name for channel in settings.channels_for("places")}):
            if settings.channels:
                self.wrong(f"unknown channel {missing!r:.60}", expected="the name of a configured channel")
        locality = properties.get("locality")
        return Place(
            id=one_line(str(identity))[:_MAX_TEXT],
            name=one_line(str(name))[:_MAX_TEXT],
            locality=one_line(locality)[:_MAX_TEXT] if isinstance(locality, str) else "",
            distance_km=numbers["distance_km"],
            level_dbz=float(math.floor(numbers["level_dbz"])),
            hail_mm=float(math.floor(numbers["hail_mm"])),
            lead_min=int(numbers["lead_min"]),
            products=tuple(hazard for hazard in HAZARDS if hazard in products),
            channels=None if channels is None else tuple(channels),
        )

    def geometry(self, data: Any) -> BaseGeometry | None:
        """Return the geometry, or None after noting what is wrong with it."""
        try:
            return _geometry(data)
        except InputError as error:
            self.wrong(error.what, expected=error.expected)
            return None

    def _number(self, properties: Mapping[str, Any], key: str, default: float) -> float:
        value = properties.get(key)
        if value is None:
            return float(default)
        least, largest = _NUMBERS[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= largest:
            self.wrong(f"{key} is {value!r:.60}", expected=f"a number, {least:g} to {largest:g}")
            return float(default)
        return float(value)

    def _words(self, properties: Mapping[str, Any], key: str) -> Sequence[str] | None:
        value = properties.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            self.wrong(f"{key} is {value!r:.60}", expected="a list of words")
            return None
        return value


def _misspelt(properties: Mapping[str, Any], name: str, settings: AlertsSection) -> list[str]:
    warnings = []
    for key in properties:
        if key in WISHES or key in _GENERIC:
            continue
        close = difflib.get_close_matches(key.lower(), WISHES, n=1, cutoff=0.7)
        if close:
            warnings.append(f"{name}: unknown property {key}; did you mean {close[0]}?")
    return warnings


def _geometry(data: Any) -> BaseGeometry:
    if not isinstance(data, dict) or data.get("type") not in _TYPES:
        raise InputError("no usable geometry", expected=", ".join(_TYPES))
    if data["type"] == "Point":
        point = data.get("coordinates")
        # The common case, 20 times as fast as the general one.
        if isinstance(point, list) and len(point) in (2, 3) and all(type(value) in (int, float) for value in point):
            return shapely.Point(point[0], point[1])
    try:
        geometry: BaseGeometry = shapely.from_geojson(orjson.dumps(data).decode())
    except (shapely.GEOSException, ValueError, TypeError) as error:
        raise InputError(f"invalid geometry: {error}", expected="GeoJSON") from error
    if geometry is None or geometry.is_empty:
        raise InputError("empty geometry", expected="coordinates")
    return shapely.force_2d(geometry)
