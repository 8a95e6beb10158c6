"""Find by tag, and remove, what ended fleets left at their sites: servers, addresses, ports, volumes, networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from dynamo.errors import BusyError, DynamoError
from dynamo.provision import ledger
from dynamo.provision.fleets import stored_spec
from dynamo.provision.keeping.opening import site_folder
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.base import ServerStatus, SiteContext, SiteDriver
from dynamo.provision.sites.extras import SweepingSite
from dynamo.provision.sites.registry import open_site
from dynamo.provision.spec.sites import SiteSpec
from dynamo.provision.states import ENDED, lease_name
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.store.lease import StoreLease
from dynamo.times import utc_now

#: Drivers that create nothing elsewhere.
_ON_THIS_MACHINE = frozenset({"local", "simulated"})


@dataclass
class Leftovers:
    """What was found of fleets that have ended.

    Attributes
    ----------
    removed
        What was removed, by fleet and site.
    problems
        Sites that could not be asked, and why; by fleet and site, too.
    """

    removed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)


class _Drivers:
    """The drivers of the sites of many fleets, each kind of access opened once."""

    def __init__(self, opened: Callable[[str, SiteContext], SiteDriver]) -> None:
        self._open = opened
        self._stack = ExitStack()
        self._known: dict[str, SiteDriver | DynamoError] = {}

    def get(self, name: str, site: SiteSpec, base: Path) -> SiteDriver:
        options = site.driver_options(name)
        key = json.dumps([name, site.driver, dict(options)], sort_keys=True, default=str)
        if key not in self._known:
            try:
                context = SiteContext(name, options, site_folder(base, name), timeout_s=site.timeout_s)
                driver = self._open(site.driver, context)
                self._stack.callback(driver.close)
                self._known[key] = driver
            except DynamoError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, DynamoError):
            raise found
        return found

    def close(self) -> None:
        self._stack.close()


def clear_leftovers(
    store: Store, fleets: Sequence[str] = (), *, opened: Callable[[str, SiteContext], SiteDriver] = open_site
) -> Leftovers:
    """Remove at their sites what fleets left behind that have ended; sites on this machine keep nothing.

    A fleet that another process has just taken up again is left to it.

    Parameters
    ----------
    fleets
        Only these; by default all that have ended.
    opened
        Opens a driver.
    """
    found = Leftovers()
    with store.reading() as session:
        query = select(Fleet.name).where(Fleet.state == ENDED).order_by(Fleet.name)
        names = [name for name in session.scalars(query) if not fleets or name in fleets]
    drivers = _Drivers(opened)
    try:
        for name in names:
            lease = StoreLease(store, lease_name(name))
            try:
                lease.take()
            except BusyError:
                continue
            try:
                with lease.kept():
                    _clear_fleet(store, name, drivers, found)
            finally:
                lease.give_back()
    finally:
        drivers.close()
    return found


def _clear_fleet(store: Store, name: str, drivers: _Drivers, found: Leftovers) -> None:
    with store.reading() as session:
        fleet = ledger.fleet_named(session, name)
    if fleet.state != ENDED:
        return
    for site_name, site in stored_spec(fleet).sites.items():
        try:
            driver = drivers.get(site_name, site, Path(fleet.base)) if site.driver not in _ON_THIS_MACHINE else None
            gone = _clear_site(driver, fleet.id) if driver is not None else ()
        except DynamoError as error:
            found.problems[name, site_name] = str(error)
            continue
        if gone:
            found.removed[name, site_name] = gone
            with store.transaction() as session:
                told = FleetNote("swept", f"removed leftovers: {', '.join(gone)}", site_name)
                ledger.note(session, name, [told], utc_now())


def _clear_site(driver: SiteDriver, fleet_id: str) -> tuple[str, ...]:
    servers = driver.list(fleet_id)
    gone = [f"server {server.name}" for server in servers if server.status is not ServerStatus.DELETING]
    for server in servers:
        driver.delete(server.id)
    if isinstance(driver, SweepingSite):
        gone += driver.clear(fleet_id)
    return tuple(gone)
