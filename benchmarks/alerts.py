"""Alerts: 100,000 places against a wide nowcast of 31 leads, beside a plain shapely loop on a sample of them."""

from __future__ import annotations

import functools
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from benchmarks.report import show, time_in_turn
from dynamo.alerts.book import AlertBook
from dynamo.alerts.hazards import HazardProduct, read_products
from dynamo.alerts.matching import match
from dynamo.alerts.places import Places, parse_places
from dynamo.config.alerts import AlertsSection
from dynamo.formats.geojson import contour_name, encode_contours
from dynamo.radar.contour import contours
from dynamo.radar.proximity import Plane
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.store.engine import open_store

PLACES = 100_000
SAMPLE = 200
LEVELS = (35.0, 40.0, 45.0, 50.0, 55.0)


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure what a minute's nowcast costs: reading, matching, and the state and messages in the store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [row for regime in ("clear", "cells", "wide") for row in _measure(folder, regime)]
    note = "Goal: reading and matching 100,000 places <= 2 s in the wide regime. The index is made once and kept."
    columns = (
        "regime",
        "places' wishes",
        "polygons",
        "read ms",
        "match ms",
        "both ms",
        "both CPU ms",
        "places near",
        "store ms",
        "same again ms",
        "index ms",
        "plain loop / ours",
    )
    return [show(f"Alerts: {PLACES:,} places x 31 leads of 201 x 201, five levels, one core", columns, rows, note)]


def _measure(folder: Path, regime: Any) -> list[tuple[Any, ...]]:
    simulator = NowcastSimulator(regime, (201, 201), datetime(2019, 6, 10, tzinfo=UTC), seed=1)
    header = simulator.header(0)
    target = folder / regime
    target.mkdir()
    for lead, field in enumerate(simulator.grids(0)):
        content = encode_contours(header, lead, contours(field, header.grid, LEVELS))
        (target / contour_name(lead, header.issue_time)).write_bytes(content)
    rows = []
    for wishes in ("5 km, 45 dBZ", "1-10 km, 35-50 dBZ") if regime == "wide" else ("5 km, 45 dBZ",):
        places, index_s = _places(mixed="-" in wishes)
        (product,) = read_products([target])
        timings = time_in_turn(
            {
                "read": functools.partial(read_products, [target]),
                "match": functools.partial(match, places, product),
            },
            rounds=5,
        )
        stored_s, again_s = _store(folder / f"{regime}-{wishes}.sqlite", places, product)
        both = timings["read"].wall_ms + timings["match"].wall_ms
        rows.append(
            (
                regime,
                wishes,
                len(product.polygons),
                round(timings["read"].wall_ms),
                round(timings["match"].wall_ms),
                round(both),
                round(timings["read"].cpu_ms + timings["match"].cpu_ms),
                len(match(places, product)),
                round(stored_s * 1000),
                round(again_s * 1000),
                round(index_s * 1000),
                round(_loop_ms(places, product) / timings["match"].wall_ms, 1) if len(product.polygons) else "-",
            )
        )
    return rows


def _places(*, mixed: bool) -> tuple[Places, float]:
    random = np.random.default_rng(1)
    lon, lat = random.uniform(-98, -96, PLACES).tolist(), random.uniform(31.8, 33.8, PLACES).tolist()
    distance, level = random.uniform(1, 10, PLACES).tolist(), random.choice([35, 40, 45, 50], PLACES).tolist()
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"p{i}"} | ({"distance_km": distance[i], "level_dbz": level[i]} if mixed else {}),
            "geometry": {"type": "Point", "coordinates": [lon[i], lat[i]]},
        }
        for i in range(PLACES)
    ]
    start = time.perf_counter()
    places = parse_places({"type": "FeatureCollection", "features": features}, AlertsSection())
    return places, time.perf_counter() - start


def _store(path: Path, places: Places, product: HazardProduct) -> tuple[float, float]:
    """Return the seconds to judge a nowcast that is news to every place, and the next one, which is not."""
    store = open_store(path)
    try:
        book = AlertBook(store, places, AlertsSection(), ["log"])
        times = []
        for minute in (0, 1):
            later = product.issued.replace(minute=minute)
            again = HazardProduct(**{**vars(product), "issued": later, "key": str(minute)})
            start = time.perf_counter()
            book.judge(again)
            times.append(time.perf_counter() - start)
    finally:
        store.close()
    return times[0], times[1]


def _loop_ms(places: Places, product: HazardProduct) -> float:
    """Return the time that a plain loop over places and polygons would take for all places, from a sample.

    It is given the projection for nothing, prepared polygons, and stops at the first polygon that is near, in the
    order of the leads; it finds no level, distance or direction.
    """
    plane = Plane(32.8, -97.0)
    flat = product.polygons
    order = np.argsort(product.lead_min, kind="stable")
    shapes = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, plane.project(flat.points), (flat.rings, flat.parts)
    )[order]
    shapely.prepare(shapes)
    polygons = list(zip(shapes.tolist(), product.strength[order].tolist(), strict=True))
    start = time.perf_counter()
    for place, geometry in zip(places.places[:SAMPLE], places.geometries[:SAMPLE], strict=True):
        point = shapely.Point(plane.project(np.array([[geometry.x, geometry.y]]))[0])
        for polygon, strength in polygons:
            if strength >= place.level_dbz and polygon.dwithin(point, place.distance_km):
                break
    return (time.perf_counter() - start) * 1000 * len(places) / SAMPLE
