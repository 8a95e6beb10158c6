"""Who calls: a bearer token with the scopes that a route needs.

Mobius has no authentication; for its clients ``/mobius`` takes the token as the password of HTTP Basic too, which
they send when it is in ``~/.netrc`` or in the address that they are given.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.http import HTTPAuthorizationCredentials

from dynamo.api.limits import RateLimit
from dynamo.api.problems import MOBIUS, Refusal
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import TokenInfo, find_token
from dynamo.store.engine import Store

bearer = HTTPBearer(
    scheme_name="token",
    bearerFormat="dyn_...",
    description="A token of `dynamo-provision token create NAME --scope read`. Scopes: `read` looks, `write` orders, "
    "`admin` ends fleets and manages tokens; none includes another.",
    auto_error=False,
)
_REALM = 'Bearer realm="dynamo"'
_HINT = "dynamo-provision token create NAME --scope read --scope write"


class Doorkeeper:
    """Checks tokens, and slows down who asks too often or tries tokens.

    Parameters
    ----------
    settings
        What each token may ask for, and each address without one.
    """

    def __init__(self, store: Store, settings: ApiSettings) -> None:
        self._store = store
        self._by_token = RateLimit(settings.requests_per_s, settings.burst)
        self._failures = RateLimit(settings.failures_per_s, settings.failures_burst)

    def admit(self, request: Request, scopes: SecurityScopes) -> TokenInfo:
        """Return the caller of a request.

        Raises
        ------
        Refusal
            401 without a valid token, 403 without a scope, 429 when asked too often.
        """
        mobius = request.url.path.startswith(f"{MOBIUS}/")
        token = _token_of(request.headers.get("authorization", ""), basic=mobius)
        caller = find_token(self._store, token) if token else None
        if caller is None:
            # Only those without a valid token are slowed down: others may share their address behind a proxy.
            wait_s = self._failures.take(request.client.host if request.client else "")
            if wait_s:
                raise _too_often(wait_s, "too many requests without a valid token")
            what = "the token is not valid, or has expired" if token else "no token"
            asks = f'{_REALM}, error="invalid_token"' if token else _REALM
            if mobius:
                asks += ', Basic realm="dynamo"'
            raise Refusal(
                401, what, expected="Authorization: Bearer dyn_...", hint=_HINT, headers={"WWW-Authenticate": asks}
            )
        request.state.caller = caller.name
        wait_s = self._by_token.take(caller.name)
        if wait_s:
            raise _too_often(wait_s, "this token asks too often")
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
    """Return who calls, for routes: ``Security(caller_of, scopes=["read"])``."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    return keeper.admit(request, scopes)


Reader = Annotated[TokenInfo, Security(caller_of, scopes=["read"])]
Writer = Annotated[TokenInfo, Security(caller_of, scopes=["write"])]
Admin = Annotated[TokenInfo, Security(caller_of, scopes=["admin"])]


def _token_of(header: str, *, basic: bool) -> str:
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if basic and scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _too_often(wait_s: float, what: str) -> Refusal:
    return Refusal(429, what, hint="ask less often", headers={"Retry-After": str(max(1, round(wait_s)))})
