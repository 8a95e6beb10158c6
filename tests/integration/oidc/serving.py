"""A server whose people log in at a real provider."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from dynamo.api.opening import open_api
from dynamo.config.file import parse_config
from dynamo.store.engine import Store, open_store
from tests.integration.oidc.real_provider import SECRET, RealProvider, log_in, real_provider

GROUPS = {"ann": ["ops"], "eve": ["admins"], "vic": ["staff"]}
ROLES = {"ops": "operator", "admins": "admin", "staff": "viewer"}
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Place:
    """A server whose people log in at a provider."""

    url: str
    provider: RealProvider
    store: Store

    def browser(self) -> httpx2.Client:
        """Return a browser that has been nowhere yet."""
        return httpx2.Client(headers={"Accept": "text/html"}, timeout=60)

    def log_in(self, browser: httpx2.Client, name: str, then: str = "/runs") -> str:
        """Log in; return where that leads."""
        address = str(httpx2.URL(f"{self.url}/v1/login/oidc", params={"next": then}))
        led: str = log_in(browser, address, name, self.url).headers["location"]
        return led

    def role(self, browser: httpx2.Client) -> str | None:
        """Return the role that the server lets a browser have."""
        role: str | None = browser.get(f"{self.url}/v1/session").json()["role"]
        return role


@contextmanager
def place(folder: Path, *, recheck_min: float, refresh: bool = True, access_s: int = 600) -> Iterator[Place]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with real_provider(f"{url}/v1/login/oidc/callback", GROUPS, refresh=refresh, access_s=access_s) as provider:
        oidc = {"issuer": provider.issuer, "public_url": url, "client_id": "dynamo", "client_secret_file": "secret"}
        serve = {"login": "always", "oidc": {**oidc, "roles": ROLES, "recheck_min": recheck_min}}
        store = open_store(folder / "store.sqlite")
        server = open_api(store, parse_config({"serve": serve}, base=folder), f"127.0.0.1:{port}")
        yield Place(url, provider, store)
        server.stop()
        store.close()
