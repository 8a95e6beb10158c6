"""A provider that lies: a real one cannot be made to. It hands out whatever ID token a test forges."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})


class LyingProvider(ThreadingHTTPServer):
    """Answers as its attributes say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        #: Makes the ID token for a login's nonce.
        self.id_token: Callable[[str], str] = lambda nonce: signed(self.claims(nonce))
        self.told: dict[str, Any] | None = {"sub": "ann", "groups": ["ops"]}
        self.keys: list[dict[str, Any]] = [KEY.as_dict(private=False)]
        self.metadata: dict[str, Any] = {}
        self.status = 200
        #: While it is not set, questions wait.
        self.answers = threading.Event()
        self.answers.set()
        self.nonce = ""
        self.asked: list[str] = []
        self.tokens: dict[str, Any] = {"access_token": "at", "token_type": "Bearer", "expires_in": 600}

    def claims(self, nonce: str, **changes: Any) -> dict[str, Any]:
        """Return honest claims with some changed; those that are None are left out."""
        import time

        now = int(time.time())
        honest = {"iss": self.issuer, "sub": "ann", "aud": "dynamo", "exp": now + 300, "iat": now, "nonce": nonce}
        return {name: value for name, value in {**honest, **changes}.items() if value is not None}


class _Handler(BaseHTTPRequestHandler):
    server: LyingProvider

    def do_GET(self) -> None:
        server, path = self.server, urlsplit(self.path).path
        server.answers.wait()
        server.asked.append(path)
        if path == "/.well-known/openid-configuration":
            addresses = {
                "issuer": server.issuer,
                "authorization_endpoint": f"{server.issuer}/auth",
                "token_endpoint": f"{server.issuer}/token",
                "jwks_uri": f"{server.issuer}/keys",
                "userinfo_endpoint": f"{server.issuer}/me",
            }
            self._answer({**addresses, **server.metadata})
        elif path == "/keys":
            self._answer({"keys": server.keys})
        else:
            self._answer(server.told)

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        length = int(self.headers["Content-Length"])
        asked = parse_qs(self.rfile.read(length).decode())
        given = dict(self.server.tokens)
        if asked["grant_type"] == ["authorization_code"]:
            given["id_token"] = self.server.id_token(self.server.nonce)
        self._answer(given)

    def _answer(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """Yield a provider that runs."""
    with LyingProvider() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def signed(claims: dict[str, Any], key: RSAKey = KEY, **header: Any) -> str:
    """Return an ID token."""
    made: str = jwt.encode({"alg": "RS256", "kid": key.kid, **header}, claims, key)
    return made


def unsigned(claims: dict[str, Any], algorithm: str = "none", signature: bytes = b"") -> str:
    """Return an ID token that says what it likes of its signature."""
    parts = (json.dumps({"alg": algorithm, "kid": "one"}).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
