"""Who sends a request, and whether that is allowed: each route names the least role that it needs.

A program sends a bearer token; a browser that is logged in sends the cookie of its session. The token may also be the
password of HTTP Basic. Mobius has no authentication, but its clients send that if it is in ``~/.netrc`` or in the URL
they are given; and once a host is in ``~/.netrc``, curl and Python's requests send it to all paths there, in place of a
bearer token. ``/v1`` accepts it but does not ask for it: a browser that was asked would send it with the requests of
other sites' pages.

Where the server is open to its user (`dynamo serve` on loopback), that user's programs on the same machine need no
token.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer, SecurityScopes
from fastapi.security.http import HTTPAuthorizationCredentials

from dynamo.api.access.auditing import LOOKING, AuditEntry
from dynamo.api.access.browsers import refuse_foreign, refuse_other_sites
from dynamo.api.access.logins import Logins
from dynamo.api.access.neighbors import is_loopback, is_own_user, own_name
from dynamo.api.access.roles import ADMIN, OPERATOR, REPORTER, ROLES, Identity, Role
from dynamo.api.access.sessions import Recheck, cookie_name, find_session
from dynamo.api.bodies import json_body
from dynamo.api.limits import RateLimit
from dynamo.api.problems import MOBIUS, Refusal
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import find_token
from dynamo.store.engine import Store

#: What a route needs: a role, or to report jobs. Those of `Anybody` need nothing.
NEEDS = (*ROLES, REPORTER)
bearer = HTTPBearer(
    scheme_name="token",
    bearerFormat="dyn_...",
    description="A token of `dynamo-provision token create NAME --scope read`. Scopes: `read` is a viewer's, `submit` "
    "a researcher's, `write` an operator's, `admin` an admin's; `ping` reports jobs.",
    auto_error=False,
)
cookie = APIKeyCookie(
    scheme_name="session",
    name="dynamo",
    description="The session of a browser that is logged in: `POST /v1/session`. With TLS its name is "
    "`__Host-dynamo`. Orders must come from the server's own pages.",
    auto_error=False,
)
_REALM = 'Bearer realm="dynamo"'


class Doorkeeper:
    """Knows who sends a request, and throttles those who send too many or guess tokens.

    Parameters
    ----------
    settings
        Rate limits of each caller, and of each address of nobody known.
    """

    def __init__(self, store: Store, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._by_caller = RateLimit(settings.requests_per_s, settings.burst)
        self._failures = RateLimit(settings.failures_per_s, settings.failures_burst)
        self._user = Identity(own_name(), OPERATOR, "this machine") if settings.open_to_user else None
        self._logins = Logins(store, settings)
        #: Asks an OpenID provider again whether its users may still come in.
        self.recheck: Recheck | None = None

    def address(self, request: Request) -> str:
        """Return the address of the client; behind a proxy, the one that the proxy has added last."""
        direct = request.client.host if request.client else ""
        told = request.headers.get("x-forwarded-for", "") if self._settings.behind_proxy else ""
        return told.rpartition(",")[2].strip()[:64] or direct

    def identify(self, request: Request) -> Identity | None:
        """Return who sends a request; None if we do not know.

        Raises
        ------
        Refusal
            403 if a page of another site sends it in somebody's name.
        """
        return self.session_of(request)[0]

    def session_of(self, request: Request) -> tuple[Identity | None, datetime | None]:
        """Return who sends a request, and when the login ends if there was one; see `identify`."""
        if header := request.headers.get("authorization", ""):
            return find_token(self._store, _token_of(header)), None
        value = request.cookies.get(cookie_name(self._settings), "")
        found = find_session(self._store, value, self._settings, self.recheck) if value else None
        if found is not None:
            refuse_other_sites(request, scheme="https" if self._settings.secured else "", asks=True)
            return found
        if self._user is None or not is_own_user(request.client, request.scope.get("server")):
            return None, None
        refuse_foreign(request)
        return self._user, None

    def admit(self, request: Request, needed: str) -> Identity:
        """Return who sends a request to a route that needs something of `NEEDS`.

        Raises
        ------
        Refusal
            401 if that is nobody known, 403 if it is less than needed, 429 for too many requests.
        """
        try:
            caller = self.identify(request)
        except Refusal:
            if not self._failures.take(self.address(request)) and (attempt := self._note(request, None)) is not None:
                attempt.how = "another site"
            raise
        if caller is None:
            self._throttle_stranger(request)
            self._note(request, None)
            raise _nobody(request)
        request.state.caller = caller.name
        if wait_s := self._by_caller.take(caller.name):
            raise too_often(wait_s, "too many requests")
        entry = self._note(request, caller)
        if not (caller.reports if needed == REPORTER else caller.may(cast("Role", needed))):
            raise _too_little(caller, needed)
        if entry is not None and not reads_body(request):
            entry.begin()
        return caller

    def let_in(self, request: Request) -> None:
        """Let somebody in whom we need not know; orders not too often."""
        if request.method in LOOKING:
            return
        self._throttle_stranger(request)
        entry = self._note(request, None)
        if entry is not None and not reads_body(request):
            entry.begin()

    def log_in(self, request: Request, name: str, password: str) -> str:
        """Begin a session of a user; return the value of its cookie, or raise as `Logins.log_in`."""
        self.refuse_login(request)
        return self._logins.log_in(name, password, self.address(request))

    def check_password(self, request: Request, name: str, password: str) -> None:
        """Check the password of a user who is logged in, or raise as `Logins.log_in`."""
        self._logins.check(name, password, self.address(request))

    def refuse_login(self, request: Request) -> None:
        """Refuse to begin a session for a page of another site, or where others could read its cookie on the way.

        Raises
        ------
        Refusal
            403 if so.
        """
        refuse_other_sites(request, scheme="https" if self._settings.secured else "")
        self.refuse_plain(request)

    def refuse_plain(self, request: Request) -> None:
        """Refuse to begin a session where others could read its cookie on the way; raise `Refusal` (403) if so."""
        if not self._settings.secured and not is_loopback(request.client.host if request.client else ""):
            raise Refusal(403, "no login without TLS", expected="https")

    def _throttle_stranger(self, request: Request) -> None:
        # By address only those without a valid token: others may share theirs behind a proxy.
        if wait_s := self._failures.take(self.address(request)):
            raise too_often(wait_s, "too many requests without a valid token")

    def _note(self, request: Request, caller: Identity | None) -> AuditEntry | None:
        """Take note of an order for the audit."""
        if request.method in LOOKING:
            return None
        entry = request.state.audit = AuditEntry(self._store, request, self.address(request))
        if caller is not None:
            entry.by(caller)
        return entry


def caller_of(
    request: Request,
    scopes: SecurityScopes,
    _token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    _cookie: Annotated[str | None, Security(cookie)],
) -> Identity:
    """Return the caller, for routes: ``Security(caller_of, scopes=["viewer"])``."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    return keeper.admit(request, scopes.scopes[0])


