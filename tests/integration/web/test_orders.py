"""Every button that gives an order: what it sends, that a double click is one order, and that a refusal is read."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect
from sqlalchemy import select

from dynamo.config.file import find_config
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.spec.loading import load_spec
from dynamo.store.backfills import Backfill
from dynamo.store.checks import CheckResult, CheckReview
from dynamo.store.engine import Store, existing_store
from dynamo.store.fleets import FleetWish, Worker
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now
from tests.integration.web.conftest import Site, serving
from tests.unit.api.serving import add_runs, run_row
from tests.waiting import PATIENCE, wait_for

expect.set_options(timeout=10_000 * PATIENCE)
#: A name with markup, one that turns text around, and one of another script.
HOSTILE = "<img src=x onerror=document.title='hacked'>\u202ecn.\u202c ⛈.nc"
SHOWN = "<img src=x onerror=document.title='hacked'>\ufffdcn.\ufffd ⛈.nc"


@pytest.fixture(scope="module")
def site(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A copy of the store of all screens, since orders change it, with a fleet; what is published stays where it is."""
    folder = tmp_path_factory.mktemp("orders")
    for name in ("state", "feed", "products"):
        (folder / name).mkdir()
    for name in ("dynamo.toml", "state/store.sqlite"):
        if name.endswith("sqlite"):
            with (
                closing(sqlite3.connect(site.folder / name)) as all_screens,
                closing(sqlite3.connect(folder / name)) as mine,
            ):
                all_screens.backup(mine)
        else:
            shutil.copy(site.folder / name, folder / name)
    with (
        closing(existing_store(find_config(folder / "dynamo.toml").store_url)) as store,
        store.transaction() as session,
    ):
        apply_fleet(session, load_spec(SPEC, name="storms"), base=folder, now=utc_now())
        numbers = dict.fromkeys(("ram_mb", "attempts", "busy_cpus", "jobs", "jobs_killed"), 0)
        place = {
            "fleet": "storms",
            "site": "Simulated:a",
            "group": "one",
            "state": "ready",
            "reason": "",
            "flavor": "m",
        }
        times = dict.fromkeys(("since", "requested_at", "ready_at"), utc_now())
        facts = {"cpus": 4, "cost_per_hour": 0.5, "unsure": False, "revoked": False, "addresses": ["192.0.2.7"]}
        session.add(Worker(name="one-1", **numbers, **place, **times, **facts))
    with serving(folder) as url:
        yield Site(url, folder, site.runs)


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with closing(existing_store(find_config(site.folder / "dynamo.toml").store_url)) as opened:
        yield opened


SPEC = {
    "name": "storms",
    "sites": {"Simulated:a": {"driver": "simulated"}},
    "compute": [{"site": "Simulated:a", "name": "one", "count": 1, "max": 9, "costPerHour": 0.5}],
    "budget": {"total": 100, "currency": "SU"},
}


