"""Open a fleet's drivers and pool from its spec; the only module that knows where its files are."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from dynamo.errors import DynamoError, UsageError
from dynamo.pool.manager import ANY
from dynamo.provision.pool_link import PoolLink
from dynamo.provision.sites.absent import AbsentSite
from dynamo.provision.sites.base import SiteContext, SiteDriver
from dynamo.provision.sites.registry import open_site
from dynamo.provision.spec.fleet import FleetSpec, PoolSpec


def fleet_folder(state: Path, name: str) -> Path:
    """Return the folder of a fleet's files on this machine."""
    return (state / "fleets" / name).absolute()


def pool_folder(spec: FleetSpec, base: Path) -> Path:
    """Return the folder of a fleet's pool, the value of ``DYNAMO_POOL_DIR`` that sends jobs there."""
    if spec.pool.state:
        return Path(spec.pool.state)
    if spec.pool.kind == "existing" and spec.pool.condor_config:
        return Path(spec.pool.condor_config).parent
    return base / "pool"


def site_folder(base: Path, site: str) -> Path:
    """Return the folder of a driver's files; site names contain characters that paths should not."""
    return base / "sites" / "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in site)


def open_sites(spec: FleetSpec, base: Path, *, lenient: bool = False) -> dict[str, SiteDriver]:
    """Open the drivers of all sites of a spec.

    With ``lenient``, one that cannot be opened is replaced by an `AbsentSite`.

    Raises
    ------
    InputError
        If a driver rejects its options.
    MissingPartError
        If a library a driver needs is not installed.
    """
    simulated = {name for name, site in spec.sites.items() if site.driver == "simulated"}
    if simulated and simulated != set(spec.sites):
        raise UsageError(
            "simulated workers cannot share a pool with real ones",
            where=", ".join(sorted(simulated)),
            expected="all sites simulated, or none",
        )
    drivers: dict[str, SiteDriver] = {}
    try:
        for name, site in spec.sites.items():
            folder = site_folder(base, name)
            try:
                context = SiteContext(name, site.driver_options(name), folder, timeout_s=site.timeout_s)
                drivers[name] = open_site(site.driver, context)
            except DynamoError as error:
                if not lenient:
                    raise
                drivers[name] = AbsentSite(name, error)
    except BaseException:
        for driver in drivers.values():
            driver.close()
        raise
    return drivers


def open_link(
    spec: FleetSpec,
    base: Path,
    drivers: Mapping[str, SiteDriver],
    tell: Callable[[str], None] = lambda _text: None,
) -> PoolLink:
    """Return the pool of a fleet; `PoolLink.ensure` starts it."""
    if spec.sites and all(site.driver == "simulated" for site in spec.sites.values()):
        return _simulated(drivers)
    from dynamo.provision.condor.link import CondorLink
    from dynamo.provision.condor.settings import WorkerSettings

    policy, pool = spec.policy, spec.pool
    settings = WorkerSettings(
        token_s=int(policy.token_lifetime_s),
        grace_s=int(policy.dead_man_s),
        check_s=int(min(60, policy.dead_man_s / 3, policy.token_lifetime_s / 4)),
        update_s=int(max(1, min(30, policy.missing_s / 4))),
    )
    address, public = _address(pool, drivers)
    return CondorLink(
        base / "link",
        pool=pool_folder(spec, base),
        ours=pool.kind == "own",
        address=address,
        public=public,
        port=pool.port or 0,
        settings=settings,
        tell=tell,
    )


def _address(pool: PoolSpec, drivers: Mapping[str, SiteDriver]) -> tuple[str, str]:
    """Return the address the pool listens on, and the name workers use to reach it."""
    from dynamo.provision.sites.local.site import LocalSite

    inner = {driver.host_address for driver in drivers.values() if isinstance(driver, LocalSite)} - {pool.address}
    if pool.address == "127.0.0.1" and len(inner) == 1:
        # Workers in their own networks see this machine under a different address.
        return inner.pop(), ""
    if _is_here(pool.address):
        return pool.address, ""
    # A name, or the public address of a machine behind NAT: workers use it, but the daemons cannot bind it.
    return ANY, pool.address


def _is_here(address: str) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return address.replace(".", "").isdigit()


def _simulated(drivers: Mapping[str, SiteDriver]) -> PoolLink:
    from dynamo.provision.simulated.clock import SystemClock
    from dynamo.provision.simulated.pool import SimulatedPool
    from dynamo.provision.simulated.site import SimulatedSite

    pool = SimulatedPool(SystemClock())
    for driver in drivers.values():
        if isinstance(driver, SimulatedSite):
            driver.join_pool(pool)
    return pool