def anybody(request: Request) -> None:
    """Let everybody in, for routes that say that they need no role."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    keeper.let_in(request)


#: What routes take as their first parameter: it says which role they need.
Reader = Annotated[Identity, Security(caller_of, scopes=["viewer"])]
Researcher = Annotated[Identity, Security(caller_of, scopes=["researcher"])]
Writer = Annotated[Identity, Security(caller_of, scopes=["operator"])]
Admin = Annotated[Identity, Security(caller_of, scopes=["admin"])]
Pinger = Annotated[Identity, Security(caller_of, scopes=[REPORTER])]
Anybody = Annotated[None, Depends(anybody)]


def reads_body(request: Request) -> bool:
    """Return whether a route has its body read as JSON."""
    route = request.scope.get("route")
    return any(part.call is json_body for part in route.dependant.dependencies) if route is not None else False


def too_often(wait_s: float, what: str) -> Refusal:
    """Return the refusal of somebody who must wait."""
    return Refusal(429, what, hint="slow down", headers={"Retry-After": str(max(1, round(wait_s)))})


def _nobody(request: Request) -> Refusal:
    sent = bool(_token_of(request.headers.get("authorization", "")))
    asks = f'{_REALM}, error="invalid_token"' if sent else _REALM
    if request.url.path.startswith(f"{MOBIUS}/"):
        asks += ', Basic realm="dynamo"'
    return Refusal(
        401,
        "invalid or expired token" if sent else "not logged in",
        expected="Authorization: Bearer dyn_..., or a session",
        hint="log in, or dynamo-provision token create NAME --scope read",
        headers={"WWW-Authenticate": asks},
    )


def _too_little(caller: Identity, needed: str) -> Refusal:
    asks = f'{_REALM}, error="insufficient_scope", scope="{needed}"'
    article = "an" if caller.role in (OPERATOR, ADMIN) else "a"
    has = f"is {article} {caller.role}" if caller.role else "only reports jobs"
    return Refusal(
        403,
        f"{caller.name} {has}",
        expected="a token with the scope ping" if needed == REPORTER else f"the role {needed}",
        headers={"WWW-Authenticate": asks},
    )


def _token_of(header: str) -> str:
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
