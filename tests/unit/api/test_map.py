"""The map: times, all leads of a nowcast in one answer, hail areas, radars."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from dynamo.api.kept.pictures import Pictures
from dynamo.config.file import parse_config
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Product, Run, Series
from dynamo.times import utc_now
from tests.unit.api.serving import NOON, add_product, add_runs, client_of, run_row

STORMS = run_row(2, product_dir=None)
HAIL = run_row(1, workflow="hail", radar="KTLX")


def _geojson(properties: dict[str, Any], ring: list[list[float]], **facts: Any) -> bytes:
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
    return orjson.dumps(
        {"type": "FeatureCollection", **facts, "features": [feature, {"type": "Feature", "geometry": None}]}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("map")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    made = open_store(folder / "store.sqlite")
    add_runs(made, STORMS, HAIL, run_row(3), run_row(4, standing="superseded"))
    ring = [[-97.130431, 31.8], [-97.130432, 31.8], [-97.0, 31.80004], [-97.0, 31.9], [-97.130431, 31.8]]
    times = {"issue_time": "2026-06-10T12:00:00Z", "levels_dbz": [45.0]}
    for lead in (10, 0):
        path = folder / f"mrt_STORM_CASA_{lead}_20260610-120000.geojson"
        valid = f"2026-06-10T12:{lead:02}:00Z"
        properties = {"ReflectivityLevel": 45.0, "max_dbz": 51.5, "timestamp": valid, "lead_min": lead}
        path.write_bytes(_geojson(properties, ring, **times, valid_time=valid))
        add_product(made, STORMS["id"], path, lead_min=lead)
    path = folder / "hmt_HAIL_CASA_KTLX_20260610-115900.geojson"
    tiny = [[-97.0, 31.0], [-97.00001, 31.0], [-97.00001, 31.00001], [-97.0, 31.0]]
    path.write_bytes(_geojson({"size_mm": 30.0, "hazardType": "HAIL"}, tiny, valid_time="2026-06-10T11:59:00Z"))
    add_product(made, HAIL["id"], path)
    add_product(made, HAIL["id"], folder / "mesh.nc")
    add_product(made, run_row(3)["id"], folder / "mrt_STORM_CASA_0_gone.geojson", lead_min=0)
    counters = {"slots": 1, "made": 1, "bytes": 1, "oldest_at": NOON, "newest_at": NOON}
    facts = {"position": [35.3, -97.3], "range_km": 230.0}
    with made.transaction() as session:
        session.add_all(
            Series(kind="workflow", name=name, trigger="storms", **counters) for name in ("nowcast", "hail")
        )
        session.add_all(Series(kind="feed", name="dfw", radar=radar, **counters) for radar in ("KTLX", "KXXX"))
        at = dict.fromkeys(("valid_at", "detected_at", "recorded_at"), NOON)
        for radar in ("KTLX", "KXXX"):
            known = facts if radar == "KTLX" else {"position": None}
            arrival = Arrival(
                feed="dfw", path=radar, size=1, mtime_ns=1, state="accepted", radar=radar, facts=known, **at
            )
            session.add(arrival)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, folder: Path) -> Iterator[TestClient]:
    with client_of(store, folder, parse_config({"feeds": [{"name": "dfw", "path": "in"}]}, base=folder)) as made:
        yield made


def test_frames_are_the_times_that_there_are(client: TestClient) -> None:
    found = client.get("/v1/map/frames").json()
    assert [(one["run"], one["leads_min"]) for one in found["nowcasts"]] == [
        (STORMS["id"], [0, 10]),
        (run_row(3)["id"], [0]),
    ]
    assert [(one["run"], one["radar"], one["workflow"]) for one in found["hail"]] == [(HAIL["id"], "KTLX", "hail")]
    early = client.get("/v1/map/frames?until=2026-06-10T12:00:00Z").json()
    assert [one["run"] for one in early["nowcasts"]] == [STORMS["id"]]
    assert client.get("/v1/map/frames?since=2026-06-11T00:00:00Z").json() == {"nowcasts": [], "hail": []}


def test_a_nowcast_comes_with_all_leads_in_one_answer(client: TestClient) -> None:
    answer = client.get(f"/v1/map/nowcasts/{STORMS['id']}")
    found = answer.json()
    assert (found["issued_at"], found["levels_dbz"]) == ("2026-06-10T12:00:00Z", [45.0])
    assert [(lead["lead_min"], lead["valid_at"]) for lead in found["leads"]] == [
        (0, "2026-06-10T12:00:00Z"),
        (10, "2026-06-10T12:10:00Z"),
    ]
    # Two points that are one after rounding, and a feature without geometry, are left out.
    assert found["leads"][0]["contours"]["features"] == [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[-97.1304, 31.8], [-97.0, 31.8], [-97.0, 31.9], [-97.1304, 31.8]]],
            },
            "properties": {"level_dbz": 45.0, "max_dbz": 51.5},
        }
    ]
    assert client.get(f"/v1/products/{found['leads'][1]['product']}").json()["lead_min"] == 10


def test_a_nowcast_is_packed_once_and_not_sent_twice(client: TestClient) -> None:
    place = f"/v1/map/nowcasts/{STORMS['id']}"
    with client.stream("GET", place, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
        tag = packed.headers["etag"]
    plain = client.get(place, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(raw) == plain.content
    assert client.get(place, headers={"If-None-Match": tag, "Accept-Encoding": "gzip"}).status_code == 304


def test_a_ring_that_rounding_would_empty_stays_a_ring(client: TestClient) -> None:
    for path in ("/v1/map/hail", f"/v1/map/hail?run={HAIL['id']}"):
        (found,) = client.get(path).json()["items"]
        assert (found["radar"], found["valid_at"]) == ("KTLX", "2026-06-10T11:59:00Z")
        (area,) = found["areas"]["features"]
        assert area["properties"] == {"size_mm": 30.0}
        assert area["geometry"]["coordinates"] == [[[-97.0, 31.0]] * 4]


NO_GEOMETRIES: list[Any] = [
    {"type": "Polygon", "coordinates": [[["<b>", 1.0], [2.0, 2.0]]]},
    {"type": "Polygon", "coordinates": [[[1.0], [2.0]]]},
    {"type": "Polygon", "coordinates": "everywhere"},
    {"type": "Polygon", "coordinates": {"0": 1}},
    {"type": "Polygon", "coordinates": [[[[[[[1.0, 2.0]]]]]]]},
    {"type": "Polygon", "coordinates": None},
    {"type": "Polygon"},
    "Polygon",
]


def test_contours_that_are_none_do_not_hide_the_others(tmp_path: Path) -> None:
    """Files may come from other programs, and from modules of users."""
    ring = [[[179.5, -17.0], [180.0, -17.0], [180.0, -16.0], [179.5, -17.0]]]
    shapes = [*NO_GEOMETRIES, {"type": "Polygon", "coordinates": ring}, {"type": "MultiPolygon", "coordinates": [ring]}]
    features: list[Any] = [{"type": "Feature", "properties": {"level": 45.0}, "geometry": shape} for shape in shapes]
    odd = [None, "feature", {"geometry": shapes[-1], "properties": ["level"]}]
    path = tmp_path / "mrt_STORM_CASA_0_odd.geojson"
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": [*features, *odd]}))
    deep = tmp_path / "mrt_STORM_CASA_5_deep.geojson"
    nested = "[" * 900 + "1" + "]" * 900
    shape = f'{{"type":"Polygon","coordinates":{nested}}}'
    deep.write_text(f'{{"type":"FeatureCollection","features":[{{"type":"Feature","geometry":{shape}}}]}}')
    with closing(open_store(tmp_path / "store.sqlite")) as store:
        add_runs(store, run_row(1))
        for lead, file in enumerate((path, deep)):
            add_product(store, run_row(1)["id"], file, lead_min=lead)
        with client_of(store, tmp_path) as client:
            first, second = client.get(f"/v1/map/nowcasts/{run_row(1)['id']}").json()["leads"]
    shown = first["contours"]["features"]
    assert [feature["geometry"]["type"] for feature in shown] == ["Polygon", "MultiPolygon", "MultiPolygon"]
    # Both parts of what the product cut at 180 degrees stay where they are.
    assert shown[0]["geometry"]["coordinates"] == ring
    assert second["contours"]["features"] == []


def test_large_contours_push_older_ones_out_of_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "mrt_STORM_CASA_0_large.geojson"
    points = rng.uniform(-90, 90, (50_000, 2)).round(4)
    points[-1] = points[0]
    path.write_bytes(_geojson({"level": 35.0}, points.tolist()))
    pictures = Pictures(kept_bytes=1_000_000)
    runs = [Run(**run_row(number, product_dir=str(tmp_path))) for number in range(4)]
    products = [Product(id=1, run_id="x", lfn=path.name, path=str(path), lead_min=0)]
    made = [pictures.nowcast(run, products) for run in runs]
    assert (
        len(orjson.loads(made[0].body)["leads"][0]["contours"]["features"][0]["geometry"]["coordinates"][0]) == 50_000
    )
    assert 300_000 < len(made[0].packed) < 1_000_000
    assert pictures.nowcast(runs[3], products) is made[3]
    assert pictures.nowcast(runs[0], products) is not made[0]


def test_what_is_gone_or_was_never_there_is_told(client: TestClient) -> None:
    gone = client.get(f"/v1/map/nowcasts/{run_row(3)['id']}")
    assert (gone.status_code, gone.json()["hint"]) == (410, f"dynamo runs retry {run_row(3)['id']}")
    assert client.get(f"/v1/map/nowcasts/{HAIL['id']}").status_code == 404
    assert client.get("/v1/map/hail?run=unknown").status_code == 404


def test_what_comes_of_a_clock_that_is_ahead_is_not_the_newest(tmp_path: Path) -> None:
    """It would stay the newest, and hide all that follows, until its time has come."""
    now = utc_now()
    past, ahead = (now - timedelta(minutes=2), now + timedelta(minutes=90))
    rows = [
        run_row(1, workflow="hail", radar="KTLX", valid_at=past),
        run_row(2, workflow="hail", radar="KTLX", valid_at=ahead),
        run_row(3, workflow="hail", radar="KXXX", valid_at=ahead),
        run_row(4, valid_at=past),
        run_row(5, valid_at=ahead),
    ]
    with closing(open_store(tmp_path / "store.sqlite")) as store:
        add_runs(store, *rows)
        for row in rows:
            name = "mrt_STORM_CASA_0_x" if row["workflow"] == "nowcast" else f"hmt_HAIL_CASA_{row['radar']}"
            path = tmp_path / row["id"] / f"{name}.geojson"
            path.parent.mkdir()
            path.write_bytes(_geojson({}, [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
            add_product(store, row["id"], path, lead_min=0)
        counters = {"slots": 1, "made": 1, "bytes": 1, "oldest_at": past, "newest_at": past}
        with store.transaction() as session:
            session.add_all(Series(kind="workflow", name=name, **counters) for name in ("nowcast", "hail"))
        with client_of(store, tmp_path) as client:
            frames = client.get("/v1/map/frames").json()
            assert [(one["run"], one["ahead"]) for one in frames["nowcasts"]] == [
                (rows[3]["id"], False),
                (rows[4]["id"], True),
            ]
            assert {(one["run"], one["ahead"]) for one in frames["hail"]} == {
                (rows[0]["id"], False),
                (rows[1]["id"], True),
                (rows[2]["id"], True),
            }
            shown = {one["run"] for one in client.get("/v1/map/hail").json()["items"]}
            # Of a radar of which there is nothing else it is shown.
            assert shown == {rows[0]["id"], rows[2]["id"]}


def test_radars_are_where_their_data_say(client: TestClient) -> None:
    (radar,) = client.get("/v1/map/radars").json()["items"]
    assert (radar["radar"], radar["latitude"], radar["longitude"], radar["range_km"]) == ("KTLX", 35.3, -97.3, 230.0)
    assert radar["state"] == "not expected"
