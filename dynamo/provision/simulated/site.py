"""An in-memory site with its own clock, for tests, planning, and simulations of whole weather days.

Nothing waits and nothing runs in the background: what happened since the last call is computed on the next
one. The same options, seed, clock and calls give the same results to the microsecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Literal, Protocol

from dynamo.provision.simulated.clock import Clock, SystemClock
from dynamo.provision.simulated.faults import Faults, Verb
from dynamo.provision.simulated.options import SimulatedOptions
from dynamo.provision.simulated.servers import Made, Servers
from dynamo.provision.sites.base import FLEET_TAG, Flavor, Quota, Server, ServerRequest, ServerStatus, SiteContext
from dynamo.provision.sites.errors import SitePermanentError, SiteQuotaError
from dynamo.provision.sites.kind import SiteKind

NO_HOST = "No valid host was found. There are not enough hosts available."
#: How soon a site reports that it has no host, in seconds.
_NO_HOST_S = 2.0


class Pool(Protocol):
    """The pool running servers join, e.g. `dynamo.provision.simulated.pool.SimulatedPool`."""

    def expect(
        self, worker: str, *, cpus: int, memory_mb: int, joins_at: datetime, leaves_at: datetime | None = None
    ) -> None:
        """Schedule a worker to join at a future time, and to leave at another."""
        ...

    def prolong(self, worker: str, leaves_at: datetime) -> None:
        """Postpone a worker's departure to ``leaves_at``."""
        ...

    def leave(self, worker: str, *, clean: bool = True) -> None:
        """Remove a worker now; ``clean`` if it could notify the collector."""
        ...


