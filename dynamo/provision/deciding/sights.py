"""Combine the data of store, site and pool into what is seen of each worker: pure functions."""

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
            # If there are several, keep the first.
            servers.sort(key=lambda server: (server.created_at is None, server.created_at, server.id))
        return SiteIndex(listing.began_at, {server.id: server for server in listing.servers}, by_worker)

    def foreigners(self, rows: Iterable[Any]) -> list[Foreign]:
        """Return servers that do not belong to these workers: unknown ones, and duplicates of a name."""
        mine: dict[str, str] = {row.name: row.server_id for row in rows}
        result = []
        for worker, servers in self.by_worker.items():
            if worker not in mine:
                result += [Foreign(server, worker) for server in servers]
            elif mine[worker] and mine[worker] not in self.by_id:
                # The stored id may be newer than this list: an entry for a lease becomes a server.
                continue
            elif len(servers) > 1:
                keep = mine[worker] or servers[0].id
                result += [Foreign(server, worker) for server in servers if server.id != keep]
        return result


@dataclass(frozen=True)
class Foreign:
    """A server with the fleet's tag that belongs to no living worker."""

    server: Server
    worker: str


def server_of(row: Any, index: SiteIndex | None) -> Server | None:
    """Return the server of a stored worker: by id, or by name until an answer gave the id."""
    if index is None:
        return None
    if row.server_id:
        return index.by_id.get(row.server_id)
    found = index.by_worker.get(row.name)
    return found[0] if found else None


@dataclass(frozen=True)
class WatchedSince:
    """Since when sites and pool have been watched.

    Attributes
    ----------
    began_at
        When this process started: an earlier one may have died right after sending a request.
    pool_since
        Since when the pool has been watched without a gap.
    """

    began_at: datetime
    pool_since: datetime


def site_presence(
    row: Any, index: SiteIndex | None, server: Server | None, patience: Patience, watch: WatchedSince
) -> SitePresence:
    """Return what a list says about a worker's server; absence counts only in a list started late enough."""
    if server is not None:
        return SitePresence.PRESENT
    if not row.server_id and not row.unsure:
        # No call was made, or the site refused it: no server can exist.
        return SitePresence.ABSENT
    if index is None:
        return SitePresence.UNKNOWN
    if row.unsure and not row.server_id:
        # The site may still be processing the call.
        sent = max(row.attempted_at or row.requested_at, watch.began_at)
        earliest = sent + timedelta(seconds=patience.settle_s)
    else:
        earliest = row.started_at or row.requested_at
    return SitePresence.ABSENT if index.began_at > earliest else SitePresence.UNKNOWN


def pool_presence(name: str, view: PoolView | None, trusted: bool) -> PoolPresence:
    """Return what the collector says about a worker; absence counts only if the view is trusted."""
    if view is None:
        return PoolPresence.UNKNOWN
    slots = view.workers.get(name)
    if slots is not None:
        return PoolPresence.DRAINED if slots.drained else PoolPresence.PRESENT
    return PoolPresence.ABSENT if trusted else PoolPresence.UNKNOWN


def sight_of(
    row: Any, index: SiteIndex | None, view: PoolView | None, trusted: bool, patience: Patience, watch: WatchedSince
) -> Sight:
    """Return everything seen of one stored worker."""
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
    """A server of ours to delete, and why."""

    site: str
    server: Server
    worker: str
    why: str


def sort_foreigners(
    site: str, found: Iterable[Foreign], known: Mapping[str, Any], groups: Collection[str]
) -> tuple[list[Foreign], list[Orphan]]:
    """Sort servers without a living worker into those to adopt and those to delete.

    Parameters
    ----------
    known
        Stored rows with these workers' names, including ended ones.
    groups
        The spec's groups at this site.
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
            why = "duplicate server name"
        elif row is None:
            why = "unknown server"
        elif row.state in ("released", "lost"):
            why = f"its worker is {row.state}"
        else:
            why = "its worker has another server"
        orphans.append(Orphan(site, server, item.worker, why))
    return welcome, orphans
