"""From what store, site and pool say to what is seen of each worker: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dynamo.provision.deciding.lifecycle import Patience, PoolPresence, Sight, SitePresence, WorkerState
from dynamo.provision.pool_link import PoolView
from dynamo.provision.sites.base import GROUP_TAG, WORKER_TAG, Server, ServerStatus
from dynamo.provision.sites.runner import Listing


@dataclass(frozen=True)
class SiteIndex:
    """A listing by server id and by worker name."""

    began_at: datetime
    by_id: Mapping[str, Server]
    by_worker: Mapping[str, list[Server]]

    @staticmethod
    def of(listing: Listing) -> SiteIndex:
        """Index a listing."""
        by_worker: dict[str, list[Server]] = {}
        for server in listing.servers:
            by_worker.setdefault(server.tags.get(WORKER_TAG) or server.name, []).append(server)
        for servers in by_worker.values():
            # The first is kept where there are several.
            servers.sort(key=lambda server: (server.created_at is None, server.created_at, server.id))
        return SiteIndex(listing.began_at, {server.id: server for server in listing.servers}, by_worker)

    def foreigners(self, rows: Iterable[Any]) -> list[Foreign]:
        """Return the servers that are not those of these workers: unknown ones, and second ones of the same name."""
        mine: dict[str, str] = {row.name: row.server_id for row in rows}
        result = []
        for worker, servers in self.by_worker.items():
            if worker not in mine:
                result += [Foreign(server, worker) for server in servers]
            elif mine[worker] and mine[worker] not in self.by_id:
                # The stored one may be newer than this list: what a lease was shown as becomes a server.
                continue
            elif len(servers) > 1:
                keep = mine[worker] or servers[0].id
                result += [Foreign(server, worker) for server in servers if server.id != keep]
        return result


@dataclass(frozen=True)
class Foreign:
    """A server with the fleet's tag that is not the server of a living worker."""

    server: Server
    worker: str


def server_of(row: Any, index: SiteIndex | None) -> Server | None:
    """Return the server of a stored worker: by its id, or by its name while no answer gave the id."""
    if index is None:
        return None
    if row.server_id:
        return index.by_id.get(row.server_id)
    found = index.by_worker.get(row.name)
    return found[0] if found else None


@dataclass(frozen=True)
class WatchedSince:
    """Since when there was somebody to see.

    Attributes
    ----------
    began_at
        When this process began: an earlier one may have died just after it had sent a request.
    pool_since
        Since when the pool has been looked at without a gap.
    """

    began_at: datetime
    pool_since: datetime


def site_presence(
    row: Any, index: SiteIndex | None, server: Server | None, patience: Patience, watch: WatchedSince
) -> SitePresence:
    """Return what a list says of a worker's server; absence counts only in a list that began late enough."""
    if server is not None:
        return SitePresence.PRESENT
    if not row.server_id and not row.unsure:
        # No call was made, or the site refused it: nothing can be there.
        return SitePresence.ABSENT
    if index is None:
        return SitePresence.UNKNOWN
    if row.unsure and not row.server_id:
        # The call may still be on its way through the site.
        sent = max(row.attempted_at or row.requested_at, watch.began_at)
        earliest = sent + timedelta(seconds=patience.settle_s)
    else:
        earliest = row.started_at or row.requested_at
    return SitePresence.ABSENT if index.began_at > earliest else SitePresence.UNKNOWN


def pool_presence(name: str, view: PoolView | None, trusted: bool) -> PoolPresence:
    """Return what the collector says of a worker; that it is absent counts only where the view is trusted."""
    if view is None:
        return PoolPresence.UNKNOWN
    slots = view.workers.get(name)
    if slots is not None:
        return PoolPresence.DRAINED if slots.drained else PoolPresence.PRESENT
    return PoolPresence.ABSENT if trusted else PoolPresence.UNKNOWN


def sight_of(
    row: Any, index: SiteIndex | None, view: PoolView | None, trusted: bool, patience: Patience, watch: WatchedSince
) -> Sight:
    """Return everything that is seen of one stored worker."""
    server = server_of(row, index)
    return Sight(
        state=WorkerState(row.state),
        since=row.since,
        server=server,
        site=site_presence(row, index, server, patience, watch),
        listed_at=index.began_at if index is not None else None,
        slots=view.workers.get(row.name) if view is not None else None,
        pool=pool_presence(row.name, view, trusted),
        seen_at=row.seen_at,
        watched_since=watch.pool_since,
        drain_deadline=row.drain_deadline,
        has_server_id=bool(row.server_id),
    )


@dataclass(frozen=True)
class Orphan:
    """A server of ours that is to be deleted, and why."""

    site: str
    server: Server
    worker: str
    why: str


def sort_foreigners(
    site: str, found: Iterable[Foreign], known: Mapping[str, Any], groups: Collection[str]
) -> tuple[list[Foreign], list[Orphan]]:
    """Sort servers that belong to no living worker into those to adopt and those to delete.

    Parameters
    ----------
    known
        The store's rows of these workers' names, ended ones included.
    groups
        The groups of the spec at this site.
    """
    welcome: list[Foreign] = []
    orphans: list[Orphan] = []
    for item in found:
        server = item.server
        if server.status is ServerStatus.DELETING:
            continue
        row = known.get(item.worker)
        plausible = server.status in (ServerStatus.BUILDING, ServerStatus.ACTIVE)
        if row is None and plausible and server.tags.get(GROUP_TAG) in groups:
            if item.worker not in {other.worker for other in welcome}:
                welcome.append(item)
                continue
            why = "it is the second one of its name"
        elif row is None:
            why = "nobody knows it"
        elif row.state in ("released", "lost"):
            why = f"its worker is {row.state}"
        else:
            why = "its worker has another server"
        orphans.append(Orphan(site, server, item.worker, why))
    return welcome, orphans
