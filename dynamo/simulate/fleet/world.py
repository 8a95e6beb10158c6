"""The real provisioner on simulated clouds and a simulated pool, sharing one clock.

No part of the provisioner is replaced: store, reconciler, site runners and lifecycle are those of `dynamo-provision`.
Only cycles in which nothing could have changed are skipped.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.autoscale.model import Capacity, FleetView
from dynamo.provision import ledger
from dynamo.provision.cycle.reconcile import Reconciler
from dynamo.provision.deciding.lifecycle import COMING, WorkerState
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.pool_link import WorkerSlots
from dynamo.provision.simulated.clock import SimulatedClock
from dynamo.provision.simulated.pool import SimulatedPool
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.loading import load_spec
from dynamo.simulate.fleet.sites import CYCLE_S, Cloud, fleet_spec
from dynamo.simulate.fleet.trace import TraceOutage
from dynamo.store.engine import open_store
from dynamo.store.fleets import Worker

#: Cycle while nothing seems to happen, s: for billing, finished jobs, recovered sites.
IDLE_CYCLE_S = 300.0
_AWAKE_S = 180.0


class World:
    """A fleet.

    Parameters
    ----------
    folder
        Folder for the store; useless afterwards.
    clouds
        Source of workers.
    start
        Start of the day.
    seed
        Random seed for boot times and failures.
    outages
        Outages during the day.
    cycle_s
        Cycle of the provisioner.
    every_cycle
        Skip no cycles.
    """

    def __init__(
        self,
        folder: Path,
        clouds: tuple[Cloud, ...],
        start: datetime,
        seed: int,
        *,
        outages: Sequence[TraceOutage] = (),
        cycle_s: float = CYCLE_S,
        every_cycle: bool = False,
    ) -> None:
        self.clouds = {cloud.group: cloud for cloud in clouds}
        self.start = start
        self.cycle_s = cycle_s
        self.cycles = 0
        # The collector has been up for a while when the day starts.
        self.clock = SimulatedClock(start - timedelta(hours=1))
        self.pool = SimulatedPool(self.clock, history_s=900.0)
        self.clock.advance_to(start)
        self.store = open_store(folder / "store.sqlite")
        spec = load_spec(fleet_spec(clouds, {}, cycle_s))
        with self.store.transaction() as session:
            fleet, _ = apply_fleet(session, spec, base=folder, now=start)
        self.sites = {
            cloud.site: SimulatedSite(
                SiteContext(cloud.site, cloud.options(), folder), clock=self.clock, pool=self.pool, seed=seed
            )
            for cloud in clouds
        }
        self._fleet_id = fleet.id
        runners = {
            name: SiteRunner(site, fleet.id, parallel=0, clock=self.clock.now) for name, site in self.sites.items()
        }
        self.loop = Reconciler(
            self.store,
            fleet,
            spec,
            runners,
            self.pool,
            clock=self.clock.now,
            rng=random.Random(seed),  # noqa: S311
        )
        self._every_cycle = every_cycle
        self._wished: dict[str, int] = {}
        self._next_s = 0.0
        self._rows: list[Any] | None = None
        self._settled = False
        self._gone_at: dict[str, datetime] = {}
        # A worker is given up based on when it was last seen, so skip no cycles around an outage.
        self._awake = [(outage.from_s - _AWAKE_S, outage.to_s + _AWAKE_S) for outage in outages]

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def now_s(self) -> float:
        """Return the seconds of the day."""
        return (self.clock.now() - self.start).total_seconds()

    def next_cycle_s(self) -> float:
        """Return the time of the next cycle."""
        return self._next_s

    def cycle(self) -> None:
        """Run one provisioner cycle and schedule the next one."""
        self.cycles += 1
        report = self.loop.cycle()
        # No one else writes workers.
        self._rows = None
        self._settled = report.settled and not report.held and not self._every_cycle
        now_s = self.now_s()
        self._next_s = self._on_grid(now_s + (IDLE_CYCLE_S if self._settled else self.cycle_s))
        for begin_s, end_s in self._awake:
            if begin_s <= now_s <= end_s:
                self._next_s = self._on_grid(now_s + self.cycle_s)
            elif now_s < begin_s < self._next_s:
                self._next_s = math.ceil(begin_s / self.cycle_s) * self.cycle_s

    def disturb(self) -> None:
        """Record a change, so that the next cycle is not skipped."""
        self._next_s = min(self._next_s, self._on_grid(self.now_s() + self.cycle_s))

    def wish(self, wanted: Mapping[str, int], reasons: Mapping[str, str]) -> dict[str, int]:
        """Store the requested numbers, as the autoscaler does; return the change for each group."""
        changes = {
            group: count - self._wished.get(group, 0)
            for group, count in wanted.items()
            if count != self._wished.get(group, 0)
        }
        if changes:
            now = self.clock.now()
            with self.store.transaction() as session:
                for group in changes:
                    ledger.wish(
                        session,
                        "fleet",
                        group,
                        site=self.clouds[group].site,
                        wanted=wanted[group],
                        source="autoscaler",
                        reason=reasons.get(group, "wanted"),
                        now=now,
                    )
            self._wished = {**self._wished, **wanted}
            self.disturb()
        return changes

    def view(self) -> FleetView:
        """Return the fleet as policies see it: store rows plus usage from the pool."""
        now = self.clock.now()
        if self._rows is None:
            with self.store.reading() as session:
                self._rows = ledger.living_workers(session, "fleet")
        slots = self.pool.view().workers
        options = tuple(
            cloud.option(is_open=self.loop.health.of(cloud.site).closed(now), cycle_s=self.cycle_s)
            for cloud in self.clouds.values()
        )
        return FleetView(tuple(self._capacity(row, slots, now) for row in self._rows), options)

    def _capacity(self, row: Any, slots: Mapping[str, WorkerSlots], now: datetime) -> Capacity:
        cloud, state = self.clouds[row.group], WorkerState(row.state)
        seen = slots.get(row.name)
        ready_at = row.ready_at or row.since
        if state in COMING:
            boot = cloud.boot_times(self.cycle_s)
            ready_at = max(row.requested_at + timedelta(seconds=boot.median_s), now + timedelta(seconds=self.cycle_s))
            if now - row.requested_at > timedelta(seconds=boot.median_s):
                ready_at = max(ready_at, row.requested_at + timedelta(seconds=boot.p90_s))
        paid_until = None
        if cloud.billing_s > 1.0 and row.started_at is not None:
            lived_s = max((now - row.started_at).total_seconds(), 1.0)
            paid_until = row.started_at + timedelta(seconds=cloud.paid_s(lived_s))
        return Capacity(
            worker=row.name,
            group=row.group,
            state=state,
            cpus=row.cpus,
            busy_cpus=seen.busy_cpus if seen is not None else 0,
            ready_at=ready_at,
            paid_until=paid_until,
        )

    def lose(self, number: int, until_s: float) -> None:
        """Take down a site with all its workers until ``until_s``."""
        site = list(self.sites.values())[number % len(self.sites)]
        now = self.clock.now()
        for server in site.list(self._fleet_id):
            site.vanish(server.id)
            self._gone_at[server.name] = now
        site.down_until(self.start + timedelta(seconds=until_s))
        # A cycle at this exact time must see it.
        self._next_s = min(self._next_s, math.ceil(self.now_s() / self.cycle_s) * self.cycle_s)

    def paid_core_s(self, end: datetime) -> dict[str, float]:
        """Return the paid core-seconds of each group up to ``end``, rounded up to whole billing units."""
        paid = dict.fromkeys(self.clouds, 0.0)
        for row in self.workers():
            if row.started_at is None:
                continue
            gone = self._gone_at.get(row.name) or row.ended_at or end
            lived_s = (min(gone, end) - row.started_at).total_seconds()
            if lived_s > 0:
                paid[row.group] += row.cpus * self.clouds[row.group].paid_s(lived_s)
        return paid

    def workers(self) -> list[Worker]:
        """Return all workers that ever existed."""
        with self.store.reading() as session:
            return list(session.scalars(select(Worker).order_by(Worker.id)))

    def _on_grid(self, time_s: float) -> float:
        # Cycles fall on multiples of their interval, whether or not some are skipped.
        return round(time_s / self.cycle_s) * self.cycle_s
