"""One manual cycle of a fleet."""

from __future__ import annotations

from collections.abc import Callable

from dynamo.errors import BusyError, UsageError
from dynamo.provision import ledger
from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.states import ENDED
from dynamo.provision.status import looked_after_by
from dynamo.store.engine import Store
from dynamo.store.fleets import FleetEvent

_MOST_EVENTS = 100_000


def reconcile_once(store: Store, name: str, tell: Callable[[str], None]) -> tuple[CycleReport, list[FleetEvent]]:
    """Run one cycle with fresh lists from all sites; return its report and the events it caused.

    Raises
    ------
    BusyError
        If another process manages the fleet.
    UsageError
        If the fleet has ended.
    """
    with store.reading() as session:
        fleet = ledger.fleet_named(session, name)
        last = [event.id for event in ledger.events(session, name, limit=1)]
    if fleet.state == ENDED:
        raise UsageError("the fleet has ended", where=name, hint="dynamo-provision apply SPEC.json")
    try:
        opened = FleetLoop(store, name, tell)
    except BusyError:
        by = looked_after_by(store, name) or "another one"
        raise BusyError(
            f"process {by} manages the fleet", where=name, hint="it runs cycles itself, see `events`"
        ) from None
    with opened as loop:
        report = loop.cycle(wait_s=max((site.timeout_s for site in loop.spec.sites.values()), default=1.0))
    with store.reading() as session:
        return report, ledger.events(session, name, after_id=max(last, default=0), limit=_MOST_EVENTS)
