"""Names and logs that mean harm, and a computer whose clock is wrong, in the browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from dynamo.runs.ledger import decide
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Product
from dynamo.times import utc_now
from tests.unit.api.serving import add_runs, run_row
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUN = "0123456789ab"
MARK = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
HOSTILE = f"{MARK}\u202e\u2067⛈\nsecond line \x1b[31mred" + "long" * 60
SCREENS = ("now", "map", "timeline", "runs", "assets", "feeds", "decisions", f"runs/{RUN}")
expect.set_options(timeout=10_000 * PATIENCE)
#: A line of 10 MB.
LINE = b"x" * 10_000_000


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over a store full of hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "dynamo.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite"\n')
    logs = folder / "run" / "logs"
    logs.mkdir(parents=True)
    (logs / "one.out").write_bytes(LINE + f"\n\x1b[31m{MARK}\x1b[0m \u202eturned\x00 \nthe end\n".encode())
    store = open_store(folder / "store.sqlite")
    names = dict.fromkeys(("workflow", "trigger", "radar", "reason"), HOSTILE)
    now = utc_now()
    times = dict.fromkeys(("created_at", "finished_at", "valid_at", "published_at"), now)
    add_runs(store, run_row(1, id=RUN, state="failed", run_dir=str(folder / "run"), **names, **times))
    with store.transaction() as session:
        decide(session, RUN, "start", HOSTILE, feed=HOSTILE)
        files = {"sha256": "a" * 64, "bytes": 1, "lead_min": 5, "valid_at": now, "output": HOSTILE}
        session.add(Product(run_id=RUN, lfn=f"{HOSTILE[:90]}.geojson", path=f"/gone/{HOSTILE[:90]}.geojson", **files))
        seen: dict[str, Any] = dict.fromkeys(("valid_at", "detected_at", "recorded_at"), now)
        facts: dict[str, Any] = dict.fromkeys(("feed", "radar", "reason"), HOSTILE)
        session.add(Arrival(path=f"/in/{HOSTILE}", size=1, mtime_ns=1, state="quarantined", **facts, **seen))
    store.close()
    command = [sys.executable, "-m", "dynamo", "serve", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "dynamo.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
        server.terminate()
        server.wait(10 * PATIENCE)


@pytest.fixture
def visitor(browser: Browser, hostile: str) -> Iterator[Page]:
    context = browser.new_context(base_url=hostile, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000 * PATIENCE)
    yield context.new_page()
    context.close()


def test_hostile_names_are_text_and_fit(visitor: Page) -> None:
    broken: list[str] = []
    visitor.on("pageerror", lambda error: broken.append(str(error)))
    for screen in SCREENS:
        visitor.goto(f"/{screen}")
        expect(visitor.locator("main h1")).to_have_count(1)
        expect(visitor.get_by_text("Loading")).to_have_count(0)
        if screen in ("runs", "decisions", f"runs/{RUN}"):
            expect(visitor.get_by_text("<script>").first).to_be_visible()
        assert visitor.title() != "run", screen
        assert visitor.locator("img[src=x]").count() == 0, screen
        assert visitor.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen
    assert broken == []


def test_text_after_a_name_that_turns_around_is_not_turned(visitor: Page) -> None:
    visitor.goto("/runs")
    cells = visitor.locator("tbody tr").first.locator("td")
    expect(cells.first).to_be_visible()
    left = cells.evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().left)")
    assert left == sorted(left)


def test_a_log_with_a_line_of_ten_megabytes_is_readable(visitor: Page) -> None:
    visitor.goto(f"/runs/{RUN}?tab=logs")
    log = visitor.get_by_role("log")
    expect(log).to_contain_text("the end")
    expect(log).to_contain_text(f"{MARK} \ufffdturned")
    assert len(log.inner_text()) <= 500_100
    assert visitor.title() != "run"
    assert visitor.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_of_the_computer_does_not_matter(visitor: Page, hours: int) -> None:
    visitor.clock.set_system_time(datetime.now(UTC) + timedelta(hours=hours))
    visitor.goto("/runs?since=1h")
    expect(visitor.locator("tbody tr")).to_have_count(1)
    visitor.goto("/decisions?since=1h")
    expect(visitor.get_by_text("<script>").first).to_be_visible()
