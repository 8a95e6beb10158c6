"""Views beyond `dynamo.provision.status`: the list of fleets, pages of events, a fleet's cost."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from dynamo.api.paging import time_of
from dynamo.provision import ledger
from dynamo.provision.cost_report import cost_report
from dynamo.provision.deciding.lifecycle import LIVING
from dynamo.provision.fleets import stored_spec
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.status import looked_after_by
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet, FleetEvent, Worker
from dynamo.times import to_iso

MAX_EVENTS = 1000


def fleet_list(store: Store) -> list[dict[str, Any]]:
    """Return all fleets, live ones first, with their workers by state."""
    with store.reading() as session:
        fleets = session.scalars(select(Fleet).order_by(Fleet.state == "ended", Fleet.name)).all()
        counts = session.execute(
            select(Worker.fleet, Worker.state, func.count())
            .where(Worker.state.in_([state.value for state in LIVING]))
            .group_by(Worker.fleet, Worker.state)
        ).all()
    workers: dict[str, dict[str, int]] = {}
    for fleet, state, count in counts:
        workers.setdefault(fleet, {})[state] = count
    return [
        {
            "name": fleet.name,
            "id": fleet.id,
            "state": fleet.state,
            "applied_at": to_iso(fleet.applied_at),
            "updated_at": to_iso(fleet.updated_at),
            "looked_after_by": looked_after_by(store, fleet.name),
            "workers": workers.get(fleet.name, {}),
        }
        for fleet in fleets
    ]


def spec_of(store: Store, name: str) -> FleetSpec:
    """Return the spec of a fleet as applied."""
    with store.reading() as session:
        return stored_spec(ledger.fleet_named(session, name))


def serving_by_group(session: Session, name: str) -> dict[str, int]:
    """Return the number of live workers of each group of a fleet; empty if the fleet does not exist."""
    rows = session.execute(
        select(Worker.group, func.count())
        .where(Worker.fleet == name, Worker.state.in_([state.value for state in LIVING]))
        .group_by(Worker.group)
    )
    return {row[0]: row[1] for row in rows}


def events_page(
    store: Store, name: str, *, after_id: int | None, about: str, action: str, limit: int
) -> dict[str, Any]:
    """Return the newest events of a fleet, or those after ``after_id``, oldest first."""
    with store.reading() as session:
        ledger.fleet_named(session, name)
        if after_id is None:
            found = ledger.events(session, name, about=about, limit=limit, action=action)
        else:
            found = _following(session, name, after_id, about, action, limit)
    last = found[-1].id if found else after_id or 0
    return {"fleet": name, "events": [_event(event) for event in found], "next_after_id": last}


def cost(store: Store, name: str, by: str, since: str | None, until: str | None) -> dict[str, Any]:
    """Return what a fleet cost, by one of `dynamo.provision.cost_report.GROUPINGS`."""
    begin = None if since is None else time_of("since", since)
    end = None if until is None else time_of("until", until)
    with store.reading() as session:
        currency = stored_spec(ledger.fleet_named(session, name)).budget.currency
        return cost_report(session, name, by, since=begin, until=end, currency=currency).to_json()


def check_store(store: Store) -> None:
    """Probe the store; raises `StoreUnavailableError` if it is unavailable."""
    with store.reading() as session:
        session.execute(text("SELECT 1"))


def _following(session: Session, name: str, after_id: int, about: str, action: str, limit: int) -> list[FleetEvent]:
    statement = select(FleetEvent).where(FleetEvent.fleet == name, FleetEvent.id > after_id)
    if about:
        statement = statement.where((FleetEvent.worker == about) | (FleetEvent.site == about))
    if action:
        statement = statement.where(FleetEvent.action == action)
    return list(session.scalars(statement.order_by(FleetEvent.id).limit(limit)))


def _event(event: FleetEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "time": to_iso(event.time),
        "action": event.action,
        "reason": event.reason,
        "site": event.site,
        "worker": event.worker,
        "data": event.data,
    }
