"""The whole of CONUS: 31 x 3500 x 7000 with real MRMS structure through the workflow on two cores."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import console, show
from dynamo.engines.base import RunFolder
from dynamo.engines.local import LocalEngine
from dynamo.formats.composites import read_composite
from dynamo.formats.nowcast import NowcastHeader, write_nowcast
from dynamo.inspection.look import inspect_input
from dynamo.modules.registry import contracts
from dynamo.modules.runner import read_results
from dynamo.radar.grid import LatLonGrid
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.workflow import plan_run, read_workflow

LEADS = 31
LEVELS = [35.0, 40.0, 45.0, 50.0, 55.0]


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure one nowcast from plan to the last product."""
    frames = sorted((data / "composites" / "mrms_20190610").glob("*.grib2")) if data else []
    if not frames:
        console.print("conus: needs --data with composites/mrms_20190610; not measured")
        return []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        nowcast = root / "MERGE_DARTS_201906100000.nc"
        console.print("conus: writing 31 x 3500 x 7000 from the real frames ...")
        _write(nowcast, frames)
        start = time.perf_counter()
        facts = inspect_input(nowcast, LEVELS)
        inspected = time.perf_counter() - start
        plan = plan_run(
            read_workflow("nowcast", contracts()),
            {"nowcast": nowcast},
            {"levels": LEVELS, "pixels_per_cell": 1},
            {"nowcast": facts},
            contracts(),
        )
        layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
        run_folder = RunFolder(root / "run")
        run_folder.prepare(plan, layout)
        engine = LocalEngine(workers=2)
        try:
            with _PeakMemory(engine.pids()) as memory:
                start = time.perf_counter()
                engine.submit(run_folder)
                status = engine.wait(run_folder)
                elapsed = time.perf_counter() - start
        finally:
            engine.close()
        if status.state != "succeeded":
            raise SystemExit(f"conus: {status.state}: {status.reason}")
        lines = read_results(run_folder.results)
        cpu = {
            module: round(sum(line["cpu_s"] for line in lines if line["module"] == module), 1)
            for module in ("split", "contour", "plot")
        }
        size = sum((run_folder.work / lfn).stat().st_size for lfn in plan.products)
    return [
        show(
            "31 x 3500 x 7000 (CONUS, real MRMS structure), five levels and images of 7000 x 3500 (1 pixel a cell)",
            ("what", "value"),
            [
                ("inspecting the arrival, s", round(inspected, 1)),
                (f"split + contours + images of {LEADS} leads, 2 workers, s", round(elapsed, 1)),
                ("peak memory of the workers together, GiB", round(memory.peak_bytes / 2**30, 2)),
                ("products, MB", round(size / 1e6, 1)),
                ("jobs", status.jobs_done),
                *((f"CPU seconds of {module}", seconds) for module, seconds in cpu.items()),
            ],
            "Goals: below the 60 s cadence, peak memory <= 4 GiB. 16 real frames make the 31 leads, forth and back.",
        )
    ]


def _dbz(frame: Path) -> NDArray[np.float32]:
    composite = read_composite(frame)
    return composite.relation.dbz(composite.rain_rate)


def _write(path: Path, frames: list[Path]) -> None:
    first = read_composite(frames[0])
    grid: LatLonGrid = first.grid
    order = [*range(len(frames)), *range(len(frames) - 2, -1, -1)]

    def grids() -> Iterator[NDArray[np.float32]]:
        cache: dict[int, NDArray[np.float32]] = {}
        for lead in range(LEADS):
            index = order[lead % len(order)]
            if index not in cache:
                cache.clear()
                cache[index] = _dbz(frames[index])
            yield cache[index]

    write_nowcast(path, NowcastHeader(grid, datetime(2019, 6, 10, tzinfo=UTC), LEADS), grids())


class _PeakMemory:
    """The largest sum of the anonymous memory of some processes, sampled 20 times a second.

    Pages of files that the kernel keeps (the page cache, mapped libraries) are not counted: they are given up freely.
    """

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_bytes = 0

    def __enter__(self) -> _PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak_bytes = max(self.peak_bytes, sum(_anonymous_bytes(pid) for pid in self._pids))


def _anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
