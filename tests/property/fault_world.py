"""A fleet on simulated sites to which anything may happen; what must never happen is looked for after every cycle."""

# ruff: noqa: ARG002 - methods of one form, of which some need less
from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.provision.deciding.lifecycle import TRANSITIONS, WorkerState
from dynamo.provision.fleets import drain_worker, scale
from dynamo.provision.ledger import fleet_named
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.errors import SiteCapacityError, SiteRetryableError
from dynamo.store.fleets import FleetEvent
from tests.unit.provision.fleet_world import World, spec_of

A, B = "Sim:A", "Sim:B"
CYCLE_S = 10.0
SHARE = 0.25
#: Of group a; of site B; servers at B; what an hour may cost (a worker costs 1).
MAX_A, CAP_B, QUOTA_B, PER_HOUR = 5, 5, 4, 9.0
STEP_S = 10.0


def faulty_spec() -> dict[str, Any]:
    return spec_of(
        {A: {}, B: {"max_workers": CAP_B, "options": {"quota": {"servers": QUOTA_B}}}},
        [
            {"name": "a", "site": A, "count": 3, "min": 0, "max": MAX_A, "costPerHour": 1.0},
            {"name": "b", "site": B, "count": 2, "min": 0, "max": 8, "costPerHour": 1.0},
        ],
        policy={
            "cycle_s": CYCLE_S,
            "max_removal_share": SHARE,
            "missing_s": 60,
            "collector_grace_s": 30,
            "breaker": {"max_s": 120},
        },
        budget={"per_hour": PER_HOUR},
    )


