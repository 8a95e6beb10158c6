from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dynamo.config.docs import example, markdown, tables
from dynamo.config.file import Config, ConfigError, find_config, load_config, parse_config
from dynamo.doors import FEEDS, TRIGGERS
from dynamo.errors import InputError, NotFoundError
from dynamo.triggers.precursor import PrecursorOptions

DOCS = Path(__file__).resolve().parents[3] / "docs"
FEED = {"name": "a", "path": "in"}
TRIGGER = {"name": "t", "feed": "a", "workflow": "nowcast"}


def parse(**data: Any) -> Config:
    return parse_config(data, base=Path("/base"))


def test_the_manual_and_the_example_in_the_tree_are_those_of_the_models() -> None:
    assert (DOCS / "reference" / "configuration.md").read_text() == markdown()
    assert (DOCS / "reference" / "dynamo.toml").read_text() == example()


def test_every_option_is_documented() -> None:
    for table in tables()[1:]:  # the first is the whole file, whose options are sections
        assert all(info.description for info in table.options.values()), table


def test_the_example_is_read_as_it_is_and_with_every_option_uncommented(tmp_path: Path) -> None:
    config = load_config(DOCS / "reference" / "dynamo.toml")
    assert [trigger.name for trigger in config.triggers] == ["storms"]
    # Copied as it is, it neither misses a job that does not exist nor excuses data that do not come.
    assert not config.jobs
    assert not config.maintenance
    # Options are commented as "# name = value", words of prose never look so.
    lines = [line[2:] if re.match(r"# ([a-z]\w* = |\[)", line) else line for line in example().splitlines()]
    exclusive = ("at_minutes", "url =", "url_env", "token_env", "client_secret_env")
    path = tmp_path / "full.toml"
    path.write_text("\n".join(line for line in lines if not line.startswith(exclusive)))
    full = load_config(path)
    assert full.triggers[0].deadline_s == 60
    assert [job.name for job in full.jobs] == ["nightly-copy"]
    assert len(full.maintenance) == 1
    assert [feed.kind for feed in full.feeds] == list(FEEDS.names())
    assert [trigger.kind for trigger in full.triggers] == list(TRIGGERS.names())
    assert full.runs == config.runs
    assert full.watch == config.watch


def test_a_check_of_a_workflow_module_is_one_with_a_limit() -> None:
    assert parse(checks={"our_module": {"fail": 3.0}}).checks["our_module"].fail == 3.0