class SimulatedSite(Faults):
    """An in-memory site.

    Parameters
    ----------
    context
        As for every driver; see `SimulatedOptions` for the options.
    clock
        Source of the current time; by default the real clock.
    pool
        The pool running servers join.
    seed
        Overrides the option.

    Attributes
    ----------
    calls
        Number of calls by verb, including refused ones.
    api_time_s
        Total time the calls would have taken, in seconds.

    Raises
    ------
    InputError
        If an option is unknown or out of range.
    """

    def __init__(
        self,
        context: SiteContext,
        *,
        clock: Clock | None = None,
        pool: Pool | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(context.site)
        self.options = SimulatedOptions.read(context.options, where=context.site)
        self.calls: Counter[str] = Counter()
        self.api_time_s = 0.0
        self._clock = clock or SystemClock()
        self._pool = pool
        # Includes the name, so that two sites with the same seed do not boot in step.
        seed = self.options.seed if seed is None else seed
        self._rng = Random(f"{seed}:{context.site}")  # noqa: S311
        # Separate from the servers', so that looking more often does not change what is seen.
        self._api_rng = Random(f"{seed}:{context.site}:api")  # noqa: S311
        self._flavors = {each.name: each.flavor(self.options.price_per_cpu_hour) for each in self.options.flavors}
        self._numbers = count(1)
        self._servers = Servers()
        self._coming: list[tuple[datetime, int, str, Literal["boot", "gone", "lease"]]] = []
        self._order = count()

    @property
    def name(self) -> str:
        """The site's name."""
        return self._name

    def join_pool(self, pool: Pool) -> None:
        """Make servers created from now on join this pool."""
        self._pool = pool

    def create(self, request: ServerRequest) -> Server:
        """Start creating a server; see `SiteDriver.create`."""
        with self._lock:
            now = self._called("create")
            fleet = request.tags.get(FLEET_TAG, "")
            made = self._servers.named(fleet, request.name) or self._begin(request, fleet, now)
            self._answered("create", request.name)
            return made.server

    def list(self, fleet: str) -> Sequence[Server]:
        """Return all servers of a fleet, oldest first."""
        with self._lock:
            now = self._called("list")
            servers = self._servers.of_fleet(fleet)
            if not self._hidden and not self.options.list_lag_s:
                return servers
            return [server for server in servers if self._is_listed(server.id, now)]

    def get(self, server_id: str) -> Server | None:
        """Return one server, or None if it is gone."""
        with self._lock:
            self._called("get")
            made = self._servers.get(server_id)
            return made.server if made is not None else None

    def console(self, server_id: str) -> str:
        """Return what a real server's first-boot script prints."""
        with self._lock:
            self._called("get")
            made = self._servers.get(server_id)
            return f"dynamo-worker {made.server.name}: starting HTCondor\n" if made is not None else ""

    def delete(self, server_id: str) -> None:
        """Start deleting a server; its jobs end at once."""
        with self._lock:
            now = self._called("delete")
            made = self._servers.get(server_id)
            if made is not None and made.server.status is not ServerStatus.DELETING:
                self._servers.change(made, status=ServerStatus.DELETING)
                self._later(now + timedelta(seconds=made.delete_s), server_id, "gone")
                self._part(made, clean=True)
                self._catch_up(now)
            self._answered("delete", server_id)

    def quota(self) -> Quota:
        """Return limits and usage; a server counts until it is gone."""
        with self._lock:
            self._called("quota")
            return self._quota()

    def flavors(self) -> Sequence[Flavor]:
        """Return the available sizes."""
        with self._lock:
            self._called("flavors")
            return tuple(self._flavors.values())

    def extend(self, server_id: str, until: datetime) -> datetime:
        """Extend a lease; see `LeasingSite.extend`."""
        with self._lock:
            self._called("extend")
            made = self._servers.get(server_id)
            if made is None or made.server.lease_end is None:
                raise SitePermanentError(f"server {server_id} has no lease", where=self._name)
            end = max(until, made.server.lease_end)
            self._servers.change(made, lease_end=end)
            self._later(end, server_id, "lease")
            if self._pool is not None:
                self._pool.prolong(made.server.name, end)
            return end

    def close(self) -> None:
        """Do nothing: there are no connections."""

    # The rest, and `Faults`, is for tests and simulations, not part of the driver interface.

    def vanish(self, server_id: str) -> None:
        """Remove a server at once, as if someone else had deleted it."""
        with self._lock:
            self._catch_up(self._clock.now())
            made = self._servers.get(server_id)
            if made is not None:
                self._drop(made)

    def stop(self, server_id: str) -> None:
        """Shut down a server, as its dead-man switch would; it stays at the site."""
        with self._lock:
            self._catch_up(self._clock.now())
            made = self._servers.get(server_id)
            if made is not None and made.server.status in (ServerStatus.BUILDING, ServerStatus.ACTIVE):
                self._servers.change(made, status=ServerStatus.STOPPED)
                self._part(made, clean=True)

    def next_event_at(self) -> datetime | None:
        """Return the time of the next scheduled event (which may have become void since)."""
        with self._lock:
            return self._coming[0][0] if self._coming else None

    def _called(self, verb: Verb) -> datetime:
        now = self._clock.now()
        self.calls[verb] += 1
        self.api_time_s += self.options.api_s.sample_s(self._api_rng)
        self._catch_up(now)
        self._check(verb, now, away=any(outage.start <= now < outage.end for outage in self.options.outages))
        return now

    def _begin(self, request: ServerRequest, fleet: str, now: datetime) -> Made:
        flavor = self._flavors.get(request.flavor.name)
        if flavor is None:
            known = ", ".join(self._flavors)
            raise SitePermanentError(f"no flavor {request.flavor.name!r:.80}", where=self._name, expected=known)
        if self._quota().room(flavor) == 0:
            raise SiteQuotaError(
                f"the quota is used up: cannot create {request.name}",
                where=self._name,
                hint="request fewer workers here or raise the quota",
            )
        options, rng = self.options, self._rng
        # Always five draws, in this order, so that one server's fate does not affect the next one's.
        boot_s, join_s, delete_s = (delay.sample_s(rng) for delay in (options.boot, options.join, options.delete))
        fate, joins = rng.random(), rng.random() >= options.no_join_rate
        full = options.capacity_servers is not None and self._servers.hosted >= options.capacity_servers
        no_capacity = full or fate < options.no_capacity_rate
        fails = no_capacity or fate >= 1.0 - options.failure_rate
        if no_capacity:
            boot_s = min(boot_s, _NO_HOST_S)
        number = next(self._numbers)
        server = Server(
            id=f"sim-{number:06d}",
            name=request.name,
            status=ServerStatus.BUILDING,
            tags=dict(request.tags),
            created_at=now,
            flavor=flavor.name,
            lease_id=f"lease-{number:06d}" if request.lease_end is not None else "",
            lease_end=request.lease_end,
        )
        fault = (NO_HOST if no_capacity else "Build of instance aborted (simulated)") if fails else ""
        listed_from = now + timedelta(seconds=options.list_lag_s)
        made = Made(server, fleet, flavor, fault, no_capacity, delete_s, listed_from)
        self._servers.add(made)
        active_at = now + timedelta(seconds=boot_s)
        self._later(active_at, server.id, "boot")
        if request.lease_end is not None:
            self._later(max(now, request.lease_end), server.id, "lease")
        if self._pool is not None and joins and not fails:
            self._pool.expect(
                request.name,
                cpus=flavor.cpus,
                memory_mb=flavor.ram_mb,
                joins_at=active_at + timedelta(seconds=join_s),
                leaves_at=request.lease_end,
            )
        self._catch_up(now)
        return made

    def _quota(self) -> Quota:
        limits = self.options.quota
        return Quota(
            servers=limits.servers,
            servers_used=len(self._servers),
            cpus=limits.cpus,
            cpus_used=self._servers.used_cpus,
            ram_mb=limits.ram_mb,
            ram_mb_used=self._servers.used_ram_mb,
        )

    def _is_listed(self, server_id: str, now: datetime) -> bool:
        made = self._servers.get(server_id)
        return made is not None and now >= made.listed_from and not self._is_hidden(server_id, now)

    def _later(self, when: datetime, server_id: str, what: Literal["boot", "gone", "lease"]) -> None:
        heappush(self._coming, (when, next(self._order), server_id, what))

    def _catch_up(self, now: datetime) -> None:
        while self._coming and self._coming[0][0] <= now:
            when, _, server_id, what = heappop(self._coming)
            made = self._servers.get(server_id)
            if made is None:
                continue
            if what == "lease":
                # It may have been extended in the meantime.
                if made.server.lease_end is not None and made.server.lease_end <= when:
                    self._drop(made)
            elif what == "gone":
                self._drop(made)
            elif made.server.status is ServerStatus.BUILDING:
                if made.fault:
                    self._servers.change(
                        made, status=ServerStatus.ERROR, fault=made.fault, no_capacity=made.no_capacity
                    )
                else:
                    self._servers.change(made, status=ServerStatus.ACTIVE)

    def _drop(self, made: Made) -> None:
        self._servers.remove(made)
        self._hidden.pop(made.server.id, None)
        if made.server.status is not ServerStatus.DELETING:
            self._part(made, clean=False)

    def _part(self, made: Made, *, clean: bool) -> None:
        if self._pool is not None:
            self._pool.leave(made.server.name, clean=clean)


KIND = SiteKind(SimulatedSite, (SimulatedOptions,))
