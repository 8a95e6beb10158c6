"""Logging in with a name and a password."""

from __future__ import annotations

from dynamo.api.access.passwords import check_password
from dynamo.api.access.sessions import start_session
from dynamo.api.limits import RateLimit
from dynamo.api.problems import Refusal
from dynamo.api.settings import ApiSettings
from dynamo.store.access import User
from dynamo.store.engine import Store

#: Attempts of all addresses together to log in as one user, per those of one address.
_ALL = 10
#: Users with their addresses that are remembered; nobody else adds to them.
_KNOWN = 10_000


class Logins:
    """Checks passwords, and throttles who guesses them.

    Parameters
    ----------
    settings
        How often one may try, and how long a session lasts.
    """

    def __init__(self, store: Store, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._here = RateLimit(settings.logins_per_s, settings.logins_burst)
        self._everywhere = RateLimit(settings.logins_per_s * _ALL, settings.logins_burst * _ALL)
        self._known: set[str] = set()

    def log_in(self, name: str, password: str, address: str) -> str:
        """Begin a session of a user; return the value of its cookie.

        Raises
        ------
        Refusal
            401 if there is no such user with that password, or the user is disabled; 429 after too many attempts.
        """
        hashed, renewed = self.check(name, password, address)
        with self._store.transaction() as session:
            user = session.get(User, name, with_for_update=True)
            # Meanwhile, the user may have been disabled or have got another password.
            if user is None or user.disabled or user.password != hashed:
                raise _refusal()
            user.password = renewed or hashed
            session.flush()
            return start_session(session, name, "password", self._settings)

    def check(self, name: str, password: str, address: str) -> tuple[str, str | None]:
        """Return the stored hash of a right password, and its new one if it is to be renewed; raise as `log_in`."""
        who = name.casefold()
        here = f"{who} {address}"
        wait_s = self._here.take(here)
        # From elsewhere, nobody can use up the attempts of a user at an address from where this one has logged in.
        if not wait_s and here not in self._known:
            wait_s = self._everywhere.take(who)
        if wait_s:
            raise Refusal(
                429,
                "too many attempts to log in",
                hint="wait, or ask an administrator for a new password",
                headers={"Retry-After": str(max(1, round(wait_s)))},
            )
        with self._store.reading() as session:
            user = session.get(User, name)
            hashed = None if user is None or user.disabled else user.password
        right, renewed = check_password(password, hashed)
        if not right or hashed is None:
            raise _refusal()
        if len(self._known) < _KNOWN:
            self._known.add(here)
        return hashed, renewed


def _refusal() -> Refusal:
    return Refusal(401, "no such user, or another password", hint="an administrator can set a new password")
