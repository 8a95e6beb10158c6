"""One cycle of the provisioner with 10,000 simulated workers, and its memory over a thousand cycles."""

from __future__ import annotations

import gc
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import show
from dynamo.provision.cycle.reconcile import Reconciler
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.simulated.clock import SimulatedClock
from dynamo.provision.simulated.pool import SimulatedPool
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import open_store

WORKERS = 10_000
SITES = 4
CYCLES = 1000
GOAL_S = 2.0
GOAL_MIB = 300.0


def run(_data: Path | None = None) -> list[dict[str, Any]]:
    """Measure cycles of a large fleet with jobs that come and go, and the memory of many cycles."""
    with tempfile.TemporaryDirectory() as folder:
        large, steady = _large(Path(folder)), _steady(Path(folder))
    return [
        show(
            f"one reconcile cycle of {WORKERS} simulated workers at {SITES} sites, 2000 new jobs before each",
            ("ready", "s, median", "s, max", f"goal {GOAL_S:g} s", "MiB", f"goal {GOAL_MIB:g} MiB"),
            [large],
        ),
        show(
            f"memory over {CYCLES} cycles of 100 workers with jobs",
            ("MiB after a quarter", "MiB at the end", "growth, MiB"),
            [steady],
        ),
    ]


def _fleet(folder: Path, name: str, workers: int) -> tuple[Reconciler, SimulatedClock, SimulatedPool]:
    clock = SimulatedClock()
    pool = SimulatedPool(clock)
    clock.advance(3600)
    store = open_store(folder / f"{name}.sqlite")
    sites = [f"Simulated:{number}" for number in range(SITES)]
    flavor = {"name": "medium", "cpus": 4, "ram_mb": 8192}
    options = {"boot": 30, "join": 10, "delete": 5, "flavors": [flavor]}
    spec = load_spec(
        {
            "name": name,
            "sites": {site: {"options": options} for site in sites},
            "compute": [{"name": f"g{i}", "site": site, "count": workers // SITES} for i, site in enumerate(sites)],
        }
    )
    with store.transaction() as session:
        fleet, _ = apply_fleet(session, spec, base=folder, now=clock.now())
    runners = {}
    for site in sites:
        driver = SimulatedSite(SiteContext(site, options, folder), clock=clock, pool=pool)
        runners[site] = SiteRunner(driver, fleet.id, parallel=0, clock=clock.now)
    loop = Reconciler(store, fleet, spec, runners, pool, clock=clock.now, rng=random.Random(1))
    for _ in range(12):
        loop.cycle()
        clock.advance(10)
    return loop, clock, pool


def _large(folder: Path) -> tuple[object, ...]:
    loop, clock, pool = _fleet(folder, "large", WORKERS)
    times = []
    for _ in range(10):
        for _ in range(2000):
            pool.submit(1, 25.0)
        began = time.perf_counter()
        report = loop.cycle()
        times.append(time.perf_counter() - began)
        clock.advance(10)
    ready = sum(states.get("ready", 0) for states in report.counts.values())
    median, worst, mib = statistics.median(times), max(times), _rss_mib()
    return (
        ready,
        round(median, 2),
        round(worst, 2),
        "kept" if worst <= GOAL_S else "missed",
        round(mib),
        "kept" if mib <= GOAL_MIB else "missed",
    )


def _steady(folder: Path) -> tuple[object, ...]:
    loop, clock, pool = _fleet(folder, "steady", 100)
    marks = []
    for number in range(CYCLES):
        for _ in range(20):
            pool.submit(1, 25.0)
        loop.cycle()
        clock.advance(10)
        if number in (CYCLES // 4, CYCLES - 1):
            gc.collect()
            marks.append(_rss_mib())
    return round(marks[0], 1), round(marks[1], 1), round(marks[1] - marks[0], 1)


def _rss_mib() -> float:
    """Return the memory of this process that is resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
