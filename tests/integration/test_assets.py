"""`dynamo assets` on what a daemon and a person made: counts, gaps, history, lineage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo.files import sha256_file
from tests.integration.watch.watch_support import run_dynamo, write_small

CONFIG = """
[engines.local]
options = { workers = 1 }
[[feeds]]
name = "grids"
path = "incoming"
[[triggers]]
name = "all"
feed = "grids"
workflow = "nowcast"
parameters = { min_points = 4 }
[[assets]]
name = "contours"
of = "nowcast/contour.geojson"
owner = "radar-ops@example.org"
cadence_s = 60.0
[provenance]
prov = true
namespace = "dallas"
openlineage = "file:lineage.jsonl"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with runs of minutes 0, 1 and 4, and one that a person made of minute 0 with another parameter."""
    folder = tmp_path_factory.mktemp("assets")
    (folder / "dynamo.toml").write_text(CONFIG)
    (folder / "incoming").mkdir()
    for minute in (0, 1, 4):
        write_small(folder / "incoming", minute)
    done = run_dynamo(folder, "watch", "--once")
    assert done.returncode == 0, done.stderr
    first = min((folder / "incoming").iterdir())
    asked = ("submit", "nowcast", "-i", f"nowcast={first}", "-p", "min_points=5", "--wait", "--out", "out")
    assert run_dynamo(folder, *asked).returncode == 0
    return folder


def answer(root: Path, *arguments: str) -> Any:
    result = run_dynamo(root, "assets", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return orjson.loads(result.stdout)


def test_assets_are_counted_as_they_arrive_and_are_published(root: Path) -> None:
    assets = {asset["name"]: asset for asset in answer(root, "list")}
    assert set(assets) == {"grids", "contours", "nowcast/plot.png"}
    (feed,) = assets["grids"]["series"]
    assert (feed["slots"], feed["made"], feed["bytes"]) == (
        3,
        3,
        sum(p.stat().st_size for p in root.glob("incoming/*")),
    )
    series = {one["trigger"]: one for one in assets["contours"]["series"]}
    assert {name: (one["slots"], one["made"]) for name, one in series.items()} == {"all": (3, 3), "submit": (1, 1)}
    published = [path for path in root.glob("products/nowcast/2*/*/*") if path.name not in ("index.json", "prov.json")]
    assert sum(one["bytes"] for one in series.values()) == sum(path.stat().st_size for path in published)
    shown = run_dynamo(root, "assets", "list")
    assert "contours" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_gaps_and_history(root: Path) -> None:
    (every,) = (
        one for one in answer(root, "gaps", "contours", "--since", "2000-01-01T00:00:00Z") if one["trigger"] == "all"
    )
    begin, end = (gap["begin"][11:16] for gap in every["gaps"][:1]), every["gaps"][0]["end"][11:16]
    assert (every["slots"], every["gaps"][0]["missing"], *begin, end) == (3, 2, "18:02", "18:04")
    shown = answer(root, "show", "contours")
    assert shown["owner"] == "radar-ops@example.org"
    assert [item["standing"] for item in shown["history"]] == ["current"] * 4
    assert {item["origin"] for item in shown["history"]} == {"live", "submit"}
    backwards = run_dynamo(root, "assets", "gaps", "contours", "--since", "1h", "--until", "2h")
    assert (backwards.returncode, "ends before it begins" in backwards.stderr) == (2, True)


def test_lineage_goes_up_to_the_input_and_down_to_every_product(root: Path) -> None:
    source = min((root / "incoming").iterdir())
    product = min(root.glob("out/*.geojson"))
    up = answer(root, "lineage", str(product))["file"]
    assert (up["role"], up["output"], up["run"]["parameters"]["min_points"]) == ("product", "contour.geojson", 5)
    assert set(up["run"]["modules"]) == {"contour", "plot", "split"}
    (arrival,) = up["files"]
    assert (arrival["feed"], arrival["sha256"]) == ("grids", sha256_file(source))
    down = answer(root, "lineage", str(source))["made"]
    assert {node["run"]["parameters"]["min_points"] for node in down} == {4, 5}
    assert product.name in {item["path"].rpartition("/")[2] for node in down for item in node["files"]}
    # A copy is known by its name and content, wherever it is.
    copy = root / "elsewhere" / product.name
    copy.parent.mkdir()
    shutil.copy(product, copy)
    assert answer(root, "lineage", str(copy))["file"]["sha256"] == up["sha256"]
    copy.write_text("edited")
    unknown = run_dynamo(root, "assets", "lineage", str(copy))
    assert unknown.returncode == 4
    assert "no run of this store read or made this file" in unknown.stderr


def test_provenance_is_printed_as_it_was_published(root: Path) -> None:
    (index, *_) = sorted(root.glob("products/nowcast/2*/*/index.json"))
    run = orjson.loads(index.read_bytes())["run"]
    printed = run_dynamo(root, "runs", "provenance", run)
    assert orjson.loads(printed.stdout) == orjson.loads(index.with_name("prov.json").read_bytes())
    lines = run_dynamo(root, "runs", "provenance", run, "--format", "openlineage").stdout.splitlines()
    start, complete = map(orjson.loads, lines)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert complete["job"]["namespace"] == "dallas"
    assert {Path(item["name"]).exists() for item in complete["outputs"]} == {True}
    assert run_dynamo(root, "runs", "provenance", run, "--format", "xml").returncode == 2


def test_following_the_logs_of_a_run_ends_with_it(root: Path) -> None:
    (index, *_) = sorted(root.glob("products/nowcast/2*/*/index.json"))
    run = orjson.loads(index.read_bytes())["run"]
    (log,) = root.glob(f".dynamo/runs/{run}/logs")
    (log / "t.out").write_text("\x1b[1mby hand\x1b[0m token=swordfish\nno end")
    told = run_dynamo(root, "runs", "logs", "-f", run)
    assert told.stdout.splitlines() == ["logs/t.out: by hand token=***", "logs/t.out: no end", f"run {run} succeeded"]


def test_the_daemon_tells_what_its_runs_did(root: Path) -> None:
    events = [orjson.loads(line) for line in (root / "lineage.jsonl").read_bytes().splitlines()]
    kinds: dict[str, list[str]] = {}
    for event in events:
        kinds.setdefault(event["run"]["runId"], []).append(event["eventType"])
    # The run that a person ordered afterwards waits for the next daemon.
    assert list(kinds.values()) == [["START", "COMPLETE"]] * 3
