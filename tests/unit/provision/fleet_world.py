"""A fleet on simulated sites and a simulated pool, on a clock of its own: for tests of the loop."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.provision.cycle.reconcile import CycleReport, Reconciler
from dynamo.provision.fleets import apply_fleet, set_fleet_state
from dynamo.provision.simulated.clock import SimulatedClock
from dynamo.provision.simulated.pool import SimulatedPool
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import FleetEvent, Worker

STEADY: Mapping[str, Any] = {"boot": 60, "join": 15, "delete": 5}


def spec_of(sites: Mapping[str, Mapping[str, Any]], groups: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a spec of simulated sites, each given by its options and spec fields."""
    return {
        "name": "fleet",
        "sites": {
            name: {"driver": "simulated", **{**site, "options": {**STEADY, **site.get("options", {})}}}
            for name, site in sites.items()
        },
        "compute": groups,
        **more,
    }


class World:
    """A store, a clock, sites, a pool and the reconciler of one fleet."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], store: Store | None = None) -> None:
        self.folder = folder
        self.clock = SimulatedClock()
        self.pool = SimulatedPool(self.clock)
        self.clock.advance(3600)
        self.store = store or open_store(folder / "store.sqlite")
        self.spec = load_spec(dict(spec))
        self.sites = {
            name: SimulatedSite(SiteContext(name, site.options, folder), clock=self.clock, pool=self.pool, seed=number)
            for number, (name, site) in enumerate(self.spec.sites.items())
        }
        self.apply(spec)
        self.loop = self.new_loop()

    def apply(self, spec: Mapping[str, Any]) -> None:
        """Store a spec, as `dynamo-provision apply` does."""
        self.spec = load_spec(dict(spec))
        with self.store.transaction() as session:
            apply_fleet(session, self.spec, base=self.folder, now=self.clock.now())

    def new_loop(self) -> Reconciler:
        """Return another reconciler for the same store, as after a restart."""
        with self.store.reading() as session:
            from dynamo.provision.ledger import fleet_named

            fleet = fleet_named(session, "fleet")
        runners = {
            name: SiteRunner(site, fleet.id, parallel=0, clock=self.clock.now) for name, site in self.sites.items()
        }
        return Reconciler(self.store, fleet, self.spec, runners, self.pool, clock=self.clock.now, rng=random.Random(7))

    def run(self, seconds: float, step_s: float = 5.0) -> CycleReport:
        """Go through cycles for so long."""
        report = self.loop.cycle()
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(step_s)
            report = self.loop.cycle()
        return report

    def end(self, state: str = "ending") -> None:
        """Let the fleet end."""
        with self.store.transaction() as session:
            set_fleet_state(session, "fleet", state, self.clock.now())

    def workers(self) -> list[Worker]:
        """Return all workers, oldest first."""
        with self.store.reading() as session:
            return list(session.scalars(select(Worker).order_by(Worker.id)))

    def states(self, site: str = "") -> Counter[str]:
        """Return how many workers are in each state."""
        return Counter(worker.state for worker in self.workers() if not site or worker.site == site)

    def events(self, action: str) -> list[FleetEvent]:
        """Return the events of one kind."""
        with self.store.reading() as session:
            return list(session.scalars(select(FleetEvent).where(FleetEvent.action == action).order_by(FleetEvent.id)))

    def servers(self, site: str) -> int:
        """Return how many servers a site really has."""
        with self.store.reading() as session:
            from dynamo.provision.ledger import fleet_named

            return len(self.sites[site].list(fleet_named(session, "fleet").id))
