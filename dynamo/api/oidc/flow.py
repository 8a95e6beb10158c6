"""A login at the provider, from one end to the other: authorization code with PKCE, and what follows it.

Between its two ends the browser keeps what belongs to it in a sealed cookie of its own for each login, so that any
process of this server can end it, and several tabs can log in at the same time. A session keeps the provider's tokens
sealed: the store alone does not give them away.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo.api.oidc.errors import LoginRefusedError, ProviderDownError
from dynamo.api.oidc.id_tokens import checked_claims
from dynamo.api.oidc.paths import local_path
from dynamo.api.oidc.people import Person, person_of
from dynamo.api.oidc.provider import Provider
from dynamo.api.oidc.sealing import Seal
from dynamo.api.oidc.secret import client_secret
from dynamo.config.oidc import OidcSection

log = logging.getLogger(__name__)
CALLBACK = "/v1/login/oidc/callback"
#: Time for a login at the provider, in seconds.
LOGIN_S = 600
#: No session lasts longer, in seconds.
_SESSION_S = 40 * 86_400.0


@dataclass(frozen=True)
class Begun:
    """A login that goes on at the provider: where, and the cookie to come back with."""

    address: str
    cookie: str
    value: str


@dataclass(frozen=True)
class Ended:
    """A login that is done: who, where to go, which cookie to forget, and what the session keeps."""

    person: Person
    next: str
    cookie: str
    kept: str


@dataclass(frozen=True)
class Still:
    """Somebody who may still be here: with which role, and what the session keeps from now on."""

    person: Person
    kept: str


class OpenId:
    """Logins at one provider.

    Parameters
    ----------
    base
        Where relative paths of the settings start.
    """

    def __init__(self, section: OidcSection, base: Path) -> None:
        secret = client_secret(section, base)
        self.section = section
        self.secure = section.public_url.startswith("https:")
        self._provider = Provider(section, secret, section.public_url.rstrip("/") + CALLBACK)
        self._logins = Seal(secret, "login")
        self._sessions = Seal(secret, "session")

    def begin(self, then: str) -> Begun:
        """Return how a login begins that ends at the page ``then``."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = self._provider.login_address(state=state, nonce=nonce, verifier=verifier)
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "next": local_path(then)}
        return Begun(address, self._cookie(state), self._logins.close(kept, LOGIN_S))

    def end(self, told: Mapping[str, str], cookies: Mapping[str, str]) -> Ended:
        """Return who has logged in.

        Parameters
        ----------
        told
            Parameters with which the browser came back.
        cookies
            Those of the browser.

        Raises
        ------
        LoginRefusedError, ProviderDownError
            If nobody has.
        """
        cookie = self._cookie(told.get("state", ""))
        begun = self._logins.open(cookies.get(cookie, ""))
        if begun is None or begun["state"] != told.get("state"):
            raise LoginRefusedError("expired", "the login is too old, or began in another browser", hint="log in again")
        try:
            return self._ended(told, begun, cookie)
        except (LoginRefusedError, ProviderDownError) as error:
            error.then = begun["next"]
            raise

    def again(self, kept: str) -> Still | None:
        """Ask the provider whether somebody may still be here; None if not, or if it can no longer be asked.

        Raises
        ------
        ProviderDownError
            If it does not answer: that is no answer about anybody.
        """
        known = self._sessions.open(kept)
        if known is None:
            return None
        try:
            if known["refresh"]:
                tokens = {"refresh_token": known["refresh"], **self._provider.renewed(known["refresh"])}
            else:
                tokens = {"access_token": known["access"]}
            claims = self._signed(tokens, None, known["claims"])
            told = self._told(tokens, claims)
            if told is None and not known["refresh"]:
                return None
            person = person_of(self.section, {**claims, **(told or {})})
        except LoginRefusedError as error:
            log.info("a session ends", extra={"reason": str(error)})
            return None
        return Still(person, self._kept(tokens, claims))

    def forget(self, kept: str) -> None:
        """Tell the provider, if it answers, that the tokens of a session that ended are not needed any more."""
        known = self._sessions.open(kept)
        if known is not None:
            try:
                self._provider.revoke(known["refresh"] or known["access"])
            except (LoginRefusedError, ProviderDownError) as error:
                log.info("tokens are not revoked", extra={"reason": str(error)})

    def _ended(self, told: Mapping[str, str], begun: Mapping[str, Any], cookie: str) -> Ended:
        if told.get("iss", self.section.issuer) != self.section.issuer:
            raise LoginRefusedError("untrusted", "another provider answered", expected=self.section.issuer)
        if "code" not in told:
            raise LoginRefusedError("denied", f"the provider let nobody in: {told.get('error', 'no code')!r:.80}")
        tokens = self._provider.tokens(told["code"], begun["verifier"])
        claims = self._signed(tokens, begun["nonce"])
        person = person_of(self.section, {**claims, **(self._told(tokens, claims) or {})})
        return Ended(person, begun["next"], cookie, self._kept(tokens, claims))

    def _signed(
        self, tokens: Mapping[str, Any], nonce: str | None, known: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Return the claims of the ID token; those known from the login if a refresh brought no new one."""
        if known is not None and "id_token" not in tokens:
            return known
        access = str(tokens.get("access_token", ""))
        text = tokens.get("id_token")
        claims = checked_claims(text, self.section, self._provider.keys, access_token=access, nonce=nonce)
        return claims if known is None else _same_person(claims, known)

    def _told(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return what the provider tells besides the ID token: often only there are the groups."""
        told = self._provider.claims(str(tokens.get("access_token", "")))
        return None if told is None else _same_person(told, claims)

    def _kept(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        kept = {"refresh": tokens.get("refresh_token"), "access": tokens.get("access_token"), "claims": claims}
        return self._sessions.close(kept, _SESSION_S)

    def _cookie(self, state: str) -> str:
        # Browsers let no other host of the same domain set a cookie with this prefix.
        prefix = "__Host-" if self.secure else ""
        return f"{prefix}dynamo-login-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


def _same_person(told: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    if told.get("sub") != known["sub"]:
        raise LoginRefusedError("untrusted", "the provider tells of another person")
    return told
