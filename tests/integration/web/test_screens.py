"""Each screen's main task, done in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.integration.web.conftest import DASHBOARD, Site
from tests.waiting import PATIENCE

AXE = Path(__file__).resolve().parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = ("now", "map", "timeline", "runs", "assets", "feeds", "decisions", "fleets")
#: Parts of screens that have an address of their own.
PARTS = (
    "runs?show=services",
    "runs/new?workflow=hail",
    "assets?show=backfills&what=storms",
    "assets?show=lineage&arrival=1",
    "feeds?show=reviews",
)
expect.set_options(timeout=10_000 * PATIENCE)


def test_now_tells_of_data_runs_and_missing_daemons(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("is not running")
    expect(page.locator(".strip")).to_contain_text("nowcasts")
    expect(page.get_by_role("region", name="Last runs").get_by_text("succeeded")).to_have_count(3)
    expect(page.locator(".connection")).to_have_text("live")


def test_runs_are_filtered_by_the_address_and_opened(page: Page, site: Site) -> None:
    page.goto("/runs?state=failed")
    expect(page.get_by_text("No run is like that.")).to_be_visible()
    page.get_by_label("state").select_option("succeeded")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert page.url.endswith("/runs?state=succeeded")
    page.get_by_role("link", name=site.runs[-1]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(site.runs[-1])
    expect(page.locator("figure img").first).to_have_js_property("complete", True)
    page.get_by_role("link", name=re.compile("Jobs")).click()
    expect(page.get_by_role("region", name="Jobs").locator("tbody tr")).to_have_count(63)
    page.go_back()
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(3)


def test_a_product_is_downloaded(page: Page, site: Site) -> None:
    page.goto(f"/runs/{site.runs[-1]}?tab=products")
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile(r"_5_.*\.geojson$")).click()
    assert b'"FeatureCollection"' in Path(started.value.path()).read_bytes()


def test_the_map_plays_scrubs_and_tells_where_a_storm_comes_from(page: Page, site: Site) -> None:
    page.goto("/map")
    expect(page.locator(".map[data-ready]")).to_be_visible()
    slider = page.get_by_role("slider", name="Time")
    # Two observations before the newest one, then 30 leads.
    expect(slider).to_have_attribute("max", "32")
    expect(page.locator(".player output")).to_contain_text("observed")
    slider.press("End")
    expect(page.locator(".player output")).to_contain_text("+30 min")
    assert "at=" in page.url
    slider.press("Home")
    page.get_by_role("button", name="Play").click()
    expect(slider).not_to_have_js_property("value", "0")
    page.get_by_role("button", name="Stop").click()


def test_the_timeline_counts_runs(page: Page) -> None:
    page.goto("/timeline?since=1h")
    expect(page.get_by_role("img", name="3 runs of nowcast over time")).to_be_visible()


def test_assets_show_days_and_how_they_were_made(page: Page) -> None:
    page.goto("/assets")
    page.get_by_role("link", name="nowcasts", exact=True).first.click()
    expect(page.get_by_role("region", name="Days with data").locator("td").first).to_have_text("3")
    expect(page.get_by_role("region", name="History").locator("tbody tr")).to_have_count(3)


def test_feeds_lead_to_files_and_these_to_decisions(page: Page, site: Site) -> None:
    page.goto("/feeds")
    page.get_by_role("link", name="nowcasts").click()
    expect(page.get_by_role("region", name="Files").locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name="what it started").first.click()
    expect(page.get_by_role("region", name="Decisions")).to_contain_text("start")


def test_costs_are_told_without_a_fleet(page: Page) -> None:
    page.goto("/fleets")
    expect(page.get_by_text("There is no fleet")).to_be_visible()
    expect(page.get_by_text("Nothing was paid for")).to_be_visible()


def test_keys_lead_from_screen_to_screen(page: Page) -> None:
    page.goto("/now")
    expect(page.locator(".strip")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    page.keyboard.press("/")
    expect(page.locator("main input[type=search]").first).to_be_focused()


def test_colors_and_clock_follow_the_person(page: Page) -> None:
    page.goto("/runs")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Colors").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="UTC").click()
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    expect(page.get_by_role("button", name="local")).to_be_visible()


@pytest.mark.parametrize("screen", SCREENS + PARTS)
def test_screens_are_for_everybody(page: Page, screen: str) -> None:
    """No serious finding of axe, and nothing wider than a phone."""
    if not AXE.is_file():
        DASHBOARD.lacking()
    page.goto(f"/{screen}")
    expect(page.locator("main h1")).to_have_count(1)
    expect(page.locator("main").get_by_text(re.compile("^Loading"))).to_have_count(0)
    page.evaluate(AXE.read_text())
    for colors, width in (("dark", 1280), ("light", 390)):
        page.emulate_media(color_scheme="dark" if colors == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 844})
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        serious = [
            (item["id"], item["nodes"][0]["html"]) for item in found if item["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
