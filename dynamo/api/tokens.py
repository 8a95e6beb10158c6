"""API tokens: created and shown once, stored as a hash.

A token is 256 random bits, so its plain SHA-256 cannot be reversed and needs no salt.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dynamo.api.access import roles
from dynamo.api.access.roles import Identity, Role, lesser
from dynamo.api.access.users import find_user
from dynamo.documents.problems import near_hint
from dynamo.errors import BusyError, NotFoundError, RetryableError, UsageError
from dynamo.store.access import User
from dynamo.store.engine import Store
from dynamo.store.fleets import ApiToken
from dynamo.store.inserts import insert_new
from dynamo.times import to_iso, utc_now

log = logging.getLogger(__name__)
PREFIX = "dyn_"
READ, SUBMIT, WRITE, ADMIN, PING = "read", "submit", "write", "admin", "ping"
#: Scopes: view; run workflows as a user; order; manage; report jobs. Each but the last is a role, see `ROLE_OF`.
SCOPES = (READ, SUBMIT, WRITE, ADMIN, PING)
#: What a token may do; all that a lesser role may as well.
ROLE_OF: dict[str, Role] = {READ: roles.VIEWER, SUBMIT: roles.RESEARCHER, WRITE: roles.OPERATOR, ADMIN: roles.ADMIN}
#: Minimum time between updates of a token's last use.
_USE_STEP = timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}\Z")
_LONGEST = 200


@dataclass(frozen=True)
class TokenInfo:
    """A token's metadata, without the token."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    #: Whose it is; empty for one of nobody.
    user: str = ""

    @property
    def role(self) -> Role | None:
        """The greatest role of its scopes; None if it only reports jobs."""
        return max((ROLE_OF[scope] for scope in self.scopes if scope in ROLE_OF), key=roles.ROLES.index, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "name": self.name,
            "user": self.user,
            "scopes": list(self.scopes),
            "created_at": to_iso(self.created_at),
            "expires_at": None if self.expires_at is None else to_iso(self.expires_at),
            "last_used_at": None if self.last_used_at is None else to_iso(self.last_used_at),
        }


def create_token(
    session: Session, name: str, scopes: Iterable[str], expires_at: datetime | None = None, *, user: str = ""
) -> str:
    """Create a token and return it; it cannot be shown again.

    Parameters
    ----------
    name
        Who or what it is for; unique.
    scopes
        Some of `SCOPES`.
    expires_at
        When it expires; None for never.
    user
        Whose it is: it may do what the user may at the time, and no more than its scopes say. Default: nobody's.

    Raises
    ------
    UsageError
        If the name, a scope or the time is not allowed.
    NotFoundError
        If the user does not exist.
    BusyError
        If the name is taken.
    """
    if not _NAME.match(name):
        raise UsageError(
            f"invalid token name: {name!r:.60}",
            expected="at most 100 letters, digits and _.@-, starting with a letter or digit",
        )
    asked = set(scopes)
    for scope in sorted(asked - set(SCOPES)):
        raise UsageError(f"unknown scope {scope!r:.40}", where=name, expected=", ".join(SCOPES))
    if not asked:
        raise UsageError("a token without scopes", where=name, expected="one or more of " + ", ".join(SCOPES))
    if user:
        find_user(session, user)
    elif SUBMIT in asked and not asked & {WRITE, ADMIN}:
        raise UsageError(
            "a token of nobody with the scope submit: runs on a budget are somebody's", where=name, expected="a user"
        )
    elif session.get(User, name) is not None:
        raise BusyError("a user has that name", where=name, hint="use another name, or make it the user's token")
    now = utc_now()
    if expires_at is not None and expires_at <= now:
        raise UsageError("the token would already be expired", where=name, expected="a future time")
    token = PREFIX + secrets.token_urlsafe(32)
    made = insert_new(
        session,
        ApiToken,
        name=name,
        sha256=_hash(token),
        scopes=[scope for scope in SCOPES if scope in asked],
        user=user,
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
    )
    if not made:
        raise BusyError("a token with that name exists", where=name, hint="revoke it, or use another name")
    return token


def list_tokens(session: Session, user: str | None = None) -> list[TokenInfo]:
    """Return all tokens, or those of a user, by name, expired ones too."""
    query = select(ApiToken).order_by(ApiToken.name)
    return [_info(row) for row in session.scalars(query if user is None else query.where(ApiToken.user == user))]


def revoke_token(session: Session, name: str, user: str | None = None) -> None:
    """Revoke a token immediately.

    Parameters
    ----------
    user
        Whose it must be. Default: anybody's.

    Raises
    ------
    NotFoundError
        If there is no such token.
    """
    theirs = () if user is None else (ApiToken.user == user,)
    gone = session.scalars(delete(ApiToken).where(ApiToken.name == name, *theirs).returning(ApiToken.name)).all()
    if not gone:
        known = session.scalars(select(ApiToken.name).where(*theirs)).all()
        raise NotFoundError(f"no token {name!r:.60}", hint=near_hint(name, known) or "dynamo-provision token list")


def find_token(store: Store, token: str) -> Identity | None:
    """Return whose a token is, or None if it is invalid; its use is recorded at most once a minute."""
    if not token.startswith(PREFIX) or len(token) > _LONGEST or not token.isascii():
        return None
    digest = _hash(token)
    with store.reading() as session:
        row = session.scalars(select(ApiToken).where(ApiToken.sha256 == digest)).first()
        user = session.get(User, row.user) if row is not None and row.user else None
    now = utc_now()
    if row is None or not hmac.compare_digest(row.sha256, digest):
        return None
    if row.expires_at is not None and row.expires_at <= now:
        return None
    if row.user and (user is None or user.disabled):
        return None
    if row.last_used_at is None or now - row.last_used_at >= _USE_STEP:
        _note_use(store, row.name, now)
    info, how = _info(row), f"token {row.name}"
    reports = PING in info.scopes
    if user is None:
        return Identity(row.name, info.role, how, reports=reports)
    return Identity(user.name, lesser(info.role, cast("Role", user.role)), how, user=user.name, reports=reports)


def _note_use(store: Store, name: str, now: datetime) -> None:
    try:
        with store.transaction() as session:
            session.execute(update(ApiToken).where(ApiToken.name == name).values(last_used_at=now))
    except RetryableError as error:
        # A read-only store still serves requests.
        log.warning("cannot record the use of token %s: %s", name, error)


def _info(row: ApiToken) -> TokenInfo:
    return TokenInfo(row.name, tuple(row.scopes), row.created_at, row.expires_at, row.last_used_at, row.user)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
