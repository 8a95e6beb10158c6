"""The dashboard's files: which path answers what, compressed, cached, and under a strict policy."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dynamo.api.app import make_app
from dynamo.api.pages import POLICY, Pages
from dynamo.store.engine import open_store

SCRIPT = b"console.log('hello')\n" * 99


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    static = tmp_path / "web" / "static"
    static.mkdir(parents=True)
    (static.parent / "index.html").write_text("<!doctype html><title>DyNamo</title>")
    (static.parent / "licenses.txt").write_text("preact (MIT)")
    (static / "main-ABC.js").write_bytes(SCRIPT)
    (static / "main-ABC.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret.txt").write_text("secret")
    return static.parent


@pytest.fixture
def client(bundle: Path, tmp_path: Path) -> TestClient:
    app = make_app(open_store(tmp_path / "store.sqlite"), tmp_path)
    app.router.default = Pages(bundle)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    "path",
    ["/", "/runs", "/runs/nowcast-1", "/assets/dfw/KFWS", "/map?at=2026-06-10T23:00:00Z", "/no/such/page", "/v1x"],
)
def test_every_other_path_is_the_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/v1/no-such", "/mobius/no-such", "/static/no.js"])
def test_what_is_missing_elsewhere_is_an_error(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_dots_and_slashes_lead_nowhere(client: TestClient) -> None:
    for path in (
        "/static/../../secret.txt",
        "/..%2fsecret.txt",
        "/static/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "//secret.txt",
    ):
        assert client.get(path).text != "secret"


def test_only_reading_gets_a_page(client: TestClient) -> None:
    assert client.head("/runs").status_code == 200
    assert client.post("/runs").status_code == 404


def test_assets_are_kept_for_good(client: TestClient) -> None:
    answer = client.get("/static/main-ABC.js")
    assert answer.content == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", ""])
def test_a_client_that_takes_no_compression_gets_none(client: TestClient, accepted: str) -> None:
    answer = client.get("/static/main-ABC.js", headers={"Accept-Encoding": accepted})
    assert answer.content == SCRIPT
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


def test_an_unchanged_page_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/").headers["etag"]
    answer = client.get("/runs", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


def test_a_new_build_is_served_at_once(client: TestClient, bundle: Path) -> None:
    assert client.get("/static/main-XYZ.js").status_code == 404
    (bundle / "static" / "main-XYZ.js").write_text("1")
    index = bundle / "index.html"
    index.unlink()
    index.write_text("<!doctype html>new")
    assert client.get("/static/main-XYZ.js").text == "1"


def test_without_a_build_one_page_says_how_to_get_it(tmp_path: Path) -> None:
    app = make_app(open_store(tmp_path / "store.sqlite"), tmp_path)
    app.router.default = Pages(tmp_path / "none")
    client = TestClient(app)
    answer = client.get("/runs")
    assert answer.status_code == 503
    assert "make web" in answer.text
    assert client.get("/healthz").status_code == 200
