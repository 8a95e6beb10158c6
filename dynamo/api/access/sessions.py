"""Browsers that are logged in: a session begins with a login, and its cookie is valid until it ends or is not used."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime, timedelta
from typing import Literal, Protocol, cast

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from dynamo.api.access.roles import Identity, Role
from dynamo.api.problems import Refusal
from dynamo.api.settings import ApiSettings
from dynamo.errors import RetryableError
from dynamo.store.access import User, WebSession
from dynamo.store.engine import Store
from dynamo.times import utc_now

log = logging.getLogger(__name__)
#: Minimum time between updates of a session's last use.
_USE_STEP = timedelta(minutes=1)
#: Before a provider that does not answer is asked again.
_ASK_STEP = timedelta(seconds=30)
_LONGEST = 100


def cookie_name(settings: ApiSettings) -> str:
    """Return the name of the cookie; with TLS one that browsers take from, and send to, this host alone."""
    return "__Host-dynamo" if settings.secured else "dynamo"


class Recheck(Protocol):
    """Asks an OpenID provider again whether its users may still come in."""

    every: timedelta

    def again(self, external: str) -> tuple[Role, str] | None:
        """Return the user's role now, and what to ask with next time; None if the session is over.

        Raises
        ------
        RetryableError
            If the provider does not answer.
        """

    def forget(self, external: str) -> None:
        """Tell the provider that a session has ended; it is not an error if that fails."""


def start_session(
    session: Session,
    user: str,
    how: str,
    settings: ApiSettings,
    *,
    external: str | None = None,
    longest: timedelta | None = None,
) -> str:
    """Begin a session of a user who has just logged in; return the value of its cookie.

    Parameters
    ----------
    user
        Name of a user in the store.
    how
        ``password`` or ``oidc``.
    settings
        How long it lasts.
    external
        What the provider gave for asking it again, encrypted.
    longest
        How long it lasts at most, if less than the settings say.

    Raises
    ------
    Refusal
        403 if the user is disabled, or not there any more.
    """
    account = session.get(User, user, with_for_update=True, populate_existing=True)
    if account is None or account.disabled:
        raise Refusal(403, "the user is disabled", where=user, hint="ask an administrator")
    now = utc_now()
    account.seen_at = now
    idle = now - settings.session_idle
    session.execute(delete(WebSession).where(or_(WebSession.expires_at <= now, WebSession.seen_at <= idle)))
    value = secrets.token_urlsafe(32)
    session.add(
        WebSession(
            sha256=_hash(value),
            user=user,
            how=how,
            created_at=now,
            seen_at=now,
            expires_at=now + min(settings.session_longest, longest or settings.session_longest),
            external=external,
            checked_at=None if external is None else now,
        )
    )
    return value


def find_session(
    store: Store, value: str, settings: ApiSettings, recheck: Recheck | None = None
) -> tuple[Identity, datetime] | None:
    """Return whose session a cookie is and when it ends, or None; its use is recorded at most once a minute."""
    if not value or len(value) > _LONGEST or not value.isascii():
        return None
    digest = _hash(value)
    with store.reading() as session:
        found = session.execute(
            select(WebSession, User).join(User, User.name == WebSession.user).where(WebSession.sha256 == digest)
        ).first()
    if found is None:
        return None
    row, user = found
    now = utc_now()
    if user.disabled or row.expires_at <= now or row.seen_at + settings.session_idle <= now:
        return None
    role = cast("Role", user.role)
    if row.checked_at is not None and recheck is None:
        # The provider is no longer one of ours.
        return None
    if recheck is not None and row.checked_at is not None and row.checked_at + recheck.every <= now:
        renewed = _ask_again(store, row, recheck, now)
        if renewed is None:
            return None
        role = renewed or role
    if now - row.seen_at >= _USE_STEP:
        _note_use(store, digest, now)
    ends_at = min(row.expires_at, now + settings.session_idle)
    return Identity(user.name, role, f"session {row.how}", user=user.name), ends_at


def end_session(session: Session, value: str) -> str | None:
    """End the session of a cookie, if there is one; return what its provider gave, if one did."""
    ended = delete(WebSession).where(WebSession.sha256 == _hash(value)).returning(WebSession.external)
    return session.scalars(ended).first()


def _ask_again(store: Store, row: WebSession, recheck: Recheck, now: datetime) -> Role | Literal[""] | None:
    """Ask the provider of a session; return the role that it says, empty if another request asks, None for no."""
    this = WebSession.sha256 == row.sha256
    with store.transaction() as session:
        # What is asked with may be valid once only. If the provider does not answer, it is asked again soon.
        soon = now - recheck.every + _ASK_STEP
        asking = update(WebSession).where(this, WebSession.checked_at == row.checked_at).values(checked_at=soon)
        if not session.scalars(asking.returning(WebSession.sha256)).all():
            return ""
    try:
        answer = recheck.again(row.external or "")
    except RetryableError:
        # A provider that does not answer says nothing against anybody.
        return ""
    with store.transaction() as session:
        if answer is None:
            session.execute(delete(WebSession).where(this))
            return None
        role, external = answer
        session.execute(update(WebSession).where(this).values(external=external, checked_at=now))
        session.execute(update(User).where(User.name == row.user).values(role=role))
    return role


def _note_use(store: Store, digest: str, now: datetime) -> None:
    try:
        with store.transaction() as session:
            session.execute(update(WebSession).where(WebSession.sha256 == digest).values(seen_at=now))
    except RetryableError as error:
        # A read-only store still serves requests.
        log.warning("cannot record the use of a session: %s", error)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
