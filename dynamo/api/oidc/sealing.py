"""Texts that only servers with the same secret can read and make: what a browser or the store keeps for them."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = list(_HEADER.values())


class Seal:
    """Encrypts and authenticates small data.

    Parameters
    ----------
    secret
        All processes with the same one open each other's texts. None: only this process can.
    purpose
        A text of one purpose does not pass for one of another.
    """

    def __init__(self, secret: str | None, purpose: str) -> None:
        known = secret.encode() if secret else secrets.token_bytes(32)
        self._key = OctKey.import_key(hmac.digest(known, b"dynamo " + purpose.encode(), "sha256"))

    def close(self, data: Mapping[str, Any], lifetime_s: float) -> str:
        """Return data as a text that opens for some seconds."""
        plain = json.dumps({"until": time.time() + lifetime_s, "data": data})
        return jwe.encrypt_compact(_HEADER, plain, self._key, _ALGORITHMS)

    def open(self, text: str) -> dict[str, Any] | None:
        """Return what is in a text; None if it is too old, or was not made here."""
        try:
            plain = jwe.decrypt_compact(text, self._key, _ALGORITHMS).plaintext
        except (JoseError, ValueError):
            return None
        opened = json.loads(plain or b"{}")
        return opened["data"] if opened["until"] > time.time() else None
