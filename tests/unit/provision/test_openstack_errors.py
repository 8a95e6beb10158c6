"""What OpenStack's services answer, as the kind of error that says what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests

from dynamo.errors import DynamoError
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.errors import (
    SiteAuthError,
    SiteCapacityError,
    SiteError,
    SitePermanentError,
    SiteQuotaError,
    SiteRetryableError,
)
from dynamo.provision.sites.openstack.errors import (
    SiteBusyError,
    no_room,
    site_error,
    sure_not_found,
    translated,
)
from dynamo.provision.sites.openstack.site import OpenStackSite
from dynamo.scrubbing import scrub

sdk: Any = import_module("openstack.exceptions")
SITE = "Cloud:Region"


def answer(
    status: int, body: object = None, *, headers: dict[str, str] | None = None, html: str = ""
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.url = "http://cloud.example.org/v2.1/servers"
    response.headers.update({"Content-Type": "text/html" if html else "application/json", **(headers or {})})
    response._content = (html or json.dumps(body or {})).encode()
    return response


def raised(response: requests.Response) -> Exception:
    with pytest.raises(sdk.HttpException) as caught:
        sdk.raise_from_response(response)
    error: Exception = caught.value
    return error


NOVA_QUOTA = "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"badRequest": {"message": "Can not find requested image"}}, SitePermanentError),
        (400, {"badRequest": {"message": "marker [5a1c] could not be found"}}, SiteRetryableError),
        (401, {"error": {"message": "The request you have made requires authentication."}}, SiteAuthError),
        (403, {"forbidden": {"message": NOVA_QUOTA}}, SiteQuotaError),
        (403, {"forbidden": {"message": "Maximum number of ports exceeded"}}, SiteQuotaError),
        (403, {"forbidden": {"message": "Quota exceeded, too many key pairs."}}, SiteQuotaError),
        (403, {"forbidden": {"message": "Policy doesn't allow os_compute_api:servers:create"}}, SitePermanentError),
        (404, None, SiteRetryableError),
        (404, {"itemNotFound": {"message": "Flavor x could not be found."}}, SitePermanentError),
        (
            409,
            {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port']."}},
            SiteQuotaError,
        ),
        (
            409,
            {"NeutronError": {"message": "No more IP addresses available on network 5."}},
            SiteCapacityError,
        ),
        (409, {"conflictingRequest": {"message": "No valid host was found."}}, SiteCapacityError),
        (409, {"conflictingRequest": {"message": "Cannot 'delete' while task_state is x"}}, SiteRetryableError),
        (413, {"overLimit": {"message": "VolumeSizeExceedsAvailableQuota"}}, SiteQuotaError),
        (429, {"overLimit": {"message": "This request was rate-limited."}}, SiteRetryableError),
        (500, {"computeFault": {"message": "Unexpected API Error."}}, SiteRetryableError),
        (501, {"notImplemented": {"message": "no"}}, SitePermanentError),
        (502, None, SiteRetryableError),
        (503, None, SiteRetryableError),
        (504, None, SiteRetryableError),
    ],
)
def test_an_answer_has_its_kind(status: int, body: object, kind: type[SiteError]) -> None:
    error = site_error(raised(answer(status, body)), site=SITE, doing="create server w-1")
    assert type(error) is kind
    assert error.where == SITE
    assert "cannot create server w-1" in error.what
    assert f"HTTP {status}" in error.what
    assert error.hint


def test_blazar_refusals_are_told_apart_by_their_words() -> None:
    blazar: Any = import_module("blazarclient.exception")
    for words, code, kind in (
        ("ERROR: Not enough hosts available", 500, SiteCapacityError),
        ("ERROR: Not enough resources available", 409, SiteCapacityError),
        ("ERROR: Malformed requirements x", 400, SitePermanentError),
        ("ERROR: The network resource type is not supported", 500, SitePermanentError),
        ("ERROR: Reservation for project x would spend 24.00 SUs, only 10.00 left", 403, SiteQuotaError),
        ("ERROR: Internal", 500, SiteRetryableError),
    ):
        error = site_error(blazar.BlazarClientException(words, code=code), site=SITE, doing="lease")
        assert type(error) is kind, words
        assert words.removeprefix("ERROR: ") in error.what


def test_quota_and_credentials_are_told_apart_in_words() -> None:
    quota = str(site_error(raised(answer(403, {"forbidden": {"message": NOVA_QUOTA}})), site=SITE, doing="x"))
    login = str(site_error(raised(answer(401, {})), site=SITE, doing="x"))
    policy = str(site_error(raised(answer(403, {"forbidden": {"message": "no"}})), site=SITE, doing="x"))
    assert "the project's quota is used up" in quota
    assert "larger quota" in quota
    assert "not logged in" in login
    assert "application credential" in login
    assert "the credentials are valid" in policy


@pytest.mark.parametrize(("status", "kind"), [(401, SiteAuthError), (404, SiteAuthError), (503, SiteRetryableError)])
def test_keystones_own_refusal_is_a_matter_of_credentials(status: int, kind: type[SiteError]) -> None:
    from keystoneauth1.exceptions.http import from_response

    words = {"error": {"message": "Could not find Application Credential: 3ace."}}
    error = site_error(from_response(answer(status, words), "GET", "http://k"), site=SITE, doing="list servers")
    assert type(error) is kind


def test_the_wait_that_a_site_asks_for_is_kept() -> None:
    error = site_error(raised(answer(429, {}, headers={"Retry-After": "17"})), site=SITE, doing="x")
    assert isinstance(error, SiteBusyError)
    assert error.retry_after_s == 17
    assert type(site_error(raised(answer(429, {}, headers={"Retry-After": "soon"})), site=SITE, doing="x")) is (
        SiteRetryableError
    )


def test_the_request_id_is_for_the_sites_staff() -> None:
    error = site_error(raised(answer(500, {}, headers={"x-openstack-request-id": "req-7"})), site=SITE, doing="x")
    assert "req-7" in error.what


def test_only_the_services_own_404_is_sure() -> None:
    assert sure_not_found(raised(answer(404, {"itemNotFound": {"message": "gone"}})))
    assert sure_not_found(raised(answer(404, {"NeutronError": {"message": "gone"}})))
    assert not sure_not_found(raised(answer(404, html="<html><h1>404 Not Found</h1></html>")))
    assert not sure_not_found(raised(answer(404, {})))
    assert not sure_not_found(raised(answer(500, {"itemNotFound": {}})))


def test_secrets_and_tokens_are_scrubbed() -> None:
    words = {"badRequest": {"message": "user demo with hunter2 and gAAAAABlabcdefghijklmnopqrstuvwxyz=="}}
    error = site_error(raised(answer(400, words)), site=SITE, doing="x", secrets=("hunter2",))
    assert "hunter2" not in str(error)
    assert "gAAAA" not in str(error)


def test_secrets_are_scrubbed_in_other_writing_in_addresses_and_before_a_long_answer_is_cut() -> None:
    secret = 'a/b"c d'
    words = f"""{"x" * 280} {secret} {{"password": "a/b\\"c d"}} a%2Fb%22c%20d https://bob:other@host/v3"""
    assert scrub(words, (secret,)).endswith("""*** {"password": "***"} *** https://***@host/v3""")
    error = site_error(raised(answer(400, {"badRequest": {"message": words}})), site=SITE, doing="x", secrets=(secret,))
    assert "a/b" not in str(error)


def test_own_errors_pass_unchanged() -> None:
    own = SiteQuotaError("full")
    with pytest.raises(DynamoError) as caught, translated(SITE, "x"):
        raise own
    assert caught.value is own


def test_faults_that_say_no_room() -> None:
    assert no_room("No valid host was found. There are not enough hosts available.")
    assert no_room("Build of instance 1 aborted: Insufficient compute resources: Free vcpu 0.00 VCPU < requested 4")
    assert not no_room("Image 5 could not be found.")


def clouds(folder: Path, **auth: str) -> str:
    words = {"auth_url": "http://127.0.0.1:1/v3", "username": "u", "project_name": "p", **auth}
    lines = "".join(f"      {key}: {value}\n" for key, value in words.items())
    path = folder / "clouds.yaml"
    path.write_text(
        f"clouds:\n  here:\n    auth:\n{lines}      user_domain_name: Default\n      project_domain_name: Default\n"
    )
    return str(path)


@contextmanager
def echoing() -> Iterator[int]:
    """Run a login service that refuses everybody and quotes what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            links = [{"rel": "self", "href": f"http://127.0.0.1:{self.server.server_port}/v3/"}]  # type: ignore[attr-defined]
            self.give(200, {"version": {"id": "v3.14", "status": "stable", "links": links, "media-types": []}})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.give(401, {"error": {"code": 401, "message": f"you sent {sent}"}})

        def give(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def site(folder: Path, **options: object) -> OpenStackSite:
    return OpenStackSite(SiteContext(site=SITE, options=options, state=folder, timeout_s=2.0))


def test_a_cloud_that_does_not_answer_is_retryable_and_keeps_the_password(tmp_path: Path) -> None:
    driver = site(tmp_path, cloud="here", config_file=clouds(tmp_path, password="hunter2"))
    with pytest.raises(SiteRetryableError) as caught:
        driver.list("f")
    assert "hunter2" not in str(caught.value)
    driver.close()


@pytest.mark.parametrize("user", ["", "bob:hunter2@"])
def test_the_first_answer_is_scrubbed_too(tmp_path: Path, user: str) -> None:
    """A service that quotes what it was sent, before anything else was asked."""
    with echoing() as port:
        words = clouds(tmp_path, password="hunter2", auth_url=f"http://{user}127.0.0.1:{port}/v3")
        driver = site(tmp_path, cloud="here", config_file=words)
        with pytest.raises(SiteAuthError, match="you sent") as caught:
            driver.quota()
        driver.close()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("entry", ["here: hunter2", "here: {auth: hunter2}", "here: {auth: [hunter2]}"])
def test_an_entry_of_another_shape_is_said_so(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(f"clouds:\n  {entry}\n")
    with pytest.raises(SiteAuthError, match="malformed") as caught:
        site(tmp_path, cloud="here", config_file=str(path)).quota()
    assert "hunter2" not in str(caught.value)


def test_a_cloud_that_is_not_configured_is_a_matter_of_credentials(tmp_path: Path) -> None:
    driver = site(tmp_path, cloud="elsewhere", config_file=clouds(tmp_path, password="x"))
    with pytest.raises(SiteAuthError) as caught:
        driver.quota()
    assert "elsewhere" in str(caught.value)
    assert "clouds.yaml" in str(caught.value)


def test_credentials_without_a_password_say_what_is_missing(tmp_path: Path) -> None:
    driver = site(tmp_path, cloud="here", config_file=clouds(tmp_path))
    with pytest.raises(SiteAuthError) as caught:
        driver.quota()
    assert "password" in str(caught.value)


def test_a_closed_driver_does_not_connect(tmp_path: Path) -> None:
    driver = site(tmp_path, cloud="here", config_file=clouds(tmp_path, password="x"))
    driver.close()
    with pytest.raises(SiteRetryableError, match="closed"):
        driver.list("f")
