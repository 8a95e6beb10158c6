"""Which assets there are: of the configuration and of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.assets.catalog import assets_of, find_asset
from dynamo.assets.model import Asset
from dynamo.config.file import Config, ConfigError, parse_config
from dynamo.errors import InputError, NotFoundError
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Series
from dynamo.times import utc_now

FILE = {
    "feeds": [{"name": "radars", "path": "in"}, {"name": "grids", "kind": "products", "workflow": "hail"}],
    "triggers": [{"name": "each", "feed": "radars", "workflow": "hail"}],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def found(store: Store, config: Config) -> dict[str, Asset]:
    with store.reading() as session:
        return {asset.name: asset for asset in assets_of(config, DocumentPlanner(), session)}


def add(store: Store, kind: str, name: str, radar: str) -> None:
    now = utc_now()
    with store.transaction() as session:
        session.add(Series(kind=kind, name=name, radar=radar, slots=1, made=1, bytes=1, oldest_at=now, newest_at=now))


def test_feeds_and_outputs_of_workflows_are_assets(store: Store, tmp_path: Path) -> None:
    assets = found(store, parse_config(FILE, base=tmp_path))
    assert list(assets)[:2] == ["radars", "grids"]
    assert assets["grids"].made_from == ("hail",)
    polygons = assets["hail/contour.geojson"]
    assert (polygons.source, polygons.output, polygons.made_from) == ("hail", "contour.geojson", ("radars",))
    assert polygons.dimensions == ("valid_time",)


def test_what_the_store_has_is_there_whatever_the_configuration_says(store: Store, tmp_path: Path) -> None:
    add(store, "feed", "gone", "KFWS")
    add(store, "workflow", "nowcast", "")
    add(store, "workflow", "of somebody", "")
    assets = found(store, parse_config({}, base=tmp_path))
    assert assets["gone"].dimensions == ("valid_time", "radar")
    assert assets["nowcast/contour.geojson"].dimensions == ("valid_time", "lead")
    # Its document is not known here: all its products are one asset.
    assert assets["of somebody"].output == ""


def test_a_declared_asset_has_its_own_name_and_owner(store: Store, tmp_path: Path) -> None:
    declared = {"name": "polygons", "of": "hail/contour.geojson", "owner": "me", "cadence_s": 60.0}
    assets = found(store, parse_config({**FILE, "assets": [declared]}, base=tmp_path))
    polygons = assets["polygons"]
    assert (polygons.owner, polygons.cadence_s, polygons.of) == ("me", 60.0, "hail/contour.geojson")
    assert find_asset(list(assets.values()), "hail/contour.geojson") is polygons
    with pytest.raises(NotFoundError, match="polygons"):
        find_asset(list(assets.values()), "poligons")


def test_an_asset_of_nothing_is_refused_with_the_nearest(store: Store, tmp_path: Path) -> None:
    config = parse_config({**FILE, "assets": [{"name": "a", "of": "hail/contour.json"}]}, base=tmp_path)
    with pytest.raises(InputError, match=r"asset a is of 'hail/contour.json'.*hail/contour.geojson"):
        found(store, config)


def test_two_assets_of_one_name_or_thing_are_refused(tmp_path: Path) -> None:
    two = [{"name": "a", "of": "radars"}, {"name": "a", "of": "radars"}]
    with pytest.raises(ConfigError, match=r"two assets are named a.*two assets are of radars"):
        parse_config({**FILE, "assets": two}, base=tmp_path)
