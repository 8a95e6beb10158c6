"""A warm tier whose S3 server refuses, is full, has no time, breaks off, or is none: told, waited out, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.archive.caretaker import Caretaker
from dynamo.archive.listing import ProductFilter
from dynamo.archive.tiers import tier_problem
from dynamo.archive.verify import verify
from dynamo.config.file import Config, parse_config
from dynamo.errors import DynamoError, InputError
from dynamo.places import bucket as buckets
from dynamo.places.base import PlaceAwayError, PlaceFullError, PlaceRefusedError
from dynamo.places.bucket import Bucket, BucketAccess, BucketPlace
from dynamo.runs.service import has_products
from dynamo.store.engine import Store
from dynamo.store.retention import REFUSED, ProductMove
from tests.s3_faults import Fault, FaultyServer, faulty_server
from tests.s3_server import KEYS
from tests.unit.archive.published_runs import START, add_run, get_run, new_store

#: Servers that fail or never answer, one after another.
pytestmark = pytest.mark.slow

NOW = START + timedelta(days=31)
LATER = START + timedelta(days=400)
PAGE = Fault(body="<html>Please log in</html>")
FAULTS = [
    (Fault(403, "InvalidAccessKeyId"), PlaceRefusedError, "check the keys"),
    (Fault(403, "SignatureDoesNotMatch"), PlaceRefusedError, "check the keys"),
    (Fault(403, "AccessDenied"), PlaceRefusedError, "policy"),
    (Fault(403, "RequestTimeTooSkewed"), PlaceRefusedError, "clock"),
    (Fault(403), PlaceRefusedError, "credentials"),
    (Fault(404, "NoSuchBucket"), PlaceRefusedError, "make the bucket"),
    (Fault(301, "PermanentRedirect"), PlaceRefusedError, "region"),
    (Fault(403, "QuotaExceeded"), PlaceFullError, "quota"),
    (Fault(507, "XMinioStorageFull"), PlaceFullError, "make room"),
    (Fault(503, "SlowDown"), PlaceAwayError, "no time for us now: SlowDown"),
    (Fault(500, "InternalError"), PlaceAwayError, "fails: InternalError"),
    (Fault(silent=True), PlaceAwayError, "no answer in time"),
    (PAGE, PlaceAwayError, "no S3 server"),
]


@pytest.fixture(autouse=True)
def _keys_and_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "_RETRIES", 1)
    monkeypatch.setattr(buckets, "_PAUSE_S", 0.01)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as running:
        yield running


def config(folder: Path, server: FaultyServer, **rule: object) -> Config:
    warm = {"kind": "s3", "bucket": "archive", "endpoint": server.address, "region": "us-east-1"}
    retention = {"rules": [{"name": "all", "hot_days": 30.0, **rule}], "warm": warm}
    return parse_config({"folders": {"state": "."}, "runs": {"fsync": False}, "retention": retention}, base=folder)


def two_runs(folder: Path) -> tuple[Store, str]:
    """Publish something old, and something young for `latest` to point to."""
    store = new_store(folder)
    run = add_run(store, folder, 0)
    add_run(store, folder, 10**6, published_at=LATER, valid_at=LATER)
    return store, run.id


def damaged(store: Store) -> list[str]:
    return [item.path for one in verify(store, ProductFilter()) for item in one.findings]


def bucket_of(server: FaultyServer) -> Bucket:
    return Bucket("archive", BucketAccess(server.address, "us-east-1"))


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS, ids=lambda value: getattr(value, "code", None))
def test_each_fault_is_one_clear_error_and_waited_out(
    server: FaultyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    kind: type[DynamoError],
    words: str,
) -> None:
    if fault.silent:
        monkeypatch.setattr(buckets, "_REQUEST_S", 0.5)
    store, run = two_runs(tmp_path)
    settings, bucket = config(tmp_path, server), bucket_of(server)
    (tmp_path / "file").write_bytes(b"data")
    server.fault = fault
    for call in (
        lambda: bucket.put("p/x", tmp_path / "file"),
        lambda: bucket.sizes("p"),
        lambda: BucketPlace(bucket, "p").read("x"),
        lambda: bucket.delete("p/x"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert words in str(caught.value)
        assert len(str(caught.value)) < 160
    assert words in tier_problem(settings)
    done = Caretaker(store, settings).tend(NOW, clock_is_right=True)
    assert words in done.waits
    assert (done.moved, get_run(store, run).tier, damaged(store)) == (0, "hot", [])
    server.fault = None
    monkeypatch.setattr(buckets, "_REQUEST_S", 300)
    buckets._opened.cache_clear()
    assert Caretaker(store, settings).tend(NOW, clock_is_right=True).waits == ""
    assert (get_run(store, run).tier, damaged(store)) == ("warm", [])
    # What moved is neither taken for gone nor forgotten when it is to be removed.
    server.fault = fault
    if fault.silent:
        monkeypatch.setattr(buckets, "_REQUEST_S", 0.5)
        buckets._opened.cache_clear()
    with pytest.raises(DynamoError, match=words):
        has_products(get_run(store, run))
    removing = config(tmp_path, server, gone_days=90.0, remove="even if it cannot be made again")
    assert words in Caretaker(store, removing).tend(LATER, clock_is_right=True).waits
    assert get_run(store, run).tier == "warm"
    server.fault = None
    buckets._opened.cache_clear()
    monkeypatch.setattr(buckets, "_REQUEST_S", 300)
    assert Caretaker(store, removing).tend(LATER, clock_is_right=True).waits == ""
    assert (get_run(store, run).tier, server.objects) == ("gone", {})


@pytest.mark.parametrize("fault", [Fault(503, "SlowDown"), Fault(500, "InternalError"), Fault(429)])
def test_a_server_without_time_is_asked_again(server: FaultyServer, tmp_path: Path, fault: Fault) -> None:
    store, run = two_runs(tmp_path)
    server.fault, server.times = fault, 1
    assert Caretaker(store, config(tmp_path, server)).tend(NOW, clock_is_right=True).waits == ""
    assert (server.times, get_run(store, run).tier, damaged(store)) == (0, "warm", [])


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [("http://127.0.0.1:1", "Connection refused"), ("http://nowhere.invalid", "lookup"), ("tls", "no TLS")],
)
def test_a_server_that_cannot_be_reached_is_told_in_words(server: FaultyServer, endpoint: str, words: str) -> None:
    address = server.address.replace("http:", "https:") if endpoint == "tls" else endpoint
    with pytest.raises(PlaceAwayError, match=words) as caught:
        Bucket("archive", BucketAccess(address, "us-east-1")).sizes("p")
    assert "check the endpoint" in str(caught.value)


def test_a_download_that_breaks_off_is_no_file(server: FaultyServer, tmp_path: Path) -> None:
    bucket = bucket_of(server)
    (tmp_path / "file").write_bytes(b"data" * 1000)
    bucket.put("p/x", tmp_path / "file")
    server.fault = Fault(cut=True)
    with pytest.raises(PlaceAwayError, match="the connection broke"):
        BucketPlace(bucket, "p").copy("x", tmp_path / "copy")


def test_what_the_server_does_not_take_holds_up_nothing_else(server: FaultyServer, tmp_path: Path) -> None:
    store, first = two_runs(tmp_path)
    second = add_run(store, tmp_path, 1)
    server.fault, server.times, server.methods = Fault(413, "EntityTooLarge"), 1, ("PUT",)
    done = Caretaker(store, config(tmp_path, server)).tend(NOW, clock_is_right=True)
    assert (done.moved, done.kept, done.waits) == (1, 1, "")
    assert [get_run(store, run).tier for run in (first, second.id)] == ["hot", "warm"]
    with store.reading() as session:
        move = session.get_one(ProductMove, first)
    assert (move.state, "does not take it: EntityTooLarge" in move.reason) == (REFUSED, True)


def test_of_an_upload_that_the_server_damages_nothing_stays(server: FaultyServer, tmp_path: Path) -> None:
    store, run = two_runs(tmp_path)
    # The second file comes back as another, with what an object has.
    server.fault, server.methods = Fault(body="damaged", tagged=True), ("GET",)
    server.skip = 2
    server.times = 1
    done = Caretaker(store, config(tmp_path, server)).tend(NOW, clock_is_right=True)
    assert (done.kept, get_run(store, run).tier, server.objects, damaged(store)) == (1, "hot", {}, [])
    with pytest.raises(InputError, match="not in this tier"):
        Caretaker(store, config(tmp_path, server)).mover._remove("s3://another/x")


def test_a_bucket_has_no_free_space_to_keep() -> None:
    warm = {"kind": "s3", "bucket": "archive", "min_free_mb": 1000}
    with pytest.raises(InputError, match=r"retention\.warm.*min_free_mb.*set retention\.warm_gb instead"):
        parse_config({"retention": {"warm": warm}}, base=Path())
    warm = {"kind": "folder", "path": "warm", "min_free_mb": 7}
    assert parse_config({"retention": {"warm": warm}}, base=Path()).retention.warm.min_free_mb == 7  # type: ignore[union-attr]