class FaultyWorld(World):
    """The fleet, and what may befall it; each public method is one mishap or order, at a site and so many times.

    They are called by name with the same two arguments, though some need none.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, faulty_spec())
        self.wanted = {"a": 3, "b": 2}
        self.killed_by_us = 0
        self._known: dict[str, str] = {}
        for site in self.sites.values():
            self._count_kills(site)
        self.loop = self.new_loop()

    # ---- what may happen ---------------------------------------------------------------------------------------

    def lose_answers(self, site: str, number: int) -> None:
        self.sites[site].lose_answer_next(number)

    def lose_deletions(self, site: str, number: int) -> None:
        self.sites[site].lose_answer_next(number, verb="delete")

    def refuse(self, site: str, number: int) -> None:
        self.sites[site].fail_next(number, SiteRetryableError("503", where=site))

    def no_host(self, site: str, number: int) -> None:
        self.sites[site].fail_next(number, SiteCapacityError("No valid host", where=site))

    def outage(self, site: str, number: int) -> None:
        self.sites[site].down_until(self.clock.now() + timedelta(seconds=60 * number))

    def vanish(self, site: str, number: int) -> None:
        for server_id in self._server_ids(site)[:number]:
            self.sites[site].vanish(server_id)

    def stop(self, site: str, number: int) -> None:
        for server_id in self._server_ids(site)[:number]:
            self.sites[site].stop(server_id)

    def hide(self, site: str, number: int) -> None:
        until = self.clock.now() + timedelta(seconds=300)
        self.sites[site].hide(*self._server_ids(site)[:number], until=until)

    def startd_dies(self, site: str, number: int) -> None:
        for worker in self._ready(site)[:number]:
            self.pool.leave(worker)

    def black_hole(self, site: str, number: int) -> None:
        # The store may take a worker for ready that has just gone.
        there = [worker for worker in self._ready(site) if worker in self.pool._machines]
        for worker in there[:1]:
            self.pool.make_black_hole(worker)

    def collector_restarts(self, site: str, number: int) -> None:
        self.pool.restart_collector()

    def pool_is_silent(self, site: str, number: int) -> None:
        self.pool.silent_until(self.clock.now() + timedelta(seconds=60 * number))

    def scale(self, site: str, number: int) -> None:
        group, number = ("a", min(number, MAX_A)) if site == A else ("b", min(number, QUOTA_B))
        with self.store.transaction() as session:
            scale(session, "fleet", group, number, self.clock.now())
        self.wanted[group] = number

    def drain(self, site: str, number: int) -> None:
        now = self.clock.now()
        with self.store.transaction() as session:
            for worker in self._ready(site)[:1]:
                drain_worker(session, "fleet", worker, now + timedelta(hours=1), now)

    def restart(self, site: str, number: int) -> None:
        self.loop = self.new_loop()

    def jobs(self, site: str, number: int) -> None:
        for length in range(4 * number):
            self.pool.submit(1, 20.0 + 10 * length)

    def time(self, site: str, number: int) -> None:
        self.pass_time(60.0 * number)

    # ---- what is looked for ------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, step_s: float = STEP_S) -> None:
        """Go through cycles; look at everything after each."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(step_s)
            self.loop.cycle()
            self._look()

    def _look(self) -> None:
        assert self.killed_by_us == 0, "a job was killed by a removal"
        rows = self.workers()
        for row in rows:
            before = self._known.get(row.name, "requested")
            assert reachable(WorkerState(before), WorkerState(row.state)), f"{row.name}: {before} to {row.state}"
            self._known[row.name] = row.state
        servers = {site: self._at(site) for site in self.sites}
        for site, found in servers.items():
            assert max(Counter(found).values(), default=0) <= 1, f"two servers of one worker at {site}"
        assert len(servers[A]) <= MAX_A, f"{len(servers[A])} servers at A, the group's max is {MAX_A}"
        assert len(servers[B]) <= min(CAP_B, QUOTA_B)
        assert sum(map(len, servers.values())) <= PER_HOUR, "the budget is passed"

    def check_share(self) -> None:
        """No time of a cycle has seen more workers given up than the share, unless it was their server that went."""
        with self.store.reading() as session:
            failed = session.scalars(
                select(FleetEvent)
                .where(FleetEvent.action == "failed", FleetEvent.reason.startswith("missing from the collector"))
                .order_by(FleetEvent.id)
            ).all()
        times = [event.time for event in failed]
        most = max(1, int((MAX_A + QUOTA_B) * SHARE))
        for number, moment in enumerate(times):
            together = [other for other in times[number:] if other - moment < timedelta(seconds=CYCLE_S)]
            assert len(together) <= most, f"{len(together)} given up at {moment}"

    def check_settled(self) -> None:
        """Everything is as it is wanted: store, sites and pool say the same."""
        ready = Counter(row.group for row in self.workers() if row.state == "ready")
        assert {name: ready[name] for name in self.wanted} == self.wanted
        assert {row.state for row in self.workers()} <= {"ready", "released", "lost"}
        for site in self.sites:
            mine = {row.name: row.server_id for row in self.workers() if row.state == "ready" and row.site == site}
            assert {server.name: server.id for server in self._listed(site)} == mine, "store and site do not agree"
        assert all(row.started_at is not None for row in self.workers() if row.state == "ready")

    # ---- inner -------------------------------------------------------------------------------------------------

    def _count_kills(self, site: SimulatedSite) -> None:
        delete = site.delete

        def counting(server_id: str) -> None:
            before = self.pool.jobs_killed
            try:
                delete(server_id)
            finally:
                self.killed_by_us += self.pool.jobs_killed - before

        # An instance of its own, so that only this site counts.
        site.delete = counting  # type: ignore[method-assign]

    def _listed(self, site: str) -> list[Any]:
        with self.store.reading() as session:
            fleet = fleet_named(session, "fleet").id
        return list(SimulatedSite.list(self.sites[site], fleet))

    def _at(self, site: str) -> list[str]:
        return [made.server.name for made in self.sites[site]._servers._made.values()]

    def _server_ids(self, site: str) -> list[str]:
        return list(self.sites[site]._servers._made)

    def _ready(self, site: str) -> list[str]:
        return [row.name for row in self.workers() if row.state == "ready" and row.site == site]


def reachable(before: WorkerState, after: WorkerState) -> bool:
    """Tell whether the table leads from one state to another, in any number of steps."""
    seen, todo = {before}, [before]
    while todo:
        for state in TRANSITIONS[todo.pop()]:
            if state not in seen:
                seen.add(state)
                todo.append(state)
    return after in seen
