"""The warm tier in a bucket, against a real HTTP server that speaks S3."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
from sqlalchemy import event, select

from dynamo.archive.caretaker import Caretaker, Tended
from dynamo.archive.listing import ProductFilter
from dynamo.archive.remaking import why_not
from dynamo.archive.tiers import tier_problem
from dynamo.archive.verify import verify
from dynamo.assets.lineage import lineage_json, lineage_of
from dynamo.config.file import Config, parse_config
from dynamo.errors import MissingPartError, RetryableError
from dynamo.extras import need
from dynamo.places import bucket as buckets
from dynamo.places.base import PlaceAwayError, PlaceRefusedError
from dynamo.places.bucket import Bucket, BucketAccess
from dynamo.places.credentials import credentials
from dynamo.places.opening import open_place
from dynamo.runs.execution.inputs import keep_inputs
from dynamo.runs.publish import export
from dynamo.runs.service import has_products, lost_products, publication_of
from dynamo.runs.whereabouts import inputs_now
from dynamo.store.engine import Store
from dynamo.store.retention import ProductMove
from tests.s3_server import KEY, KEYS, make_bucket, s3_server
from tests.unit.archive.published_runs import FILES, START, add_run, described, get_run, new_store

DAY = timedelta(days=1)
NOW = START + 31 * DAY
LATER = START + 400 * DAY


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as running:
        yield running


@pytest.fixture
def endpoint(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the server's address; each test has a bucket of its own, named by `name_of`."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    make_bucket(server, name_of(tmp_path))
    return server


def name_of(folder: Path) -> str:
    return f"b-{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}"


def config(folder: Path, endpoint: str, **rule: Any) -> Config:
    warm = {"kind": "s3", "bucket": name_of(folder), "endpoint": endpoint, "region": "us-east-1"}
    rules = [{"name": "all", "hot_days": 30.0, **rule}]
    retention = {"rules": rules, "warm": warm}
    return parse_config({"folders": {"state": "."}, "runs": {"fsync": False}, "retention": retention}, base=folder)


def objects(folder: Path, endpoint: str) -> dict[str, int]:
    return Bucket(name_of(folder), BucketAccess(endpoint, "us-east-1")).sizes("products")


def newer(store: Store, folder: Path, workflow: str = "nowcast") -> None:
    """Publish something young for `latest` to point to: what it points to stays."""
    add_run(store, folder, 10**6, workflow=workflow, published_at=LATER, valid_at=LATER)


def tend(store: Store, settings: Config, now: Any = NOW) -> Tended:
    return Caretaker(store, settings).tend(now, clock_is_right=True)


def wrong(store: Store) -> list[tuple[str, str]]:
    found = [item for one in verify(store, ProductFilter()) for item in one.findings]
    return [(item.path.rpartition("/")[2], item.problem) for item in found]


def moved(folder: Path, endpoint: str) -> tuple[Store, Any]:
    store = new_store(folder)
    run = add_run(store, folder, 0, files={**FILES, "deep/c~1.nc": b"deep"})
    newer(store, folder)
    assert tend(store, config(folder, endpoint)).moved == 1
    return store, get_run(store, run.id)


def test_whoever_reads_products_finds_them_in_the_bucket(endpoint: str, tmp_path: Path) -> None:
    store, run = moved(tmp_path, endpoint)
    day = f"{START:%Y%m%d}/{START:%H%M%S}-{run.key[:12]}"
    assert run.product_dir == f"s3://{name_of(tmp_path)}/products/nowcast/{day}"
    assert run.tier == "warm"
    assert not (tmp_path / "products" / "nowcast" / day).exists()
    names = {"a.geojson", "b.nc", "deep/c~1.nc", "index.json", "prov.json"}
    assert set(objects(tmp_path, endpoint)) == {f"nowcast/{day}/{name}" for name in names}
    assert wrong(store) == []
    assert has_products(run)
    assert lost_products(run) == ""
    publication = publication_of(run)
    assert publication is not None
    export(publication, tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "c~1.nc").read_bytes() == b"deep"
    with store.reading() as session:
        for path in (f"{run.product_dir}/b.nc", tmp_path / "products" / "nowcast" / day / "b.nc"):
            found = lineage_json(lineage_of(session, path))["file"]
            assert (found["path"], found["there"]) == (f"{run.product_dir}/b.nc", True)
    assert KEY not in (tmp_path / "store.sqlite").read_bytes().decode(errors="ignore")
    assert tend(store, config(tmp_path, endpoint)) == Tended()


def test_verify_finds_what_is_missing_changed_or_extra_in_the_bucket(endpoint: str, tmp_path: Path) -> None:
    store, run = moved(tmp_path, endpoint)
    bucket = Bucket(name_of(tmp_path), BucketAccess(endpoint, "us-east-1"))
    prefix = run.product_dir.removeprefix(f"s3://{name_of(tmp_path)}/")
    for name, data in (("a.geojson", b"[]"), ("b.nc", b"gri"), ("note.txt", b"look")):
        (tmp_path / "object").write_bytes(data)
        bucket.put(f"{prefix}/{name}", tmp_path / "object")
    bucket.delete(f"{prefix}/deep/c~1.nc")
    found = {("a.geojson", "changed"), ("b.nc", "changed"), ("note.txt", "extra"), ("c~1.nc", "missing")}
    assert set(wrong(store)) == found
    assert lost_products(run).startswith("gone")


def test_a_product_that_moved_is_found_as_input(endpoint: str, tmp_path: Path) -> None:
    store, made = new_store(tmp_path), tmp_path / "products"
    first = add_run(store, tmp_path, 0)
    newer(store, tmp_path)
    path = Path(first.product_dir or "") / "b.nc"
    second = add_run(store, tmp_path, 1, workflow="hail", inputs=(path,), published_at=LATER, valid_at=LATER)
    assert tend(store, config(tmp_path, endpoint)).moved == 1
    assert not path.exists()
    assert made.exists()
    with store.reading() as session:
        assert why_not(session, second) == ""
        now = inputs_now(session, second.inputs)
    kept = keep_inputs(second, now)["nowcast"][0]
    assert kept.read_bytes() == FILES["b.nc"]
    assert described(kept)["sha256"] == second.inputs[0]["sha256"]


def test_a_server_that_is_away_is_waited_out(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = moved(tmp_path, endpoint)
    add_run(store, tmp_path, 5)
    monkeypatch.setattr(buckets, "_RETRIES", 0)
    away = config(tmp_path, "http://127.0.0.1:1", gone_days=90.0, remove="even if it cannot be made again")
    done = tend(store, away, NOW + DAY)
    assert (done.moved, done.removed) == (0, 0)
    assert "does not respond" in done.waits
    # It is not taken for gone, and nothing is forgotten.
    with pytest.raises(PlaceAwayError):
        has_products(run)
    assert lost_products(run).startswith("out of reach")
    assert [problem for _, problem in wrong(store)] == ["missing"]
    assert "does not respond" in tend(store, away, LATER).waits
    assert get_run(store, run.id).tier == "warm"
    assert "does not respond" in tier_problem(away)
    assert tend(store, config(tmp_path, endpoint), NOW + 2 * DAY).waits == ""
    assert wrong(store) == []


def test_a_wrong_bucket_is_told_and_refuses_no_publication(endpoint: str, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    run = add_run(store, tmp_path, 0)
    newer(store, tmp_path)
    settings = config(tmp_path / "other", endpoint)
    assert "NoSuchBucket" in tier_problem(settings) or "no such bucket" in tier_problem(settings)
    done = Caretaker(
        store,
        parse_config(
            {"folders": {"state": "."}, "runs": {"fsync": False}, "retention": settings.retention.model_dump()},
            base=tmp_path,
        ),
    ).tend(NOW, clock_is_right=True)
    assert "bucket" in done.waits
    assert get_run(store, run.id).tier == "hot"
    with store.reading() as session:
        assert [move.state for move in session.scalars(select(ProductMove))] == ["intended"]


def test_without_the_library_it_says_what_to_install(endpoint: str, tmp_path: Path) -> None:
    def missing(module: str, *, extra: str) -> Any:
        return need("no_such_library", extra=extra)

    with mock.patch.object(buckets, "need", missing):
        buckets._opened.cache_clear()
        with pytest.raises(MissingPartError, match=r"dynamo-radar\[s3\]"):
            open_place(f"s3://{name_of(tmp_path)}/x").names()
        assert "dynamo-radar[s3]" in tier_problem(config(tmp_path, endpoint))


def test_keys_come_from_a_file_that_only_its_owner_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    file.write_text(f"[archive]\naws_access_key_id = {KEY}\naws_secret_access_key = hush-hush\n")
    file.chmod(0o600)
    assert credentials("archive") == {"access_key_id": KEY, "secret_access_key": "hush-hush"}
    with pytest.raises(PlaceRefusedError, match="no keys of profile 'other'"):
        credentials("other")
    file.chmod(0o644)
    with pytest.raises(PlaceRefusedError, match="chmod 600") as caught:
        credentials("archive")
    assert "hush" not in str(caught.value)


class Killed(BaseException):
    """The process is gone."""


@contextlib.contextmanager
def killed_at(store: Store, point: int) -> Iterator[Callable[[], bool]]:
    """Kill at a call of S3 or a commit, before it or (every other point) after it; yield whether it happened."""
    left, dead = point, False

    def reached() -> None:
        nonlocal left, dead
        left -= 1
        dead = dead or left == 0
        if dead:
            raise Killed

    def pointed(call: Callable[..., Any]) -> Callable[..., Any]:
        def both(*arguments: Any, **options: Any) -> Any:
            reached()
            found = call(*arguments, **options)
            reached()
            return found

        return both

    listener = lambda _connection: reached()  # noqa: E731
    event.listen(store.engine, "commit", listener)
    try:
        with contextlib.ExitStack() as patched:
            for name in ("put", "delete", "sizes"):
                patched.enter_context(mock.patch.object(Bucket, name, pointed(getattr(Bucket, name))))
            with contextlib.suppress(Killed):
                yield lambda: dead
    finally:
        event.remove(store.engine, "commit", listener)


@pytest.mark.slow
@pytest.mark.parametrize("removal", [False, True])
def test_killed_anywhere_nothing_is_lost_doubled_or_left(endpoint: str, tmp_path: Path, removal: bool) -> None:
    for point in range(1, 200):
        folder = tmp_path / str(point)
        folder.mkdir()
        settings = config(tmp_path, endpoint, **({"gone_days": 90.0, "remove": "even if it cannot be made again"}))
        settings = parse_config(
            {"folders": {"state": "."}, "runs": {"fsync": False}, "retention": settings.retention.model_dump()},
            base=folder,
        )
        store = new_store(folder)
        run = add_run(store, folder, 0, workflow=f"w{point}")
        newer(store, folder, f"w{point}")
        if removal:
            tend(store, settings)
        with killed_at(store, point) as died:
            tend(store, settings, LATER if removal else NOW)
        found = get_run(store, run.id)
        if found.tier != "gone" and not removal:
            assert wrong(store) == [], point
        tend(store, settings, LATER if removal else NOW)
        found = get_run(store, run.id)
        left = {name for name in objects(tmp_path, endpoint) if name.startswith(f"w{point}/")}
        assert found.tier == ("gone" if removal else "warm"), point
        assert len(left) == (0 if removal else 4), point
        assert wrong(store) == [], point
        # The newer one's.
        assert len(list((folder / "products").glob(f"w{point}/2*/*/index.json"))) == 1
        with store.reading() as session:
            assert session.scalars(select(ProductMove)).all() == []
        store.close()
        if not died():
            break
    assert point > 10


def test_products_of_one_radar_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from dynamo.cli.main import register_all

    (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "."\n')
    monkeypatch.setenv("DYNAMO_CONFIG", str(tmp_path / "dynamo.toml"))
    store = new_store(tmp_path)
    for number, radar in enumerate(("KFWS", "KLBB", "")):
        add_run(store, tmp_path, number, radar=radar)
    result = CliRunner().invoke(register_all(), ["products", "list", "--radar", "kfws", "--json"])
    assert [item["radar"] for item in orjson.loads(result.stdout)] == ["KFWS", "KFWS"]
    assert issubclass(PlaceAwayError, RetryableError)
