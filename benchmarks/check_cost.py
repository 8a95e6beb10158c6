"""The CPU time of checks as a share of the run whose data they look at; both measured in one process, in turn."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import show
from dynamo.checks.examine import FieldsCollector, examine_volume
from dynamo.formats.nowcast import NowcastHeader, read_nowcast, write_nowcast
from dynamo.formats.radar import read_volume
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.processing.hail import MOMENTS
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.quality.fields import DBZ
from dynamo.times import from_epoch

_ROUNDS = 15
_VOLUMES = {
    "hail, CASA sweep": "casa/addison.tx-20170329-071403.netcdf.gz",
    "hail, KFWS, 3 cuts": "radar/nexrad/KFWS20190609_222523.bin",
    "hail, KLBB, 11 cuts": "radar/nexrad/KLBB20160601_150025_V06",
    "hail, Terrey Hills sweep": "radar/terrey_hills_sband/terrey_09.h5",
}
_LEADS = 31


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure hail runs of real files, and a nowcast run of simulated storms."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, file in _VOLUMES.items() if data is not None else ():
            assert data is not None
            rows.append((title, *_compare(*_hail(data / file, folder))))
        rows.append((f"nowcast, {_LEADS} leads of 366 x 350", *_compare(*_nowcast(folder))))
    return [show("CPU time of checks", ("run", "run ms", "checks ms", "share"), rows)]


def _compare(work: Callable[[], object], checks: Callable[[], object]) -> tuple[float, float, str]:
    """Return the least CPU time of a run without checks and of the checks, ms, and their ratio."""
    spent: dict[str, list[float]] = {"work": [], "checks": []}
    for _ in range(_ROUNDS):
        for name, call in (("work", work), ("checks", checks)):
            start = time.process_time()
            call()
            spent[name].append(1000.0 * (time.process_time() - start))
    least = {name: min(times) for name, times in spent.items()}
    return round(least["work"], 1), round(least["checks"], 1), f"{100 * least['checks'] / least['work']:.1f} %"


def _hail(path: Path, folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    volume = read_volume(path, moments=MOMENTS)
    hail, grid, areas, picture = (folder / name for name in ("hail.nc", "grid.nc", "areas.geojson", "hail.png"))

    def work() -> None:
        seen = {path.name: 1}
        execute(find_module("hail"), {"radar": [path]}, {"hail": [hail]}, {}, examined=seen)
        execute(find_module("grid"), {"product": [hail]}, {"grid": [grid]}, {})
        execute(find_module("hail_contour"), {"grid": [grid]}, {"geojson": [areas]}, {})
        execute(find_module("hail_plot"), {"grid": [grid]}, {"png": [picture]}, {})

    return work, lambda: examine_volume(volume, path.name)


def _nowcast(folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    path = folder / "MERGE_DARTS_201906100000.nc"
    grid = LatLonGrid(north_deg=34.0, west_deg=-99.0, dlat_deg=0.01, dlon_deg=0.01, nlat=366, nlon=350)
    rows, columns = np.mgrid[0:366, 0:350]
    fields = []
    for lead in range(_LEADS):
        dbz = np.full(rows.shape, -10.0)
        for storm in range(25):
            row, column = 37 * storm % 366, (71 * storm + 2 * lead) % 350
            np.maximum(dbz, 60.0 - np.hypot(rows - row, columns - column), out=dbz)
        fields.append(dbz.astype(np.float32))
    write_nowcast(path, NowcastHeader(grid, from_epoch(1_560_124_800), _LEADS, 0.0), fields)
    stack = read_nowcast(path)[1]
    splits = [folder / f"split{lead}.nc" for lead in range(_LEADS)]

    def work() -> None:
        seen = {path.name: 1}
        execute(find_module("split"), {"nowcast": [path]}, {"leads": splits}, {}, examined=seen)
        shapes = [folder / f"{lead}.geojson" for lead in range(_LEADS)]
        execute(find_module("contour"), {"grid": splits}, {"geojson": shapes}, {})
        pictures = [folder / f"{lead}.png" for lead in range(_LEADS)]
        execute(find_module("plot"), {"grid": splits}, {"png": pictures}, {})

    def checks() -> None:
        collector = FieldsCollector(DBZ)
        for lead in range(_LEADS):
            collector.add(lead, stack[lead])
        collector.examination(series="nowcast", file=path.name, valid_at=from_epoch(0))

    return work, checks
