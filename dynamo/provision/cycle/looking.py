"""First part of a cycle: what the pool and the sites show for each stored worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dynamo.errors import RetryableError
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import Patience, WorkerState
from dynamo.provision.deciding.live import Live
from dynamo.provision.deciding.sights import SiteIndex, WatchedSince, sight_of
from dynamo.provision.pool_link import PoolLink, PoolView
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Seen:
    """What the pool and the sites showed.

    Attributes
    ----------
    view
        The pool; None if it does not answer.
    trusted
        Whether its collector has run long enough to know all workers.
    indexes
        The servers of each site that has ever returned a list.
    held
        What cannot be judged, by subject, and why.
    """

    view: PoolView | None = None
    trusted: bool = False
    indexes: dict[str, SiteIndex] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


class Lookout:
    """Views the pool and the latest list of each site; makes no calls to sites.

    Parameters
    ----------
    spec, runners, link, health, clock
        As the reconciler's; sites gain or lose trust by whether they return lists.
    """

    def __init__(
        self,
        spec: FleetSpec,
        runners: Mapping[str, SiteRunner],
        link: PoolLink,
        health: HealthBook,
        clock: Callable[[], datetime],
    ) -> None:
        policy = spec.policy
        self.patience = {
            name: Patience(
                boot_s=site.boot_timeout_s,
                join_s=policy.join_timeout_s,
                missing_s=policy.missing_s,
                settle_s=site.timeout_s,
            )
            for name, site in spec.sites.items()
        }
        self._runners = runners
        self._link = link
        self._health = health
        self._grace = timedelta(seconds=policy.collector_grace_s)
        # If views of the pool are further apart than this, counting missing workers starts over.
        self._gap = timedelta(seconds=max(policy.missing_s / 2, 3 * policy.cycle_s))
        self._indexes: dict[str, tuple[object, SiteIndex]] = {}
        self._list_errors: dict[str, object] = {}
        self._began_at = self._pool_since = self._pool_at = clock()

    def look(self, now: datetime) -> Seen:
        """View the pool, then the sites."""
        seen = Seen()
        self._look_at_pool(seen, now)
        for name, runner in self._runners.items():
            self._look_at_site(name, runner, seen)
        return seen

    def live(self, row: Any, seen: Seen) -> Live:
        """Return a stored worker as seen."""
        index, runner = seen.indexes.get(row.site), self._runners.get(row.site)
        if row.unsure and index is not None and runner is not None and runner.is_under_way(f"create {row.name}"):
            # Its answer is still pending: absence from the list means nothing.
            index = SiteIndex(_NEVER, index.by_id, index.by_worker)
        watch = WatchedSince(self._began_at, self._pool_since)
        sight = sight_of(row, index, seen.view, seen.trusted, self.patience.get(row.site, Patience()), watch)
        return Live(row, sight, WorkerState(row.state))

    def _look_at_pool(self, seen: Seen, now: datetime) -> None:
        try:
            view = self._link.view()
        except RetryableError as error:
            seen.held["pool"] = f"the pool does not answer, so workers are not judged by it: {error}"
            return
        if now - self._pool_at > self._gap:
            self._pool_since = now
        self._pool_at = now
        seen.view, seen.trusted = view, now - view.collector_since >= self._grace

    def _look_at_site(self, name: str, runner: SiteRunner, seen: Seen) -> None:
        error, before = runner.list_error, self._list_errors.get(name)
        if error is not None:
            if before is not error:
                self._health.failure(name, error.kind, str(error))
            seen.held[name] = f"cannot list its servers, so they are left unchanged: {error}"
        elif before is not None:
            # What opened the breaker has passed; no need to wait out the pause.
            self._health.passed(name, str(before))
        self._list_errors[name] = error
        listing = runner.listing
        if listing is None:
            return
        known = self._indexes.get(name)
        if known is None or known[0] is not listing:
            known = (listing, SiteIndex.of(listing))
            self._indexes[name] = known
        seen.indexes[name] = known[1]
