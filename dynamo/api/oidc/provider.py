"""Questions to the provider: its addresses and keys, tokens for a code, claims for a token."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dynamo.api.oidc.errors import LoginRefusedError, ProviderDownError
from dynamo.config.oidc import OidcSection, safe_address

log = logging.getLogger(__name__)
#: Time after which the provider's keys are asked for again, in seconds.
_KEYS_S = 3600.0
#: The same for its addresses: soon, for a browser that is sent to a provider that is down is lost there.
_ADDRESSES_S = 30.0
#: After a failure nobody waits for the provider for this long, in seconds.
_PAUSE_S = 5.0
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL = ("userinfo_endpoint", "revocation_endpoint")
#: Of an asymmetric kind: only these verify without a secret.
_PUBLIC = ("RSA", "EC", "OKP")


class Provider:
    """An OpenID Connect provider, as one client of it sees it.

    Parameters
    ----------
    callback
        Where the provider sends browsers back to.
    """

    def __init__(self, section: OidcSection, secret: str | None, callback: str) -> None:
        self.section = section
        self._secret = secret
        self._callback = callback
        # Reading the certificates of all authorities takes longer than most questions.
        self._tls = httpx2.create_ssl_context()
        self._lock = threading.Lock()
        self._addresses: tuple[float, dict[str, str]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._failing = False
        self._again_at = 0.0

    def login_address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where a browser goes to log in."""
        address = self._known_addresses()["authorization_endpoint"]
        with self._client() as client:
            made, _ = client.create_authorization_url(
                address, state=state, code_verifier=verifier, nonce=nonce, **self.section.parameters
            )
        return str(made)

    def tokens(self, code: str, verifier: str) -> dict[str, Any]:
        """Return the tokens for the code that a browser brought."""
        return self._fetched(grant_type="authorization_code", code=code, code_verifier=verifier)

    def renewed(self, refresh_token: str) -> dict[str, Any]:
        """Return new tokens for a refresh token."""
        return self._fetched(grant_type="refresh_token", refresh_token=refresh_token)

    def claims(self, access_token: str) -> dict[str, Any] | None:
        """Return what the provider tells about the owner of an access token; None if it tells such things nowhere."""
        address = self._known_addresses().get("userinfo_endpoint")
        if address is None:
            return None
        with self._asking(), self._client() as client:
            headers = {"Authorization": f"Bearer {access_token}"}
            answer = client.request("GET", address, headers=headers, withhold_token=True)
            if answer.status_code in (400, 401, 403):
                raise LoginRefusedError("denied", "the provider no longer accepts the login")
            return _object(answer)

    def revoke(self, token: str) -> None:
        """Tell the provider that a token is not needed any more, if it wants to know."""
        address = self._known_addresses().get("revocation_endpoint")
        if address is not None:
            with self._asking(), self._client() as client:
                client.revoke_token(address, token=token)

    def keys(self, *, anew: bool = False) -> KeySet:
        """Return the keys that the provider signs with; ``anew``: not those known already."""
        with self._lock:
            known = self._keys
        if known and not anew and known[0] > time.monotonic():
            return known[1]
        address = self._known_addresses()["jwks_uri"]
        with self._asking(), self._client() as client:
            told = _object(client.request("GET", address, withhold_token=True)).get("keys")
            listed = [key for key in told if _verifies(key)] if isinstance(told, list) else []
            found = KeySet.import_key_set({"keys": listed})
        with self._lock:
            self._keys = (time.monotonic() + _KEYS_S, found)
        return found

    def _known_addresses(self) -> Mapping[str, str]:
        with self._lock:
            known = self._addresses
            pause = self._again_at > time.monotonic()
        if known and known[0] > time.monotonic():
            return known[1]
        if pause:
            raise _down(self.section)
        with self._asking(), self._client() as client:
            address = f"{self.section.issuer.rstrip('/')}/.well-known/openid-configuration"
            told = _object(client.request("GET", address, withhold_token=True))
            if told.get("issuer") != self.section.issuer:
                raise ValueError(f"it says that its issuer is {told.get('issuer')!r:.200}")
            found = {name: _address(told, name) for name in (*_NEEDED, *_OPTIONAL) if name in _NEEDED or told.get(name)}
        with self._lock:
            self._addresses = (time.monotonic() + _ADDRESSES_S, found)
        return found

    def _fetched(self, **request: str) -> dict[str, Any]:
        address = self._known_addresses()["token_endpoint"]
        with self._asking(), self._client() as client:
            return dict(client.fetch_token(address, **request))

    def _client(self) -> OAuth2Client:
        section = self.section
        return OAuth2Client(
            section.client_id,
            self._secret,
            scope=" ".join(section.scopes),
            redirect_uri=self._callback,
            code_challenge_method="S256",
            timeout=section.timeout_s,
            verify=self._tls,
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Tell apart a provider that is down from one that says no; one line of the log tells of each change."""
        try:
            yield
        except OAuthError as error:
            # Its description may hold what was sent.
            raise LoginRefusedError("denied", f"the provider refused: {error.error!r:.80}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError) as error:
            with self._lock:
                self._again_at = time.monotonic() + _PAUSE_S
                first, self._failing = not self._failing, True
            if first:
                reason = f"{type(error).__name__}: {error}"[:300]
                log.error("nobody can log in at the provider", extra={"issuer": self.section.issuer, "reason": reason})
            raise _down(self.section) from None
        with self._lock:
            again, self._failing = self._failing, False
        if again:
            log.info("people can log in at the provider again", extra={"issuer": self.section.issuer})


def _down(section: OidcSection) -> ProviderDownError:
    return ProviderDownError(
        f"{section.provider} does not answer as it must", where=section.issuer, hint="try again in a few seconds"
    )


def _object(answer: httpx2.Response) -> dict[str, Any]:
    answer.raise_for_status()
    told = answer.json()
    if not isinstance(told, dict):
        raise ValueError("the answer is not a JSON object")
    return told


def _address(told: Mapping[str, Any], name: str) -> str:
    address = told.get(name)
    if not isinstance(address, str):
        raise ValueError(f"it names no {name}")
    return safe_address(address)


def _verifies(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in _PUBLIC and key.get("use", "sig") == "sig"
