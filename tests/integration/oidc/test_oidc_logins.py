"""People log in at a real provider, and the provider changes its mind about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dynamo.api.access.users import add_user, set_disabled
from tests.integration.oidc.serving import GROUPS, PASSWORD, Place, place
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that does not ask again during these tests."""
    with place(tmp_path_factory.mktemp("calm"), recheck_min=60) as made:
        yield made


@pytest.fixture
def curious(tmp_path: Path) -> Iterator[Place]:
    """A server that asks again at nearly each request."""
    with place(tmp_path, recheck_min=0.0005) as made:
        yield made


def test_a_login_leads_back_with_the_role_of_the_groups(calm: Place) -> None:
    with calm.browser() as ann, calm.browser() as vic:
        assert calm.log_in(ann, "ann", "/runs?state=failed") == "/runs?state=failed"
        session = ann.get(f"{calm.url}/v1/session").json()
        assert (session["name"], session["role"], session["may"]["order"]) == ("ann", "operator", True)
        calm.log_in(vic, "vic", "//evil.example/")
        assert calm.role(vic) == "viewer"
        own = {"Origin": calm.url}
        assert vic.post(f"{calm.url}/v1/runs/none/cancel", headers=own).status_code == 403
        assert ann.post(f"{calm.url}/v1/runs/none/cancel", headers=own).status_code == 404
        assert {cookie.name for cookie in ann.cookies.jar if cookie.domain == "127.0.0.1"} >= {"dynamo"}
        assert not any(cookie.name.startswith("dynamo-login") for cookie in ann.cookies.jar)
        assert ann.delete(f"{calm.url}/v1/session", headers=own).status_code == 204
        assert calm.role(ann) is None


def test_no_other_host_and_no_other_browser(calm: Place) -> None:
    with calm.browser() as vic, calm.browser() as other:
        assert calm.log_in(vic, "vic", "//evil.example/") == "/"
        answer = vic.get(f"{calm.url}/v1/login/oidc", params={"next": "/runs"})
        state = httpx2.URL(answer.headers["location"]).params["state"]
        # The end of a login that began in another browser.
        ended = other.get(f"{calm.url}/v1/login/oidc/callback", params={"code": "c", "state": state})
        assert ended.headers["location"] == "/login?why=expired&next=%2F"
        told = other.get(f"{calm.url}/v1/login/oidc/callback", headers={"Accept": "application/json"})
        assert told.status_code == 403
        assert told.headers["content-type"] == "application/problem+json"
        assert calm.role(other) is None


def test_people_without_a_role_are_refused_and_noted(calm: Place) -> None:
    with calm.browser() as bob, calm.browser() as eve:
        assert calm.log_in(bob, "bob", "/map") == "/login?why=role&next=%2Fmap"
        assert calm.role(bob) is None
        calm.log_in(eve, "eve")
        audit = eve.get(f"{calm.url}/v1/audit").json()["items"]
        logins = [(item["who"], item["status"]) for item in audit if item["route"].endswith("/callback")]
        assert ("eve", 303) in logins
        assert [item["status"] for item in audit if "bob has no role here" in item["summary"]] == [403]


def test_a_disabled_user_stays_outside(calm: Place) -> None:
    with calm.browser() as vic:
        calm.log_in(vic, "vic")
        with calm.store.transaction() as session:
            set_disabled(session, "vic", True)
        assert calm.role(vic) is None
        assert calm.log_in(vic, "vic") == "/login?why=disabled&next=%2Fruns"
        with calm.store.transaction() as session:
            set_disabled(session, "vic", False)


def test_a_key_that_the_provider_changed_is_found(calm: Place) -> None:
    calm.provider.order(rotate=True)
    with calm.browser() as eve:
        calm.log_in(eve, "eve")
        assert calm.role(eve) == "admin"


def test_sessions_follow_the_provider_and_outlive_its_failures(curious: Place) -> None:
    with curious.browser() as ann, curious.browser() as eve, curious.browser() as vic:
        for person, name in ((ann, "ann"), (eve, "eve"), (vic, "vic")):
            curious.log_in(person, name)
        curious.provider.order(groups={**GROUPS, "ann": ["staff"], "eve": []})
        wait_for(lambda: curious.role(ann) == "viewer", what="the lesser role")
        wait_for(lambda: curious.role(eve) is None, what="no role")
        curious.provider.order(revoke=True)
        wait_for(lambda: curious.role(ann) is None, what="a revoked login")
        curious.log_in(ann, "ann")
        begun = eve.get(f"{curious.url}/v1/login/oidc", params={"next": "/runs"})
        told = {"code": "c", "state": httpx2.URL(begun.headers["location"]).params["state"]}
        curious.provider.stop()
        # Nobody can log in there, but who is here stays, and passwords work.
        assert curious.role(ann) == "viewer"
        assert curious.role(ann) == "viewer"
        ended = eve.get(f"{curious.url}/v1/login/oidc/callback", params=told)
        assert ended.headers["location"] == "/login?why=provider&next=%2Fruns"
        with curious.store.transaction() as session:
            add_user(session, "local", "operator", password=PASSWORD)
        order = {"name": "local", "password": PASSWORD}
        assert eve.post(f"{curious.url}/v1/session", json=order).status_code == 200
        assert curious.role(eve) == "operator"


def test_without_a_refresh_token_a_session_ends_with_its_access(tmp_path: Path) -> None:
    with place(tmp_path, recheck_min=0.0005, refresh=False, access_s=2) as server, server.browser() as ann:
        server.log_in(ann, "ann")
        wait_for(lambda: server.role(ann) is None, what="the end of the access token")
