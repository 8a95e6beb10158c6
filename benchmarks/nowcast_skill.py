"""Skill of `dynamo nowcast` on real sequences, against persistence and the other optical flows of pysteps.

    python -m benchmarks.nowcast_skill --data DIR [--flows] [--conus]

DIR holds composites/. The table says precisely what is verified: frames in, issue time, lead, area; the
product is made by `make_nowcast` and read back from its file. Where several issue times are given, their
contingency tables are added.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import console, show
from dynamo.cli.console import out
from dynamo.cli.tables import print_table
from dynamo.extras import need, quiet
from dynamo.formats.composites import BBox, read_composite
from dynamo.formats.nowcast import NowcastReader
from dynamo.processing.nowcast import Method, make_nowcast
from dynamo.radar.extrapolation import advect
from dynamo.radar.motion import MotionField, estimate_motion
from dynamo.radar.skill import Contingency, contingency
from dynamo.radar.zr import NO_ECHO_DBZ

TEXAS: BBox = (28.0, -102.0, 36.0, -92.0)
THRESHOLDS_DBZ = (30.0, 40.0)
SCORES = tuple(f"{score} {level:.0f}" for level in THRESHOLDS_DBZ for score in ("CSI", "POD", "FAR"))
Frame = NDArray[np.float32]
Flow = Callable[[Sequence[Frame], float], MotionField]


@dataclass(frozen=True)
class Case:
    """Nowcasts to verify: each from ``frames`` files that end at index ``last``, at ``lead`` minutes."""

    name: str
    pattern: str
    interval_min: int
    frames: int
    last: tuple[int, ...]
    lead: int
    bbox: BBox | None = None


CASES = (
    Case("MRMS Texas, 00:10 from 6 frames", "mrms*/*.grib2", 2, 6, (5,), 20, TEXAS),
    Case("MRMS Texas, 00:02 from 2 frames", "mrms*/*.grib2", 2, 2, (1,), 28, TEXAS),
    Case("MeteoSwiss, 10 issue times 21:15-23:30", "meteoswiss*/*.gif", 5, 4, tuple(range(6, 34, 3)), 30),
    Case("BoM Melbourne, 10 issue times 10:12-11:06", "bom*/*.nc", 6, 3, tuple(range(2, 12)), 30),
)


def observed(path: Path, bbox: BBox | None) -> Frame:
    composite = read_composite(path, bbox)
    return composite.relation.dbz(composite.rain_rate)


def tables(forecast: Frame, truth: Frame) -> list[Contingency]:
    return [contingency(forecast, truth, threshold) for threshold in THRESHOLDS_DBZ]


def pooled(parts: Sequence[list[Contingency]]) -> list[Contingency]:
    return [sum(column[1:], start=column[0]) for column in zip(*parts, strict=True)]


def row(case: str, lead: int, method: str, scores: list[Contingency], seconds: float) -> list[object]:
    cells: list[object] = [case, lead, method]
    for score in scores:
        cells += [f"{score.csi:.3f}", f"{score.pod:.3f}", f"{score.far:.3f}"]
    return [*cells, f"{seconds:.1f}"]


def product_rows(data: Path, case: Case, scratch: Path) -> list[list[object]]:
    """Verify what `make_nowcast` writes."""
    files = sorted((data / "composites").glob(case.pattern))
    rows = []
    methods: tuple[Method, ...] = ("lk", "persistence")
    for method in methods:
        parts, seconds = [], 0.0
        for last in case.last:
            target = scratch / "nowcast.nc"
            start = time.perf_counter()
            make_nowcast(
                files[last + 1 - case.frames : last + 1],
                target,
                leads=case.lead,
                bbox=case.bbox,
                method=method,
            )
            seconds += time.perf_counter() - start
            with NowcastReader(target) as reader:
                parts.append(
                    tables(
                        reader.read(case.lead),
                        observed(files[last + case.lead // case.interval_min], case.bbox),
                    )
                )
        rows.append(row(case.name, case.lead, method, pooled(parts), seconds / len(case.last)))
    return rows


def reference_rows(data: Path) -> list[list[object]]:
    """The only way to a full +30 min in the 30 min of MRMS: the motion of 00:00-00:10 moves the frame of
    00:00.

    That is a test of motion and advection, not of a forecast in real time: the motion knows 10 of the 30
    minutes.
    """
    files = sorted((data / "composites").glob("mrms*/*.grib2"))
    frames = [observed(path, TEXAS) for path in files[:6]]
    truth = observed(files[15], TEXAS)
    name = "MRMS Texas, frame 00:00, motion 00:00-00:10"
    start = time.perf_counter()
    motion = estimate_motion(frames, [2.0 * index for index in range(6)])
    moved = forecast(frames[0], motion, 30)
    seconds = time.perf_counter() - start
    return [
        row(name, 30, "lk", tables(moved, truth), seconds),
        row(name, 30, "persistence", tables(frames[0], truth), 0.0),
    ]


def forecast(frame: Frame, motion: MotionField, minutes: int) -> Frame:
    for field in advect(frame, motion, minutes, floor=NO_ECHO_DBZ):
        moved = field
    return moved


def own_flow(frames: Sequence[Frame], interval_min: float) -> MotionField:
    return estimate_motion(frames, [interval_min * index for index in range(len(frames))])


def library_flow(name: str) -> Flow:
    """Return an optical flow of pysteps with its default settings."""

    def flow(frames: Sequence[Frame], interval_min: float) -> MotionField:
        interface: Any = need("pysteps.motion.interface")
        stack = np.nan_to_num(np.stack(frames), nan=NO_ECHO_DBZ).astype(np.float64)
        with quiet():
            velocity = interface.get_method(name)(stack)
        return MotionField(np.asarray(velocity, dtype=np.float32) / np.float32(interval_min), 1, -1)

    return flow


def flow_rows(data: Path) -> list[list[object]]:
    """Compare optical flows on the same frames, all moved by our advection, without a margin of inflow."""
    flows: list[tuple[str, int, Flow]] = [
        ("ours", 6, own_flow),
        ("pysteps LK", 6, library_flow("LK")),
        ("pysteps DARTS", 10, library_flow("DARTS")),
        ("pysteps Farneback", 6, library_flow("farneback")),
        ("pysteps Proesmans", 2, library_flow("proesmans")),
        ("pysteps VET", 2, library_flow("VET")),
    ]
    cases = (
        ("flows: MRMS Texas, issue 00:18", "mrms*/*.grib2", 2, (9,), 12, TEXAS),
        ("flows: MeteoSwiss, issues 21:30 22:30 23:30", "meteoswiss*/*.gif", 5, (9, 21, 33), 30, None),
    )
    rows = []
    for name, pattern, interval, issues, lead, bbox in cases:
        files = sorted((data / "composites").glob(pattern))
        for label, count, flow in flows:
            parts, seconds = [], 0.0
            for last in issues:
                frames = [observed(path, bbox) for path in files[last + 1 - count : last + 1]]
                start = time.perf_counter()
                motion = flow(frames, interval)
                seconds += time.perf_counter() - start
                parts.append(tables(forecast(frames[-1], motion, lead), observed(files[last + lead // interval], bbox)))
            rows.append(row(name, lead, f"{label} ({count})", pooled(parts), seconds / len(issues)))
    return rows


def conus(data: Path, scratch: Path) -> None:
    files = sorted((data / "composites").glob("mrms*/*.grib2"))
    start = time.perf_counter()
    made = make_nowcast(files, scratch / "conus.nc")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = f"{made.grid.nlat} x {made.grid.nlon}, {made.leads} grids"
    out.print(f"CONUS {size}: {seconds:.1f} s, peak memory {peak:.2f} GiB")


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure the product against persistence."""
    if data is None:
        console.print("nowcast_skill: needs --data with composites/; not measured")
        return []
    with tempfile.TemporaryDirectory() as folder:
        rows = [cells for case in CASES for cells in product_rows(data, case, Path(folder))]
    rows += reference_rows(data)
    return [show("skill of the nowcast", ["case", "lead min", "method", *SCORES, "s each"], rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds composites/")
    parser.add_argument("--flows", action="store_true", help="also the other optical flows of pysteps (minutes)")
    parser.add_argument("--conus", action="store_true", help="also time and memory of CONUS (3 GB on disk)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.conus:
            conus(arguments.data, Path(folder))
        rows = [cells for case in CASES for cells in product_rows(arguments.data, case, Path(folder))]
    rows += reference_rows(arguments.data)
    if arguments.flows:
        rows += flow_rows(arguments.data)
    print_table("Nowcast skill", ["case", "lead min", "method", *SCORES, "s each"], rows)


if __name__ == "__main__":
    main()
