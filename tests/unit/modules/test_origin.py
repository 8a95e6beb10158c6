"""Files that modules write name their origin: module, version, parameters, inputs; no clock, no place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import orjson

from dynamo.files import sha256_file
from dynamo.formats.nowcast import NowcastReader, write_nowcast
from dynamo.formats.split import read_grids
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.modules.runner import run_task
from dynamo.simulate.nowcast import NowcastSimulator

SIMULATOR = NowcastSimulator("cells", (20, 30), datetime(2019, 6, 10, tzinfo=UTC), leads=2, seed=4)


def test_a_product_names_module_version_parameters_and_inputs(tmp_path: Path) -> None:
    nowcast = SIMULATOR.write(tmp_path, 0)
    split = find_module("split")
    leads = [tmp_path / f"{lead}.nc" for lead in range(2)]
    execute(split, {"nowcast": [nowcast]}, {"leads": leads}, {"leads": [0, 1]})
    with netCDF4.Dataset(leads[1]) as dataset:
        assert json.loads(dataset.input_sha256) == {"nowcast": [sha256_file(nowcast)]}
        assert json.loads(dataset.parameters)["leads"] == [0, 1]
        assert (dataset.source, dataset.product_version) == ("module split of DyNamo", split.version)
        assert dataset.history.startswith(f"dynamo-module split {split.version} ")
    assert len(list(read_grids(leads[1]))) == 1


def test_the_same_work_elsewhere_and_later_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for place in ("here", "there"):
        folder = tmp_path / place
        folder.mkdir()
        nowcast = SIMULATOR.write(folder, 0).rename(folder / f"{place}.nc")
        lead = folder / "lead.nc"
        execute(find_module("split"), {"nowcast": [nowcast]}, {"leads": [lead]}, {"leads": [0]})
        made.append(lead.read_bytes())
    assert made[0] == made[1]


def test_checksums_that_the_plan_knows_are_not_computed_again(tmp_path: Path) -> None:
    for name in ("work", "tasks"):
        (tmp_path / name).mkdir()
    SIMULATOR.write(tmp_path / "work", 0).rename(tmp_path / "work" / "in.nc")
    job = {
        "id": "split",
        "module": "split",
        "arguments": {"leads": [0]},
        "inputs": {"nowcast": ["in.nc"]},
        "outputs": {"leads": ["out.nc"]},
    }
    task = {"id": "t", "jobs": [job], "checksums": {"in.nc": "0" * 64}}
    (tmp_path / "tasks" / "t.json").write_bytes(orjson.dumps(task))
    assert run_task(tmp_path, "t")
    with netCDF4.Dataset(tmp_path / "work" / "out.nc") as dataset:
        assert json.loads(dataset.input_sha256) == {"nowcast": ["0" * 64]}


def test_a_file_that_no_module_wrote_names_none(tmp_path: Path) -> None:
    with NowcastReader(SIMULATOR.write(tmp_path, 0)) as reader:
        write_nowcast(tmp_path / "again.nc", reader.header, [reader.read(0), reader.read(1)])
    with netCDF4.Dataset(tmp_path / "again.nc") as dataset:
        assert "history" not in dataset.ncattrs()
