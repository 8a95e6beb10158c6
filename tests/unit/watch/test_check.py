from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from dynamo.config.file import ConfigError, parse_config
from dynamo.errors import DynamoError
from dynamo.feeds.directory import DirectoryFeed
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


@pytest.mark.parametrize("words", [["watch"], ["watch", "--once"], ["watch", "--check"]])
def test_the_daemon_tells_all_mistakes_too(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[[feeds]]\nname = "a"\npath = "none such"\n[[triggers]]\nname = "t"\nfeed = "b"\nworkflow = "nowcst"\n'
    (tmp_path / "dynamo.toml").write_text(text)
    result = CliRunner().invoke(register_all(), [*words, "-c", "dynamo.toml"])
    assert result.exit_code == 3
    assert f"create it with mkdir -p '{tmp_path}/none such', or set path" in result.output
    assert 'the feed b, which does not exist (add [[feeds]] with name = "b")' in result.output
    assert "did you mean nowcast?" in result.output
    assert result.output.endswith("3 mistakes in dynamo.toml (see dynamo config docs)\n")
    assert [path.name for path in tmp_path.iterdir()] == ["dynamo.toml"]


def test_files_that_no_pattern_matches_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.nc", ".hidden", "b.part"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "dynamo.toml").write_text('[[feeds]]\nname = "a"\npath = "in"\n')
    checked = CliRunner().invoke(register_all(), ["watch", "--check"])
    assert (checked.exit_code, checked.output) == (0, "1 feed, 0 triggers: OK\n")
    (tmp_path / "in" / "KFWS_V06").touch()
    checked = CliRunner().invoke(register_all(), ["watch", "--check"])
    assert checked.exit_code == 0
    assert "warning: feed a: files such as KFWS_V06 match no pattern (*.nc) and are ignored" in checked.output
    feed = DirectoryFeed("a", path=tmp_path / "in", patterns=["*.nc"])
    try:
        found: list[str] = []
        for _ in range(3):
            assert feed.scan(lambda candidate: found.append(candidate.path.name)) == 1
    finally:
        feed.stop()
    assert found == ["a.nc"] * 3
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "match no pattern" in warning.getMessage()
    assert (warning.__dict__["feed"], warning.__dict__["patterns"]) == ("a", "*.nc")
    assert warning.__dict__["example"].endswith("KFWS_V06")


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
