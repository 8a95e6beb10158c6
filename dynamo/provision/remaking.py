"""Workers on their way that were made from an earlier spec: a corrected one makes them anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.provision import ledger
from dynamo.provision.deciding.lifecycle import COMING, WorkerState
from dynamo.provision.notes import FleetNote
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec
from dynamo.provision.spec.network import concerns
from dynamo.store.fleets import SiteHealth, Worker

#: What a group says about how many workers there are, for how long, and at what price; the rest makes a worker.
_NOT_OF_A_WORKER = {"count", "cpus", "min", "max", "gpus", "lease_start", "lease_end", "cost_per_hour"}
_REASON = "the spec was corrected before it joined; it is made anew"


def remake(session: Session, old: FleetSpec, new: FleetSpec, now: datetime) -> None:
    """Give up workers that have not joined and would be made differently now; their sites get another try at once.

    Workers that have joined stay: what they were made from works.
    """
    changed = [group for group in new.compute if _made_otherwise(old, new, group)]
    if not changed:
        return
    workers = session.scalars(
        select(Worker).where(
            Worker.fleet == new.name,
            Worker.group.in_([group.name for group in changed]),
            Worker.state.in_([state.value for state in COMING]),
        )
    ).all()
    for worker in workers:
        sent = bool(worker.server_id) or worker.unsure
        to = WorkerState.RELEASING if sent else WorkerState.RELEASED
        if ledger.move_worker(session, worker.id, to, _REASON, now):
            ledger.note(session, new.name, [FleetNote(to.value, _REASON, worker.site, worker.name)], now)
    # The pause was for what the old spec asked for.
    sites = {group.site for group in changed}
    session.execute(delete(SiteHealth).where(SiteHealth.fleet == new.name, SiteHealth.site.in_(sites)))


def _made_otherwise(old: FleetSpec, new: FleetSpec, group: ComputeSpec) -> bool:
    before = old.group(group.name)
    return before is not None and _makeup(old, before) != _makeup(new, group)


def _makeup(spec: FleetSpec, group: ComputeSpec) -> tuple[Any, ...]:
    site = spec.sites[group.site]
    return (
        group.model_dump(exclude=_NOT_OF_A_WORKER),
        (site.driver, site.cloud, site.region, site.options, site.worker),
        [script for script in spec.script if concerns(script.target, group.name, group.name)],
        [network for network in spec.network if network.site == group.site],
        (spec.pool.kind, spec.pool.address, spec.pool.port),
    )
