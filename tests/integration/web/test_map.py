"""The map over odd weather: across the date line, with very large contours, and names that are meant to harm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from playwright.sync_api import Page, expect

from dynamo.api.pages import is_built
from dynamo.formats.png import encode_reflectivity
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Series
from dynamo.times import to_iso, utc_now
from tests.integration.web.conftest import DASHBOARD, page_of, serving
from tests.unit.api.serving import add_product, add_runs, run_row
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = "<img src=x onerror=\"document.title='harmed'\">\u202e\U0001f300\n${alert(1)}"
#: Fiji: west, south, east, north; the grid goes on beyond 180 degrees.
FIJI = (178.0, -19.0, 182.0, -16.0)
LEVELS = (35.0, 45.0)
#: Pixels of the map at its zoom of 9.
_PER_DEGREE = 512 * 2**9 / 360


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over a store that holds all of that."""
    if not is_built():
        DASHBOARD.lacking()
    folder = tmp_path_factory.mktemp("odd")
    now = utc_now().replace(microsecond=0)
    at = now - timedelta(minutes=1)
    with closing(open_store(folder / "state" / "store.sqlite")) as store:
        storms, hail = run_row(1, valid_at=at, radar=""), run_row(2, valid_at=at, workflow="hail", radar=HOSTILE)
        add_runs(store, storms, hail)
        for lead in (0, 5):
            for name, content in (("mrt_STORM_CASA", _contours(lead, at)), ("PredictedReflectivity", _image(lead))):
                path = folder / f"{name}_{lead}_x{'.png' if name.startswith('P') else '.geojson'}"
                path.write_bytes(content)
                add_product(store, storms["id"], path, lead_min=lead, valid_at=at, sha256=f"{lead}" * 64)
        path = folder / "hmt_HAIL_CASA_x.geojson"
        areas = {"features": [_feature(_ring(179.3, -17.5, 0.1, 20), size_mm=30.0, hail_class=HOSTILE)]}
        path.write_bytes(orjson.dumps({"type": "FeatureCollection", "valid_time": to_iso(at), **areas}))
        add_product(store, hail["id"], path, valid_at=at)
        counters = {"slots": 1, "made": 1, "bytes": 1, "oldest_at": at, "newest_at": at}
        with store.transaction() as session:
            for workflow in ("nowcast", "hail"):
                session.add(Series(kind="workflow", name=workflow, trigger="storms", **counters))
            session.add(Series(kind="feed", name="radars", radar=HOSTILE, **counters))
            times = dict.fromkeys(("valid_at", "detected_at", "recorded_at"), at)
            facts = {"position": [-18.2, -179.4], "range_km": 100.0}
            session.add(
                Arrival(
                    feed="radars", path="a", size=1, mtime_ns=1, state="accepted", radar=HOSTILE, facts=facts, **times
                )
            )
    place = {"type": "Point", "coordinates": [179.2, -16.6]}
    feature = {"type": "Feature", "properties": {"name": HOSTILE}, "geometry": place}
    (folder / "places.geojson").write_bytes(orjson.dumps({"type": "FeatureCollection", "features": [feature]}))
    (folder / "dynamo.toml").write_text(
        '[folders]\nstate = "state"\n[[feeds]]\nname = "radars"\npath = "in"\n[alerts]\nplaces = "places.geojson"\n'
    )
    (folder / "in").mkdir()
    with serving(folder) as url:
        yield url


def _contours(lead: int, at: datetime) -> bytes:
    """Return a storm on each side of 180 degrees, as products cut it, one of them with very many points."""
    many = _ring(178.6, -17.5, 0.5, 30_000)
    west = [[179.5, -18.0], [180.0, -18.0], [180.0, -17.0], [179.5, -17.0], [179.5, -18.0]]
    east = [[-180.0, -18.0], [-179.5, -18.0], [-179.5, -17.0], [-180.0, -17.0], [-180.0, -18.0]]
    features = [_feature(ring, level=45.0, max_dbz=50.0, area_km2=9.0) for ring in (many, west, east)]
    facts = {"issue_time": to_iso(at), "valid_time": to_iso(at + timedelta(minutes=lead)), "levels_dbz": LEVELS}
    return orjson.dumps({"type": "FeatureCollection", **facts, "features": features})


def _ring(longitude: float, latitude: float, size: float, points: int) -> list[list[float]]:
    angles = np.linspace(0, 2 * math.pi, points)
    reach = size * (1 + 0.1 * np.sin(9 * angles))
    ring = np.column_stack([longitude + reach * np.cos(angles), latitude + reach * np.sin(angles)])
    ring[-1] = ring[0]
    found: list[list[float]] = ring.round(5).tolist()
    return found


def _feature(ring: list[list[float]], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def _image(lead: int) -> bytes:
    field = np.full((60, 80), -10.0, dtype=np.float32)
    field[20:40, 20 + lead : 60] = 42.0
    return encode_reflectivity(field, smoothing_passes=0, texts={"bounds": ",".join(f"{edge:.6f}" for edge in FIJI)})


@pytest.fixture
def page(browser: Browser, odd: str) -> Iterator[Page]:
    with page_of(browser, odd) as made:
        yield made


def test_the_map_looks_at_both_sides_of_the_date_line_and_shows_names_as_they_are(page: Page) -> None:
    page.goto("/map?grid=nws&view=180,-17.5,9")
    expect(page.locator(".map[data-ready]")).to_be_visible(timeout=60_000 * PATIENCE)
    expect(page.get_by_role("slider", name="Time")).to_have_attribute("max", "1")
    box = page.locator(".map").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    told = page.get_by_label("What was clicked")
    for longitude, words in ((179.75, "Storm, 45 dBZ"), (180.25, "Storm, 45 dBZ"), (179.3, "Hail, 30 mm")):
        x = middle[0] + (longitude - 180) * _PER_DEGREE
        for _ in range(10 * PATIENCE):
            page.mouse.click(x, middle[1])
            page.wait_for_timeout(500)
            # The map draws what it has loaded when it comes to it.
            if told.count() > 0 and words in told.inner_text():
                break
        expect(told).to_contain_text(words)
        if longitude != 179.3:
            page.get_by_role("button", name="Close").click()
    expect(told).to_contain_text("<img src=x onerror=")
    assert page.title() != "harmed"
    assert page.locator(".picked img").count() == 0
