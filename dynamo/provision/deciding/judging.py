"""Decide what follows for each worker from what is seen of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import COMING, Patience, PoolPresence, WorkerState, WorkerVerdict, observe
from dynamo.provision.deciding.live import Live, Move, move
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.sites.base import Server, ServerStatus

_S = WorkerState


@dataclass
class Judgement:
    """The outcome of one check of all workers.

    Attributes
    ----------
    losses
        Workers whose server is missing from a list, to be checked once more before they count as lost.
    spared
        Workers that would be given up if the share removed at once were not limited.
    found
        Columns of workers whose server is now known but whose state stays: the pool showed them before the site
        did.
    """

    moves: list[Move] = field(default_factory=list)
    losses: list[tuple[Live, str]] = field(default_factory=list)
    spared: int = 0
    found: list[tuple[Live, dict[str, Any]]] = field(default_factory=list)


def judge(
    lives: Sequence[Live],
    patience: Mapping[str, Patience],
    health: HealthBook,
    removals: Removals,
    now: datetime,
) -> Judgement:
    """Judge all workers; sites gain or lose trust as a result."""
    result = Judgement()
    for live in lives:
        verdict = observe(live.sight, now, patience.get(live.row.site, Patience()))
        if verdict is None:
            if live.sight.server is not None and not live.row.server_id:
                result.found.append((live, _found(live.sight.server, now)))
            continue
        if verdict.to is _S.LOST:
            result.losses.append((live, verdict.reason))
            continue
        if _gives_up_a_running_server(live, verdict) and not removals.take(len(lives), now):
            result.spared += 1
            continue
        values, data = _record(live, verdict, now)
        if verdict.to is _S.READY:
            health.success(live.row.site)
        if verdict.blame:
            kind = "no-capacity" if verdict.no_capacity else "retryable"
            error = f"{live.row.name}: {verdict.reason}"
            health.failure(live.row.site, kind, error, of_worker=live.state in COMING)
        result.moves.append(move(live, verdict.to, verdict.reason, values, data))
    return result


def _gives_up_a_running_server(live: Live, verdict: WorkerVerdict) -> bool:
    if verdict.to is not _S.FAILED or live.state is not _S.READY:
        return False
    server = live.sight.server
    return server is None or server.status not in (ServerStatus.ERROR, ServerStatus.STOPPED, ServerStatus.DELETING)


def _found(server: Server, now: datetime) -> dict[str, Any]:
    return {"server_id": server.id, "unsure": False, "started_at": server.created_at or now}


def _record(live: Live, verdict: WorkerVerdict, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns to set and the event's numbers."""
    row, server = live.row, live.sight.server
    values: dict[str, Any] = {}
    data: dict[str, Any] = {}
    if server is not None:
        if not row.server_id:
            values |= _found(server, now)
        if list(server.addresses) != row.addresses:
            values["addresses"] = list(server.addresses)
        if server.lease_end is not None and server.lease_end != row.lease_end:
            values["lease_end"] = server.lease_end
    if verdict.to is _S.JOINING:
        values["active_at"] = now
    elif verdict.to is _S.READY:
        values |= {"ready_at": now, "seen_at": now, "active_at": row.active_at or now}
        data["seconds"] = round((now - row.requested_at).total_seconds(), 3)
    elif verdict.to is _S.FAILED:
        values["jobs_killed"] = row.jobs
        if row.jobs:
            data["jobs_killed"] = row.jobs
    elif verdict.to is _S.RELEASING and live.state is _S.DRAINING:
        running = len(live.sight.slots.jobs) if live.sight.slots else row.jobs
        data["jobs_killed"] = values["jobs_killed"] = 0 if live.sight.pool is PoolPresence.DRAINED else running
    return values, data
