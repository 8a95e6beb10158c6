"""The source of a backfill: the arrivals of a feed in order of valid time, as slots, read a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from dynamo.backfill.order import Order
from dynamo.store.models import Arrival

_CHUNK = 500


@dataclass(frozen=True)
class Position:
    """The last arrival that was looked at; none yet if there is no time."""

    at: datetime | None = None
    id: int = 0


@dataclass(frozen=True)
class Slot:
    """Arrivals that are decided on together, and the position after them."""

    arrivals: tuple[Arrival, ...]
    end: Position


def slots(session: Session, order: Order, feed: str, after: Position) -> Iterator[Slot]:
    """Yield the slots of a feed after a position; an arrival of no concern belongs to none."""
    trigger = order.rule.trigger
    pending: list[Arrival] = []
    key: datetime | None = None
    for arrival in _arrivals(session, order, feed, after):
        # Files of a folder are judged as if they had come from the trigger's feed.
        if arrival.valid_at is None or not trigger.uses(trigger.feed, PurePath(arrival.path)):
            continue
        slot = trigger.slot_at(arrival.valid_at)
        if pending and (slot is None or slot != key):
            yield _slot(pending)
            pending = []
        pending.append(arrival)
        key = slot
    if pending:
        yield _slot(pending)


def _slot(arrivals: Sequence[Arrival]) -> Slot:
    last = arrivals[-1]
    return Slot(tuple(arrivals), Position(last.valid_at, last.id))


def _arrivals(session: Session, order: Order, feed: str, after: Position) -> Iterator[Arrival]:
    query = (
        select(Arrival)
        .where(
            Arrival.feed == feed,
            Arrival.state == "accepted",
            Arrival.valid_at >= (order.since if after.at is None else after.at),
            Arrival.valid_at < order.until,
        )
        .order_by(Arrival.valid_at, Arrival.id)
        .limit(_CHUNK)
    )
    if order.radars:
        query = query.where(func.upper(Arrival.radar).in_(order.radars))
    while True:
        chunk = query
        if after.at is not None:
            chunk = query.where(
                or_(Arrival.valid_at > after.at, and_(Arrival.valid_at == after.at, Arrival.id > after.id))
            )
        rows = session.scalars(chunk).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = Position(rows[-1].valid_at, rows[-1].id)
