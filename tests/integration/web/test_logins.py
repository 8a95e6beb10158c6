"""Logging in, with a password and at a real provider; what each role sees; users and audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from dynamo.api.access.users import add_user, end_sessions
from dynamo.api.pages import BUNDLE
from tests.integration.oidc.serving import PASSWORD, Place, place
from tests.integration.web.conftest import DASHBOARD
from tests.integration.web.test_screens import AXE
from tests.unit.api.serving import add_runs, run_row
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = "0000000000000001"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server where everybody logs in, with a run that failed."""
    if not (BUNDLE / "index.html").is_file():
        DASHBOARD.lacking()
    with place(tmp_path_factory.mktemp("guarded"), recheck_min=60) as made:
        with made.store.transaction() as session:
            add_user(session, "ada", "admin", password=PASSWORD, budget=50.0)
            add_user(session, "hugo", "viewer", password=PASSWORD)
        add_runs(made.store, run_row(1, state="failed"))
        yield made


@pytest.fixture
def visitor(browser: Browser, guarded: Place) -> Iterator[Page]:
    context = browser.new_context(base_url=guarded.url, viewport={"width": 1280, "height": 900}, color_scheme="dark")
    context.set_default_timeout(15_000 * PATIENCE)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    context.close()
    assert broken == []


def log_in(page: Page, name: str) -> None:
    give_password(page, name, PASSWORD)
    expect(page.locator(".account")).to_be_visible()


