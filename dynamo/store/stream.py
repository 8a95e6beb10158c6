"""What happens in a store, in the order of its commits: triggers of the database write it, see migration 0012.

Transactions of PostgreSQL commit in another order than that of their rows. So rows are read by the number of their
transaction, and only those below the oldest one that is still open: nothing appears later at a place that was read.
On SQLite, which has one writer, this number is always 0, and the rows' own numbers are in the order of commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, Select, String, delete, select, text, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from dynamo.errors import InputError
from dynamo.store.engine import Store
from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")
#: How long rows are kept: a viewer that was away for longer looks at everything anew.
KEPT = timedelta(hours=24)
#: Rows removed per transaction, so that others do not wait long for the store.
_BATCH = 5000


class StreamRow(Base):
    """Something that happened."""

    __tablename__ = "stream"
    __table_args__ = (Index(None, "xid", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    #: PostgreSQL's number of the transaction.
    xid: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    #: ``run``, ``product``, ``arrival``, ``problem``, ``alert``, ``fleet``, ``worker`` or ``decision``.
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(400))
    data: Mapped[dict[str, Any]]


@dataclass(frozen=True, order=True)
class StreamPlace:
    """A place in the stream: all before it was read."""

    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"


def place_in(text_: str) -> StreamPlace:
    """Return the place that a text names; raise `InputError` if it names none."""
    xid, dash, number = text_.partition("-")
    if not (dash and xid.isascii() and xid.isdigit() and number.isascii() and number.isdigit() and len(text_) < 40):
        raise InputError("not a place of the stream", where="Last-Event-ID", expected="the id of an event")
    return StreamPlace(int(xid), int(number))


def end_of_stream(session: Session) -> StreamPlace:
    """Return the place after all that can be read now."""
    newest = _readable(session).order_by(StreamRow.xid.desc(), StreamRow.id.desc()).limit(1)
    row = session.scalar(newest)
    return StreamPlace(0, 0) if row is None else StreamPlace(row.xid, row.id)


def begins_after(session: Session, place: StreamPlace) -> bool:
    """Return whether rows after a place may be gone: those at it, or all, were removed."""
    first = session.scalar(select(StreamRow).order_by(StreamRow.xid, StreamRow.id).limit(1))
    return first is None or StreamPlace(first.xid, first.id) > place


def read_stream(session: Session, after: StreamPlace, limit: int) -> Sequence[StreamRow]:
    """Return what happened after a place, in the order of commits."""
    beyond = (StreamRow.xid >= after.xid, tuple_(StreamRow.xid, StreamRow.id) > (after.xid, after.id))
    query = _readable(session).where(*beyond).order_by(StreamRow.xid, StreamRow.id)
    return session.scalars(query.limit(limit)).all()


def prune_stream(store: Store, now: datetime) -> int:
    """Remove what is older than `KEPT`; return how many rows."""
    removed = 0
    while True:
        with store.transaction() as session:
            oldest = select(StreamRow.id, StreamRow.at).order_by(StreamRow.id).limit(_BATCH)
            gone = [number for number, at in session.execute(oldest) if at < now - KEPT]
            if gone:
                session.execute(delete(StreamRow).where(StreamRow.id <= gone[-1], StreamRow.at < now - KEPT))
        removed += len(gone)
        if len(gone) < _BATCH:
            return removed


def _readable(session: Session) -> Select[StreamRow]:
    query = select(StreamRow)
    if session.get_bind().dialect.name == "postgresql":
        query = query.where(text("stream.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    return query
