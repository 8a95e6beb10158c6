"""Judge products: store each place's new state and the resulting messages together, before anything is sent.

Delivery is at least once. A message is stored under its key in the same transaction as the state that caused it, so a
restart neither loses nor duplicates it. A kill between sending and recording the send repeats it, with the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from dynamo.alerts.events import HazardEvent, Step, advance
from dynamo.alerts.hazards import HazardProduct
from dynamo.alerts.matching import Finding, match
from dynamo.alerts.places import Places
from dynamo.alerts.texts import line, message_key, payload
from dynamo.config.alerts import AlertsSection
from dynamo.runs.ledger import decide
from dynamo.store.alerts import AlertDelivery, AlertEvent, AlertMessage, AlertStream
from dynamo.store.engine import Store
from dynamo.store.retention import note_day
from dynamo.texts import counted
from dynamo.times import ahead_of, to_iso, utc_now

#: Places per transaction: few enough that nobody else waits for the store.
_CHUNK = 2000
_KEYS = 500
_EVENT_FIELDS = tuple(field.name for field in fields(HazardEvent))


@dataclass(frozen=True)
class Judged:
    """The outcome of one product: places affected, messages created, or why it was skipped."""

    product: HazardProduct
    concerned: int = 0
    messages: tuple[str, ...] = ()
    skipped: str = ""


class AlertBook:
    """The stored state of alerts; use only one at a time (see `AlertService`).

    Parameters
    ----------
    store
        The store.
    places, settings
        Whom to alert, and when.
    channels
        Names of the channels that receive messages.
    """

    def __init__(self, store: Store, places: Places, settings: AlertsSection, channels: Sequence[str]) -> None:
        self.store = store
        self.places = places
        self.settings = settings
        self.channels = tuple(channels)
        self._number = {place.id: index for index, place in enumerate(places.places)}

    def judge(self, product: HazardProduct, *, now: datetime | None = None) -> Judged:
        """Update all places from a product, and store the resulting messages.

        Parameters
        ----------
        product
            The product; one already judged, or older than the newest of its stream, changes nothing.
        now
            If given, also skip products that are too old or in the future.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable; judging the product again resumes where it stopped.
        """
        why = self._why_not(product, now)
        if why is not None:
            if why:
                self._record(product, "skip", why)
            return Judged(product, skipped=why or "already judged")
        found = {self.places.places[finding.place].id: finding for finding in match(self.places, product)}
        steps = self._steps(product, found)
        made = now or utc_now()
        told: list[str] = []
        for first in range(0, len(steps), _CHUNK):
            told += self._write(product, steps[first : first + _CHUNK], found, made)
        with self.store.transaction() as session:
            _mark(session, product)
            if told:
                numbers = {"places": len(found), "messages": len(told), "issued": to_iso(product.issued)}
                decide(session, f"alerts {product.stream}"[:400], "tell", counted(len(told), "message"), **numbers)
        return Judged(product, len(found), tuple(told))

    def tidy(self, now: datetime) -> None:
        """Remove messages and ended events older than ``keep_days``, and streams that have gone silent."""
        before = now - timedelta(days=self.settings.keep_days)
        with self.store.transaction() as session:
            old = select(AlertMessage.id).where(AlertMessage.created_at < before)
            session.execute(delete(AlertDelivery).where(AlertDelivery.message_id.in_(old)))
            session.execute(delete(AlertMessage).where(AlertMessage.created_at < before))
            newest = session.scalar(select(func.max(AlertStream.newest)))
            if newest is not None:
                # Events use their products' time, which may be that of a replay of old data.
                old_event = min(before, newest - timedelta(days=self.settings.keep_days))
                session.execute(delete(AlertEvent).where(AlertEvent.seen < old_event))
            session.execute(delete(AlertStream).where(AlertStream.updated_at < before))

    def _why_not(self, product: HazardProduct, now: datetime | None) -> str | None:
        """Return why to skip the product (empty if already judged), or None to judge it."""
        with self.store.reading() as session:
            stream = session.get(AlertStream, product.stream[:400])
        if stream is not None and now is not None and ahead_of(stream.newest, now):
            # Judged before anybody looked at clocks: it must not outrank what is true.
            stream = None
        if stream is not None and product.issued == stream.newest and product.key in stream.keys:
            return ""
        if stream is not None and product.issued < stream.newest:
            return f"issued {to_iso(product.issued)}, older than the newest judged, {to_iso(stream.newest)}"
        if now is not None and now - product.issued > timedelta(minutes=self.settings.late_min):
            return f"issued {to_iso(product.issued)}, more than {self.settings.late_min:g} min ago"
        if now is not None and (ahead := ahead_of(product.issued, now)):
            return f"issued {to_iso(product.issued)}: {ahead}"
        return None

    def _record(self, product: HazardProduct, action: str, reason: str) -> None:
        with self.store.transaction() as session:
            decide(session, f"alerts {product.stream}"[:400], action, reason, key=product.key)

    def _steps(self, product: HazardProduct, found: Mapping[str, Finding]) -> list[tuple[str, Step]]:
        events = self._events(product.hazard, found)
        steps = []
        for place in {**found, **events}:
            if place not in self._number:
                continue  # the place was removed from the file
            event, finding = events.get(place), found.get(place)
            step = advance(event, finding, product.issued, product.hazard, self.settings, eyes=product.eyes)
            if step is not None:
                steps.append((place, step))
        return steps

    def _events(self, hazard: str, found: Mapping[str, Finding]) -> dict[str, HazardEvent]:
        columns = [AlertEvent.place, *(getattr(AlertEvent, name) for name in _EVENT_FIELDS)]
        # With many findings, read all events of the hazard; with few, only those that matter. One query either way.
        query = select(*columns).where(AlertEvent.hazard == hazard)
        if len(found) <= _KEYS:
            query = query.where(or_(AlertEvent.open, AlertEvent.place.in_(list(found))))
        with self.store.reading() as session:
            return {row[0]: HazardEvent(*row[1:]) for row in session.execute(query)}

    def _write(
        self,
        product: HazardProduct,
        steps: Sequence[tuple[str, Step]],
        found: Mapping[str, Finding],
        made: datetime,
    ) -> list[str]:
        """Store new states and messages of some places, all or nothing."""
        states = [
            {"place": place, "hazard": product.hazard, **{name: getattr(step.event, name) for name in _EVENT_FIELDS}}
            for place, step in steps
            if not step.only_seen
        ]
        # A stationary storm changes little at many places: one statement per set of radars that saw it is enough.
        seen: dict[str, list[str]] = {}
        for place, step in steps:
            if step.only_seen:
                seen.setdefault(step.event.eyes, []).append(place)
        messages, channels = [], {}
        expires = made + timedelta(minutes=self.settings.expire_min)
        for place, step in steps:
            if step.kind is None:
                continue
            facts = self.places.places[self._number[place]]
            finding = found.get(place)
            key = message_key(place, product.hazard, step.event)
            text = line(facts, product, step, finding)
            channels[key] = facts.channels
            messages.append(
                {"key": key, "place": place, "hazard": product.hazard, "event": step.event.number}
                | {"kind": step.kind, "text": text, "created_at": made, "expires_at": expires}
                | {"payload": payload(facts, product, step, finding, key=key, text=text, made=made)}
            )
        with self.store.transaction() as session:
            _put_events(session, states)
            for eyes, where in seen.items():
                rows = update(AlertEvent).where(AlertEvent.hazard == product.hazard, AlertEvent.place.in_(where))
                values = rows.values(seen=product.issued, eyes=eyes)
                session.execute(values.execution_options(synchronize_session=False))
            if messages:
                session.execute(_unless_there(session, AlertMessage, messages[0]), messages)
                note_day(session, product.issued, "alerts")
                self._address(session, channels, made)
        return [str(message["text"]) for message in messages]

    def _address(self, session: Session, channels: Mapping[str, Sequence[str] | None], now: datetime) -> None:
        keys = list(channels)
        rows: list[dict[str, Any]] = []
        for first in range(0, len(keys), _KEYS):
            query = select(AlertMessage.id, AlertMessage.key).where(AlertMessage.key.in_(keys[first : first + _KEYS]))
            for identity, key in session.execute(query):
                wished = channels[key]
                rows += [
                    {"message_id": identity, "channel": name, "state": "waiting", "attempts": 0, "error": ""}
                    | {"next_at": now, "updated_at": now}
                    for name in self.channels
                    if wished is None or name.partition("#")[0] in wished
                ]
        if rows:
            session.execute(_unless_there(session, AlertDelivery, rows[0]), rows)


def _put_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    build: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    plain = AlertEvent.__table__
    statement = build(plain).values({name: bindparam(name) for name in rows[0]})
    changed = {name: statement.excluded[name] for name in _EVENT_FIELDS}
    session.execute(statement.on_conflict_do_update(index_elements=["place", "hazard"], set_=changed), list(rows))


def _unless_there(session: Session, table: Any, row: Iterable[str]) -> Any:
    build: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return build(table.__table__).values({name: bindparam(name) for name in row}).on_conflict_do_nothing()


def _mark(session: Session, product: HazardProduct) -> None:
    """Record how far the stream has been judged."""
    name = product.stream[:400]
    stream = session.get(AlertStream, name)
    now = utc_now()
    if stream is None:
        row = {"name": name, "newest": product.issued, "keys": [product.key], "updated_at": now}
        session.execute(insert(AlertStream), [row])
    elif product.issued > stream.newest or ahead_of(stream.newest, now):
        stream.newest, stream.keys, stream.updated_at = product.issued, [product.key], now
    elif product.key not in stream.keys:
        stream.keys = [*stream.keys, product.key]
        stream.updated_at = now


def waiting(store: Store) -> int:
    """Return the number of pending deliveries."""
    with store.reading() as session:
        pending = AlertDelivery.state.in_(("waiting", "sending"))
        return session.scalar(select(func.count(AlertDelivery.id)).where(pending)) or 0
