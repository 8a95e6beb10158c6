"""Users: made, changed and removed; what changes what they may do ends their sessions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.api.access.passwords import hash_password
from dynamo.api.access.roles import ROLES, Role
from dynamo.documents.problems import near_hint
from dynamo.errors import BusyError, NotFoundError, UsageError
from dynamo.store.access import User, WebSession
from dynamo.store.fleets import ApiToken
from dynamo.store.inserts import insert_new
from dynamo.times import to_iso, utc_now

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}\Z")
MAX_BUDGET = 1e9
_NAMES_TRIED = 1000


@dataclass(frozen=True)
class UserInfo:
    """A user, without the password."""

    name: str
    role: Role
    disabled: bool
    has_password: bool
    issuer: str | None
    subject: str | None
    budget: float | None
    created_at: datetime
    seen_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        seen_at = None if self.seen_at is None else to_iso(self.seen_at)
        return {**vars(self), "created_at": to_iso(self.created_at), "seen_at": seen_at}


def add_user(
    session: Session,
    name: str,
    role: str,
    *,
    password: str | None = None,
    issuer: str | None = None,
    subject: str | None = None,
    budget: float | None = None,
) -> UserInfo:
    """Add a user.

    Parameters
    ----------
    name
        Unique, among tokens that are nobody's, too: it is the name under which runs are ordered.
    role
        One of `ROLES`.
    password
        None for a user who logs in by an OpenID provider or only has tokens.
    issuer, subject
        Who this is to which OpenID provider.
    budget
        How much the user's own runs may cost in each period; None for no limit.

    Raises
    ------
    UsageError, InputError
        If the name, role, budget or password is not allowed.
    BusyError
        If the name, or the provider's user, is taken.
    """
    check_name(name)
    if session.scalar(select(ApiToken.name).where(ApiToken.name == name, ApiToken.user == "")) is not None:
        raise BusyError("a token of nobody has that name", where=name, hint="revoke it, or use another name")
    made = insert_new(
        session,
        User,
        name=name,
        role=_role(role),
        password=None if password is None else hash_password(password, name=name),
        disabled=False,
        issuer=issuer,
        subject=subject,
        budget=_budget(budget),
        created_at=utc_now(),
        seen_at=None,
    )
    if not made:
        raise BusyError("there is such a user", where=name, hint="dynamo users list")
    return _info(session.get_one(User, name))


def check_name(name: str) -> None:
    """Raise `UsageError` if a user may not have a name."""
    if not _NAME.match(name):
        raise UsageError(
            f"invalid user name: {name!r:.60}",
            expected="at most 100 letters, digits and _.@-, starting with a letter or digit",
        )


def find_user(session: Session, name: str) -> UserInfo:
    """Return a user; raise `NotFoundError` if there is none."""
    return _info(_user(session, name))


def external_user(session: Session, *, issuer: str, subject: str, name: str, role: str) -> UserInfo:
    """Return the user that an OpenID provider vouches for: made if new, with the role that it says now.

    Parameters
    ----------
    issuer, subject
        Who it is to which provider.
    name
        The name for a new user; another one if it is taken, or none.

    Raises
    ------
    UsageError
        If the role is not one.
    """
    known = select(User).where(User.issuer == issuer, User.subject == subject).with_for_update()
    user = session.scalar(known)
    if user is not None:
        set_role(session, user.name, role)
        return _info(user)
    base = re.sub(r"[^A-Za-z0-9_.@-]", "-", name).lstrip("_.@-")[:90] or "user"
    for number in range(1, _NAMES_TRIED):
        try:
            return add_user(session, base if number == 1 else f"{base}-{number}", role, issuer=issuer, subject=subject)
        except BusyError:
            # Somebody else may have logged in as the same user at the same time.
            if (user := session.scalar(known)) is not None:
                return _info(user)
    raise BusyError("too many users have that name", where=base)


def list_users(session: Session) -> list[UserInfo]:
    """Return all users by name."""
    return [_info(row) for row in session.scalars(select(User).order_by(User.name))]


def set_password(session: Session, name: str, password: str) -> None:
    """Give a user a new password, and end the user's sessions."""
    _user(session, name).password = hash_password(password, name=name)
    end_sessions(session, name)


def set_role(session: Session, name: str, role: str) -> None:
    """Give a user another role, and end the user's sessions."""
    user = _user(session, name)
    if user.role != _role(role):
        user.role = role
        end_sessions(session, name)


def set_disabled(session: Session, name: str, disabled: bool) -> None:
    """Let a user log in no more, or again; sessions end, and tokens are not valid meanwhile."""
    _user(session, name).disabled = disabled
    if disabled:
        end_sessions(session, name)


def set_budget(session: Session, name: str, budget: float | None) -> None:
    """Set how much a user's own runs may cost in each period; None for no limit."""
    _user(session, name).budget = _budget(budget)


def remove_user(session: Session, name: str) -> None:
    """Remove a user with all sessions and tokens; what the user did stays under the name."""
    user = _user(session, name)
    end_sessions(session, name)
    session.execute(delete(ApiToken).where(ApiToken.user == name))
    session.delete(user)


def end_sessions(session: Session, name: str) -> int:
    """End all sessions of a user; return how many."""
    ended = session.scalars(delete(WebSession).where(WebSession.user == name).returning(WebSession.sha256))
    return len(ended.all())


def _user(session: Session, name: str) -> User:
    user = session.get(User, name, with_for_update=True)
    if user is None:
        known = session.scalars(select(User.name)).all()
        raise NotFoundError(f"no user {name!r:.60}", hint=near_hint(name, known) or "dynamo users list")
    return user


def _role(name: str) -> Role:
    role = next((role for role in ROLES if role == name), None)
    if role is None:
        raise UsageError(f"unknown role {name!r:.40}", where="role", expected=", ".join(ROLES))
    return role


def _budget(budget: float | None) -> float | None:
    if budget is not None and not 0 <= budget <= MAX_BUDGET:
        raise UsageError(f"not a budget: {budget}", where="budget", expected=f"0 to {MAX_BUDGET:.0e}, or none")
    return budget


def _info(row: User) -> UserInfo:
    return UserInfo(
        row.name,
        cast("Role", row.role),
        row.disabled,
        row.password is not None,
        row.issuer,
        row.subject,
        row.budget,
        row.created_at,
        row.seen_at,
    )
