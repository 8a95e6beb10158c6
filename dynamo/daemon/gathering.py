"""What a gathering trigger has together: the pieces in the store, the slots that are due, and those that are done."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.daemon.rules import Rule
from dynamo.runs.ledger import RunRequest, insert_new
from dynamo.store.models import Arrival, Cursor
from dynamo.times import parse_time, to_iso
from dynamo.triggers.gather import GatherTrigger, Piece, gather, open_slots, slot_of

#: Pieces that arrived longer ago than this play no part any more, at least.
_HORIZON = timedelta(minutes=10)
#: So many finished slots are remembered.
_REMEMBERED = 500

#: A run to make (None: the slot is given up), what it is about, why, and the numbers.
Due = tuple[RunRequest | None, str, str, dict[str, Any]]


def due_gatherings(session: Session, rule: Rule, now: datetime) -> list[Due]:
    """Return what is due, and mark its slots as done, in the caller's transaction: so none is run twice.

    The deadline of a slot counts from its end, or from the arrival of its first piece where that came later: a replay
    of old data must not find every deadline passed.

    Parameters
    ----------
    session
        A transaction.
    rule
        A rule with a `GatherTrigger`.
    now
        The present time.
    """
    trigger = rule.trigger
    if not isinstance(trigger, GatherTrigger):
        return []
    settings = trigger.settings
    arrivals = _pieces(session, trigger, now - max(_HORIZON, 3 * (settings.period + settings.deadline)))
    if not arrivals:
        return []
    name = f"gather {rule.name}"
    insert_new(session, Cursor, name=name, data={"done": []}, updated_at=now)
    cursor = session.scalars(select(Cursor).where(Cursor.name == name).with_for_update()).one()
    done = [parse_time(text) for text in cursor.data.get("done", [])]
    pieces = list(arrivals)
    due: list[Due] = []
    for slot in open_slots(pieces, settings, done, min(piece.time for piece in pieces) - settings.period):
        first = min(arrivals[piece].detected_at for piece in pieces if slot_of(piece.time, settings.period) == slot)
        late = max(first - (slot + settings.period), timedelta(0))
        decision = gather(pieces, slot, now - late, settings)
        if decision.action == "wait":
            continue
        done.append(slot)
        request = None
        if decision.action == "run":
            request = rule.request([arrivals[piece] for piece in decision.pieces], now)
        subject = f"{rule.name} {to_iso(slot)}"
        due.append((request, subject, decision.reason, {"trigger": rule.name, **decision.data}))
    if due:
        cursor.data = {"done": [to_iso(slot) for slot in done[-_REMEMBERED:]]}
        cursor.updated_at = now
    return due


def _pieces(session: Session, trigger: GatherTrigger, since: datetime) -> dict[Piece, Arrival]:
    found = session.scalars(
        select(Arrival)
        .where(Arrival.feed == trigger.feed, Arrival.state == "accepted", Arrival.detected_at >= since)
        .order_by(Arrival.id)
    )
    pieces: dict[Piece, Arrival] = {}
    for arrival in found:
        radar = (arrival.facts or {}).get("radar")
        if radar and arrival.valid_at is not None and trigger.concerns(arrival.feed, Path(arrival.path)):
            pieces[Piece(radar, arrival.valid_at, arrival.path)] = arrival
    return pieces
