"""Calls of sites run at once, as many as each site's limit; a slow site delays no other."""

from __future__ import annotations

import threading
from pathlib import Path

from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.runner import SiteRunner
from dynamo.times import utc_now


def runner(name: str, parallel: int) -> SiteRunner:
    site = SimulatedSite(SiteContext(name, {}, Path("unused")))
    return SiteRunner(site, "fleet", parallel=parallel, clock=utc_now)


def test_each_site_has_its_own_limit_and_a_slow_one_delays_no_other() -> None:
    slow, quick = runner("Sim:slow", 2), runner("Sim:quick", 3)
    gate, both, done = threading.Event(), threading.Barrier(3), []
    running: list[int] = []

    def stuck(number: int) -> None:
        running.append(number)
        if len(running) <= 2:
            both.wait(300)
        gate.wait(300)

    try:
        for number in range(5):
            assert slow.start(f"create {number}", lambda number=number: stuck(number))  # type: ignore[misc]
        assert not slow.start("create 0", gate.set), "one call of a key at a time"
        both.wait(300)
        for number in range(9):
            quick.start(f"create {number}", lambda number=number: done.append(number))  # type: ignore[misc]
        quick.wait(300)
        assert sorted(done) == list(range(9))
        assert len(running) == 2, "no more than the limit"
        assert (slow.calls(), quick.calls()) == (5, 0)
    finally:
        gate.set()
        slow.wait(300)
        slow.close()
        quick.close()
    assert sorted(running) == list(range(5))
