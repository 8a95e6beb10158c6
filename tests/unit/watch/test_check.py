from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo.config.file import ConfigError, parse_config
from dynamo.errors import DynamoError
from dynamo.watch.check import config_mistakes, file_mistakes
from dynamo.watch.watcher import Watcher

FEED = {"name": "a", "path": "in"}
TRIGGER = {"name": "t", "feed": "a", "workflow": "nowcast"}


def mistakes(base: Path, **data: Any) -> list[str]:
    try:
        found = config_mistakes(parse_config(data, base=base))
    except ConfigError as error:
        found = file_mistakes(error)
    return [mistake.text for mistake in found]


def test_a_good_configuration_has_no_mistakes_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert mistakes(tmp_path, feeds=[FEED], triggers=[TRIGGER]) == []
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "no feed to watch"),
        ({"feeds": [{**FEED, "path": "none"}]}, "is not a folder"),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "workflow": "nowcst"}]}, "did you mean nowcast?"),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "input": "grid"}]}, "input grid"),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "parameters": {"lvls": 5}}]}, "did you mean levels?"),
        ({"feeds": [FEED], "alerts": {"places": "none.geojson"}}, "places file not found"),
        ({"feeds": [FEED], "store": {"url": "mysql://x"}}, "store"),
    ],
)
def test_what_watch_refuses_the_check_finds(tmp_path: Path, data: dict[str, Any], text: str) -> None:
    (tmp_path / "in").mkdir()
    (found,) = mistakes(tmp_path, **data)
    assert text in found
    config = parse_config(data, base=tmp_path)
    with pytest.raises(DynamoError) as caught:
        Watcher(config)
    assert text in str(caught.value)


def test_all_is_found_at_once(tmp_path: Path) -> None:
    places = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": None, "properties": {"name": "A", "lead_min": -1}},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}, "properties": {}},
        ],
    }
    (tmp_path / "places.geojson").write_bytes(orjson.dumps(places))
    (tmp_path / "blocked").touch()
    found = mistakes(
        tmp_path,
        folders={"products": "blocked/products"},
        engines={"local": {"options": {"workrs": 2}}},
        feeds=[FEED, {"name": "b", "pth": "in"}],
        triggers=[
            {**TRIGGER, "workflow": "nowcst", "level": 3},
            {**TRIGGER, "name": "u", "feed": "b", "parameters": {"levels": "high"}, "files": {"sounding": "x"}},
            {**TRIGGER, "name": "v", "feed": "c"},
        ],
        alerts={"places": "places.geojson"},
    )
    expected = [
        "blocked: is not a folder",
        "engines.local.options.workrs: unknown option (did you mean workers?)",
        "feed a: ",
        "feeds[1].path: is required",
        "feeds[1].pth: unknown option (did you mean path?)",
        "triggers[0].level: unknown option",
        "trigger t: nowcst: no such workflow",
        "trigger u: files: workflow nowcast has no input sounding",
        "trigger u: nowcast: $.parameters.levels",
        "trigger v names the feed c",
        "feature 1: lead_min is -1",
        "feature 1: no usable geometry",
        "feature 2: the name or id is None",
    ]
    for text in expected:
        assert sum(text in line for line in found) == 1, (text, found)
    assert len(found) == len(expected), found
