"""Products as hazards, and which places they concern."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo.alerts.hazards import HazardProduct, read_products
from dynamo.alerts.matching import match
from dynamo.alerts.places import Places, parse_places
from dynamo.config.alerts import AlertsSection
from dynamo.errors import InputError, NotFoundError
from dynamo.formats.geojson import contour_name, encode_contours
from dynamo.formats.nowcast import NowcastHeader
from dynamo.radar.contour import contours
from dynamo.radar.grid import LatLonGrid

ISSUED = datetime(2019, 6, 10, 18, 0, tzinfo=UTC)


def ring(lon: float, lat: float, half: float = 0.05) -> list[list[float]]:
    return [
        [lon - half, lat - half],
        [lon + half, lat - half],
        [lon + half, lat + half],
        [lon - half, lat + half],
        [lon - half, lat - half],
    ]


def hail(lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring(lon, lat)]},
        "properties": {"hazardType": "HAIL_CASA", "valid_time": "2019-06-10T18:00:00Z", **properties},
    }


def write(folder: Path, name: str, features: list[Any], **top: Any) -> Path:
    path = folder / name
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", **top, "features": features}))
    return path


def places(*wishes: dict[str, Any]) -> Places:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": wish.pop("at")},
            "properties": {"name": f"P{number}", **wish},
        }
        for number, wish in enumerate(wishes)
    ]
    return parse_places({"type": "FeatureCollection", "features": features}, AlertsSection())


def nowcast(folder: Path, leads: int = 4) -> HazardProduct:
    """A storm that grows and moves east by 0.1 degree a lead, as the contour module writes it."""
    grid = LatLonGrid(33.5, -98.0, 0.01, 0.01, 101, 201)
    header = NowcastHeader(grid, ISSUED, leads)
    lon, lat = np.meshgrid(grid.longitudes, grid.latitudes)
    for lead in range(leads):
        field = (50 + 3 * lead) * np.exp(-(((lon + 97.5 - 0.1 * lead) / 0.2) ** 2) - ((lat - 33) / 0.2) ** 2)
        found = contours(field.astype(np.float32), grid, [35.0, 45.0, 55.0])
        (folder / contour_name(lead, ISSUED)).write_bytes(encode_contours(header, lead, found))
    (product,) = read_products([folder], stream="nowcast", key="k")
    return product


def test_the_leads_of_a_nowcast_are_one_product(tmp_path: Path) -> None:
    product = nowcast(tmp_path)
    assert (product.hazard, product.issued, product.covers_min) == ("storm", ISSUED, 3)
    assert (product.stream, product.key, product.left_out) == ("storm nowcast", "k", 0)
    assert sorted(set(product.lead_min.tolist())) == [0, 1, 2, 3]
    assert sorted(set(product.strength.tolist())) == [35.0, 45.0, 55.0]


def test_a_storm_reaches_places_in_time(tmp_path: Path) -> None:
    product = nowcast(tmp_path)
    told = places(
        {"at": [-97.5, 33.0]},
        {"at": [-97.17, 33.0], "distance_km": 0, "level_dbz": 45},
        {"at": [-97.17, 33.0], "distance_km": 0, "level_dbz": 45, "lead_min": 1},
        {"at": [-97.17, 33.0], "products": ["hail"]},
        {"at": [-97.5, 33.3], "level_dbz": 35, "distance_km": 25},
        {"at": [-96.1, 32.6]},
        {"at": [-97.3, 33.0]},
    )
    found = {finding.place: finding for finding in match(told, product)}
    assert sorted(found) == [0, 1, 4, 6]
    now, soon, beside, grows = found[0], found[1], found[4], found[6]
    assert (now.lead_min, now.strength_first, now.distance_km, now.azimuth_deg) == (0, 45.0, 0.0, None)
    assert (grows.lead_min, grows.strength_first, grows.strength, grows.strongest_lead_min) == (1, 45.0, 55.0, 2)
    assert grows.distance_km == pytest.approx(1.8, abs=0.2)
    assert grows.azimuth_deg == pytest.approx(270, abs=1)
    assert grows.facts["max_dbz"] > 55
    assert soon.lead_min in (2, 3)
    assert soon.at == product.issued.replace(minute=soon.lead_min)
    assert beside.distance_km == pytest.approx(20.0, abs=0.5)
    assert beside.azimuth_deg == pytest.approx(180, abs=5)


def test_hail_has_a_size_and_its_radars(tmp_path: Path) -> None:
    write(
        tmp_path,
        "hmt_HAIL_CASA_20190610-180000.geojson",
        [
            hail(-97.0, 33.0, size_mm=32.5, level="large", radars=["KFWS", "xadd"]),
            hail(-96.0, 33.0, level="giant"),
            hail(-95.0, 33.0),
        ],
    )
    (product,) = read_products([tmp_path])
    assert product.strength.tolist() == [32.5, 50.8, 5.0]
    told = places(
        {"at": [-97, 33]}, {"at": [-97, 33], "hail_mm": 40}, {"at": [-96, 33], "hail_mm": 40}, {"at": [-95, 33]}
    )
    found = {finding.place: finding for finding in match(told, product)}
    assert sorted(found) == [0, 2, 3]
    assert found[0].strength == 32.5
    assert found[0].facts["radars"] == ["KFWS", "xadd"]
    assert found[2].facts["size_from"] == "class"


def test_many_sizes_give_the_same_answer_as_few(tmp_path: Path) -> None:
    features = [hail(-97.0 + 0.01 * i, 33.0, size_mm=10 + 1.3 * i) for i in range(20)]
    write(tmp_path, "hmt_HAIL_CASA_20190610-180000.geojson", features)
    (product,) = read_products([tmp_path])
    told = places(*({"at": [-97.0 + 0.02 * i, 33.0], "hail_mm": 3 * i, "distance_km": i} for i in range(12)))
    found = {finding.place: finding.strength for finding in match(told, product)}
    for number, place in enumerate(told.places):
        near = [
            s
            for i, s in enumerate(product.strength.tolist())
            if abs(-97.0 + 0.01 * i - (-97.0 + 0.02 * number)) * 93.3 <= place.distance_km + 0.05 * 93.3
        ]
        best = max((s for s in near if s >= place.hail_mm), default=None)
        assert found.get(number) == pytest.approx(best, abs=1.31) if best is not None else number not in found


def test_the_levels_of_our_own_hail_product(tmp_path: Path) -> None:
    levels = [
        hail(-97.0, 33.0, level="hail", level_mm=None, hail_class="giant", size_mm=60.0),
        hail(-97.2, 33.0, level="hail_25mm", level_mm=25.0, hail_class="giant", size_mm=60.0),
        hail(-97.4, 33.0, level="hail_50mm", level_mm=50.0, hail_class="giant", size_mm=60.0),
        hail(-97.6, 33.0, level="hail_25mm", level_mm=25.0, hail_class="large", size_mm=40.0),
        hail(-97.8, 33.0, level="hail", level_mm=None, hail_class="hail", size_mm=None),
    ]
    write(tmp_path, "hmt_HAIL_CASA_KFWS_20190610-180000.geojson", levels, levels_mm=[5.0, 25.0, 50.0])
    (product,) = read_products([tmp_path])
    assert product.stream == "hail KFWS"
    # What is near the outer areas only is not near the largest stones.
    assert product.strength.tolist() == [5.0, 49.9, 60.0, 40.0, 5.0]
    told = places(*({"at": [lon, 33.0], "hail_mm": 30} for lon in (-97.0, -97.2, -97.4, -97.6, -97.8)))
    assert [finding.place for finding in match(told, product)] == [1, 2, 3]


def test_no_hail_is_a_product_too(tmp_path: Path) -> None:
    write(tmp_path, "hmt_HAIL_CASA_20190610-180000.geojson", [], valid_time="2019-06-10T18:00:30Z")
    (product,) = read_products([tmp_path])
    assert product.issued == ISSUED.replace(second=30)
    assert match(places({"at": [0, 0]}), product) == []


def test_hail_of_two_radars_is_two_streams(tmp_path: Path) -> None:
    for radar in ("KFWS", "xadd"):
        write(tmp_path, f"hmt_HAIL_CASA_{radar}-20190610-180000.geojson", [])
    assert [product.stream for product in read_products([tmp_path], stream="hail")] == [
        "hail hail KFWS",
        "hail hail xadd",
    ]


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, None], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[0, 1, 2, 3]]},
        {"type": "Polygon", "coordinates": [ring(0, 89)]},
        {"type": "Polygon", "coordinates": [[[179, 0], [-179, 0], [-179, 1], [179, 0]]]},
        {"type": "Polygon", "coordinates": {"a": 1}},
        {"type": "GeometryCollection", "geometries": []},
        "text",
    ],
)
def test_odd_polygons_are_left_out_and_counted(geometry: Any, tmp_path: Path) -> None:
    odd = {**hail(0, 0, size_mm=20), "geometry": geometry}
    write(tmp_path, "hmt_HAIL_CASA_20190610-180000.geojson", [odd, hail(-97, 33, size_mm=30), None, 7])
    (product,) = read_products([tmp_path])
    assert (len(product.polygons), product.left_out) == (1, 3)
    assert len(match(places({"at": [-97, 33]}), product)) == 1


@pytest.mark.parametrize(
    "coordinates",
    [
        [ring(-97, 33)[:-1]],  # not closed
        [[[*point, 250.0] for point in ring(-97, 33)]],  # with heights
        [[*ring(-97, 33)[:2], [-97.05, 33.05], [-96.95, 33.05], ring(-97, 33)[0]]],  # crosses itself
        [ring(-97, 33), [[0, 0]]],  # a hole that is none
        [ring(263, 33)],  # longitudes 0 to 360
    ],
)
def test_polygons_that_can_be_mended_are_used(coordinates: Any, tmp_path: Path) -> None:
    odd = {**hail(0, 0, size_mm=20), "geometry": {"type": "Polygon", "coordinates": coordinates}}
    write(tmp_path, "hmt_HAIL_CASA_20190610-180000.geojson", [odd])
    (product,) = read_products([tmp_path])
    assert len(match(places({"at": [-97, 32.98]}), product)) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    coordinates=json_values | st.lists(st.lists(st.lists(st.floats(-200, 200), max_size=3), max_size=6), max_size=3),
    properties=st.dictionaries(
        st.sampled_from(["size_mm", "level", "radars", "valid_time", "hail_class"]), json_values
    ),
    kind=st.sampled_from(["Polygon", "MultiPolygon"]),
)
def test_nothing_that_comes_from_outside_is_a_crash(
    coordinates: Any, properties: dict[str, Any], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    odd = {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}
    path = folder / "hmt_HAIL_CASA_20190610-180000.geojson"
    try:
        path.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": [odd, hail(-97, 33, size_mm=30)]}))
    except TypeError:
        return  # not JSON at all
    (product,) = read_products([path])
    (found,) = match(places({"at": [-97, 33], "distance_km": 0, "hail_mm": 30}), product)
    assert found.strength >= 30


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"type":"FeatureCollection"}', b'{"features": [], "hazardType": 1}']
)
def test_files_that_are_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.geojson"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.geojson"):
        read_products([path])
    with pytest.raises(NotFoundError):
        read_products([tmp_path / "none"])
