"""The health of each site, shared by the loop and the calls running alongside it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from dynamo.provision.deciding.breaker import HEALTHY, BreakerSettings, SiteTrust, failed
from dynamo.provision.notes import FleetNote


class HealthBook:
    """The health of a fleet's sites; changes become events and are stored with the next cycle.

    Parameters
    ----------
    known
        The stored state.
    settings
        When a site is paused.
    clock
        Source of the current time.
    random
        Returns 0 to 1, for the jitter.
    """

    def __init__(
        self,
        known: Mapping[str, SiteTrust],
        settings: BreakerSettings,
        clock: Callable[[], datetime],
        rng: random.Random | None = None,
    ) -> None:
        self._health = dict(known)
        self._settings = settings
        self._clock = clock
        # Not for secrets: it only spreads retries.
        self._rng = rng or random.Random()  # noqa: S311
        self._lock = threading.Lock()
        self._notes: list[FleetNote] = []
        self._changed: set[str] = set()
        #: Sites that answer, but whose latest failure was a worker's: an answer does not prove that they work.
        self._undelivered: set[str] = set()

    def of(self, site: str) -> SiteTrust:
        """Return the trust in a site."""
        with self._lock:
            return self._health.get(site, HEALTHY)

    def failure(self, site: str, kind: str, error: str, *, of_worker: bool = False) -> None:
        """Record a failure that counts against the site: of a call, or of a worker."""
        now = self._clock()
        with self._lock:
            before = self._health.get(site, HEALTHY)
            after = failed(before, kind, error, now, self._settings, self._rng.random())
            self._health[site] = after
            self._changed.add(site)
            if of_worker:
                self._undelivered.add(site)
            if after.retry_at is not None and after.retry_at != before.retry_at:
                wait_s = (after.retry_at - now).total_seconds()
                self._notes.append(
                    FleetNote(
                        "leave-alone", f"no new workers for {wait_s:.0f} s: {error}", site=site, data={"kind": kind}
                    )
                )

    def explain(self, site: str, about: str, why: str) -> None:
        """Add what was found out later about the latest failure, if that is about ``about``."""
        with self._lock:
            before = self._health.get(site, HEALTHY)
            if before.error.startswith(f"{about}: ") and why not in before.error:
                self._health[site] = replace(before, error=f"{before.error}; {why}")
                self._changed.add(site)

    def start_over(self) -> None:
        """Forget all failures: an operator has corrected something and wants it tried now."""
        with self._lock:
            self._changed |= set(self._health)
            self._health.clear()
            self._undelivered.clear()

    def success(self, site: str) -> None:
        """Record that a site did what was requested."""
        with self._lock:
            before = self._health.get(site, HEALTHY)
            self._undelivered.discard(site)
            if before == HEALTHY:
                return
            self._health[site] = HEALTHY
            self._changed.add(site)
            if before.retry_at is not None:
                self._notes.append(FleetNote("trust-again", f"it works again after: {before.error}", site=site))

    def answered(self, site: str) -> None:
        """Record that a site accepted a create request; if workers failed there, that is not enough."""
        if not self.owes_worker(site):
            self.success(site)

    def owes_worker(self, site: str) -> bool:
        """Return whether only a ready worker can show that the site works."""
        with self._lock:
            return site in self._undelivered

    def passed(self, site: str, error: str) -> None:
        """Record that what failed works again; other failures of the site remain."""
        if self.of(site).error == error:
            self.success(site)

    def take_changes(self) -> tuple[dict[str, SiteTrust], list[FleetNote]]:
        """Return changes since the last call, to be stored."""
        with self._lock:
            changed = {site: self._health.get(site, HEALTHY) for site in self._changed}
            notes = self._notes
            self._changed, self._notes = set(), []
            return changed, notes
