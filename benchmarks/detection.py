"""Detection latency: from the close of a file to the creation of its run, with the real daemon.

``python -m benchmarks.detection [--files 1000] [--rate 50]`` starts ``dynamo watch --hold`` (runs are made and planned
for, but not started, so that the figure is the daemon's own and not a wait for a core), writes small nowcast files at
a fixed rate with a plain open-write-close, and reads the times of creation from the store.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from benchmarks.report import show
from dynamo.formats.nowcast import NowcastHeader, nowcast_name, write_nowcast
from dynamo.radar.grid import LatLonGrid
from dynamo.store.engine import open_store
from dynamo.store.models import Run

CONFIG = """
[runs]
min_free_mb = 0
[[feeds]]
name = "nowcasts"
path = "incoming"
[[triggers]]
name = "nowcast"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [35, 40, 45, 50, 55] }
condition = { area_km2 = 1, level_dbz = 45 }
"""
_START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(files: int, rate: float, side: int) -> dict[str, float]:
    """Return latencies in milliseconds over ``files`` files of 31 x side x side values at ``rate`` a second."""
    with tempfile.TemporaryDirectory(prefix="dynamo-detection-") as name:
        root = Path(name)
        (root / "incoming").mkdir()
        (root / "dynamo.toml").write_text(CONFIG)
        contents = _contents(root, files, side)
        log = root / "watch.log"
        with log.open("wb") as stream:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "dynamo", "watch", "--hold", "-c", str(root / "dynamo.toml")],
                stderr=stream,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
            )
        try:
            _wait_for(lambda: b"watching" in log.read_bytes())
            time.sleep(1.0)
            closed = _write_at_rate(root / "incoming", contents, rate)
            store = open_store(root / ".dynamo" / "store.sqlite")
            _wait_for(lambda: len(_created(store)) == files)
            created = _created(store)
            store.close()
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)
    milliseconds = np.array([1e3 * (created[path] - when) for path, when in closed.items()])
    return {
        "files": float(files),
        "rate_per_s": rate,
        "p50_ms": float(np.percentile(milliseconds, 50)),
        "p99_ms": float(np.percentile(milliseconds, 99)),
        "max_ms": float(milliseconds.max()),
    }


def _contents(root: Path, files: int, side: int) -> list[tuple[str, bytes]]:
    """Return names and bytes of files that differ in their time; written once, then patched through the library."""
    rows, columns = np.mgrid[:side, :side]
    grid = 60.0 * np.exp(-((rows - side / 2) ** 2 + (columns - side / 2) ** 2) / (side / 3) ** 2)
    made = []
    for minute in range(files):
        issue = _START + timedelta(minutes=minute)
        header = NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.01, side, side), issue, 31)
        path = root / nowcast_name(issue)
        write_nowcast(path, header, (grid for _ in range(31)))
        made.append((path.name, path.read_bytes()))
        path.unlink()
    return made


def _write_at_rate(folder: Path, contents: list[tuple[str, bytes]], rate: float) -> dict[str, float]:
    begin = time.monotonic()
    closed = {}
    for index, (name, data) in enumerate(contents):
        time.sleep(max(0.0, begin + index / rate - time.monotonic()))
        path = folder / name
        with path.open("wb") as stream:
            stream.write(data)
        closed[str(path.resolve())] = time.time()
    return closed


def _created(store: object) -> dict[str, float]:
    from dynamo.store.engine import Store

    assert isinstance(store, Store)
    with store.reading() as session:
        rows = session.execute(select(Run.inputs, Run.created_at)).all()
    return {inputs[0]["path"]: created.timestamp() for inputs, created in rows}


def _wait_for(condition: object, timeout_s: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon did not come so far")
        time.sleep(0.2)


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure 1,000 files at 50 a second."""
    result = measure(1000, 50.0, 31)
    columns = ("p50", "p99", "worst")
    row = tuple(round(result[name], 1) for name in ("p50_ms", "p99_ms", "max_ms"))
    return [
        show(
            "file closed to run created, 1,000 nowcasts of 31 x 31 x 31 at 50 a second, runs held, milliseconds",
            columns,
            [row],
            "Goal: p99 <= 200 ms.",
        )
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--side", type=int, default=31)
    options = parser.parse_args()
    result = measure(options.files, options.rate, options.side)
    print(
        f"detection, {options.files} files at {options.rate:g}/s, 31 x {options.side} x {options.side}, runs held: "
        f"p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms, max {result['max_ms']:.1f} ms"
    )


if __name__ == "__main__":
    main()
