"""What viewers of the dashboard cost a server, and how soon they see what happens.

A daemon works on one run a second, a server shows it, and pages in Chromium watch: the first one the list of runs, the
others what goes on now. Measured are the time from a run's publication to the list's row, and the processor time of the
server against that of the daemon and its jobs.

    python -m benchmarks.viewers [--pages 20] [--seconds 30]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from benchmarks.map_frames import ARGUMENTS, served
from benchmarks.report import console, machine, percentile, show
from dynamo.config.file import load_config
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.store.engine import open_store
from dynamo.store.models import Run
from dynamo.times import utc_now

GOAL_S, GOAL_SHARE = 1.0, 0.02
_CONFIG = """
[folders]
state = "state"
products = "products"
[engines.local]
options = { workers = 1 }
[[feeds]]
name = "nowcasts"
path = "feed"
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
"""
#: Notes when each run is first seen as succeeded, ms since 1970.
_WATCH = """() => {
  window.seen = {};
  const look = () => {
    for (const row of document.querySelectorAll("main tbody tr")) {
      const link = row.querySelector("a[href^='/runs/']");
      if (!link || !row.textContent.includes("succeeded")) continue;
      const run = link.getAttribute("href").split("/").pop();
      window.seen[run] ??= Date.now();
    }
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
_SETTLE_S = 8.0


def run(pages: int, seconds: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "dynamo.toml").write_text(_CONFIG)
        (folder / "feed").mkdir()
        files = _made(folder / "made", round(seconds + 3 * _SETTLE_S) + pages)
        daemon = stack.enter_context(_daemon(folder))
        url = stack.enter_context(served(folder))
        server = _child_named("serve")
        _wait_for_store(folder)
        stop = threading.Event()
        feeding = threading.Thread(target=_feed, args=(files, folder / "feed", stop))
        feeding.start()
        try:
            rows, note = _watched(folder, url, pages, seconds, server, daemon.pid)
        finally:
            stop.set()
            feeding.join()
    console.print(machine())
    show(f"{pages} viewers, one run a second, {seconds:g} s", ("", "value"), rows, note)


def _watched(
    folder: Path, url: str, pages: int, seconds: float, server: int, daemon: int
) -> tuple[list[tuple[str, object]], str]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("DYNAMO_TEST_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        opened = [browser.new_page() for _ in range(pages)]
        asked = [0]
        for number, page in enumerate(opened):
            page.goto(url + ("/" if number else "/runs"))
            page.on("request", lambda _: asked.__setitem__(0, asked[0] + 1))
        opened[0].evaluate(_WATCH)
        opened[0].wait_for_timeout(_SETTLE_S * 1000)
        asked[0] = 0
        begin, before = utc_now(), (_cpu_s(server), _tree_cpu_s(daemon))
        opened[0].wait_for_timeout(seconds * 1000)
        took = (utc_now() - begin).total_seconds()
        used = _cpu_s(server) - before[0], _tree_cpu_s(daemon) - before[1]
        requests = asked[0]
        opened[0].wait_for_timeout(3000)
        seen: dict[str, float] = opened[0].evaluate("() => window.seen")
        browser.close()
    store = open_store(load_config(folder / "dynamo.toml").store_url)
    with store.reading() as session:
        since = Run.published_at.between(begin, begin + timedelta(seconds=took))
        published = {run: at for run, at in session.execute(select(Run.id, Run.published_at).where(since)) if at}
    store.close()
    delays = [seen[name] / 1000 - at.timestamp() for name, at in published.items() if name in seen]
    p95 = percentile(delays, 0.95)
    rows: list[tuple[str, object]] = [
        ("runs published", len(published)),
        ("of them seen", len(delays)),
        ("publication to screen, median, s", percentile(delays, 0.5)),
        ("publication to screen, p95, s", p95),
        ("requests of each viewer per second", requests / pages / took),
        ("server, % of a core", 100 * used[0] / took),
        ("daemon and its jobs, % of a core", 100 * used[1] / took),
        ("server / daemon, %", 100 * used[0] / used[1]),
    ]
    return rows, f"Goals: p95 {GOAL_S:g} s, server {GOAL_SHARE:.0%} of the daemon."


def _made(folder: Path, count: int) -> list[Path]:
    console.print(f"viewers: making {count} nowcasts ...")
    start = utc_now().replace(second=0, microsecond=0) - timedelta(minutes=count)
    simulator = NowcastSimulator("cells", (101, 101), start, count=count, leads=6)
    return [simulator.write(folder, index) for index in range(count)]


def _feed(files: list[Path], feed: Path, stop: threading.Event) -> None:
    """Have one file arrive a second."""
    due = time.monotonic()
    for path in files:
        due += 1.0
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        hidden = feed / f".{path.name}"
        shutil.copy(path, hidden)
        hidden.rename(feed / path.name)


@contextmanager
def _daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "dynamo", "watch", "--config", str(folder / "dynamo.toml")]
    with (folder / "watch.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            yield daemon
        finally:
            daemon.terminate()


def _wait_for_store(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not (folder / "state" / "store.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def _child_named(word: str) -> int:
    """Return the process among our children that was called with a word."""
    for child in _children(os.getpid()):
        if word in Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0"):
            return child
    raise RuntimeError(f"no child process {word}")


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def _cpu_s(pid: int, *, reaped: bool = False) -> float:
    """Return the processor time of a process, with that of its ended children if asked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11 : 15 if reaped else 13]) / os.sysconf("SC_CLK_TCK")


def _tree_cpu_s(pid: int) -> float:
    """Return the processor time of a process and of all below it, those that have ended included."""
    try:
        return _cpu_s(pid, reaped=True) + sum(_tree_cpu_s(child) for child in _children(pid))
    except OSError:
        return 0.0


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    run(options.pages, options.seconds)


if __name__ == "__main__":
    main()