def test_relative_paths_begin_at_the_file() -> None:
    config = parse(folders={"state": "s", "products": "/p"}, store={"url": "sqlite:///db/x.sqlite"})
    assert config.state_dir == Path("/base/s")
    assert config.products_dir == Path("/p")
    assert config.quarantine_dir == Path("/base/s/quarantine")
    assert config.store_url == Path("/base/db/x.sqlite")
    assert parse(store={"url": "postgresql://a/b"}).store_url == "postgresql://a/b"
    assert parse().store_url == Path("/base/.dynamo/store.sqlite")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"checks": {"zdr_bais": {"fail": 1.0}}}, ["checks.zdr_bais: unknown check (did you mean zdr_bias?)"]),
        ({"checks": {"zdr_bias": {"sevrity": "warn"}}}, ["checks.zdr_bias.sevrity", "did you mean severity?"]),
        ({"checks": {"zdr_bias": {"severity": "stop"}}}, ["checks.zdr_bias.severity", "warn", "block"]),
        ({"checks": {"zdr_bias": {"fail": float("nan")}}}, ["checks.zdr_bias.fail"]),
        # Only its jobs know a check of a workflow module, and only a limit here judges it.
        ({"checks": {"our_module": {"severity": "block"}}}, ["checks.our_module: unknown check", "suspect or fail"]),
        ({"feedz": []}, ["feedz: unknown option", "did you mean feeds?"]),
        ({"runs": {"max_run": 2}}, ["runs.max_run: unknown option", "did you mean max_runs?"]),
        ({"feeds": [{**FEED, "pattern": ["*"]}]}, ["feeds[0].pattern", "did you mean patterns?"]),
        ({"runs": {"max_runs": "2"}}, ["runs.max_runs", "valid integer", "'2'"]),
        ({"runs": {"max_runs": 0}}, ["runs.max_runs", "greater than or equal to 1"]),
        ({"feeds": [{"name": "a"}]}, ["feeds[0].path: is required: Folder to watch"]),
        ({"feeds": [{**FEED, "path": ""}]}, ["feeds[0].path", "at least 1 character"]),
        ({"feeds": [{**FEED, "workflow": "hail"}]}, ["feeds[0].workflow: belongs to kind products"]),
        ({"feeds": [{**FEED, "kind": "products", "workflow": "hail"}]}, ["feeds[0].path: belongs to kind directory"]),
        ({"feeds": [{"name": "a", "kind": "products"}]}, ["feeds[0].workflow: is required"]),
        ({"feeds": ["in"]}, ["feeds[0]: not a table"]),
        ({"feeds": [{**FEED, "kind": 3}]}, ["feeds[0].kind", "expected one of directory, nexrad-chunks, products"]),
        ({"feeds": [{**FEED, "kind": "ftp"}]}, ["feeds[0].kind", "directory"]),
        ({"feeds": [FEED, FEED]}, ["two feeds are named a"]),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "feed": "b"}]}, ["trigger t", "feed b"]),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "kind": "arival"}]}, ["triggers[0].kind", "did you mean arrival?"]),
        (
            {"feeds": [FEED], "triggers": [{**TRIGGER, "every_min": 5, "patern": "*"}]},
            [
                "triggers[0].every_min: belongs to kind schedule",
                "triggers[0].patern: unknown option (did you mean pattern?)",
            ],
        ),
        (
            {
                "feeds": [FEED],
                "triggers": [{**TRIGGER, "kind": "precursor", "condition": {"area_km2": 1.0, "level_dbz": 45.0}}],
            },
            ["triggers[0].condition: belongs to kind arrival and schedule"],
        ),
        (
            {"feeds": [FEED], "triggers": [{**TRIGGER, "kind": "gather"}]},
            ["triggers[0].gather: is required: The network"],
        ),
        (
            {"feeds": [FEED], "triggers": [{**TRIGGER, "kind": "gather", "gather": {"radar": ["A"]}}]},
            [
                "triggers[0].gather.radar: unknown option (did you mean radars?)",
                "triggers[0].gather.radars: is required",
            ],
        ),
        ({"feeds": [FEED], "triggers": [{**TRIGGER, "kind": "schedule"}]}, ["every_min and at_minutes"]),
        (
            {"feeds": [FEED], "triggers": [{**TRIGGER, "condition": {"area": 1, "level_dbz": 45}}]},
            ["triggers[0].condition.area", "did you mean area_km2?"],
        ),
        ({"base": "x"}, ["base: unknown option"]),
        (
            {
                "feeds": [FEED],
                "triggers": [{**TRIGGER, "kind": "precursor", "precursor": {"hold_min": 10.0}}],
                "alerts": {"places": "places.geojson"},
            },
            ["trigger t", "hold_min 10 must exceed alerts.clear_min 15"],
        ),
        (
            {"feeds": [FEED], "triggers": [{**TRIGGER, "kind": "gather", "gather": {"radars": ["A"], "sweeps": "b"}}]},
            ["trigger t names the feed of sweeps b"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_option(data: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse(**data)
    for word in words:
        assert word in str(caught.value)


def test_hail_work_holds_longer_than_it_takes_to_say_that_it_is_over() -> None:
    config = parse(feeds=[FEED], triggers=[{**TRIGGER, "kind": "precursor"}], alerts={"places": "places.geojson"})
    (trigger,) = config.triggers
    assert isinstance(trigger, PrecursorOptions)
    assert trigger.precursor.hold_min > config.alerts.clear_min
    # Where nobody is told of anything, it may be short.
    short = {**TRIGGER, "kind": "precursor", "precursor": {"hold_min": 5.0}}
    assert len(parse(feeds=[FEED], triggers=[short]).triggers) == 1


def test_files_that_are_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[runs\n")
    with pytest.raises(InputError, match="not TOML"):
        load_config(tmp_path / "bad.toml")


def test_every_mistake_of_a_file_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            engine="local",
            watch={"max_runs": 2},
            feeds=[{**FEED, "name": "broken", "patterns": 3}, FEED, FEED],
            triggers=[
                {**TRIGGER, "name": "one", "feed": "b"},
                {**TRIGGER, "name": "two", "feed": "c", "every_min": 5},
                {**TRIGGER, "name": "three", "feed": "broken"},
            ],
        )
    mistakes = caught.value.mistakes
    expected = (
        "engine: unknown option (did you mean engines?); it belongs in [runs] or [[triggers]]",
        "watch.max_runs: unknown option; it belongs in [runs]",
        "feeds[0].patterns: input should be a valid list",
        "triggers[1].every_min: belongs to kind schedule",
        "two feeds are named a",
        "trigger one names the feed b, which does not exist",
        "trigger two names the feed c, which does not exist",
    )
    assert len(mistakes) == len(expected), mistakes
    for text in expected:
        assert any(mistake.startswith(text) for mistake in mistakes), (text, mistakes)


def test_the_file_is_found_by_name_environment_or_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    assert find_config().runs.max_runs == 2
    (tmp_path / "dynamo.toml").write_text("[runs]\nmax_runs = 3\n")
    (tmp_path / "other.toml").write_text("[runs]\nmax_runs = 4\n")
    assert find_config().runs.max_runs == 3
    monkeypatch.setenv("DYNAMO_CONFIG", "other.toml")
    assert find_config().runs.max_runs == 4
    assert find_config(tmp_path / "dynamo.toml").runs.max_runs == 3


def test_state_is_that_of_the_project_or_else_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    project, inside = tmp_path / "project", tmp_path / "project" / "data" / "day"
    inside.mkdir(parents=True)
    for folder in (tmp_path, inside):
        monkeypatch.chdir(folder)
        found = find_config()
        assert found.store_url == tmp_path / "home" / "dynamo" / "store.sqlite"
        assert found.products_dir == tmp_path / "home" / "dynamo" / "products"
    (project / ".dynamo").mkdir()
    assert find_config().store_url == project / ".dynamo" / "store.sqlite"
    (project / "dynamo.toml").write_text('[folders]\nstate = "s"\n')
    assert find_config().store_url == project / "s" / "store.sqlite"
    assert find_config().products_dir == project / "products"


def test_nobody_else_can_put_a_project_above_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    inside = tmp_path / "shared" / "mine"
    inside.mkdir(parents=True)
    (tmp_path / "shared" / "dynamo.toml").touch()
    monkeypatch.chdir(inside)
    assert find_config().base == tmp_path / "shared"
    # As in /tmp, where the file may be anybody's.
    (tmp_path / "shared").chmod(0o1777)
    assert find_config().base == tmp_path / "shared"
    monkeypatch.setattr("dynamo.config.project.trusted_owners", lambda: {54321})
    assert find_config().base == tmp_path / "home" / "dynamo"
