"""Orders that a client may repeat: with the same `Idempotency-Key` they are carried out once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Annotated, Any
from weakref import WeakValueDictionary

import orjson
from fastapi import Header
from sqlalchemy import delete

from dynamo.api.problems import Refusal
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Cursor
from dynamo.times import utc_now

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=255,
        description="Chosen by the client. An order with the key of one of the last 24 hours is not carried out "
        "again, but answered in the same way.",
    ),
]
_PREFIX = "order "
_KEPT = timedelta(hours=24)
#: Of orders that are carried out just now: the same order may come again before it is answered.
_BUSY: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_ENTRY = threading.Lock()


class Repeatable:
    """One order of a client.

    Parameters
    ----------
    store
        Where orders are remembered.
    caller, key
        Who orders, and the key that the client chose; without one, nothing is remembered.
    order
        All that the order says.
    """

    def __init__(self, store: Store, caller: str, key: str | None, order: Any) -> None:
        self._store = store
        digest = None if key is None else hashlib.sha256(orjson.dumps([caller, key])).hexdigest()
        self._name = None if digest is None else _PREFIX + digest
        self._order = hashlib.sha256(orjson.dumps(order, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def once(self, carry_out: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to the order; it is carried out unless it was before, or just now is by another request.

        Raises
        ------
        Refusal
            422 if another order had the key.
        """
        with self._turn():
            before = self.answered()
            if before is not None:
                return before
            answer = carry_out()
            self.remember(answer)
            return answer

    def _turn(self) -> AbstractContextManager[object]:
        if self._name is None:
            return nullcontext()
        with _ENTRY:
            return _BUSY.setdefault(self._name, threading.Lock())

    def answered(self) -> dict[str, Any] | None:
        """Return how the order was answered before; None if it was not.

        Raises
        ------
        Refusal
            422 if another order had the key.
        """
        if self._name is None:
            return None
        with self._store.reading() as session:
            row = session.get(Cursor, self._name)
        if row is None or row.updated_at < utc_now() - _KEPT:
            return None
        if row.data["order"] != self._order:
            raise Refusal(
                422, "another order had this key", where="Idempotency-Key", expected="a new key for each order"
            )
        found: dict[str, Any] = row.data["answer"]
        return found

    def remember(self, answer: dict[str, Any]) -> None:
        """Keep the answer; forget old ones."""
        if self._name is None:
            return
        now = utc_now()
        old = (Cursor.name.startswith(_PREFIX), Cursor.updated_at < now - _KEPT)
        with self._store.transaction() as session:
            session.execute(delete(Cursor).where(*old))
            data = {"order": self._order, "answer": answer}
            insert_new(session, Cursor, name=self._name, data=data, updated_at=now)


def signed(caller: str, reason: str) -> str:
    """Return a reason with who gave the order."""
    return f"{caller} by the API{f': {reason}' if reason else ''}"
