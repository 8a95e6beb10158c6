"""`destroy --forget`: end a fleet although sites cannot be asked any more, and tell what was not looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.provision import ledger
from dynamo.provision.deciding.lifecycle import LIVING, TRANSITIONS, WorkerState
from dynamo.provision.deciding.live import Live, Move, move
from dynamo.provision.deciding.site_parts import SiteParts
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.errors import SiteRetryableError
from dynamo.provision.sites.runner import SiteRunner
from dynamo.store.fleets import Worker

#: A site that does not answer, but may later, has this long.
PATIENCE = timedelta(minutes=2)
#: One that answers has this long to delete what it lists: bare metal takes minutes.
DELETING = timedelta(minutes=10)
#: How the reason of a forgotten worker begins.
_REASON = "forgotten"


def given_up(runners: Mapping[str, SiteRunner], since: datetime, now: datetime) -> dict[str, str]:
    """Return the sites that are not asked any longer, and why.

    Parameters
    ----------
    since
        When forgetting began: sites that may answer later are given up only some time after it.
    """
    waited = now - since
    found = {}
    for name, runner in runners.items():
        error = runner.list_error
        if error is not None and (waited >= PATIENCE or not isinstance(error, SiteRetryableError)):
            found[name] = str(error)
        elif waited >= DELETING:
            found[name] = f"not cleared {DELETING.total_seconds():.0f} s after the order"
    return found


def forget(lives: Sequence[Live], sites: Mapping[str, str]) -> list[Move]:
    """Give up all workers at these sites."""
    moves = []
    for live in lives:
        if live.row.site in sites and live.state in LIVING:
            lost = WorkerState.LOST in TRANSITIONS[WorkerState(live.row.state)]
            to = WorkerState.LOST if lost else WorkerState.RELEASED
            moves.append(move(live, to, f"{_REASON}: {sites[live.row.site]}", {"jobs_killed": live.row.jobs}))
    return moves


def tell_forgotten(
    session: Session,
    fleet: str,
    sites: Mapping[str, str],
    parts: Mapping[str, SiteParts],
    since: datetime,
    now: datetime,
) -> None:
    """Record, for each site given up, what may still be there and must be looked at by hand."""
    rows = session.execute(
        select(Worker.site, Worker.name, Worker.server_id).where(
            Worker.fleet == fleet, Worker.ended_at >= since, Worker.reason.startswith(_REASON)
        )
    ).all()
    notes = []
    for site, why in sites.items():
        servers = {row.name: row.server_id for row in rows if row.site == site}
        networks = [network.name for network in parts[site].networks]
        left = [f"server {name} ({server_id or 'perhaps never made'})" for name, server_id in servers.items()]
        left += [f"network {name}" for name in networks]
        words = ", ".join(left) or "nothing that is known"
        data = {"why": why, "servers": servers, "networks": networks}
        notes.append(
            FleetNote("forgot", f"not looked at; may still be there: {words}; because: {why}", site, data=data)
        )
    ledger.note(session, fleet, notes, now)
