"""One fleet in the daemon: a thread that manages it, and continues after any failure."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy import func, select

from dynamo.errors import BusyError, DynamoError, NotFoundError, RetryableError
from dynamo.provision import ledger
from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.store.engine import Store
from dynamo.store.fleets import FleetEvent
from dynamo.store.lease import RENEW_S, StoreLease

log = logging.getLogger(__name__)
#: First and longest pause after a failure, in seconds.
_PAUSE_S, _LONGEST_S = 1.0, 60.0
#: Interval between checks for new orders, in seconds.
_ORDERS_S = 0.5
#: Minimum time between cycles while something changes, in seconds.
_BUSY_S = 0.5
#: A fleet unchanged for this long is waiting for something; no reason to query its sites more often.
_CALM_AFTER_S = 30.0
_FIRST_LISTS_S = 5.0
#: Events that someone should look at; the fleet itself goes on.
_BAD_NEWS = frozenset({"delete-failed", "failed", "leave-alone", "lost", "refused"})


class FleetKeeper(threading.Thread):
    """Manages one fleet until it ends or `stop` is called.

    Parameters
    ----------
    store, fleet
        Where the fleet is stored, and its name.
    lease
        The acquired lease of `dynamo.provision.keeping.presence.daemon_lease`, released at the end.
    """

    def __init__(self, store: Store, fleet: str, lease: StoreLease) -> None:
        super().__init__(name=f"fleet-{fleet}", daemon=True)
        self.fleet = fleet
        self._store = store
        self._lease = lease
        self._renewed = time.monotonic()
        self._halt = threading.Event()
        self._pause_s = _PAUSE_S
        self._told = 0
        self._waits = False

    def stop(self) -> None:
        """Ask it to stop after the current cycle."""
        self._halt.set()

    def run(self) -> None:
        """Manage the fleet."""
        log.info("managing fleet", extra={"fleet": self.fleet})
        try:
            while not self._halt.is_set() and not self._attempt():
                self._wait(self._pause_s)
        finally:
            try:
                self._lease.give_back()
            except DynamoError as error:
                log.warning("the lease stays until it expires: %s", error, extra={"fleet": self.fleet})
        log.info("no longer managing fleet", extra={"fleet": self.fleet})

    def _attempt(self) -> bool:
        """Manage the fleet until something fails; return whether there is nothing left to do."""
        try:
            self._renew()
        except BusyError as error:
            # Another daemon took over while this machine slept or the store was unavailable for long.
            log.warning("given up: %s", error, extra={"fleet": self.fleet})
            return True
        except DynamoError as error:
            log.warning("next attempt in %.0f s: %s", self._longer(), error, extra={"fleet": self.fleet})
            return False
        try:
            with FleetLoop(self._store, self.fleet, self._tell) as loop:
                self._waits = False
                return self._look_after(loop)
        except NotFoundError:
            return True
        except BusyError as error:
            # A command is managing it for a moment.
            if not self._waits:
                log.info("waiting: %s", error.what, extra={"fleet": self.fleet})
            self._waits = True
            self._pause_s = _PAUSE_S
        except DynamoError as error:
            log.warning("next attempt in %.0f s: %s", self._longer(), error, extra={"fleet": self.fleet})
        except Exception:
            # A bug hit by one fleet must not stop the others, nor this one permanently.
            log.exception("internal error; next attempt in %.0f s", self._longer(), extra={"fleet": self.fleet})
        return False

    def _look_after(self, loop: FleetLoop) -> bool:
        before: CycleReport | None = None
        wait_s, changed, seen = _FIRST_LISTS_S, time.monotonic(), 0
        cycle_s = loop.spec.policy.cycle_s
        while not self._halt.is_set():
            try:
                self._renew()
                report = loop.cycle(wait_s=wait_s)
                seen = self._tell_events()
            except BusyError:
                raise
            except RetryableError as error:
                # The store is unavailable: keep drivers and their state open until it is back.
                log.warning("next attempt in %.0f s: %s", self._longer(), error, extra={"fleet": self.fleet})
                self._halt.wait(self._pause_s)
                continue
            wait_s, self._pause_s, cycle_s = 0.0, _PAUSE_S, loop.spec.policy.cycle_s
            if report.ended:
                return True
            if before is None or (report.counts, report.target) != (before.counts, before.target):
                changed = time.monotonic()
            before = report
            calm = report.settled or time.monotonic() - changed > _CALM_AFTER_S
            self._wait(cycle_s if calm else min(cycle_s, max(_BUSY_S, cycle_s / 5)), seen)
        return False

    def _wait(self, seconds: float, seen: int | None = None) -> None:
        """Wait, but only until an event is stored: every order is one.

        ``seen`` is the newest event already handled; by default the newest one now.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._halt.wait(min(left, _ORDERS_S)):
            try:
                newest = self._newest()
            except RetryableError:
                continue
            if seen is not None and newest != seen:
                return
            seen = newest

    def _newest(self) -> int:
        with self._store.reading() as session:
            return session.scalar(select(func.max(FleetEvent.id)).where(FleetEvent.fleet == self.fleet)) or 0

    def _tell_events(self) -> int:
        """Log events since the last call; return the newest event's number."""
        newest = self._newest()
        if self._told and newest > self._told:
            with self._store.reading() as session:
                found = ledger.events(session, self.fleet, after_id=self._told, limit=1000)
            for event in found:
                place = {"fleet": self.fleet, "site": event.site, "worker": event.worker, "reason": event.reason}
                level = logging.WARNING if event.action in _BAD_NEWS else logging.INFO
                log.log(level, event.action, extra={name: value for name, value in place.items() if value})
        self._told = newest
        return newest

    def _renew(self) -> None:
        if time.monotonic() - self._renewed > RENEW_S:
            self._lease.renew()
            self._renewed = time.monotonic()

    def _longer(self) -> float:
        """Return the next pause, twice as long as the last."""
        pause_s = self._pause_s = min(_LONGEST_S, self._pause_s * 2)
        return pause_s

    def _tell(self, text: str) -> None:
        log.info(text, extra={"fleet": self.fleet})
