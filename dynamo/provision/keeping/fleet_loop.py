"""A managed fleet: its lease, drivers, pool and loop, from opening to closing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from dynamo.errors import DynamoError, RetryableError
from dynamo.provision import ledger
from dynamo.provision.cycle.reconcile import CycleReport, Reconciler
from dynamo.provision.fleets import set_fleet_state, stored_spec
from dynamo.provision.keeping.opening import open_link, open_sites
from dynamo.provision.site_facts import SiteFacts, SiteFactsWriter
from dynamo.provision.sites.errors import SiteError
from dynamo.provision.sites.extras import EndingSite
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.states import ACTIVE, ENDED, lease_name
from dynamo.store.engine import Store
from dynamo.store.lease import RENEW_S, StoreLease
from dynamo.times import utc_now

log = logging.getLogger(__name__)
#: Time between cycles while something is in progress; answers wake the loop earlier.
BUSY_PACE_S = 0.5
#: Calls in progress get this long to finish when the loop closes; what they leave is stored.
_LAST_CALLS_S = 15.0


class FleetLoop:
    """Manages one fleet; only one process at a time does.

    Parameters
    ----------
    store, name
        Where the fleet is stored, and its name.
    tell
        Called with messages about what is being done.

    Raises
    ------
    BusyError
        If another process manages it.
    NotFoundError
        If the fleet does not exist.
    InputError, MissingPartError
        If a driver rejects its options, or a part it needs is missing.
    """

    def __init__(self, store: Store, name: str, tell: Callable[[str], None] = lambda _text: None) -> None:
        self._store = store
        self.name = name
        self._tell = tell
        self._wake = threading.Event()
        self._lease = StoreLease(store, lease_name(name), f"fleet {name}")
        self._lease.take()
        self._renewed = time.monotonic()
        try:
            self._open()
        except BaseException:
            self._lease.give_back()
            raise

    def _open(self) -> None:
        with self._store.reading() as session:
            fleet = ledger.fleet_named(session, self.name)
        self.spec = stored_spec(fleet)
        self._body = fleet.spec
        self._updated_at = fleet.updated_at
        base = Path(fleet.base)
        # One site that cannot even be opened must not keep the servers at the others.
        drivers = open_sites(self.spec, base, lenient=fleet.state != ACTIVE)
        self.link = open_link(self.spec, base, drivers, self._tell)
        runners = {
            name: SiteRunner(
                driver, fleet.id, parallel=self.spec.sites[name].parallel, clock=utc_now, wake=self._wake.set
            )
            for name, driver in drivers.items()
        }
        self.reconciler = Reconciler(self._store, fleet, self.spec, runners, self.link)
        self._facts = SiteFactsWriter(self._store, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cycle(self, *, wait_s: float = 0.0) -> CycleReport:
        """Start the pool if needed, follow a changed spec, and run one cycle.

        Raises
        ------
        BusyError
            If another process has taken the fleet over.
        StoreUnavailableError
            If the store does not answer.
        """
        if time.monotonic() - self._renewed > RENEW_S:
            self._lease.renew()
            self._renewed = time.monotonic()
        state = self._follow_spec()
        try:
            if state == ACTIVE:
                # For an ending fleet, do not start a missing pool only to stop it.
                self.link.ensure()
        except RetryableError as error:
            log.warning("the pool of %s: %s", self.name, error)
        with self._lease.kept() if wait_s > RENEW_S else nullcontext():
            report = self.reconciler.cycle(wait_s=wait_s)
        self._tell_facts()
        if report.ended:
            self._end()
        return report

    def _tell_facts(self) -> None:
        """Store what the sites reported: others use it to decide how many workers there may be."""
        runners = self.reconciler.runners
        facts = SiteFacts(
            flavors={name: tuple(runner.flavors) for name, runner in runners.items()},
            quotas={name: runner.quota for name, runner in runners.items() if runner.quota is not None},
            counted_at={name: runner.quota_at for name, runner in runners.items() if runner.quota_at is not None},
        )
        self._facts.write(facts, utc_now())

    def _follow_spec(self) -> str:
        """Reopen everything if the spec has changed; return the fleet's state."""
        with self._store.reading() as session:
            fleet = ledger.fleet_named(session, self.name)
        if fleet.spec != self._body:
            with self._lease.kept():
                self._close_sites()
            self._open()
        elif fleet.updated_at != self._updated_at:
            self._updated_at = fleet.updated_at
            self.reconciler.health.start_over()
        return fleet.state

    def _end(self) -> None:
        self.reconciler.settle_accounts()
        self._tell("stopping the pool")
        self.link.stop()
        for runner in self.reconciler.runners.values():
            if isinstance(runner.driver, EndingSite):
                try:
                    runner.driver.end()
                except SiteError as error:
                    log.warning("%s: cannot remove what it kept on this machine: %s", runner.name, error)
        with self._store.transaction() as session:
            set_fleet_state(session, self.name, ENDED, utc_now())

    def wait(self, seconds: float) -> None:
        """Wait until the next cycle is due or a call has ended."""
        if self._wake.wait(seconds):
            self._wake.clear()

    def run_until(
        self,
        done: Callable[[CycleReport], bool],
        *,
        timeout_s: float,
        progress: Callable[[CycleReport], None] = lambda _report: None,
    ) -> CycleReport:
        """Run cycles until ``done`` or the time is up; return the last report."""
        deadline = time.monotonic() + timeout_s
        wait_s = 5.0
        while True:
            report = self.cycle(wait_s=wait_s)
            wait_s = 0.0
            progress(report)
            if done(report) or report.ended or time.monotonic() > deadline:
                return report
            self.wait(BUSY_PACE_S)

    def close(self) -> None:
        """Let calls in progress finish, and release the fleet to other processes."""
        try:
            # A site may take its time over its last calls, and nobody else may begin before they end.
            with self._lease.kept():
                self._close_sites()
        finally:
            try:
                self._lease.give_back()
            except DynamoError as error:
                log.warning("the lease of %s stays until it runs out: %s", self.name, error)

    def _close_sites(self) -> None:
        deadline = time.monotonic() + _LAST_CALLS_S
        for runner in self.reconciler.runners.values():
            runner.wait(max(0.0, deadline - time.monotonic()))
        try:
            self.reconciler.settle_accounts()
        except DynamoError as error:
            log.warning("costs of %s will be billed later: %s", self.name, error)
        for runner in self.reconciler.runners.values():
            runner.close()
