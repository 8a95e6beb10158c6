"""Deliver stored messages to one channel, in its own thread, backing off while it fails."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, aliased

from dynamo.alerts.channels.base import Channel, Note
from dynamo.errors import DynamoError, RetryableError
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.engine import Store
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.alerts")
_LONGEST_WAIT_S = 30.0
_STORE_RETRY_S = 1.0
_MAX_ERROR = 300


@dataclass(frozen=True)
class _Parcel:
    """Deliveries sent together."""

    deliveries: tuple[int, ...]
    notes: tuple[Note, ...]
    attempts: int


class Courier:
    """Sends the waiting messages of one channel.

    Parameters
    ----------
    store
        The store that holds the messages.
    channel
        The channel; only this courier uses it.
    """

    def __init__(self, store: Store, channel: Channel) -> None:
        self.channel = channel
        self._store = store
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"alerts {channel.name}", daemon=True)

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def wake(self) -> None:
        """Signal that there are new messages."""
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Stop; wait up to ``timeout_s`` for a send in progress, which the next courier otherwise repeats."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                wait_s = self.deliver()
            except RetryableError as error:
                _log.warning("store unavailable", extra={"channel": self.channel.name, "reason": str(error)})
                wait_s = _STORE_RETRY_S
            except Exception:  # a bug in one channel must stop neither it nor the daemon
                _log.exception("unexpected error in channel %s", self.channel.name)
                wait_s = _LONGEST_WAIT_S
            if wait_s > 0 and self._failures:
                # New messages do not shorten the back-off of a failing channel.
                self._stop.wait(wait_s)
            elif wait_s > 0:
                self._wake.wait(wait_s)

    def deliver(self) -> float:
        """Send what is due, once; return the seconds until the next check.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable.
        """
        with self._store.reading() as session:
            # Readers never wait for writers: lock the store only if there is something to do.
            next_at = session.scalar(select(func.min(AlertDelivery.next_at)).where(*self._pending()))
        if next_at is None:
            return _LONGEST_WAIT_S
        ahead_s = (next_at - utc_now()).total_seconds()
        if ahead_s > 0:
            return min(ahead_s, _LONGEST_WAIT_S)
        with self._store.transaction() as session:
            parcel = self._take(session, utc_now())
        if parcel is None:
            return 0.0
        error = self._send(parcel)
        now = utc_now()
        with self._store.transaction() as session:
            done = update(AlertDelivery).where(AlertDelivery.id.in_(parcel.deliveries))
            if error is None:
                session.execute(done.values(state="sent", error="", updated_at=now))
                self._failures = 0
                return 0.0
            self._failures += 1
            pause_s = self._pause_s(max(parcel.attempts, 1))
            session.execute(
                done.values(
                    state="waiting",
                    error=error[:_MAX_ERROR],
                    next_at=now + timedelta(seconds=pause_s),
                    updated_at=now,
                )
            )
        return self._pause_s(self._failures)

    def _send(self, parcel: _Parcel) -> str | None:
        """Return what went wrong, or None."""
        try:
            self.channel.send(parcel.notes)
        except DynamoError as error:
            facts = {"channel": self.channel.name, "messages": len(parcel.notes), "attempt": parcel.attempts}
            _log.warning("not delivered", extra={**facts, "reason": error.what})
            return error.what
        _log.debug("delivered", extra={"channel": self.channel.name, "messages": len(parcel.notes)})
        return None

    def _pause_s(self, failures: int) -> float:
        section = self.channel.section
        return min(section.retry_s * 2.0 ** min(failures - 1, 30), section.longest_retry_s)

    def _pending(self) -> tuple[ColumnElement[bool], ...]:
        # Only this courier serves the channel, so anything "sending" was left behind by a killed process.
        return AlertDelivery.channel == self.channel.name, AlertDelivery.state.in_(("waiting", "sending"))

    def _take(self, session: Session, now: datetime) -> _Parcel | None:
        """Take the next deliveries from the queue, and close those that have become pointless."""
        query = (
            select(AlertDelivery, AlertMessage)
            .join(AlertMessage, AlertMessage.id == AlertDelivery.message_id)
            .where(*self._pending(), AlertDelivery.next_at <= now)
            .order_by(AlertDelivery.next_at, AlertDelivery.id)
            .limit(self.channel.section.together)
        )
        taken, notes, attempts = [], [], 0
        for delivery, message in session.execute(query).all():
            state = self._pointless(session, delivery, message, now)
            again = delivery.state == "sending" or delivery.attempts > 0
            delivery.state, delivery.updated_at = state or "sending", now
            if state is not None:
                _log.info(
                    "no longer sent",
                    extra={"channel": self.channel.name, "message": message.key, "state": state},
                )
                continue
            delivery.attempts += 1
            taken.append(delivery.id)
            attempts = max(attempts, delivery.attempts)
            notes.append(Note(message.key, message.text, message.payload, again))
        return _Parcel(tuple(taken), tuple(notes), attempts) if taken else None

    def _pointless(self, session: Session, delivery: AlertDelivery, message: AlertMessage, now: datetime) -> str | None:
        """Return the final state of a delivery that has become pointless, or None if it still matters."""
        if message.expires_at <= now:
            return "expired"
        if delivery.attempts == 0 and message.kind == "start":
            return None
        other, way = aliased(AlertMessage), aliased(AlertDelivery)
        siblings = session.execute(
            select(other.id, way.state)
            .join(way, way.message_id == other.id)
            .where(
                other.place == message.place,
                other.hazard == message.hazard,
                other.event == message.event,
                other.id != message.id,
                way.channel == self.channel.name,
            )
        ).all()
        if delivery.attempts and any(identity > message.id for identity, _ in siblings):
            # The event went on while the channel was down: only its newest message still helps.
            return "superseded"
        told = any(state in ("sent", "sending") for _, state in siblings)
        if message.kind == "over" and siblings and not told:
            return "superseded"
        return None
