"""Pages by key: each begins after the last row of the one before, so that none is slower than the first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from dynamo.errors import InputError
from dynamo.store.models import UtcDateTime
from dynamo.times import parse_time, to_iso

Item = TypeVar("Item")
Row = TypeVar("Row")
MAX_ITEMS = 1000
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Items of a page.")]
After = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")]
Since = Annotated[str | None, Query(max_length=40, description="ISO 8601; only later ones.")]
Until = Annotated[str | None, Query(max_length=40, description="ISO 8601; only earlier ones.")]


class Page(BaseModel, Generic[Item]):
    """A page of a list; ``next`` is the ``after`` of the following one, null on the last."""

    items: list[Item]
    next: Annotated[str | None, Field(description="Send it as `after` for the following page; null on the last.")]


def time_in(name: str, text: str | None) -> datetime | None:
    """Return the time in an optional parameter; raise `InputError` if it is invalid or out of range."""
    return None if text is None else time_of(name, text)


def time_of(name: str, value: str) -> datetime:
    """Return the time in a parameter; raises `InputError` if it is invalid or out of range."""
    try:
        time = parse_time(value, where=name)
    except OverflowError:
        time = datetime.max.replace(tzinfo=UTC)
    if not 1970 <= time.year <= 3000:
        raise InputError(f"out of range: {value!r:.60}", where=name, expected="a time from 1970 to 3000")
    return time


def read_page(
    session: Session,
    query: Select[Row],
    keys: Sequence[InstrumentedAttribute[Any]],
    after: str | None,
    limit: int,
) -> tuple[Sequence[Row], str | None]:
    """Return a page of rows, the greatest key first, and the cursor of the following page.

    Parameters
    ----------
    query
        Selects mapped objects, without an order.
    keys
        Columns that order the rows, none of them null; together they are unique.
    after, limit
        The cursor, and how many rows.

    Raises
    ------
    InputError
        If the cursor is not of such a page.
    """
    if after is not None:
        query = query.where(*_beyond(keys, cursor_values(after, len(keys))))
    rows = session.scalars(query.order_by(*(key.desc() for key in keys)).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor([getattr(rows[limit - 1], key.key) for key in keys])


def cursor(values: Sequence[Any]) -> str:
    """Return the cursor of a row with these keys."""
    told = [_microseconds(value) if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(orjson.dumps(told)).decode().rstrip("=")


def cursor_values(text: str, count: int) -> list[Any]:
    """Return the keys in a cursor; raise `InputError` if it is none of so many keys."""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        raise InputError("not a cursor of this list", where="after", expected="`next` of the page before")
    return found


def listed(rows: Sequence[Row], following: str | None, item: Callable[[Row], Any]) -> dict[str, Any]:
    """Return the parts of a `Page`."""
    return {"items": [item(row) for row in rows], "next": following}


def _beyond(keys: Sequence[InstrumentedAttribute[Any]], values: Sequence[Any]) -> list[ColumnElement[bool]]:
    typed = []
    for key, value in zip(keys, values, strict=True):
        expected = datetime if isinstance(key.type, UtcDateTime) else key.type.python_type
        read = time_of("after", value) if expected is datetime and isinstance(value, str) else value
        if not isinstance(read, expected) or isinstance(read, bool):
            raise InputError("not a cursor of this list", where="after", expected="`next` of the page before")
        typed.append(literal(read, key.type))
    # The first condition is implied by the second, but every database finds its index by it.
    return [keys[0] <= typed[0], tuple_(*keys) < tuple_(*typed)]


def _microseconds(time: datetime) -> str:
    return time.isoformat() if time.microsecond else to_iso(time)