@pytest.fixture
def sent(page: Page) -> list[Request]:
    """Orders that the page sent."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if request.method != "GET" else None)
    return found


def keys(sent: list[Request]) -> list[str]:
    """Return the keys of orders; each has one of its own."""
    orders = [request for request in sent if "/v1/uploads" not in request.url]
    found = [request.headers.get("idempotency-key", "") for request in orders]
    assert all(found)
    assert len(set(found)) == len(found)
    return found


def refuse(store: Store, site: Site, name: str) -> int:
    """Put a file into quarantine that can be drawn; return its number."""
    with store.transaction() as session:
        came = session.scalars(select(Arrival).where(Arrival.state == "accepted").limit(1)).one()
        moved = site.folder / f"moved-{utc_now().timestamp()}"
        moved.write_bytes(Path(came.path).read_bytes())
        seen = moved.stat()
        facts = {"size": seen.st_size, "mtime_ns": seen.st_mtime_ns, "sha256": "c" * 64, "radar": ""}
        times = dict.fromkeys(("closed_at", "detected_at", "recorded_at"), utc_now())
        place = {"feed": came.feed, "path": str(site.folder / "feed" / name), "moved_to": str(moved)}
        arrival = Arrival(**place, **facts, **times, state="quarantined", reason="levels <b>out</b> of order")
        session.add(arrival)
        session.flush()
        return arrival.id


def state_of(store: Store, number: int) -> Any:
    with store.reading() as session:
        return session.get_one(Arrival, number).state


def test_a_refused_file_is_looked_at_and_released_once(
    page: Page, site: Site, store: Store, sent: list[Request]
) -> None:
    number = refuse(store, site, HOSTILE)
    page.goto(f"/feeds?show=reviews&item={number}")
    look = page.get_by_role("region", name=f"Review of {number}")
    expect(look.get_by_role("heading")).to_have_text(SHOWN)
    expect(look.get_by_role("img")).to_have_js_property("complete", True)
    release = look.get_by_role("button", name="release")
    expect(release).to_be_disabled()
    look.get_by_label("reason").fill("it is right <i>so</i>")
    # The second click of a double click answers no question that was read.
    release.dblclick()
    expect(release).to_have_text("Really release?")
    assert sent == []
    release.dblclick()
    expect(page.get_by_role("status").filter(has_text="Released")).to_have_text(f"Released {SHOWN}.")
    assert len(keys(sent)) == 1
    assert state_of(store, number) == "released"
    assert (site.folder / "feed" / HOSTILE).is_file()
    assert "hacked" not in page.title()


def test_a_refused_order_is_read(page: Page, site: Site, store: Store, sent: list[Request]) -> None:
    number = refuse(store, site, "late.nc")
    page.goto(f"/feeds?show=reviews&item={number}")
    page.get_by_label("reason").fill("of no use")
    page.get_by_role("button", name="Drop").click()
    with store.transaction() as session:
        session.get_one(Arrival, number).state = "dropped"
    page.get_by_role("button", name="Really drop?").click()
    expect(page.locator("main").get_by_role("alert")).to_contain_text("it was dropped before")
    assert len(keys(sent)) == 1


def test_a_run_that_a_check_kept_back_is_dropped(page: Page, site: Site, store: Store, sent: list[Request]) -> None:
    run = site.runs[0]
    with store.transaction() as session:
        file = Path(session.get_one(Run, run).inputs[0]["path"]).name
        reason = {"check": "flat_field", "reason": "flat_field 0.98 over 0.9", "state": "waiting"}
        session.add(CheckReview(run_id=run, opened_at=utc_now(), **reason))
        bad = {"check": "flat_field", "flag": 4, "severity": "block", "value": 0.98, "limit": 0.9, "place": "lead 3"}
        session.add(CheckResult(run_id=run, series="x", file=file, time=utc_now(), **bad))
    page.goto("/feeds?show=reviews")
    page.get_by_role("region", name="Waiting").get_by_role("link", name=run).click()
    look = page.get_by_role("region", name=f"Review of {run}")
    for text in ("flat_field", "0.98", "0.90", "lead 3"):
        expect(look.get_by_role("region", name="Checks").get_by_text(text, exact=True)).to_be_visible()
    look.get_by_label("reason").fill("a stuck merger")
    look.get_by_role("button", name="Drop").click()
    look.get_by_role("button", name="Really drop?").click()
    expect(page.get_by_role("status").filter(has_text="Dropped")).to_have_text(f"Dropped run {run}.")

    def dropped() -> bool:
        with store.reading() as session:
            return session.get_one(CheckReview, run).state == "dropped"

    wait_for(dropped)
    assert len(keys(sent)) == 1


def test_a_file_is_sent_and_run_once_and_its_pictures_come(
    page: Page, site: Site, store: Store, sent: list[Request], tmp_path: Path
) -> None:
    with store.reading() as session:
        came = session.scalars(select(Arrival).where(Arrival.state == "accepted").limit(1)).one()
    file = tmp_path / "<b>storm<b> 1.nc"
    file.write_bytes(Path(came.path).read_bytes())
    page.goto("/runs/new?workflow=nowcast")
    start = page.get_by_role("button", name="Start run")
    expect(start).to_be_disabled()
    page.get_by_label("File for nowcast").set_input_files(file)
    expect(page.get_by_role("list", name="Files of nowcast")).to_contain_text("b_storm_b__1.nc (upload)")
    page.get_by_label("levels").fill("40, 50")
    page.get_by_label("min_area").fill("2")
    page.get_by_label("min_area").blur()
    assert "p.levels=40%2C+50" in page.url
    start.dblclick()
    expect(page.locator(".state", has_text="succeeded").first).to_be_visible(timeout=60_000 * PATIENCE)
    expect(page.locator("figure img").first).to_have_js_property("complete", True)
    assert len(keys(sent)) == 1
    with store.reading() as session:
        run = session.get_one(Run, page.url.split("?")[0].rpartition("/")[2])
    assert (run.parameters["levels"], run.parameters["min_area"]) == ([40.0, 50.0], 2.0)


def test_files_that_are_no_good_are_refused_in_words(page: Page, tmp_path: Path, sent: list[Request]) -> None:
    empty, broken = tmp_path / "empty.nc", tmp_path / "broken.nc"
    empty.touch()
    broken.write_bytes(b"<html>not found</html>")
    page.goto("/runs/new?workflow=nowcast")
    page.get_by_label("File for nowcast").set_input_files(empty)
    told = page.locator("main").get_by_role("alert")
    expect(told).to_contain_text("empty.nc is empty")
    page.get_by_label("File for nowcast").set_input_files(broken)
    page.get_by_role("button", name="Start run").click()
    expect(told).to_contain_text("broken.nc")
    page.get_by_label("levels").fill("high")
    page.get_by_role("button", name="Start run").click()
    expect(told).to_contain_text("levels")
    assert len(keys(sent)) == 2


def test_old_data_are_planned_and_made_again_once(page: Page, site: Site, store: Store, sent: list[Request]) -> None:
    page.goto("/assets?show=backfills")
    page.get_by_text("Make old data again").click()
    page.get_by_label("trigger or workflow").select_option("storms")
    # What the trigger sets, not what the workflow says.
    expect(page.get_by_label("levels")).to_have_value("35, 45, 55")
    now = utc_now()
    page.get_by_label("from (UTC)").fill(f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M}")
    page.get_by_label("until (UTC)").fill(f"{now:%Y-%m-%dT%H:%M}")
    page.get_by_label("publish as").fill("../out")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.locator("main").get_by_role("alert")).to_contain_text("not a name: '../out'")
    page.get_by_label("publish as").fill("trial")
    page.get_by_label("levels").fill("30")
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("button", name="Start 3 runs").dblclick()
    row = page.get_by_role("region", name="Backfills").locator("tbody tr")
    expect(row).to_contain_text("storms@trial")
    for order, state in (("Pause", "paused"), ("Resume", "active"), ("Cancel", "cancelled")):
        page.get_by_role("button", name=order).click()
        page.get_by_role("button", name=f"Really {order.lower()}?").dblclick()
        expect(row).to_contain_text(state)
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("button", name="Really promote?").click()
    with store.reading() as session:
        (backfill,) = session.scalars(select(Backfill))
    assert (backfill.state, backfill.parameters["levels"], backfill.made) == ("cancelled", [30.0], 0)
    wait_for(lambda: len(sent) == 7)
    assert [request.url.rpartition("/")[2] for request in sent] == [
        *("plan", "plan", "backfills", "pause", "resume", "cancel", "promote")
    ]
    assert len(keys(sent)) == 7


def test_lineage_is_drawn_and_told_and_leads_on(page: Page, site: Site) -> None:
    page.goto("/feeds/nowcasts?state=accepted")
    page.get_by_role("link", name="lineage").first.click()
    graph = page.get_by_role("region", name="Lineage as a graph")
    expect(graph.locator(".box")).to_have_count(7)
    expect(graph).to_contain_text("58 more files")
    expect(page.locator(".tree").last).to_contain_text("contour 1, plot 1, split 1")
    graph.locator(".box.run a").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^[0-9a-f]{12}$"))
    page.get_by_role("link", name="lineage").first.click()
    expect(graph.locator(".box")).to_have_count(3)


def test_services_are_listed_with_their_state(page: Page) -> None:
    page.goto("/runs?show=services")
    row = page.get_by_role("region", name="Continuous").locator("tbody tr")
    for text in ("storms", "down", "files of nowcasts", "dynamo watch is not running"):
        expect(row).to_contain_text(text)
    page.get_by_role("region", name="Instant").get_by_role("link", name="hail", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New run")
    expect(page.get_by_label("grid_method")).to_have_value("maximum")


def test_workers_are_scaled_held_released_and_drained(page: Page, store: Store, sent: list[Request]) -> None:
    page.goto("/fleets")
    expect(page.get_by_text("100.00 of 100 SU")).to_be_visible()
    page.get_by_role("link", name="storms").click()
    group = page.get_by_role("region", name="Groups").locator("tbody tr")
    worker = page.get_by_role("region", name="Workers").locator("tbody tr")
    expect(page.get_by_text("dynamo-provision daemon")).to_have_js_property("tagName", "CODE")
    worker.get_by_text("192.0.2.7", exact=True).click()
    expect(worker).to_contain_text("ssh -i PRIVATE_KEY USER@192.0.2.7")
    for order, source in (("Hold", "operator"), ("Release", "spec")):
        group.get_by_role("button", name=order).click()
        group.get_by_role("button", name=f"Really {order.lower()}?").dblclick()
        expect(group).to_contain_text(source)
    for wanted in (99, 3):
        group.get_by_label("Workers of one").fill(str(wanted))
        group.get_by_role("button", name="Scale to").click()
        group.get_by_role("button", name="Really scale to").click()
        # The first is refused: the spec allows 9.
        expect(group.get_by_role("alert")).to_have_count(1 if wanted == 99 else 0)
    worker.get_by_role("button", name="Drain").click()
    worker.get_by_role("button", name="Really drain?").dblclick()
    expect(worker).to_contain_text("draining")
    assert len(keys(sent)) == 5
    with store.reading() as session:
        assert session.scalars(select(FleetWish.wanted)).all() == [3]


def test_a_run_is_cancelled_and_retried(page: Page, site: Site, store: Store, sent: list[Request]) -> None:
    with store.transaction() as session:
        old = session.get_one(Run, site.runs[1])
        values = {column.key: getattr(old, column.key) for column in Run.__table__.columns}
        new = {"id": "c0ffee000001", "key": "c0ffee000001".ljust(64, "0"), "state": "created", "product_dir": None}
        times = dict.fromkeys(("started_at", "submitted_at", "finished_at", "published_at"))
        folder = str(site.folder / "state" / "runs" / "c0ffee000001")
        session.add(Run(**{**values, **new, **times, "reason": "", "run_dir": folder}))
    page.goto("/runs/c0ffee000001")
    for order, state in (("Cancel", "cancelled"), ("Retry", "succeeded")):
        page.get_by_role("button", name=order).click()
        page.get_by_role("button", name=f"Really {order.lower()}?").dblclick()
        expect(page.locator("main .state").first).to_contain_text(state, timeout=60_000 * PATIENCE)
    assert [request.url.rpartition("/")[2] for request in sent] == ["cancel", "retry"]
    assert len(keys(sent)) == 2


def test_runs_come_and_change_without_asking_and_what_is_typed_stays(page: Page, store: Store) -> None:
    page.goto("/runs")
    expect(page.locator(".connection")).to_contain_text("live")
    page.wait_for_timeout(2000)  # the page asks once more for what came while it connected
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    field = page.get_by_label("workflow")
    field.press_sequentially("hai")
    row = run_row(77, state="running", created_at=utc_now())
    add_runs(store, row)
    shown = page.locator("tbody tr", has=page.locator(f"a[href='/runs/{row['id']}']"))
    expect(shown).to_contain_text("running")
    with store.transaction() as session:
        session.get_one(Run, row["id"]).state = "failed"
    expect(shown).to_contain_text("failed")
    expect(field).to_have_value("hai")
    assert [url for url in asked if "/v1/runs" in url] == []
