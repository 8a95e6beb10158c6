"""The map in Chromium: frames with 31 leads of widespread contours playing against frames of an empty map.

Both are panned in the same run, in turn, since each frame is drawn anew then. Also: what the one request of an
animation costs, as contours and as a picture.

    python -m benchmarks.map_frames
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import create_autospec

from benchmarks.report import show
from dynamo.demo.show import DemoDisplay, run_demo
from dynamo.demo.sources import Progress
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.times import utc_now

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

#: Without a graphics card: the processor draws.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_SIZE = {"width": 1280, "height": 900}
_TIMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const next = (now) => { window.frames_ms.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""
_EMPTY: dict[str, list[object]] = {"nowcasts": [], "hail": []}
_READY_S = 180
_SETTLE_MS = 8_000


class OneNowcast:
    """A source for the demo: one nowcast of widespread storms."""

    title = "widespread storms"
    labels: Sequence[str] = ("wide",)

    def __init__(self, now: datetime, shape: tuple[int, int]) -> None:
        self._simulator = NowcastSimulator("wide", shape, now.replace(second=0, microsecond=0))

    def write(self, index: int, folder: Path, progress: Progress) -> Path:
        """Write it."""
        progress("simulating", 0, 1)
        return self._simulator.write(folder, index)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a demo's folder."""
    command = [sys.executable, "-m", "dynamo", "serve", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "dynamo.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of panning, each time")
    parser.add_argument("--size", type=int, default=201, help="nodes of the grid, both ways")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results, _ = run_demo(
            OneNowcast(utc_now(), (options.size,) * 2), Path(folder) / "demo", create_autospec(DemoDisplay)
        )
        run = json.loads((results[-1].product_dir / "index.json").read_bytes())["run"]
        with served(Path(folder) / "demo") as url:
            requests = [
                _request(f"{url}/v1/map/nowcasts/{run}", "contours, 31 leads"),
                _request(f"{url}/v1/map/grids/{run}.png", "reflectivity, 31 leads"),
            ]
            rows = _frames(url, options.rounds, options.seconds)
    show("One request of an animation", ("request", "kB", "first, ms", "again, ms"), requests)
    columns = ("map", "frames", "median, ms", "p95, ms", "ratio of medians")
    show(f"Map frames while panned, {results[-1].polygons} polygons", columns, rows)


def _request(url: str, name: str) -> tuple[object, ...]:
    """Return bytes and time of a request, the first one and the next."""
    times, size = [], 0
    for _ in range(2):
        start = time.perf_counter()
        asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(asked) as answer:
            size = len(answer.read())
        times.append((time.perf_counter() - start) * 1000)
    return name, round(size / 1000), *(round(one) for one in times)


def _frames(url: str, rounds: int, seconds: float) -> list[tuple[object, ...]]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("DYNAMO_TEST_CHROMIUM") or shutil.which("chromium")
    times: dict[str, list[float]] = {"empty": [], "contours": [], "contours and reflectivity": []}
    view = "view=-97,32.8,7.8"
    addresses = {
        "empty": f"/map?{view}",
        "contours": f"/map?{view}&past=0&play=1&speed=20",
        "contours and reflectivity": f"/map?{view}&past=0&play=1&speed=20&grid=nws",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        for _ in range(rounds):
            for name, address in addresses.items():
                # One page at a time: others would go on drawing behind it.
                page = _open(browser, url, address, empty=name == "empty")
                times[name] += _panned(page, seconds)
                page.close()
        browser.close()
    base = statistics.median(times["empty"])
    return [
        (
            name,
            len(some),
            round(statistics.median(some), 1),
            round(statistics.quantiles(some, n=20)[-1], 1),
            round(statistics.median(some) / base, 2),
        )
        for name, some in times.items()
    ]


def _open(browser: Browser, url: str, address: str, *, empty: bool) -> Page:
    page = browser.new_page(viewport=_SIZE)
    if empty:
        page.route("**/v1/map/frames*", lambda route: _fulfil(route, _EMPTY))
    page.goto(url + address)
    if empty:
        page.wait_for_selector(".maplibregl-canvas", timeout=_READY_S * 1000)
    else:
        page.wait_for_selector(".map[data-ready]", timeout=_READY_S * 1000)
    # Until an animation has been around, its frames are still being loaded.
    page.wait_for_timeout(_SETTLE_MS)
    page.evaluate(_TIMES)
    return page


def _fulfil(route: Route, body: object) -> None:
    route.fulfill(status=200, content_type="application/json", body=json.dumps(body))


def _panned(page: Page, seconds: float) -> list[float]:
    """Pan in circles, and return the time between frames, ms."""
    x, y = _SIZE["width"] / 2, _SIZE["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("() => { window.frames_ms.length = 0; }")
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        page.mouse.move(x + 150 * math.sin(3 * passed), y + 150 * (1 - math.cos(3 * passed)))
    found: list[float] = page.evaluate("() => window.frames_ms.slice(1)")
    page.mouse.up()
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
