"""Remove what is no longer needed: old events, and the rows of workers that ended long ago.

The cost ledger stays: costs are of interest long after the workers are gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, Delete, delete, select
from sqlalchemy.orm import Session

from dynamo.errors import UsageError
from dynamo.provision.deciding.lifecycle import FINAL
from dynamo.provision.states import ENDED
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet, FleetEvent, Worker

KEEP_DAYS = 30.0
#: Rows removed per transaction, so that others do not wait long for the store.
_BATCH = 5000


def prune(store: Store, now: datetime, *, keep_days: float = KEEP_DAYS) -> tuple[int, int]:
    """Remove events and ended workers older than ``keep_days``; return how many of each.

    A worker whose tokens are not yet revoked stays while its fleet is living.

    Raises
    ------
    UsageError
        If ``keep_days`` is less than one day: `status` and the budget use past events.
    """
    if keep_days < 1:
        raise UsageError(f"{keep_days:g} days is too short", where="keep_days", expected="1 or more")
    before = now - timedelta(days=keep_days)
    events = _in_batches(
        store,
        delete(FleetEvent).where(
            FleetEvent.id.in_(select(FleetEvent.id).where(FleetEvent.time < before).limit(_BATCH))
        ),
    )
    living = select(Fleet.name).where(Fleet.state != ENDED)
    over = (
        select(Worker.id)
        .where(Worker.state.in_([state.value for state in FINAL]), Worker.ended_at < before)
        .where(Worker.revoked | Worker.fleet.not_in(living))
        .limit(_BATCH)
    )
    return events, _in_batches(store, delete(Worker).where(Worker.id.in_(over)))


def _in_batches(store: Store, statement: Delete) -> int:
    total = 0
    while True:
        with store.transaction() as session:
            gone = _deleted(session, statement)
        total += gone
        if gone < _BATCH:
            return total


def _deleted(session: Session, statement: Delete) -> int:
    result = session.execute(statement)
    return result.rowcount if isinstance(result, CursorResult) else 0
