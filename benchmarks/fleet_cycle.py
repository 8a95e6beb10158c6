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

from dynamo.provision.fleets import apply_fleet
from dynamo.provision.reconcile import Reconciler
from dynamo.provision.simulated_pool import SimulatedPool
from dynamo.provision.site_runner import SiteRunner
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.simulated import SimulatedSite
from dynamo.provision.sites.simulated_clock import SimulatedClock
from dynamo.provision.spec_loading import load_spec
from dynamo.store.engine import open_store

WORKERS = 10_000
SITES = 4
CYCLES = 1000
GOAL_S = 2.0
GOAL_MIB = 300.0


def run(data: Path) -> list[dict[str, Any]]:
    """Measure cycles of a large fleet at rest, with jobs that come and go, and the memory of many cycles."""
    del data
    with tempfile.TemporaryDirectory() as folder:
        return [_large(Path(folder)), _steady(Path(folder))]


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
    loop = Reconciler(store, fleet, spec, runners, pool, clock=clock.now, rng=random.Random(1))  # noqa: S311
    for _ in range(12):
        loop.cycle()
        clock.advance(10)
    return loop, clock, pool


def _large(folder: Path) -> dict[str, Any]:
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
    return {
        "benchmark": f"reconcile cycle, {WORKERS} workers, 2000 new jobs each",
        "workers_ready": ready,
        "seconds_median": round(statistics.median(times), 3),
        "seconds_max": round(max(times), 3),
        "goal_s": GOAL_S,
        "mib": round(_rss_mib(), 1),
        "goal_mib": GOAL_MIB,
    }


def _steady(folder: Path) -> dict[str, Any]:
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
    return {
        "benchmark": f"memory over {CYCLES} cycles, 100 workers with jobs",
        "mib_after_a_quarter": round(marks[0], 1),
        "mib_at_the_end": round(marks[1], 1),
        "growth_mib": round(marks[1] - marks[0], 1),
    }


def _rss_mib() -> float:
    """Return the memory of this process that is resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
