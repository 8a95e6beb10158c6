"""Maintain a fleet's networks, circuits, volumes and leases, in the sites' threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dynamo.provision import ledger
from dynamo.provision.cycle.leases import LeaseCare, care
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.lifecycle import SERVING
from dynamo.provision.deciding.live import Live, Move
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.deciding.shrinking import drain
from dynamo.provision.deciding.site_parts import SiteParts, VolumeWish, impossible, parts_of
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.errors import SiteError
from dynamo.provision.sites.extras import LeasingSite, NetworkingSite, StorageSite, SweepingSite, VlanSite
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.store.engine import Store

log = logging.getLogger(__name__)
#: Existing things are checked at this interval; missing ones more often.
_LOOK = timedelta(minutes=5)
_TRY = timedelta(seconds=5)
_SWEEP = timedelta(minutes=10)


class Upkeep:
    """Maintains what a fleet has besides workers.

    Parameters
    ----------
    store, fleet, fleet_id, spec, runners, clock
        As the reconciler's.
    """

    def __init__(
        self,
        store: Store,
        fleet: str,
        fleet_id: str,
        spec: FleetSpec,
        runners: Mapping[str, SiteRunner],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._id = fleet_id
        self._spec = spec
        self._runners = runners
        self._clock = clock
        self._parts: dict[str, SiteParts] = {name: parts_of(spec, fleet_id, name) for name in runners}
        self._ready: dict[str, datetime] = {}
        self._tried: dict[str, datetime] = {}
        self._swept: dict[str, datetime] = dict.fromkeys(runners, clock())
        self._problems: dict[str, str] = {}
        self._volumes: set[tuple[str, str]] = set()
        self._refused: dict[str, datetime] = {}
        self._removed: set[str] = set()

    @property
    def cleared(self) -> Collection[str]:
        """The sites where all that was created for an ending fleet is gone."""
        return self._removed

    @property
    def parts(self) -> Mapping[str, SiteParts]:
        """What the spec requests from each site besides workers."""
        return self._parts

    def problem(self, site: str) -> str:
        """Return why no workers can be created at a site yet; empty if everything they need exists."""
        if self._parts[site].needed and site not in self._ready:
            return self._problems.get(site) or "its networks are being created"
        return ""

    def look_after(
        self, lives: Sequence[Live], plans: Mapping[str, GroupPlan], removals: Removals, now: datetime
    ) -> list[Move]:
        """Start what is due at the sites; return the workers drained because their lease ends."""
        for site, runner in self._runners.items():
            parts = self._parts[site]
            if parts.needed and self._due(site, now):
                self._tried[site] = now
                runner.start("upkeep", partial(self._make, runner, parts))
            self._attach(runner, parts, [live for live in lives if live.row.site == site])
            if isinstance(runner.driver, SweepingSite) and now - self._swept[site] >= _SWEEP:
                self._swept[site] = now
                names = [live.row.name for live in lives if live.row.site == site]
                runner.start("sweep", partial(self._sweep, runner, runner.driver, names))
        return self._care_for_leases(lives, plans, removals, now)

    def end(self, lives: Iterable[Live], now: datetime, given_up: Collection[str] = ()) -> bool:
        """Remove what was created at sites without workers, except sites given up; return whether all is gone."""
        used = {live.row.site for live in lives}
        for site, runner in self._runners.items():
            if site in self._removed or site in used or site in given_up:
                continue
            if not self._parts[site].any and not isinstance(runner.driver, SweepingSite):
                self._removed.add(site)
            elif now - self._tried.get(site, now - _TRY) >= _TRY:
                self._tried[site] = now
                runner.start("upkeep", partial(self._unmake, runner, self._parts[site]))
        return self._removed | set(given_up) >= set(self._runners)

    def impossible(self, site: str) -> str:
        """Return why a site can never have what the spec requests; empty if it can."""
        return impossible(self._parts[site], self._runners[site].driver)

    def in_the_way(self) -> dict[str, str]:
        """Return by site why something that was created there is not gone yet."""
        return {site: why for site, why in self._problems.items() if site not in self._removed}

    def _due(self, site: str, now: datetime) -> bool:
        ready = self._ready.get(site)
        if ready is not None:
            return now - ready >= _LOOK
        tried = self._tried.get(site)
        return tried is None or now - tried >= _TRY

    def _make(self, runner: SiteRunner, parts: SiteParts) -> None:
        driver, site = runner.driver, runner.name
        try:
            if why := impossible(parts, driver):
                self._tell(site, why)
                return
            for network in parts.networks:
                if isinstance(driver, NetworkingSite):
                    driver.ensure_network(network)
            for vlan in parts.vlans(self._clock()) if parts.vlans else ():
                if isinstance(driver, VlanSite) and not driver.ensure_vlan(vlan):
                    self._tell(site, f"the lease of circuit {vlan.name} has not started")
                    return
        except SiteError as error:
            self._tell(site, str(error))
        else:
            if site not in self._ready:
                self._note(FleetNote("networks", "its networks are ready", site))
            self._ready[site] = self._clock()
            self._problems.pop(site, None)

    def _unmake(self, runner: SiteRunner, parts: SiteParts) -> None:
        driver = runner.driver
        try:
            for volume in parts.volumes:
                if isinstance(driver, StorageSite):
                    for name in [name for wish, name in self._volumes if wish == volume.key]:
                        driver.remove_volume(name, self._id)
            for network in parts.networks:
                if isinstance(driver, NetworkingSite):
                    driver.remove_network(network.name, self._id)
            for vlan in parts.vlans(self._clock()) if parts.vlans else ():
                if isinstance(driver, VlanSite):
                    driver.remove_vlan(vlan.name, self._id)
            gone = driver.clear(self._id) if isinstance(driver, SweepingSite) else ()
        except SiteError as error:
            self._tell(runner.name, str(error))
        else:
            self._note_swept(runner.name, gone)
            self._problems.pop(runner.name, None)
            self._removed.add(runner.name)

    def _attach(self, runner: SiteRunner, parts: SiteParts, lives: Sequence[Live]) -> None:
        for wish in parts.volumes:
            for live in lives:
                row = live.row
                name = wish.name_for(row.name)
                if not wish.concerns(row) or row.active_at is None or (wish.key, name) in self._volumes:
                    continue
                if live.state in SERVING:
                    runner.start(f"volume {name}", partial(self._volume, runner, wish, row, name))

    def _volume(self, runner: SiteRunner, wish: VolumeWish, row: Any, name: str) -> None:
        if not isinstance(runner.driver, StorageSite):
            self._tell(runner.name, "this kind of site offers no volumes")
            return
        try:
            volume = runner.driver.ensure_volume(row.server_id, name, self._id, wish.size_gb)
        except SiteError as error:
            self._tell(runner.name, str(error))
        else:
            self._volumes.add((wish.key, name))
            self._note(FleetNote("volume", f"{wish.size_gb} GB attached: {volume}", runner.name, row.name))

    def _sweep(self, runner: SiteRunner, driver: SweepingSite, keep: Sequence[str]) -> None:
        try:
            gone = driver.sweep(self._id, keep)
        except SiteError as error:
            log.info("%s: will look for leftovers of workers later: %s", runner.name, error)
            return
        self._note_swept(runner.name, gone)

    def _care_for_leases(
        self, lives: Sequence[Live], plans: Mapping[str, GroupPlan], removals: Removals, now: datetime
    ) -> list[Move]:
        moves = []
        policy = self._spec.policy
        for live in lives:
            row, plan, runner = live.row, plans.get(live.row.group), self._runners.get(live.row.site)
            if row.lease_end is None or plan is None or runner is None:
                continue
            leased = isinstance(runner.driver, LeasingSite)
            todo = care(
                live.state,
                row.lease_end,
                now=now,
                extend_before_s=policy.lease_extend_before_s if leased else 0.0,
                drain_deadline_s=policy.drain_deadline_s,
                group_end=plan.lease_end,
                wanted=plan.wanted > 0,
                refused_at=self._refused.get(row.name),
            )
            if todo is None:
                continue
            if todo.action == "extend":
                self._refused[row.name] = now
                runner.start(f"extend {row.name}", partial(self._extend, runner, row, todo))
            elif removals.take(len(lives), now):
                left_s = max(0.0, (todo.until - now).total_seconds())
                moves.append(drain(live, todo.reason, min(left_s, policy.drain_deadline_s), now))
        return moves

    def _extend(self, runner: SiteRunner, row: Any, todo: LeaseCare) -> None:
        if not isinstance(runner.driver, LeasingSite):
            return
        try:
            end = runner.driver.extend(row.server_id, todo.until)
        except SiteError as error:
            self._note(FleetNote("lease-refused", str(error), runner.name, row.name, {"kind": error.kind}))
            return
        self._refused.pop(row.name, None)
        with self._store.transaction() as session:
            ledger.set_worker(session, row.id, lease_end=end)
            told = FleetNote("lease", f"extended to {end:%Y-%m-%d %H:%M} UTC: {todo.reason}", runner.name, row.name)
            ledger.note(session, self._fleet, [told], self._clock())

    def _note_swept(self, site: str, gone: Sequence[str]) -> None:
        if gone:
            self._note(FleetNote("swept", f"removed leftovers: {', '.join(gone)}", site))

    def _tell(self, site: str, problem: str) -> None:
        self._problems[site] = problem
        log.info("%s: %s", site, problem)

    def _note(self, item: FleetNote) -> None:
        with self._store.transaction() as session:
            ledger.note(session, self._fleet, [item], self._clock())
