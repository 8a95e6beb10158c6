"""Inserting rows that may already exist."""

from __future__ import annotations

import functools
from typing import Any, cast

from sqlalchemy import Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from dynamo.store.models import Base


def insert_new(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless a unique constraint is violated; return whether it is new."""
    dialect = session.get_bind().dialect.name
    return session.execute(_insert(table, dialect, tuple(sorted(values))), values).first() is not None


@functools.cache
def _insert(table: type[Base], dialect: str, columns: tuple[str, ...]) -> Any:
    """Return the statement, cached because building it costs more than executing it."""
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    plain = cast("Table", table.__table__)
    statement = build(plain).values({name: bindparam(name) for name in columns}).on_conflict_do_nothing()
    return statement.returning(*plain.primary_key)
