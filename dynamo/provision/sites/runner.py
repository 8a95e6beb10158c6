"""One site in operation: its latest answers and its calls in progress; a slow site delays only itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from dynamo.errors import DynamoError
from dynamo.provision.sites.base import Flavor, Quota, Server, SiteDriver
from dynamo.provision.sites.errors import SiteError

log = logging.getLogger(__name__)
#: Quotas and flavors rarely change; querying them costs the site as much as a creation.
_QUOTA_AGE = timedelta(seconds=30)
_FLAVORS_AGE = timedelta(minutes=10)


@dataclass(frozen=True)
class Listing:
    """A complete list of a fleet's servers at one site; changes after ``began_at`` may be missing."""

    servers: Sequence[Server]
    began_at: datetime


class SiteRunner:
    """Calls to one site, each in its own thread, as many at once as the spec allows.

    Parameters
    ----------
    driver
        The site.
    fleet_id
        The tag of the servers to list.
    parallel
        How many creations and deletions run concurrently; 0 makes every call immediately in the caller's thread, for
        simulated clocks.
    clock
        Source of the current time.
    wake
        Called when a call has ended.
    """

    def __init__(
        self,
        driver: SiteDriver,
        fleet_id: str,
        *,
        parallel: int,
        clock: Callable[[], datetime],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.driver = driver
        self.listing: Listing | None = None
        self.list_error: SiteError | None = None
        self.quota: Quota | None = None
        self.flavors: Sequence[Flavor] = ()
        self._fleet_id = fleet_id
        self._clock = clock
        self._wake = wake
        #: When the quota was queried; servers created later are not included.
        self.quota_at: datetime | None = None
        self._quota_stale = True
        self._flavors_at: datetime | None = None
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}
        self._looking: Future[None] | None = None
        self._calls = ThreadPoolExecutor(parallel, thread_name_prefix=f"site-{driver.name}") if parallel else None
        self._looker = ThreadPoolExecutor(1, thread_name_prefix=f"list-{driver.name}") if parallel else None

    @property
    def name(self) -> str:
        """The site."""
        return self.driver.name

    def refresh(self) -> None:
        """Request a new list unless one is in progress."""
        if self._looker is None:
            self._look()
            return
        with self._lock:
            if self._looking is None or self._looking.done():
                self._looking = self._looker.submit(self._look)

    def forget_quota(self) -> None:
        """Query the quota again with the next list: it was used, or the site says it is used up."""
        self._quota_stale = True

    def start(self, key: str, call: Callable[[], None]) -> bool:
        """Run ``call`` in the background unless one with that key is in progress; return whether it was started."""
        if self._calls is None:
            call()
            return True
        with self._lock:
            if key in self._under_way:
                return False
            self._under_way[key] = self._calls.submit(self._run, key, call)
            return True

    def is_under_way(self, key: str) -> bool:
        """Return whether a call with that key has not ended."""
        with self._lock:
            return key in self._under_way

    def calls(self) -> int:
        """Return how many calls are in progress or queued."""
        with self._lock:
            return len(self._under_way)

    def wait(self, timeout_s: float, *, calls: bool = True) -> None:
        """Wait until the list has arrived and, if requested, until all calls have ended."""
        with self._lock:
            pending = [*([self._looking] if self._looking else []), *(self._under_way.values() if calls else ())]
        wait(pending, timeout_s)

    def close(self) -> None:
        """Let calls in progress end, start no queued ones, and close the site."""
        for pool in (self._calls, self._looker):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self.driver.close()

    def _run(self, key: str, call: Callable[[], None]) -> None:
        try:
            call()
        except DynamoError as error:
            # For instance, the store is unavailable: the next cycle does what the store says is due.
            log.warning("%s: %s: %s", self.name, key, error)
        except Exception:
            # A bug in a thread must neither vanish silently nor end the loop.
            log.exception("%s: %s", self.name, key)
        finally:
            with self._lock:
                self._under_way.pop(key, None)
            self._wake()

    def _look(self) -> None:
        began = self._clock()
        try:
            servers = self.driver.list(self._fleet_id)
            if self._flavors_at is None or began - self._flavors_at > _FLAVORS_AGE:
                self.flavors = self.driver.flavors()
                self._flavors_at = began
            if self._quota_stale or self.quota_at is None or began - self.quota_at > _QUOTA_AGE:
                self._quota_stale = False
                asked = self._clock()
                self.quota = self.driver.quota()
                self.quota_at = asked
        except SiteError as error:
            self.list_error = error
        except Exception as error:
            # A driver's bug is a failure of its site alone.
            log.exception("%s: list", self.name)
            self.list_error = SiteError(f"bug in the driver: {error!r:.200}", where=self.name)
        else:
            before = self.listing
            self.listing = Listing(servers, began)
            failed_before = self.list_error is not None
            self.list_error = None
            # A list with nothing new is no reason for an extra cycle.
            if failed_before or before is None or list(before.servers) != list(servers):
                self._wake()
