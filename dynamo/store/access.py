"""Tables of who may do what: users, their sessions in browsers, and who ordered what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from dynamo.store.engine import Store
from dynamo.store.models import Base
from dynamo.texts import one_line
from dynamo.times import utc_now

_Key = BigInteger().with_variant(Integer(), "sqlite")
#: Rows removed per transaction, so that others do not wait long for the store.
_BATCH = 5000
#: What the audit knows of an order, with the characters of each column.
AUDITED = {"who": 130, "role": 20, "how": 200, "address": 64, "method": 10, "route": 200, "subject": 400}


class User(Base):
    """Somebody who may log in; of a password only its hash is stored."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    #: ``viewer``, ``researcher``, ``operator`` or ``admin``.
    role: Mapped[str] = mapped_column(String(20))
    #: Of Argon2, with its parameters; none if the user cannot log in with a password.
    password: Mapped[str | None]
    disabled: Mapped[bool] = mapped_column(Boolean)
    #: Who this is to which OpenID provider; none for local users.
    issuer: Mapped[str | None] = mapped_column(String(300))
    subject: Mapped[str | None] = mapped_column(String(300))
    #: How much the user's own runs may cost in each period; none for no limit.
    budget: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]


class WebSession(Base):
    """A browser that is logged in; of its cookie only the hash is stored."""

    __tablename__ = "web_sessions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(String(100), ForeignKey("users.name"), index=True)
    #: How the user logged in: ``password`` or ``oidc``.
    how: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    #: What the OpenID provider gave for asking it again, encrypted, and when it last said yes.
    external: Mapped[str | None]
    checked_at: Mapped[datetime | None]


class AuditRow(Base):
    """An order, or an attempt to log in: stored before it is carried out, completed with how it was answered."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "at"), Index(None, "who", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(130))
    role: Mapped[str] = mapped_column(String(20))
    #: ``token NAME``, ``session password``, ``password`` for a login, ``this machine``, ``command line``; for nobody
    #: known empty, or ``another site`` if a page of one had a browser send it.
    how: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(10))
    route: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(400))
    summary: Mapped[str]
    #: HTTP status; none if there was no answer.
    status: Mapped[int | None] = mapped_column(Integer)


def note_order(session: Session, facts: Mapping[str, str], summary: str = "", status: int | None = None) -> int:
    """Store an order for the audit, and return its number.

    Parameters
    ----------
    facts
        Some of `AUDITED`, by name; too long ones are cut.
    summary
        What it says, without secrets.
    status
        How it was answered, as an HTTP status; None if it is not yet.
    """
    row = AuditRow(at=utc_now(), summary=summary, status=status, **_cut(facts))
    session.add(row)
    session.flush()
    return row.id


def complete_order(session: Session, number: int, facts: Mapping[str, str], status: int) -> None:
    """Store how an order was answered, and what became known of it."""
    session.execute(update(AuditRow).where(AuditRow.id == number).values({**_cut(facts), "status": status}))


def _cut(facts: Mapping[str, str]) -> dict[str, str]:
    """Return texts that fit into their columns, in one line each."""
    return {name: one_line(facts.get(name, ""))[:width] for name, width in AUDITED.items()}


def prune_audit(store: Store, now: datetime, keep_days: float) -> int:
    """Remove what is older than so many days; return how many rows."""
    removed = 0
    while True:
        with store.transaction() as session:
            old = select(AuditRow.id).where(AuditRow.at < now - timedelta(days=keep_days)).limit(_BATCH)
            gone = session.scalars(old).all()
            if gone:
                session.execute(delete(AuditRow).where(AuditRow.id.in_(gone)))
        removed += len(gone)
        if len(gone) < _BATCH:
            return removed
