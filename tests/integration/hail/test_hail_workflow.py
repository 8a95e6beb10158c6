"""The hail workflows as people run them: real cases, a simulated network, and what cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import shapely

from benchmarks.hail_score import NOTHING, Truth, score
from dynamo.formats.hail_grid import grid_name, read_hail_grid
from dynamo.formats.radar_products import read_radar_product
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.runs.ledger import decisions_about
from dynamo.simulate.radar import RadarSimulator
from dynamo.store.engine import open_store
from dynamo.times import parse_time
from tests.simulated import START, radar_files, sounding_file

ROOT = Path(__file__).resolve().parents[3]


def submit(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run ``dynamo submit ... --out exported --wait`` in ``folder``; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "dynamo", "submit", *arguments, "--out", "exported", "--wait"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def collection(folder: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads((folder / "exported" / name).read_bytes())
    return read


def test_the_hail_storm_of_2019(tmp_path: Path, data_dir: Path) -> None:
    volume = data_dir / "radar" / "nexrad" / "KFWS20190609_222523.bin"
    sounding = data_dir / "soundings" / "current_sounding.txt"
    document = str(ROOT / "workflows" / "hail.json")
    submit(tmp_path, document, "--input", f"volume={volume}", "--input", f"sounding={sounding}")
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {
        "hmt_HAIL_CASA_KFWS_20190609-222523.geojson",
        "hca_KFWS_20190609-222523.png",
        "KFWS-20190609-222523.hc.cart.netcdf",
        "KFWS-20190609-222523.hail.netcdf",
        "index.json",
    }
    found = collection(tmp_path, "hmt_HAIL_CASA_KFWS_20190609-222523.geojson")
    assert found["temperatures_from"].startswith("current_sounding.txt")
    hail = [feature for feature in found["features"] if feature["properties"]["level"] == "hail"]
    area = sum(feature["properties"]["area_km2"] for feature in hail)
    assert 600 < area < 1400
    # The storms stand 130 to 230 km south-southwest of Fort Worth.
    shapes = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in hail])
    west, south, east, north = shapes.bounds
    assert west > -99.0
    assert east < -96.3
    assert south > 30.6
    assert north < 31.5
    assert max(feature["properties"]["size_mm"] for feature in hail) == 50.0
    grid = read_hail_grid(tmp_path / "exported" / "KFWS-20190609-222523.hc.cart.netcdf")
    assert grid.grid.dlat_deg == 0.01


def test_a_quiet_sweep_without_a_sounding(tmp_path: Path, data_dir: Path) -> None:
    volume = data_dir / "casa" / "addison.tx-20170329-071008.netcdf.gz"
    submit(tmp_path, "hail", "--input", f"volume={volume}")
    found = collection(tmp_path, "hmt_HAIL_CASA_addison.tx_20170329-071010.geojson")
    assert found["features"] == []
    assert "no sounding given" in found["temperatures_from"]


def test_chunks_of_a_volume_in_any_order(tmp_path: Path, data_dir: Path) -> None:
    chunks = sorted((data_dir / "radar" / "nexrad_chunks" / "KLOT_20210729_123848").iterdir(), reverse=True)
    whole = tmp_path / "KLOT20210729_123848"
    whole.write_bytes(b"".join(chunk.read_bytes() for chunk in reversed(chunks)))
    name = "hmt_HAIL_CASA_KLOT_20210729-123848.geojson"
    submit(tmp_path, "hail", *(text for chunk in chunks for text in ("--input", f"volume={chunk}")))
    from_chunks = collection(tmp_path, name)
    (tmp_path / "exported").rename(tmp_path / "of-chunks")
    submit(tmp_path, "hail", "--input", f"volume={whole}")
    assert from_chunks["mesh_method"] == "blend"
    assert len(from_chunks["features"]) > 10
    assert from_chunks == collection(tmp_path, name)
    columns = read_radar_product(tmp_path / "exported" / "KLOT-20210729-123848.hail.netcdf").columns
    assert columns is not None
    assert set(columns.values) == {"MESH", "POSH", "SHI"}
    assert 0 < columns.values["SHI"].max() < 1000


def test_simulated_chunks_of_a_volume_with_a_sounding(tmp_path: Path) -> None:
    chunks = radar_files(tmp_path / "chunks", "nexrad-chunks", sweeps_per_minute=6)
    sounding = sounding_file(tmp_path)
    inputs = [text for chunk in reversed(chunks) for text in ("--input", f"volume={chunk}")]
    submit(tmp_path, "hail", *inputs, "--input", f"sounding={sounding}")
    found = collection(tmp_path, "hmt_HAIL_CASA_XADD_20190610-002000.geojson")
    assert found["temperatures_from"].startswith("sounding.txt: 0 C at 4300 m")
    assert found["mesh_method"] == "blend"
    assert any(feature["properties"]["level"] == "hail" for feature in found["features"])
    columns = read_radar_product(tmp_path / "exported" / "XADD-20190610-002000.hail.netcdf").columns
    assert columns is not None
    assert 0 < columns.values["SHI"].max() < 1000


def test_a_clear_simulated_sweep_without_a_sounding(tmp_path: Path) -> None:
    (volume,) = radar_files(tmp_path, "gamic", "clear")
    submit(tmp_path, "hail", "--input", f"volume={volume}")
    found = collection(tmp_path, "hmt_HAIL_CASA_XADD_20190610-002000.geojson")
    assert found["features"] == []
    assert "no sounding given" in found["temperatures_from"]


def test_a_sounding_that_cannot_be_used_is_refused_or_told(tmp_path: Path) -> None:
    (tmp_path / ".dynamo").mkdir()
    (volume,) = radar_files(tmp_path, "gamic", "clear")
    other = tmp_path / "model.grib2"
    other.write_bytes(b"GRIB" + bytes(2000) + b"7777")
    said = submit(tmp_path, "hail", "--input", f"volume={volume}", "--input", f"sounding={other}", code=3)
    assert "model.grib2: 0 levels with pressure, height and temperature" in " ".join(said.split())
    assert not (tmp_path / "exported").exists()
    old = sounding_file(tmp_path, START - timedelta(days=3))
    said = submit(tmp_path, "hail", "--input", f"volume={volume}", "--input", f"sounding={old}")
    assert "warning: the sounding was not used: fallback 0 C at 4200 m" in said
    index = orjson.loads((tmp_path / "exported" / "index.json").read_bytes())
    (remark,) = index["remarks"]
    assert "72 h before the radar" in remark
    assert index["implausible_values"] == {}
    assert (
        "sounding refused: see sources" in collection(tmp_path, "hmt_HAIL_CASA_XADD_20190610-002000.geojson")["flags"]
    )
    store = open_store(f"sqlite:///{next(tmp_path.rglob('*.sqlite'))}")
    with store.reading() as session:
        assert [item.reason for item in decisions_about(session, index["run"]) if item.action == "remark"] == [remark]
    store.close()


def test_a_network_of_simulated_radars(tmp_path: Path) -> None:
    start = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)
    simulator = RadarSimulator("cells", start, radars=4, sweeps_per_minute=1, seed=3)
    truth, single = Truth(simulator.truth()), NOTHING
    grids = []
    for sweep in simulator.sweeps():
        path = simulator.write(tmp_path / "sweeps", sweep)
        product, grid, shapes = (tmp_path / f"{sweep.number}.{kind}" for kind in ("hail", "grid", "geojson"))
        execute(find_module("hail"), {"radar": [path]}, {"hail": [product]}, {})
        execute(find_module("grid"), {"product": [product]}, {"grid": [grid]}, {})
        execute(find_module("hail_contour"), {"grid": [grid]}, {"geojson": [shapes]}, {})
        single += score(orjson.loads(shapes.read_bytes()), truth)
        grids.append(grid.rename(tmp_path / grid_name(sweep.radar.radar, sweep.time)))
    assert single.cores.hits + single.cores.misses >= 5
    assert single.cores.pod > 0.9
    assert single.cores.far < 0.1
    expected = ",".join([*(radar.radar for radar in simulator.network), "silent.tx"])
    arguments = [text for grid in grids for text in ("--input", f"grids={grid}")]
    submit(tmp_path, "hail_composite", *arguments, "--param", f"expected={expected}")
    found = collection(tmp_path, "hmt_HAIL_CASA_COMPOSITE_20190610-002045.geojson")
    assert found["missing_radars"] == ["silent.tx"]
    assert set(found["radars"]) == {radar.radar for radar in simulator.network}
    assert parse_time(found["valid_time"]) == datetime(2019, 6, 10, 0, 20, 45, tzinfo=UTC)
    # Views of the same minute: the storms move by half a kilometre, less than what counts as found.
    together = score(found, truth)
    assert together.cores.pod > 0.9
    assert {path.name for path in (tmp_path / "exported").iterdir()} >= {
        "hca_COMPOSITE_20190610-002045.png",
        "COMPOSITE_20190610-002045.nc",
    }
    # The same views again are the same run.
    assert "already run" in submit(tmp_path, "hail_composite", *arguments, "--param", f"expected={expected}")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([], "missing input volume"),
        (["volume={sounding}"], "radar"),
        (["volume={casa}", "sounding={sounding}", "sounding={sounding}"], "sounding given 2 times"),
        (["volume={casa}", "profile={sounding}"], "unknown input 'profile'"),
        (["volume={casa}", "volume={nexrad}"], "format"),
        (["volume={casa}", "sounding=absent.txt"], "no such file"),
    ],
)
def test_what_cannot_work_is_said(tmp_path: Path, inputs: list[str], says: str) -> None:
    files = {
        "casa": radar_files(tmp_path, "casa")[0],
        "nexrad": radar_files(tmp_path, "nexrad")[0],
        "sounding": sounding_file(tmp_path),
    }
    given = [text for each in inputs for text in ("--input", each.format(**files))]
    code = {"sounding given 2 times": 2, "no such file": 4}.get(says, 3)
    assert says in " ".join(submit(tmp_path, "hail", *given, code=code).split())
