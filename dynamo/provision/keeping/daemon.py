"""The daemon: manages all fleets of a store, each in its own thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from dynamo.errors import BusyError, DynamoError
from dynamo.provision import ledger
from dynamo.provision.keeping.keeper import FleetKeeper
from dynamo.provision.keeping.presence import ANY_FLEET, daemon_lease
from dynamo.provision.retention import KEEP_DAYS, prune
from dynamo.provision.states import ENDED
from dynamo.store.access import prune_audit
from dynamo.store.engine import Store, StoreGoneError
from dynamo.store.fleets import Fleet
from dynamo.store.lease import RENEW_S, StoreLease
from dynamo.store.standing import Standing
from dynamo.store.stream import prune_stream
from dynamo.times import utc_now

log = logging.getLogger(__name__)
#: Interval between checks for new fleets, in seconds.
_LOOK_S = 1.0
#: Interval between attempts to take over fleets of another daemon, which may have stopped, in seconds.
_TRY_S = 10.0
_PRUNE_S = 3600.0
#: Site calls in progress get this long to finish; what they leave is stored.
_END_S = 25.0


class Daemon:
    """Manages fleets until it is told to stop; workers outlive it.

    Parameters
    ----------
    store
        Where the fleets are.
    fleets
        Only these; by default all living and new ones.
    state_dir
        The state folder, where the fleets' pools are; None if it is not to be watched.
    keep_days
        How many days to keep events and ended workers.
    audit_days
        How many days to keep the audit of orders.
    clock
        Source of the current time.
    """

    def __init__(
        self,
        store: Store,
        fleets: Sequence[str] = (),
        *,
        state_dir: Path | None = None,
        keep_days: float = KEEP_DAYS,
        audit_days: float = 365.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._standing = None if state_dir is None else Standing(store, state_dir)
        self._only = tuple(fleets)
        self._keep_days = keep_days
        self._audit_days = audit_days
        self._clock = clock
        self._keepers: dict[str, FleetKeeper] = {}
        self._others: dict[str, float] = {}
        self._refusal: BusyError | None = None
        self._prune_at = time.monotonic()
        self._store_away = False
        self._any = StoreLease(store, ANY_FLEET, "the fleets of this store")
        self._any_held = False
        self._any_at = time.monotonic()

    def claim(self) -> list[str]:
        """Start managing the existing fleets; return their names.

        Raises
        ------
        NotFoundError
            If a named fleet does not exist.
        BusyError
            If other daemons manage all of them.
        """
        with self._store.reading() as session:
            for name in self._only:
                ledger.fleet_named(session, name)
        self._look()
        if self._refusal is not None and not self._keepers:
            self.close()
            refusal = self._refusal
            raise BusyError(refusal.what, where=", ".join(sorted(self._others)), hint=refusal.hint)
        return sorted(self._keepers)

    def run(self, stop: threading.Event) -> None:
        """Manage the fleets until ``stop`` is set, then shut down cleanly; workers stay as they are.

        Raises
        ------
        StoreGoneError
            If the store or the state folder was removed; it shuts down then, too.
        """
        try:
            while not stop.is_set():
                self._round()
                stop.wait(_LOOK_S)
        finally:
            self.close()

    def close(self) -> None:
        """Stop all threads, waiting for site calls in progress."""
        for keeper in self._keepers.values():
            keeper.stop()
        deadline = time.monotonic() + _END_S
        for keeper in self._keepers.values():
            keeper.join(max(0.0, deadline - time.monotonic()))
            if keeper.is_alive():
                log.warning("stopped in the middle of a call", extra={"fleet": keeper.fleet})
        self._keepers.clear()
        if self._any_held:
            try:
                self._any.give_back()
            except DynamoError as error:
                log.warning("commands wait for this daemon until its lease runs out: %s", error)
            self._any_held = False
        if self._standing is not None:
            self._standing.close()

    def _round(self) -> None:
        try:
            self._look()
            if time.monotonic() >= self._prune_at:
                self._prune_at = time.monotonic() + _PRUNE_S
                events, workers = prune(self._store, self._clock(), keep_days=self._keep_days)
                if events or workers:
                    log.info("old records removed", extra={"events": events, "workers": workers})
                prune_stream(self._store, self._clock())
                prune_audit(self._store, self._clock(), self._audit_days)
        except StoreGoneError:
            raise
        except DynamoError as error:
            # The keepers log details; here only that new fleets are not seen for now.
            if not self._store_away:
                log.warning("cannot check for new fleets: %s", error)
            self._store_away = True
        else:
            self._store_away = False

    def _look(self) -> None:
        if self._standing is not None:
            self._standing.check()
        self._show()
        with self._store.reading() as session:
            living = session.scalars(select(Fleet.name).where(Fleet.state != ENDED).order_by(Fleet.name)).all()
        for name in list(self._keepers):
            if not self._keepers[name].is_alive():
                del self._keepers[name]
        for name in living:
            if name in self._keepers or (self._only and name not in self._only):
                continue
            if time.monotonic() >= self._others.get(name, 0.0):
                self._take(name)

    def _show(self) -> None:
        """Announce to commands that this daemon takes new fleets; one daemon per store does."""
        if self._only or time.monotonic() < self._any_at:
            return
        try:
            (self._any.renew if self._any_held else self._any.take)()
        except BusyError:
            self._any_held = False
            self._any_at = time.monotonic() + _TRY_S
        else:
            self._any_held = True
            self._any_at = time.monotonic() + RENEW_S

    def _take(self, name: str) -> None:
        lease = StoreLease(self._store, daemon_lease(name), f"fleet {name}")
        try:
            lease.take()
        except BusyError as error:
            if name not in self._others:
                log.info("left to its daemon: %s", error.what, extra={"fleet": name})
            self._others[name] = time.monotonic() + _TRY_S
            self._refusal = error
            return
        self._others.pop(name, None)
        keeper = FleetKeeper(self._store, name, lease)
        self._keepers[name] = keeper
        keeper.start()
