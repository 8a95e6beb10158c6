"""Authentication: a bearer token with the scopes that a route needs.

The token may also be the password of HTTP Basic. Mobius has no authentication, but its clients send that if it is in
``~/.netrc`` or in the URL they are given; and once a host is in ``~/.netrc``, curl and Python's requests send it
to all paths there, in place of a bearer token. ``/v1`` accepts it but does not ask for it: a browser that was asked
would send it with the requests of other sites' pages.

Where the server is open to its user (`dynamo serve` on loopback), that user's programs on the same machine need no
token.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import os
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.http import HTTPAuthorizationCredentials

from dynamo.api.access.browsers import refuse_foreign
from dynamo.api.access.neighbors import is_own_user
from dynamo.api.limits import RateLimit
from dynamo.api.problems import MOBIUS, Refusal
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import READ, WRITE, TokenInfo, find_token
from dynamo.store.engine import Store
from dynamo.times import utc_now

bearer = HTTPBearer(
    scheme_name="token",
    bearerFormat="dyn_...",
    description="A token of `dynamo-provision token create NAME --scope read`. Scopes: `read` to view, `write` to "
    "order, `admin` to end fleets and manage tokens, `ping` to report jobs; none includes another.",
    auto_error=False,
)
_REALM = 'Bearer realm="dynamo"'
_HINT = "dynamo-provision token create NAME --scope read --scope write"


class Doorkeeper:
    """Checks tokens, and throttles callers that send too many requests or guess tokens.

    Parameters
    ----------
    settings
        Rate limits of each token, and of each address without one.
    """

    def __init__(self, store: Store, settings: ApiSettings) -> None:
        self._store = store
        self._by_token = RateLimit(settings.requests_per_s, settings.burst)
        self._failures = RateLimit(settings.failures_per_s, settings.failures_burst)
        self._user = _user_of_server() if settings.open_to_user else None

    def _neighbor(self, request: Request) -> TokenInfo | None:
        """Return the user of the server if the request comes from one of this user's programs on this machine."""
        if self._user is None or not is_own_user(request.client, request.scope.get("server")):
            return None
        refuse_foreign(request)
        return self._user

    def admit(self, request: Request, scopes: SecurityScopes) -> TokenInfo:
        """Return the caller of a request.

        Raises
        ------
        Refusal
            401 without a valid token, 403 without the scope, 429 for too many requests.
        """
        mobius = request.url.path.startswith(f"{MOBIUS}/")
        token = _token_of(request.headers.get("authorization", ""))
        caller = find_token(self._store, token) if token else self._neighbor(request)
        if caller is None:
            # Throttle only callers without a valid token: others may share their address behind a proxy.
            wait_s = self._failures.take(request.client.host if request.client else "")
            if wait_s:
                raise _too_often(wait_s, "too many requests without a valid token")
            what = "invalid or expired token" if token else "no token"
            asks = f'{_REALM}, error="invalid_token"' if token else _REALM
            if mobius:
                asks += ', Basic realm="dynamo"'
            raise Refusal(
                401, what, expected="Authorization: Bearer dyn_...", hint=_HINT, headers={"WWW-Authenticate": asks}
            )
        request.state.caller = caller.name
        wait_s = self._by_token.take(caller.name)
        if wait_s:
            raise _too_often(wait_s, "too many requests with this token")
        for scope in scopes.scopes:
            if scope not in caller.scopes:
                asks = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
                raise Refusal(
                    403,
                    f"the token {caller.name} lacks the scope {scope}",
                    expected=f"a token with the scope {scope}",
                    headers={"WWW-Authenticate": asks},
                )
        return caller


def caller_of(
    request: Request,
    scopes: SecurityScopes,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> TokenInfo:
    """Return the caller, for routes: ``Security(caller_of, scopes=["read"])``."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    return keeper.admit(request, scopes)


Reader = Annotated[TokenInfo, Security(caller_of, scopes=["read"])]
Writer = Annotated[TokenInfo, Security(caller_of, scopes=["write"])]
Admin = Annotated[TokenInfo, Security(caller_of, scopes=["admin"])]
Pinger = Annotated[TokenInfo, Security(caller_of, scopes=["ping"])]


def _user_of_server() -> TokenInfo:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"user {os.getuid()}"
    return TokenInfo(name, (READ, WRITE), utc_now(), None, None)


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


def _too_often(wait_s: float, what: str) -> Refusal:
    return Refusal(429, what, hint="slow down", headers={"Retry-After": str(max(1, round(wait_s)))})
