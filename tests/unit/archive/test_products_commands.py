"""`dynamo products list` and `verify`: what was published, and whether it still is what it was."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from dynamo.times import utc_now
from tests.unit.archive.published_runs import add_run, new_store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "."\n')
    monkeypatch.setenv("DYNAMO_CONFIG", str(tmp_path / "dynamo.toml"))
    return tmp_path


def test_products_of_the_last_hour_are_listed_newest_first(folder: Path) -> None:
    store, now = new_store(folder), utc_now()
    for number, age_h in ((0, 30.0), (1, 0.5), (2, 0.1)):
        add_run(store, folder, number, published_at=now - timedelta(hours=age_h))
    add_run(store, folder, 3, workflow="hail", published_at=now)
    listed = json_of("list", "--since", "1h", "--workflow", "nowcast")
    assert [item["name"] for item in listed] == ["a.geojson", "b.nc"] * 2
    assert [item["published_at"] for item in listed] == sorted((item["published_at"] for item in listed), reverse=True)
    assert all(Path(item["path"]).is_file() and item["tier"] == "hot" for item in listed)
    assert len(json_of("list")) == 8
    assert len(json_of("list", "--limit", "3")) == 3


def test_untouched_products_are_verified(folder: Path) -> None:
    store = new_store(folder)
    for number in range(3):
        add_run(store, folder, number)
    assert json_of("verify") == {"publications": 3, "files": 9, "wrong": []}


def test_verify_tells_missing_changed_and_extra_files(folder: Path) -> None:
    store = new_store(folder)
    changed, missing, extra, no_index, other_index, gone = (
        Path(add_run(store, folder, number).product_dir or "") for number in range(6)
    )
    for path, data in ((changed / "a.geojson", b"[]"), (changed / "b.nc", b"grids")):
        path.chmod(0o644)
        path.write_bytes(data)
    (missing / "b.nc").unlink()
    (extra / "note.txt").write_text("look at this")
    (no_index / "index.json").unlink()
    index = orjson.loads((other_index / "index.json").read_bytes())
    index["products"][0]["sha256"] = "0" * 64
    (other_index / "index.json").chmod(0o644)
    (other_index / "index.json").write_bytes(orjson.dumps(index))
    shutil.rmtree(gone)
    stray = folder / "products" / "nowcast" / "20240520" / "120000-0123456789ab"
    stray.mkdir()
    found = json_of("verify", exit_code=3)["wrong"]
    assert {(Path(item["path"]), item["problem"]) for item in found} == {
        (changed / "a.geojson", "changed"),
        (changed / "b.nc", "changed"),
        (missing / "b.nc", "missing"),
        (extra / "note.txt", "extra"),
        (no_index / "index.json", "missing"),
        (other_index / "index.json", "changed"),
        (gone / "a.geojson", "missing"),
        (gone / "b.nc", "missing"),
        (gone / "index.json", "missing"),
        (stray, "extra"),
    }


def json_of(*arguments: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(register_all(), ["products", *arguments, "--json"])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return orjson.loads(result.stdout)