def give_password(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


def log_in_at_provider(page: Page, name: str) -> None:
    page.get_by_role("link", name="Log in with single sign-on").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    # The provider asks whether this server may know the person.
    page.get_by_role("button", name="Continue").click()


def test_a_password_leads_to_the_page_that_was_asked_for_and_out_again(visitor: Page) -> None:
    visitor.goto("/runs?state=failed")
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Log in to DyNamo")
    give_password(visitor, "ada", "not the password")
    expect(visitor.get_by_role("alert")).to_have_text("Wrong name or password.")
    log_in(visitor, "ada")
    expect(visitor.get_by_role("link", name=RUN)).to_be_visible()
    assert visitor.url.endswith("/runs?state=failed")
    visitor.locator(".account summary").click()
    expect(visitor.locator(".account")).to_contain_text("50.00 left of 50.00")
    visitor.get_by_role("button", name="Log out").click()
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Log in to DyNamo")
    visitor.goto("/login?next=//evil.example/")
    log_in(visitor, "ada")
    expect(visitor).to_have_url(re.compile(r"^http://127\.0\.0\.1:\d+/$"))


def test_a_provider_leads_back_and_each_role_sees_what_it_may_do(visitor: Page) -> None:
    visitor.goto(f"/runs/{RUN}")
    log_in_at_provider(visitor, "ann")
    expect(visitor.get_by_role("button", name="Retry")).to_be_visible()
    assert visitor.url.endswith(f"/runs/{RUN}")
    expect(visitor.get_by_role("link", name="Users")).to_have_count(0)
    visitor.context.clear_cookies()
    visitor.goto(f"/runs/{RUN}")
    log_in_at_provider(visitor, "vic")
    expect(visitor.get_by_role("heading", level=1)).to_have_text(RUN)
    expect(visitor.get_by_role("button", name=re.compile("Retry|Cancel"))).to_have_count(0)


def test_somebody_without_a_role_is_told_so(visitor: Page) -> None:
    visitor.goto("/map")
    log_in_at_provider(visitor, "nobody")
    expect(visitor.get_by_role("alert")).to_contain_text("you have no role here")


def test_an_ended_session_comes_back_on_the_same_page(visitor: Page, guarded: Place) -> None:
    visitor.goto("/decisions?verdict=skip")
    log_in(visitor, "hugo")
    expect(visitor.get_by_text("No decision is like that.")).to_be_visible()
    with guarded.store.transaction() as session:
        assert end_sessions(session, "hugo") == 1
    # The next question to the server, whichever it is, finds out.
    visitor.get_by_label("decision").select_text()
    visitor.get_by_label("made").select_option("7d")
    expect(visitor.locator(".login")).to_contain_text("Your session has ended")
    log_in(visitor, "hugo")
    expect(visitor.get_by_text("No decision is like that.")).to_be_visible()
    assert visitor.url.endswith("/decisions?verdict=skip&since=7d")


def test_nobody_sees_what_the_role_may_not_do(visitor: Page, guarded: Place) -> None:
    pages = {"/runs": "New run", "/assets?show=backfills": "trigger or workflow"}
    visitor.goto("/runs")
    log_in(visitor, "hugo")
    for path, offered in pages.items():
        visitor.goto(path)
        expect(visitor.locator("main h1")).to_have_count(1)
        expect(visitor.get_by_text("Loading")).to_have_count(0)
        expect(visitor.locator("main")).not_to_contain_text(offered)
    visitor.goto("/runs/new")
    expect(visitor.get_by_text("Your role starts no runs.")).to_be_visible()
    visitor.context.clear_cookies()
    visitor.goto("/runs")
    log_in(visitor, "ada")
    for path, offered in pages.items():
        visitor.goto(path)
        expect(visitor.locator("main")).to_contain_text(offered)


def test_an_admin_adds_a_user_and_finds_it_in_the_audit(visitor: Page) -> None:
    visitor.goto("/users")
    log_in(visitor, "ada")
    visitor.get_by_label("Name", exact=True).fill("nora")
    visitor.locator("select[name=role]").select_option("researcher")
    visitor.get_by_label("Password").fill(PASSWORD)
    visitor.get_by_label("once more").fill(PASSWORD)
    visitor.locator("input[name=budget]").fill("12.5")
    visitor.get_by_role("button", name="Add").click()
    expect(visitor.get_by_role("heading", level=1)).to_have_text("nora")
    expect(visitor.get_by_text("12.50 left of 12.50")).to_be_visible()
    visitor.locator("select[name=role]").select_option("operator")
    visitor.get_by_role("button", name="Save").first.click()
    expect(visitor.locator(".facts")).to_contain_text("operator")
    visitor.get_by_label("name of a new token").fill("for-scripts")
    visitor.get_by_role("button", name="Make").click()
    expect(visitor.get_by_text(re.compile("^dyn_"))).to_be_visible()
    visitor.get_by_role("button", name="Disable").click()
    visitor.get_by_role("button", name="Really disable?").click()
    expect(visitor.locator(".facts")).to_contain_text("disabled")
    visitor.goto("/audit?user=ada")
    rows = visitor.get_by_role("region", name="Orders").locator("tbody tr")
    expect(rows.first).to_contain_text("PATCH /v1/users/{name} nora")
    expect(rows.filter(has_text="POST /v1/users")).to_have_count(1)
    expect(visitor.get_by_text(PASSWORD)).to_have_count(0)


def test_logins_users_and_audit_are_for_everybody(visitor: Page) -> None:
    if not AXE.is_file():
        DASHBOARD.lacking()
    visitor.goto("/users")
    expect(visitor.get_by_label("Name")).to_be_visible()
    assert serious(visitor) == []
    log_in(visitor, "ada")
    for path in ("/users", "/users/hugo", "/audit", "/account"):
        visitor.goto(path)
        expect(visitor.locator("main h1")).to_have_count(1)
        expect(visitor.get_by_text("Loading")).to_have_count(0)
        visitor.locator(".account summary").click()
        assert serious(visitor) == []


def serious(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds, dark and wide as well as light and on a phone, and what is wider than that."""
    page.evaluate(AXE.read_text())
    found = []
    for colors, width in (("dark", 1280), ("light", 390)):
        page.emulate_media(color_scheme="dark" if colors == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 844})
        violations = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        found += [
            (item["id"], item["nodes"][0]["html"]) for item in violations if item["impact"] in ("serious", "critical")
        ]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    return found
