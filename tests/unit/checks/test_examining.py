"""The files of a run whose jobs left no results, as under Pegasus, are checked by a process of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from dynamo.engines.base import RunFolder
from dynamo.modules.branching import MARK
from dynamo.runs.execution.examining import examine_apart
from dynamo.store.models import Run
from dynamo.workflows.model import Job, Plan
from tests.property.test_review_kills import write_stuck


def test_inputs_and_products_are_examined_and_what_cannot_be_is_left_out(tmp_path: Path) -> None:
    stuck = write_stuck(tmp_path)
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"CDF\x01")
    folder = RunFolder(tmp_path / "run")
    folder.work.mkdir(parents=True)
    (folder.work / "a.geojson").write_bytes(
        b'{"type":"FeatureCollection","valid_time":"2026-05-20T18:00:00Z","features":[{"geometry":null}]}'
    )
    (folder.work / "b.geojson").write_bytes(MARK + b"area is 0\n")
    (folder.work / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    products = ("a.geojson", "b.geojson", "c.png", "gone.geojson")
    folder.write_plan(Plan("n", "1", (Job("a", "m", {}, {"made": products}, {}),), {}, products))
    inputs = [{"port": "nowcast", "path": str(stuck)}, {"port": "sounding", "path": str(broken)}]
    run = cast("Run", SimpleNamespace(inputs=inputs, run_dir=str(folder.root)))
    found = {one.file: one for one in examine_apart(run)}
    assert set(found) == {stuck.name, "a.geojson"}
    assert found[stuck.name].values["stripes"][0] == 39.0
    assert found["a.geojson"].values["product_valid"][0] == 1.0
