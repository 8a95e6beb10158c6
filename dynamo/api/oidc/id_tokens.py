"""What an ID token must be before anybody believes it: OpenID Connect Core 1.0, section 3.1.3.7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from dynamo.api.oidc.errors import LoginRefusedError
from dynamo.config.oidc import OidcSection

#: Signatures of private keys. Neither "none", nor those that whoever knows the public key or the secret can make.
_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)


def checked_claims(
    text: object, section: OidcSection, keys: Callable[..., KeySet], *, access_token: str, nonce: str | None
) -> dict[str, Any]:
    """Return the claims of an ID token.

    Parameters
    ----------
    keys
        Returns the provider's keys; with ``anew=True`` as they are now: it may have changed them.
    access_token
        What came with it; its hash is compared if the token has one.
    nonce
        That of the login; None for a token of a refresh, which has none.

    Raises
    ------
    LoginRefusedError
        If it is not signed by the provider, not for this server, too old, from the future, or of another login.
    """
    if not isinstance(text, str):
        raise _untrusted("there is no ID token")
    options = {
        "iss": {"essential": True, "value": section.issuer},
        "aud": {"essential": True, "value": section.client_id},
        "sub": {"essential": True},
    }
    params = {"nonce": nonce, "client_id": section.client_id, "access_token": access_token}
    try:
        try:
            token = _decoded(text, keys())
        except InvalidKeyIdError:
            token = _decoded(text, keys(anew=True))
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(leeway=section.leeway_s)
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise _untrusted(f"{type(error).__name__}: {error}"[:200]) from None
    return dict(claims)


def _decoded(text: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(text, keys, registry=JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False))


def _untrusted(reason: str) -> LoginRefusedError:
    return LoginRefusedError("untrusted", f"the provider's ID token is not valid: {reason}", hint="log in again")
