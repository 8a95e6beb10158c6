"""What becomes of a slot: made, up to date, refused by its trigger, or without its input. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.backfill.order import Order
from dynamo.backfill.source import Slot
from dynamo.errors import InputError
from dynamo.files import sha256_file
from dynamo.places.opening import is_there
from dynamo.runs.keys import SHORT
from dynamo.runs.ledger import RunRequest
from dynamo.runs.service import has_products
from dynamo.runs.states import UNFINISHED
from dynamo.runs.whereabouts import where_now
from dynamo.store.models import Arrival, Cursor, Run
from dynamo.triggers.base import Due
from dynamo.triggers.book import Book, TriggerNote
from dynamo.triggers.deciding import STORE_TROUBLE

Word = Literal["make", "have", "refuse", "gone"]


@dataclass(frozen=True)
class SlotOutcome:
    """What becomes of one run of a slot, and why; a ``known`` run is made again in place."""

    word: Word
    reason: str
    request: RunRequest | None = None
    known: str = ""


class Notes(Book):
    """What a trigger remembers while a backfill goes on, apart from what it remembers of live data.

    Parameters
    ----------
    session, kind, backfill, now
        Where to read, the kind of trigger, the backfill's id, and the caller's clock.
    """

    def __init__(self, session: Session, kind: str, backfill: str, now: datetime) -> None:
        super().__init__(session, kind, f"backfill {backfill}", now)

    def recall(self, key: str = "") -> TriggerNote:
        """Return what was kept, without a lock: the position that moves with it tells whether it is still true."""
        name = f"{self._prefix} {key}".rstrip()
        if name in self._kept:
            return TriggerNote(*self._kept[name])
        cursor = self._session.get(Cursor, name)
        return TriggerNote({}, None) if cursor is None else TriggerNote(cursor.data, cursor.updated_at)

    def write_to(self, session: Session) -> None:
        """Write what was kept to another transaction than that which it was judged in."""
        self._session = session
        self.write()


def judge(session: Session, slot: Slot, order: Order, book: Book, backfill: str) -> list[SlotOutcome]:
    """Return what becomes of the runs of a slot, at least one outcome."""
    rule = order.rule
    try:
        due = list(rule.trigger.again(slot.arrivals, book))
    except STORE_TROUBLE:
        raise
    except InputError as error:
        return [SlotOutcome("refuse", f"cannot be judged: {error}")]
    except Exception as error:  # the defect of one trigger with one file must not end a backfill
        return [SlotOutcome("refuse", f"cannot be judged: {rule.who}: {type(error).__name__}: {error}")]
    return [_outcome(session, one, order, book.now, backfill) for one in due] or [SlotOutcome("refuse", "no run")]


def _outcome(session: Session, due: Due, order: Order, now: datetime, backfill: str) -> SlotOutcome:
    if not due.verdict.start:
        return SlotOutcome("refuse", due.verdict.reason)
    try:
        request = order.stamped(order.rule.request(due.arrivals, now, due.offers), backfill)
    except InputError as error:
        return SlotOutcome("gone", str(error))
    run = session.scalar(select(Run).where(Run.key == request.key))
    if run is None:
        # A promoted run has the key of current work, and keeps the ID of its first one.
        run = session.get(Run, request.key[:SHORT])
    if run is not None and (run.state in UNFINISHED or (run.state == "succeeded" and has_products(run))):
        return SlotOutcome("have", f"run {run.id} is {run.state}")
    if missing := _missing(session, due.arrivals):
        return SlotOutcome("gone", missing)
    if run is None:
        return SlotOutcome("make", due.verdict.reason, request)
    left = "its products are gone" if run.state == "succeeded" else f"it is {run.state}"
    return SlotOutcome("make", f"run {run.id} again: {left}", request, run.id)


def _missing(session: Session, arrivals: Sequence[Arrival]) -> str:
    """Return which file is not there any more as it arrived; empty if all are, or are products that only moved."""
    for arrival in arrivals:
        now = where_now(session, arrival.path, arrival.sha256)
        if now != arrival.path and is_there(now):
            continue
        path = Path(arrival.path)
        try:
            found = path.stat()
            if found.st_size == arrival.size and (
                found.st_mtime_ns == arrival.mtime_ns or sha256_file(path) == arrival.sha256
            ):
                continue
        except OSError:
            return f"{path} is gone"
        return f"{path} is another file now"
    return ""


def counts(outcomes: Sequence[SlotOutcome]) -> Mapping[str, int]:
    """Return how many outcomes there are of each kind, by the names of the store's counters."""
    words = [outcome.word for outcome in outcomes]
    return {
        "slots": len(words),
        "made": words.count("make"),
        "had": words.count("have"),
        "refused": words.count("refuse"),
        "gone": words.count("gone"),
    }
