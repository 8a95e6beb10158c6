"""A store filled by the demo, `dynamo serve` over it, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import create_autospec

import pytest

from dynamo.api.pages import BUNDLE
from dynamo.demo.show import DemoDisplay, run_demo
from dynamo.demo.sources import SimulatedSource
from dynamo.times import utc_now
from tests.needs import Part
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DASHBOARD = Part("dashboard", "make web")
CHROMIUM = Part("Chromium", "install the package chromium")
#: Without a graphics card, and as root in containers.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass(frozen=True)
class Site:
    """A served store with nowcasts of clear weather, cells, and widespread storms."""

    url: str
    folder: Path
    #: Runs, the oldest first.
    runs: tuple[str, ...]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (BUNDLE / "index.html").is_file():
        DASHBOARD.lacking()
    folder = tmp_path_factory.mktemp("storms")
    results, _ = run_demo(SimulatedSource(utc_now(), (60, 80), each=1), folder, create_autospec(DemoDisplay))
    runs = tuple(json.loads((shown.product_dir / "index.json").read_bytes())["run"] for shown in results)
    with serving(folder) as url:
        yield Site(url, folder, runs)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the configuration in a folder; yield the server's address."""
    command = [sys.executable, "-m", "dynamo", "serve", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "dynamo.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()
            server.wait(10 * PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = os.environ.get("DYNAMO_TEST_CHROMIUM") or shutil.which("chromium")
    if program is None:
        CHROMIUM.lacking()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page that must ask nobody else, and whose scripts must not fail."""
    with page_of(browser, site.url) as made:
        yield made


@contextmanager
def page_of(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page of a server; it must ask nobody else, and its scripts must not fail."""
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900}, color_scheme="dark")
    context.set_default_timeout(15_000 * PATIENCE)
    page = context.new_page()
    elsewhere: list[str] = []
    broken: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if _leaves(request.url, url) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda message: broken.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert elsewhere == []
    assert broken == []


def _leaves(url: str, own: str) -> bool:
    return not url.startswith((f"{own}/", "blob:", "data:"))
