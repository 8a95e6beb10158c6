"""What is served to Prometheus: from the store alone, once each, and without the store, too."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dynamo.assets.watched import enroll_jobs
from dynamo.autoscale import metrics
from dynamo.autoscale.metric_names import exposed_names
from dynamo.autoscale.metrics import StoreCollector, serve_metrics
from dynamo.autoscale.metrics_freshness import MOST_SUBJECTS
from dynamo.config.file import Config, parse_config
from dynamo.errors import UsageError
from dynamo.runs.slots import store_stalled
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run, Series, StoredDocument
from dynamo.store.problems import JobReport, ProblemRecord
from tests.unit.autoscale.autoscale_world import SITE, ScaledWorld, work

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrape:
    """Asks a collector as Prometheus does."""

    def __init__(self, world: ScaledWorld, config: Config | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.collector = StoreCollector(world.store, config, world.clock.now)
        self.registry.register(self.collector)

    def text(self) -> str:
        # Answers are kept for a second of real time.
        self.collector._answer = None
        return generate_latest(self.registry).decode()

    def __call__(self) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }


def of(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value for (metric, found), value in samples.items() if metric == name and labels.items() <= dict(found).items()
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ScaledWorld]:
    world = ScaledWorld(tmp_path)
    yield world
    world.store.close()


def add_run(world: ScaledWorld, name: str, state: str, *, took_s: float | None, deadline_s: float | None) -> None:
    now = world.clock.now()
    began = now - timedelta(seconds=took_s or 0.0)
    with world.store.transaction() as session:
        if session.get(StoredDocument, "doc") is None:
            session.add(StoredDocument(sha256="doc", name="nowcast", version="1", body={}, recorded_at=now))
            session.flush()
        deadline: datetime | None = None if deadline_s is None else began + timedelta(seconds=deadline_s)
        session.add(
            Run(
                id=name,
                key=name,
                workflow="nowcast",
                version="1",
                document="doc",
                engine="condor",
                state=state,
                inputs=[],
                parameters={},
                run_dir="",
                software="",
                deadline_at=deadline,
                closed_at=began,
                created_at=began,
                published_at=now if state == "succeeded" else None,
                updated_at=now,
            )
        )


def test_an_idle_fleet_tells_zeros(world: ScaledWorld) -> None:
    samples = Scrape(world)()
    assert of(samples, "dynamo_store_up") == 1
    assert (
        samples[("dynamo_workers", (("fleet", "fleet"), ("group", "worker"), ("site", SITE), ("state", "ready")))] == 0
    )
    assert of(samples, "dynamo_workers_wanted", source="spec") == 0
    assert of(samples, "dynamo_overload") == 0
    assert {name for name, _ in samples} <= exposed_names() | {f"{n}_created" for n in exposed_names()}


def test_a_daemon_whose_slots_all_wait_is_told_until_it_is_silent(world: ScaledWorld) -> None:
    with world.store.transaction() as session:
        store_stalled(session, True, world.clock.now(), 60.0)
    assert of(Scrape(world)(), "dynamo_runs_stalled") == 1
    world.clock.advance(61)
    assert "dynamo_runs_stalled" not in {name for name, _ in Scrape(world)()}


def test_counters_are_there_before_they_count(world: ScaledWorld) -> None:
    add_run(world, "before", "succeeded", took_s=5, deadline_s=60)
    world.clock.advance(10)
    samples = Scrape(world)()
    assert of(samples, "dynamo_jobs_killed_total", fleet="fleet") == 0
    for state in ("succeeded", "failed", "cancelled", "skipped"):
        assert of(samples, "dynamo_runs_total", state=state) == 0
    for outcome in ("met", "late", "skipped"):
        assert of(samples, "dynamo_deadlines_total", outcome=outcome) == 0


def test_demand_capacity_and_decisions(world: ScaledWorld) -> None:
    scrape = Scrape(world)
    scrape()
    world.source.amount = [work(world.clock.now(), 3000, 900)]
    world.live(300)
    samples = scrape()
    assert of(samples, "dynamo_demand_core_seconds", source="runs") == 3000
    assert of(samples, "dynamo_demand_source_up", source="runs") == 1
    ready = of(samples, "dynamo_workers", state="ready")
    assert ready == world.states()["ready"] > 0
    assert of(samples, "dynamo_capacity_cores", state="ready") >= ready
    assert of(samples, "dynamo_workers_wanted", source="autoscaler") > 0
    assert of(samples, "dynamo_decisions_total", action="scale") == len(world.decisions())
    assert of(samples, "dynamo_worker_boot_seconds_count", group="worker") >= ready
    assert of(samples, "dynamo_fleet_events_total", action="ready") >= ready
    assert of(samples, "dynamo_autoscale_last_look_timestamp_seconds") > 0
    world.source.error = OSError("away")
    world.live(10)
    assert of(scrape(), "dynamo_demand_source_up", source="runs") == 0


def test_nothing_is_counted_twice_nor_what_was_before(world: ScaledWorld) -> None:
    add_run(world, "before", "succeeded", took_s=5, deadline_s=60)
    world.clock.advance(10)
    scrape = Scrape(world)
    scrape()
    world.clock.advance(10)
    add_run(world, "good", "succeeded", took_s=3, deadline_s=60)
    add_run(world, "late", "succeeded", took_s=90, deadline_s=60)
    add_run(world, "skipped", "skipped", took_s=None, deadline_s=60)
    add_run(world, "undated", "failed", took_s=None, deadline_s=None)
    for _ in range(5):
        samples = scrape()
        world.clock.advance(20)
    assert of(samples, "dynamo_runs_total", state="succeeded") == 2
    assert of(samples, "dynamo_runs_total", state="failed") == 1
    for outcome in ("met", "late", "skipped"):
        assert of(samples, "dynamo_deadlines_total", outcome=outcome) == 1
    assert of(samples, "dynamo_run_latency_seconds_count") == 2
    assert of(samples, "dynamo_run_latency_seconds_sum") == 93
    assert of(samples, "dynamo_run_latency_seconds_bucket", le="60.0") == 1


def test_feeds_and_unfinished_runs(world: ScaledWorld) -> None:
    now = world.clock.now()
    with world.store.transaction() as session:
        session.add(
            Arrival(feed="sweeps", path="a", size=1, mtime_ns=1, state="accepted", detected_at=now, recorded_at=now)
        )
    add_run(world, "waits", "created", took_s=None, deadline_s=None)
    samples = Scrape(world)()
    assert of(samples, "dynamo_feed_last_arrival_timestamp_seconds", feed="sweeps") == now.timestamp()
    assert of(samples, "dynamo_runs_unfinished", state="created") == 1


def sweeps(radar: str, at: datetime) -> Series:
    times = {"oldest_at": at, "newest_at": at, "live_at": at}
    return Series(kind="feed", name="sweeps", radar=radar, slots=1, made=1, bytes=1, **times)


def test_freshness_by_feed_radar_and_job(world: ScaledWorld) -> None:
    now = world.clock.now()
    config = parse_config(
        {
            "feeds": [{"name": "sweeps", "path": "in", "cadence_s": 300, "expect": ["KFWS", "KLOT"]}],
            "jobs": [{"name": "copy", "period_s": 600, "grace_s": 0}],
        },
        base=Path("/base"),
    )
    scrape = Scrape(world, config)
    old = now - timedelta(seconds=3600 * 24)
    for radar, at in (("KFWS", now), ("KLBB", old)):
        with world.store.transaction() as session:
            session.add(sweeps(radar, at))
    with world.store.transaction() as session:
        enroll_jobs(session, config, now)
        session.get_one(JobReport, "copy").failed_at = now
        session.add(ProblemRecord(subject="job:copy", kind="failed", reason="", opened_at=now, ending="", told=False))
    world.clock.advance(60)
    samples = scrape()
    found = {
        (labels["kind"], labels["radar"]): labels["state"]
        for (name, pairs), value in samples.items()
        if name == "dynamo_freshness" and value == 1 and (labels := dict(pairs))
    }
    assert found == {
        ("feed", "KFWS"): "fresh",
        ("feed", "KLBB"): "silent",
        ("feed", "KLOT"): "silent",
        ("job", ""): "failed",
    }
    # Feeds do not fail: they have no series for it.
    states = {
        dict(pairs)["state"] for name, pairs in samples if name == "dynamo_freshness" and ("kind", "feed") in pairs
    }
    assert states == {"fresh", "late", "silent", "not expected"}
    assert of(samples, "dynamo_data_age_seconds", radar="KFWS") == 60
    assert of(samples, "dynamo_problems_open", state="failed") == 1
    assert of(samples, "dynamo_problems_open", state="late") == 0
    assert of(samples, "dynamo_freshness_omitted") == 0


def test_files_that_name_many_radars_do_not_make_many_series(world: ScaledWorld) -> None:
    now = world.clock.now()
    config = parse_config({"feeds": [{"name": "sweeps", "path": "in", "cadence_s": 300}]}, base=Path("/base"))
    with world.store.transaction() as session:
        for number in range(MOST_SUBJECTS + 100):
            at = now - timedelta(days=number == MOST_SUBJECTS + 99)
            session.add(sweeps(f"R{number:04}", at))
    samples = Scrape(world, config)()
    assert len({dict(pairs)["radar"] for name, pairs in samples if name == "dynamo_freshness"}) == MOST_SUBJECTS
    assert of(samples, "dynamo_freshness_omitted") == 100
    # The one that is silent is told, whatever its name.
    assert of(samples, "dynamo_freshness", state="silent") == 1


def test_without_the_store_it_says_so(tmp_path: Path) -> None:
    world = ScaledWorld(tmp_path)
    scrape = Scrape(world)
    add_run(world, "good", "succeeded", took_s=3, deadline_s=60)
    world.clock.advance(1)
    world.store.close()
    (tmp_path / "store.sqlite").unlink()
    (tmp_path / "store.sqlite").mkdir()
    samples = scrape()
    assert of(samples, "dynamo_store_up") == 0
    assert not any(name == "dynamo_workers" for name, _ in samples)


def test_a_half_sent_request_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics, "_REQUEST_S", 0.2)
    store = open_store(tmp_path / "store.sqlite")
    server = serve_metrics(store, "0")
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n")
            assert connection.recv(1) == b""
    finally:
        server.stop()
        store.close()
    assert "Traceback" not in capfd.readouterr().err


def test_it_is_served_to_this_machine_alone_and_read_only(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    server = serve_metrics(store, "0")
    try:
        assert server.host == "127.0.0.1"
        assert server.port > 0
        url = f"http://127.0.0.1:{server.port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"dynamo_store_up 1.0" in answer.read()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="POST"), timeout=60)
        with pytest.raises(UsageError, match="cannot listen"):
            serve_metrics(store, f"127.0.0.1:{server.port}")
    finally:
        server.stop()
        store.close()
    for wrong in ("here", "127.0.0.1:x", "127.0.0.1:99999"):
        with pytest.raises(UsageError):
            serve_metrics(store, wrong)
