"""Read published GeoJSON as hazards: polygons with a strength, a time and a source.

Only the adapters (`_storm`, `_hail`) know the properties of a product. Files may come from other programs: an invalid
feature is counted and left out, an invalid file is an error.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from dynamo.alerts.polygons import are_sound, clean, coordinates_of
from dynamo.config.alerts import Hazard
from dynamo.errors import InputError, NotFoundError
from dynamo.radar.proximity import Polygons
from dynamo.times import parse_time

#: Names of the products used for alerts; other files in a product folder are not opened.
STORM_FILE = re.compile(r"^mrt_STORM_CASA_(\d{1,4})_.*\.geojson$")
HAIL_FILE = re.compile(r"^hmt_HAIL_CASA_(.*)\.geojson$")
#: Minimum size, mm, of the classes of Ortega et al. (2016, HSDA): small up to 1 inch, large up to 2, giant beyond.
HAIL_CLASSES = {"small": 5.0, "large": 25.4, "giant": 50.8, "sh": 5.0, "lh": 25.4, "gh": 50.8}
#: Size assumed for hail if a product gives neither size nor class.
UNKNOWN_HAIL_MM = 5.0
_BELOW_MM = 0.1
_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class HazardProduct:
    """The hazards of one publication: all leads of a nowcast, or the hail of one sweep, volume or composite.

    Attributes
    ----------
    hazard
        ``storm`` or ``hail``.
    issued
        When the nowcast was issued or the radar scanned.
    stream
        Name of the series of products, ordered in time, that this one belongs to.
    key
        Distinguishes products of the stream with the same time: a run's key, or a hash of the content.
    polygons, strength, lead_min
        The polygons; dBZ or mm and minutes after ``issued`` of each, shape ``(polygons,)``.
    facts
        Further properties of each polygon's feature.
    covers_min
        The last lead, minutes.
    left_out
        Number of features that could not be read.
    eyes
        Names of the observing radars, or of the stream: only those that saw a hazard can report it gone.
    """

    hazard: Hazard
    issued: datetime
    stream: str
    key: str
    polygons: Polygons
    strength: NDArray[np.float64]
    lead_min: NDArray[np.int64]
    facts: tuple[Mapping[str, Any], ...]
    covers_min: int
    left_out: int = 0
    eyes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Read:
    """A feature as read by an adapter."""

    strength: float
    lead_min: float
    facts: Mapping[str, Any]


def hazard_of(path: PurePath) -> Hazard | None:
    """Return the hazard that a file name stands for, or None if it is no alert product."""
    if STORM_FILE.match(path.name):
        return "storm"
    return "hail" if HAIL_FILE.match(path.name) else None


def read_products(paths: Iterable[Path], *, stream: str = "", key: str = "") -> list[HazardProduct]:
    """Read the alert products among files and folders; the leads of one nowcast become one product.

    Parameters
    ----------
    paths
        Files, or folders whose alert products, by name, are read.
    stream, key
        See `HazardProduct`; a workflow's name and a run's key if known.

    Returns
    -------
    list of HazardProduct
        The oldest first.

    Raises
    ------
    NotFoundError, InputError
        If a path does not exist or a file is not GeoJSON with a time.
    """
    groups: dict[tuple[Hazard, datetime, str], list[_File]] = {}
    with _no_collection():
        for path in _files(paths):
            file = _read_file(path)
            groups.setdefault((file.hazard, file.issued, file.source), []).append(file)
        return [
            _join(hazard, issued, " ".join(filter(None, (hazard, stream, source))), key, files)
            for (hazard, issued, source), files in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0]))
        ]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector: JSON has no cycles, and walking it repeatedly doubles the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class _File:
    path: Path
    hazard: Hazard
    issued: datetime
    lead_min: int
    source: str
    features: Sequence[Any]
    sha256: str
    levels: tuple[float, ...] = ()
    radars: tuple[str, ...] = ()


def _files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(item for item in path.rglob("*.geojson") if hazard_of(item) is not None)
        elif path.is_file():
            files.append(path)
        else:
            raise NotFoundError("no such file or folder", where=path)
    return files


def _read_file(path: Path) -> _File:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError("too large for a product", where=path, expected=f"at most {_MAX_BYTES:,} bytes")
        content = path.read_bytes()
        data = orjson.loads(content)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=path, expected="GeoJSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("features"), list):
        raise InputError("not a FeatureCollection", where=path, expected="GeoJSON with features")
    features: list[Any] = data["features"]
    first = next((_properties(feature) for feature in features), {})
    hazard = hazard_of(path) or _by_content(first, path)
    valid = _first_time(("valid_time", "timestamp", "time"), data, first)
    issued = _first_time(("issue_time",), data, first)
    if hazard == "hail":
        # Hail is observed, not predicted: its valid time is its only time.
        issued = valid or issued or _time_in_name(path)
        match = HAIL_FILE.match(path.name)
        # If several radars publish side by side, the part of the name next to the time says which one.
        source = re.sub(r"[-_]?\d{8}-\d{6}", "", match[1]).strip("-_") if match else ""
        source = source or _source(data.get("radars", data.get("radar")))
        lead = 0
    else:
        lead = _lead(data, first, path)
        issued = issued or (valid - timedelta(minutes=lead) if valid else None) or _time_in_name(path)
        source = ""
    if issued is None:
        raise InputError("no valid_time or issue_time", where=path, expected="an ISO 8601 time")
    levels = data.get("levels_mm")
    sizes = [_number(level) for level in levels] if isinstance(levels, list) else []
    known = tuple(size for size in sizes if size is not None)
    radars = _names(data.get("radars", data.get("radar"))) or ([source] if source else [])
    blind = _names(data.get("blind_radars"))
    seen_by = tuple(radar for radar in radars if radar not in blind) if hazard == "hail" else ()
    return _File(path, hazard, issued, lead, source, features, hashlib.sha256(content).hexdigest(), known, seen_by)


def _by_content(properties: Mapping[str, Any], path: Path) -> Hazard:
    kind = str(properties.get("hazardType", "")).upper()
    if "HAIL" in kind:
        return "hail"
    if "STORM" in kind:
        return "storm"
    raise InputError(
        "neither storm nor hail, by name or hazardType", where=path, expected="mrt_STORM_CASA_* or hmt_HAIL_CASA_*"
    )


def _properties(feature: Any) -> Mapping[str, Any]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else {}


def _first_time(names: Sequence[str], *sources: Mapping[str, Any]) -> datetime | None:
    for name in names:
        for source in sources:
            if isinstance(source.get(name), str):
                try:
                    return parse_time(source[name])
                except InputError:
                    continue
    return None


def _time_in_name(path: Path) -> datetime | None:
    found = re.search(r"(\d{8})-(\d{6})", path.name)
    if found is None:
        return None
    try:
        return parse_time(f"{found[1]}T{found[2]}")
    except InputError:
        return None


def _lead(data: Mapping[str, Any], first: Mapping[str, Any], path: Path) -> int:
    match = STORM_FILE.match(path.name)
    for value in (data.get("lead_min"), first.get("lead_min"), match[1] if match else None):
        number = _number(value)
        if number is not None and 0 <= number <= 1440:
            return int(number)
    return 0


def _source(radars: Any) -> str:
    if isinstance(radars, list):
        return "+".join(sorted(str(radar) for radar in radars))[:100]
    return radars[:100] if isinstance(radars, str) else ""


def _storm(properties: Mapping[str, Any], file: _File) -> _Read | None:
    level = _number(properties.get("ReflectivityLevel", properties.get("level")))
    lead = _number(properties.get("lead_min"))
    if level is None:
        return None
    facts = {name: properties[name] for name in ("max_dbz", "area_km2") if _number(properties.get(name)) is not None}
    return _Read(level, file.lead_min if lead is None or not 0 <= lead <= 1440 else lead, facts)


def _hail(properties: Mapping[str, Any], file: _File) -> _Read | None:
    word = next((properties[name] for name in ("hail_class", "level", "class") if name in properties), None)
    size = _number(properties.get("size_mm"))
    facts: dict[str, Any] = {
        name: properties[name]
        for name in ("area_km2", "max_dbz", "hail_height_m", "max_age_s")
        if _number(properties.get(name)) is not None
    }
    if isinstance(word, str):
        facts["hail_class"] = word[:40]
    radars = properties.get("radars", properties.get("radar"))
    if radars:
        facts["radars"] = _names(radars)
    if size is None or size < 0:
        found = [HAIL_CLASSES[part] for part in re.findall(r"[a-z]+", str(word).lower()) if part in HAIL_CLASSES]
        return _Read(max(found, default=UNKNOWN_HAIL_MM), 0.0, facts | {"size_from": "class" if found else "unknown"})
    above = min(
        (level for level in file.levels if level > (_number(properties.get("level_mm")) or 0.0)), default=np.inf
    )
    if "level_mm" in properties and size >= above:
        # The largest stones are inside the next level's area, a separate feature: a place near only this one is near
        # hail smaller than that level.
        level = _number(properties["level_mm"]) or UNKNOWN_HAIL_MM
        return _Read(max(level, above - _BELOW_MM), 0.0, facts | {"size_from": "level", "least_mm": level})
    return _Read(size, 0.0, facts)


def _names(radars: Any) -> list[str]:
    if not radars:
        return []
    several = radars if isinstance(radars, list) else [radars]
    return ["".join(letter for letter in str(radar)[:40] if letter.isprintable()) for radar in several]


_ADAPTERS: Mapping[Hazard, Callable[[Mapping[str, Any], _File], _Read | None]] = {"storm": _storm, "hail": _hail}


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def _join(hazard: Hazard, issued: datetime, stream: str, key: str, files: Sequence[_File]) -> HazardProduct:
    """Gather the polygons of all files into flat arrays."""
    points: list[Any] = []
    rings, parts = [0], [0]
    strength: list[float] = []
    leads: list[int] = []
    facts: list[Mapping[str, Any]] = []
    left_out = 0
    adapt = _ADAPTERS[hazard]
    for file in files:
        for feature in file.features:
            read = adapt(_properties(feature), file)
            polygons = coordinates_of(feature)
            if read is None or not polygons:
                left_out += 1
                continue
            for polygon in polygons:
                for ring in polygon:
                    points.extend(ring)
                    rings.append(len(points))
                parts.append(len(rings) - 1)
                strength.append(read.strength)
                leads.append(round(read.lead_min))
                facts.append(read.facts)
    try:
        flat = np.array(points, dtype=np.float64) if points else np.zeros((0, 2))
        made = Polygons(np.ascontiguousarray(flat[:, :2]), np.array(rings), np.array(parts))
        regular = flat.ndim == 2 and bool(are_sound(made).all())
    except (ValueError, TypeError, IndexError, OverflowError):
        regular = False
    if not regular:
        kept = [clean(feature) for file in files for feature in file.features]
        changed = sum(
            new is not old for new, old in zip(kept, (f for file in files for f in file.features), strict=True)
        )
        if not changed:
            raise InputError("unusable polygons", where=files[0].path, expected="RFC 7946")
        position = 0
        cleaned = []
        for file in files:
            mine = kept[position : position + len(file.features)]
            position += len(file.features)
            cleaned.append(replace(file, features=mine))
        return _join(hazard, issued, stream, key, cleaned)
    return HazardProduct(
        hazard,
        issued,
        stream,
        key or hashlib.sha256("".join(sorted(file.sha256 for file in files)).encode()).hexdigest()[:32],
        made,
        np.array(strength),
        np.array(leads, dtype=np.int64),
        tuple(facts),
        max(file.lead_min for file in files),
        left_out,
        frozenset(radar for file in files for radar in file.radars) or frozenset({stream}),
    )
