"""From one CASA sweep file (360 x 1920 gates) to hail polygons, in process: where the time goes.

``python -m benchmarks.hail_pace [--rounds 9]``
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import console, machine, show
from dynamo.formats.hail_geojson import encode_hail, trace_hail
from dynamo.formats.hail_grid import HailGrid, write_hail_grid
from dynamo.formats.hail_png import encode_hail_image
from dynamo.formats.radar.read import read_volume
from dynamo.formats.sounding import choose_sounding
from dynamo.processing.hail import MOMENTS, hail_product, temperatures_of
from dynamo.processing.hail_grids import grid_product
from dynamo.simulate.radar import RadarSimulator
from dynamo.simulate.radar_storms import REGIMES

#: Goals of file to GeoJSON, ms.
GOALS_MS = {"clear": 30.0, "wide": 150.0}
STEPS = ("read", "hail", "grid", "geojson", "image", "write grid")


def run(data: Path | None, *, rounds: int = 9) -> list[dict[str, Any]]:
    """Measure the three regimes of the simulator, and a real quiet sweep where the data are there."""
    with tempfile.TemporaryDirectory(prefix="dynamo-hail-pace-") as name:
        folder = Path(name)
        files: list[tuple[str, Path]] = []
        for regime in REGIMES:
            simulator = RadarSimulator(regime, datetime(2019, 6, 10, 0, 20, tzinfo=UTC), radars=1, sweeps_per_minute=1)
            files.append((regime, simulator.write(folder / regime, next(simulator.sweeps()))))
        real = sorted((data / "casa").glob("*.netcdf.gz")) if data is not None else []
        files += [("real, quiet", path) for path in real[:1]]
        rows = [(label, *_measure(path, folder, rounds)) for label, path in files]
    return [
        show(
            "one CASA sweep, 360 x 1920 gates, file to products, in process, medians in ms (CPU in the last columns)",
            ("weather", "file to GeoJSON", "CPU", *STEPS, "CPU of all"),
            rows,
            "Goals for file to GeoJSON: quiet <= 30 ms, widespread <= 150 ms. Image and grid file come on top.",
        )
    ]


def _measure(path: Path, folder: Path, rounds: int) -> tuple[object, ...]:
    wall: dict[str, list[float]] = {step: [] for step in STEPS}
    cpu: dict[str, list[float]] = {step: [] for step in STEPS}
    totals: list[tuple[float, float]] = []
    for turn in range(rounds + 1):
        spent: dict[str, tuple[float, float]] = {}

        def timed(step: str, call: Callable[[], Any], spent: dict[str, tuple[float, float]] = spent) -> Any:
            start, start_cpu = time.perf_counter(), time.process_time()
            result = call()
            spent[step] = ((time.perf_counter() - start) * 1e3, (time.process_time() - start_cpu) * 1e3)
            return result

        volume = timed("read", functools.partial(read_volume, path, moments=MOMENTS))
        temperatures = temperatures_of(choose_sounding(None, volume.time))
        product = timed("hail", functools.partial(hail_product, volume, temperatures))
        grid = timed("grid", functools.partial(grid_product, product))
        timed("geojson", functools.partial(_polygons, grid))
        timed("image", functools.partial(encode_hail_image, grid))
        timed("write grid", functools.partial(write_hail_grid, folder / "grid.nc", grid))
        if turn:
            for step, (one, other) in spent.items():
                wall[step].append(one)
                cpu[step].append(other)
            main = [spent[step] for step in STEPS[:4]]
            totals.append((sum(one for one, _ in main), sum(other for _, other in main)))
    return (
        round(statistics.median(one for one, _ in totals), 1),
        round(statistics.median(other for _, other in totals), 1),
        *(round(statistics.median(wall[step]), 1) for step in STEPS),
        round(sum(statistics.median(cpu[step]) for step in STEPS), 1),
    )


def _polygons(grid: HailGrid) -> bytes:
    return encode_hail(grid, trace_hail(grid))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--data", type=Path, help="real data (see README)")
    options = parser.parse_args()
    console.print(machine())
    run(options.data, rounds=options.rounds)


if __name__ == "__main__":
    main()
