"""Places: the real list of hospitals, wishes, and everything that can be wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from dynamo.alerts.channels.file import FileOptions
from dynamo.alerts.places import Places, parse_places, read_places
from dynamo.config.alerts import AlertsSection
from dynamo.errors import InputError, NotFoundError


def feature(**properties: Any) -> dict[str, Any]:
    geometry = properties.pop("geometry", {"type": "Point", "coordinates": [-97.0, 32.8]})
    return {"type": "Feature", "properties": {"name": "A", **properties}, "geometry": geometry}


def parse(*features: Any, **settings: Any) -> Places:
    return parse_places({"type": "FeatureCollection", "features": list(features)}, AlertsSection(**settings))


def test_the_hospitals_of_the_test_bed(data_dir: Path) -> None:
    places = read_places(data_dir / "casa" / "hospital_locations.geojson", AlertsSection(distance_km=8.0))
    assert len(places) == 70
    assert places.warnings == ()
    first = places.places[0]
    assert (first.id, first.locality) == ("ATRIUM MEDICAL CENTER AT CORINTH", "Corinth, Texas")
    assert (first.distance_km, first.level_dbz, first.products) == (8.0, 45.0, ("storm", "hail"))


def test_a_place_has_its_own_wishes() -> None:
    settings = AlertsSection(channels=[FileOptions(name="log", path="a")])
    collection = {
        "type": "FeatureCollection",
        "features": [
            feature(id=7, distance_km=2, level_dbz=50.9, hail_mm=20, lead_min=10, products=["hail"], channels=["log"])
        ],
    }
    place = parse_places(collection, settings).places[0]
    assert (place.id, place.distance_km, place.level_dbz, place.hail_mm) == ("7", 2.0, 50.0, 20.0)
    assert (place.lead_min, place.products, place.channels) == (10, ("hail",), ("log",))


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [-97, 32, 200]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 0]]},
        {"type": "MultiPoint", "coordinates": [[0, 0], [1, 0]]},
    ],
)
def test_points_areas_and_lines(geometry: dict[str, Any]) -> None:
    assert len(parse(feature(geometry=geometry))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distance_km": -1}, "distance_km"),
        ({"distance_km": "far"}, "distance_km"),
        ({"level_dbz": True}, "level_dbz"),
        ({"lead_min": float("nan")}, "lead_min"),
        ({"products": ["tornado"]}, "tornado"),
        ({"products": "hail"}, "products"),
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"geometry": None}, "geometry"),
        ({"geometry": {"type": "Point", "coordinates": []}}, "empty"),
        ({"geometry": {"type": "Point", "coordinates": ["a", "b"]}}, "geometry"),
        ({"geometry": {"type": "Point", "coordinates": [0, 95]}}, "pole"),
        ({"geometry": {"type": "Circle"}}, "geometry"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0]]]}}, "geometry"),
    ],
)
def test_a_bad_place_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(feature(), feature(**{"name": "B", **change}))
    assert "2" in str(caught.value)


def test_two_places_need_two_names() -> None:
    with pytest.raises(InputError, match="already used by feature 1"):
        parse(feature(), feature())
    assert len(parse(feature(), feature(id="other"))) == 2


def test_a_wish_that_is_misspelt_gives_a_warning() -> None:
    (warning,) = parse(feature(distance_KM=3, classification="Hospital", alert=0)).warnings
    assert "distance_KM" in warning
    assert "distance_km" in warning


def test_an_unknown_channel_is_named() -> None:
    with pytest.raises(InputError, match="fax"):
        parse(feature(channels=["fax"]), channels=[FileOptions(name="log", path="a")])


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"type": "Feature"}', b'{"type": "FeatureCollection"}', b"\xff"])
def test_files_that_are_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "places.geojson"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"places\.geojson"):
        read_places(path, AlertsSection())
    with pytest.raises(NotFoundError):
        read_places(tmp_path / "none", AlertsSection())


def test_many_places_are_read_quickly_enough_to_be_tested() -> None:
    many = [feature(name=f"p{i}", geometry={"type": "Point", "coordinates": [i / 1000 - 98, 32]}) for i in range(1000)]
    assert (
        len(parse_places(orjson.loads(orjson.dumps({"type": "FeatureCollection", "features": many})), AlertsSection()))
        == 1000
    )


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "file"},
        {"kind": "file", "path": "a", "url_env": "A"},
        {"kind": "webhook"},
        {"kind": "webhook", "url": "http://a", "url_env": "A"},
        {"kind": "apprise", "url": "json://a"},
        {"kind": "apprise", "url_env": "A", "path": "a"},
    ],
)
def test_channels_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertsSection.model_validate({"channels": [{"name": "a", **values}]})


def test_an_address_is_never_shown() -> None:
    section = AlertsSection.model_validate(
        {"channels": [{"name": "a", "kind": "webhook", "url": "https://host/secret-token"}]}
    )
    assert "secret-token" not in repr(section) + str(section.model_dump(mode="json")) + section.model_dump_json()
