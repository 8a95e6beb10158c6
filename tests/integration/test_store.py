"""The store on SQLite and on PostgreSQL: tables, transactions, runs, publication, lease. The same tests on both."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest
from sqlalchemy import func, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from dynamo.api.access.sessions import find_session, start_session
from dynamo.api.access.users import add_user, external_user, list_users
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token, find_token
from dynamo.checks.model import Examination
from dynamo.checks.record import open_review, record
from dynamo.checks.review import decide_review, reviews_in
from dynamo.config.file import parse_config
from dynamo.errors import BusyError, InputError, NotFoundError, UsageError
from dynamo.files import sha256_file
from dynamo.inspection.facts import facts_to_json
from dynamo.inspection.look import inspect_input
from dynamo.runs import ledger
from dynamo.runs.dispatcher import RunDispatcher
from dynamo.runs.execution.input_facts import input_facts, known_facts
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.retention import clean_run_folders
from dynamo.runs.series import count_arrival, count_publication, withdraw
from dynamo.runs.service import RunService
from dynamo.runs.settings import RunSettings
from dynamo.runs.states import TRANSITIONS, RunState
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.access import AuditRow, prune_audit
from dynamo.store.alerts import AlertEvent
from dynamo.store.checks import CheckDay, CheckResult, CheckUsual
from dynamo.store.engine import Store, StoreUnavailableError, open_store
from dynamo.store.inserts import insert_new
from dynamo.store.lease import StoreLease
from dynamo.store.migrations import HEAD
from dynamo.store.models import (
    Arrival,
    Base,
    CostCoefficients,
    CostObservation,
    Cursor,
    ProcessLease,
    Product,
    Run,
    RunDecision,
    RunInput,
    Series,
    SeriesDay,
)
from dynamo.store.stream import StreamPlace, read_stream
from dynamo.store.upgrade import upgrade
from dynamo.times import utc_now
from dynamo.triggers.rules import radar_of
from dynamo.watch.watcher import Watcher
from tests.integration.watch.watch_support import START, ThreadEngine, environment, factory, write_small
from tests.unit.api.serving import add_runs, client_of, run_row
from tests.waiting import wait_for

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that has no tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite"
    return new_database(request.getfixturevalue("postgres"), "template1")


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store, which is a copy: migrating takes longer than most tests."""
    if request.param == "sqlite":
        (tmp_path / "store.sqlite").write_bytes(request.getfixturevalue("migrated"))
        return f"sqlite:///{tmp_path}/store.sqlite"
    return new_database(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))


def new_database(server: str, template: str) -> str:
    import psycopg

    name = f"t{secrets.token_hex(8)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server}/{name}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def engine() -> ThreadEngine:
    return ThreadEngine()


@pytest.fixture
def service(store: Store, tmp_path: Path, engine: ThreadEngine) -> Iterator[RunService]:
    settings = RunSettings(tmp_path / "runs", tmp_path / "products", tick_s=0.02, min_free_mb=0)
    made = RunService(store, settings, planner=DocumentPlanner(), engine_factory=factory(engine))
    yield made
    made.close()


def request_for(service: RunService, folder: Path, minute: int = 0, **values: object) -> RunRequest:
    path = write_small(folder, minute)
    facts = path.stat()
    workflow = service.planner.load("nowcast")
    request = RunRequest(
        workflow=workflow,
        inputs=(InputFile("nowcast", path, sha256_file(path), facts.st_size, facts.st_mtime_ns),),
        parameters=service.planner.parameters(workflow, {"levels": [30.0], "min_points": 4}),
        engine="thread",
        trigger="test",
        valid_at=START + timedelta(minutes=minute),
    )
    return replace(request, **values)  # type: ignore[arg-type]


# -- the store itself


def test_nothing_appears_in_the_stream_before_what_was_read(url: str) -> None:
    store = open_store(url)
    held = open_store(url)
    seen: list[str] = []
    place = StreamPlace(0, 0)

    def look() -> int:
        nonlocal place
        with store.reading() as session:
            for row in read_stream(session, place, 100):
                seen.append(row.subject)
                place = StreamPlace(row.xid, row.id)
        return len(seen)

    try:
        with held.transaction() as early:
            ledger.decide(early, "early", "start", "begun first, committed last")
            early.flush()
            if store.engine.dialect.name == "postgresql":
                with store.transaction() as session:
                    ledger.decide(session, "late", "start", "begun last, committed first")
            assert look() == 0
        if store.engine.dialect.name == "sqlite":
            with store.transaction() as session:
                ledger.decide(session, "late", "start", "there is one writer")
        # A connection of the server's own work may keep the newest transaction back for a moment.
        wait_for(lambda: look() == 2, what="both events")
        assert seen == ["early", "late"]
    finally:
        held.close()
        store.close()


def test_the_api_reads_every_database_alike(store: Store, tmp_path: Path) -> None:
    add_runs(store, *(run_row(number) for number in range(3)), run_row(3, state="failed", published_at=None))
    with client_of(store, tmp_path) as client:
        first = client.get("/v1/runs?limit=2").json()
        second = client.get("/v1/runs", params={"limit": 2, "after": first["next"]}).json()
        assert [int(item["id"], 16) for item in first["items"] + second["items"]] == [3, 2, 1, 0]
        day = "since=2026-06-10T00:00:00Z&until=2026-06-11T00:00:00Z"
        runs = client.get(f"/v1/timeline?{day}").json()["runs"]
        assert [(one["at"], one["state"], one["count"], one["p50_s"]) for one in runs] == [
            ("2026-06-10T12:00:00Z", "failed", 1, 9),
            ("2026-06-10T12:00:00Z", "succeeded", 3, 10),
        ]
        with store.transaction() as session:
            ledger.decide(session, "x", "start", "50 dBZ", trigger="storms")
        found = client.get("/v1/decisions?trigger=storms&q=DBZ").json()["items"]
        assert [item["subject"] for item in found] == ["x"]
        for path in ("status", "load", "costs", "products", "feeds", "arrivals", "assets", "problems", "alerts"):
            assert client.get(f"/v1/{path}").status_code == 200, path


def test_users_are_kept_alike(store: Store, tmp_path: Path) -> None:
    settings = ApiSettings()
    with store.transaction() as session:
        add_user(session, "ada", "admin", budget=3.0)
        made = external_user(session, issuer="https://id.example", subject="7", name="ada", role="viewer")
        again = external_user(session, issuer="https://id.example", subject="7", name="ada", role="operator")
        assert (made.name, again.name, again.role) == ("ada-2", "ada-2", "operator")
        value = start_session(session, "ada", "password", settings)
        token = create_token(session, "of-ada", ["submit"], user="ada")
    found, whose = find_session(store, value, settings), find_token(store, token)
    assert found is not None
    assert whose is not None
    assert (found[0].name, found[0].role, whose.name, whose.role) == ("ada", "admin", "ada", "researcher")
    now = utc_now()
    add_runs(store, run_row(1, owner="ada", created_at=now, state="running", published_at=None, engine="condor"))
    with client_of(store, tmp_path, None, "admin") as client:
        (item,) = client.get("/v1/runs?owner=ada").json()["items"]
        assert item["owner"] == "ada"
        assert client.patch("/v1/users/ada-2", json={"disabled": True}).status_code == 200
        shown = {user["name"]: user for user in client.get("/v1/users").json()["items"]}
        assert (shown["ada"]["budget"]["left"], shown["ada-2"]["disabled"]) == (3.0, True)
        assert [row["subject"] for row in client.get("/v1/audit?user=test&limit=1").json()["items"]] == ["ada-2"]
        assert client.delete("/v1/users/ada").status_code == 204
    assert find_session(store, value, settings) is None
    assert find_token(store, token) is None


def test_the_audit_is_pruned_by_age(store: Store) -> None:
    now = utc_now()
    facts = dict.fromkeys(("who", "role", "how", "address", "method", "route", "subject", "summary"), "")
    with store.transaction() as session:
        session.add_all(AuditRow(at=now - timedelta(days=days), **facts) for days in (0, 9, 11, 12))
    assert prune_audit(store, now, 10) == 2
    with store.reading() as session:
        assert session.scalars(select(AuditRow.at).order_by(AuditRow.id)).all() == [now, now - timedelta(days=9)]


def test_migrations_make_exactly_the_tables_of_the_models(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def test_the_newest_migration_is_head() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from dynamo.store import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_two_processes_that_open_a_new_store_at_once_both_get_it(empty_url: str) -> None:
    code = f"from dynamo.store.engine import open_store; open_store({empty_url!r}).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment()) for _ in range(3)]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    store = open_store(empty_url)
    assert "runs" in inspect(store.engine).get_table_names()
    store.close()


def downgrade(store: Store, revision: str) -> None:
    """Make a store what an older version left."""
    from alembic import command

    from dynamo.store.upgrade import alembic_config

    config = alembic_config()
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_alert_events_of_an_older_store_are_kept(url: str) -> None:
    store = open_store(url)
    event = {"place": "a", "hazard": "hail", "number": 1, "open": True, "began": START, "seen": START}
    event |= {"ended": None, "told_strength": 5.0, "told_at": START, "strongest": 5.0, "messages": 1}
    with store.transaction() as session:
        session.execute(insert(AlertEvent), [event])
    downgrade(store, "0002")
    store.close()
    store = open_store(url)
    with store.reading() as session:
        (found,) = session.scalars(select(AlertEvent)).all()
    store.close()
    assert (found.place, found.seen, found.eyes) == ("a", START, "")


def test_tokens_and_runs_of_an_older_store_are_nobodys(url: str) -> None:
    store = open_store(url)
    add_runs(store, run_row(1, owner="ada"))
    with store.transaction() as session:
        add_user(session, "ada", "viewer")
        tokens = [create_token(session, f"t-{scope}", [scope]) for scope in ("read", "write", "admin", "ping")]
    downgrade(store, "0012")
    store.close()
    store = open_store(url)
    found = [find_token(store, token) for token in tokens]
    with store.reading() as session:
        owners = session.scalars(select(Run.owner)).all()
        assert list_users(session) == []
    store.close()
    assert [one and (one.role, one.user, one.reports) for one in found] == [
        ("viewer", "", False),
        ("operator", "", False),
        ("admin", "", False),
        (None, "", True),
    ]
    assert owners == [""]


def test_runs_of_an_older_store_get_their_radar_and_standing(service: RunService, tmp_path: Path) -> None:
    store = service.store
    with store.transaction() as session:
        arrival = Arrival(feed="f", path="0", size=7, mtime_ns=1, state="accepted", radar="KFWS", valid_at=START)
        arrival.facts = {"radar": "KFWS", "format": "radar-sweep"}
        arrival.detected_at = arrival.recorded_at = utc_now()
        session.add(arrival)
        session.flush()
        number = arrival.id
    names = []
    for minute, level in ((0, 30.0), (0, 40.0), (1, 30.0)):
        request = request_for(service, tmp_path, minute, radar="KFWS", arrival_id=number)
        run, _ = service.create(replace(request, parameters={**request.parameters, "levels": [level]}))
        with store.transaction() as session:
            for state in ("planned", "submitted", "publishing", "succeeded"):
                assert ledger.move(session, run.id, state, published_at=utc_now())
            session.add(Product(run_id=run.id, lfn="a", path="a", sha256="0", bytes=5))
            count_publication(session, session.get_one(Run, run.id), 5)
        names.append(run.id)

    def told() -> list[object]:
        with store.reading() as session:
            runs = [session.get_one(Run, name) for name in names]
            series = session.scalars(select(Series).order_by(Series.kind)).all()
            days = session.scalars(select(SeriesDay)).all()
            reads = session.scalars(select(RunInput).order_by(RunInput.run_id)).all()
        counts = [(one.kind, one.name, one.radar, one.slots, one.made, one.bytes, one.newest_at) for one in series]
        return [
            [(run.radar, run.standing) for run in runs],
            counts,
            sorted((day.day, day.slots, day.made, day.bytes) for day in days),
            sorted((one.run_id, one.sha) for one in reads),
        ]

    with store.transaction() as session:
        count_arrival(session, session.get_one(Arrival, number))
    before = told()
    day = START.strftime("%Y%m%d")
    assert before[:3] == [
        [("KFWS", "superseded"), ("KFWS", "current"), ("KFWS", "current")],
        [
            ("feed", "f", "KFWS", 1, 1, 7, START),
            ("workflow", "nowcast", "KFWS", 2, 3, 15, START + timedelta(minutes=1)),
        ],
        [(day, 1, 1, 7), (day, 2, 3, 15)],
    ]
    assert len(before[3]) == len(names)  # type: ignore[arg-type]
    downgrade(store, "0004")
    upgrade(store.engine)
    assert told() == before


def test_the_run_before_is_current_again_when_a_publication_is_withdrawn(service: RunService, tmp_path: Path) -> None:
    runs = []
    for level in (30.0, 40.0):
        request = request_for(service, tmp_path, 0)
        run, _ = service.create(replace(request, parameters={**request.parameters, "levels": [level]}))
        with service.store.transaction() as session:
            session.add(Product(run_id=run.id, lfn="a", path="a", sha256="0", bytes=5))
            count_publication(session, session.get_one(Run, run.id), 5)
        runs.append(run.id)

    def counts() -> tuple[object, ...]:
        with service.store.reading() as session:
            (series,), (day,) = session.scalars(select(Series)).all(), session.scalars(select(SeriesDay)).all()
            standing = [session.get_one(Run, name).standing for name in runs]
        assert (day.slots, day.made, day.bytes) == (series.slots, series.made, series.bytes)
        return series.slots, series.made, series.bytes, *standing

    assert counts() == (1, 2, 10, "superseded", "current")
    for name, left in ((runs[1], (1, 1, 5, "current", "")), (runs[0], (0, 0, 0, "", ""))):
        with service.store.transaction() as session:
            withdraw(session, session.get_one(Run, name))
        assert counts() == left


def test_a_store_of_a_newer_version_is_refused(url: str) -> None:
    store = open_store(url)
    with store.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'beyond'"))
    store.close()
    with pytest.raises(InputError, match="beyond"):
        open_store(url)


def test_times_come_back_aware_and_the_same(store: Store) -> None:
    paris = datetime(2026, 7, 1, 14, 30, 5, 123456, tzinfo=timezone(timedelta(hours=2)))
    with store.transaction() as session:
        session.add(Cursor(name="a", data={"n": 1}, updated_at=paris))
    with store.reading() as session:
        cursor = session.get_one(Cursor, "a")
    assert cursor.updated_at == paris
    assert cursor.updated_at.tzinfo == UTC
    assert cursor.data == {"n": 1}


def test_only_the_same_radar_supersedes(service: RunService, tmp_path: Path) -> None:
    def ask(minute: int, seconds: int, facts: dict[str, str], copies: int = 1) -> Run:
        request = request_for(service, tmp_path, minute)
        valid = START + timedelta(seconds=seconds)
        radar = radar_of([Arrival(radar=facts["radar"], facts=facts)], copies)
        return service.create(replace(request, inputs=request.inputs * copies, radar=radar, valid_at=valid))[0]

    def newer(run: Run) -> str | None:
        with service.store.reading() as session:
            found = ledger.superseded_by(session, run)
        return None if found is None else found.id

    a, b = ({"radar": name, "format": "radar-sweep"} for name in "AB")
    first, other = ask(0, 0, a), ask(1, 300, b)
    assert newer(first) is None
    # Another elevation of the same scan.
    ask(2, 40, a)
    assert newer(first) is None
    later = ask(3, 90, a)
    assert newer(first) == later.id
    assert newer(other) is None
    # Chunks or sweeps of one volume are several inputs of one radar.
    many = ask(4, 400, b, copies=2)
    assert newer(other) == many.id
    assert newer(later) is None
    # A run of a network has the arrival of whichever radar came last.
    grids = [ask(5 + i, 600 + 30 * i, {"radar": "AB"[i], "format": "hail-grid"}, copies=2) for i in range(2)]
    assert newer(grids[0]) == grids[1].id


def test_a_plan_takes_what_the_arrival_knows(service: RunService, tmp_path: Path) -> None:
    request = request_for(service, tmp_path)
    (item,) = request.inputs
    stored = facts_to_json(inspect_input(item.path, [30.0]))
    stored["issue_time"] = "2001-02-03T04:05:06Z"
    with service.store.transaction() as session:
        arrival = Arrival(feed="f", path=str(item.path), size=1, mtime_ns=1, state="done", facts=stored)
        arrival.detected_at = arrival.recorded_at = utc_now()
        session.add(arrival)
        session.flush()
        number = arrival.id
    # A second input beside the file, as a sounding, does not make it be read again.
    second = replace(item, port="sounding")
    run, _ = service.create(replace(request, inputs=(item, second), arrival_id=number))
    known = known_facts(run, arrival)
    assert set(known) == {"nowcast", "sounding"}
    assert known["nowcast"].issue_time.year == 2001
    other = tmp_path / "other"
    shutil.copy(item.path, other)
    looked = input_facts(
        {"nowcast": "casa-nowcast", "also": "casa-nowcast", "sounding": "sounding"},
        {"nowcast": (item.path,), "also": (other,), "sounding": (other,)},
        (30.0,),
        {"nowcast": known["nowcast"]},
    )
    assert {port: facts.issue_time.year for port, facts in looked.items()} == {"nowcast": 2001, "also": START.year}
    # Levels that the arrival was not looked at for need the file.
    again = input_facts({"nowcast": "casa-nowcast"}, {"nowcast": (item.path,)}, (50.0,), known)
    assert again["nowcast"].issue_time.year == START.year


def test_a_naive_time_is_refused(store: Store) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point
    with pytest.raises(StatementError, match="naive"), store.transaction() as session:
        session.add(Cursor(name="a", data={}, updated_at=naive))


def test_a_transaction_is_stored_as_a_whole_or_not_at_all(store: Store) -> None:
    def fail_in_the_middle() -> None:
        with store.transaction() as session:
            session.add(Cursor(name="a", data={}, updated_at=utc_now()))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    with store.reading() as session:
        assert session.get(Cursor, "a") is None


def test_foreign_keys_hold(store: Store) -> None:
    with pytest.raises(IntegrityError), store.transaction() as session:
        session.add(Product(run_id="none", lfn="a", path="a", sha256="0", bytes=1))


def test_many_threads_write_without_losing_anything(store: Store) -> None:
    def write(number: int) -> None:
        for count in range(10):
            with store.transaction() as session:
                ledger.decide(session, f"thread {number}", "count", "because", count=count)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as session:
        assert session.scalar(select(func.count(RunDecision.id))) == 80


def test_unusable_urls_are_explained() -> None:
    for bad, word in (("mysql://a/b", "mysql"), ("sqlite://", "memory"), ("postgresql//x", "store")):
        if "://" in bad:
            with pytest.raises(InputError, match=word):
                open_store(bad)


def test_a_server_that_is_away_is_a_retryable_error() -> None:
    with pytest.raises(StoreUnavailableError):
        open_store("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")


def test_a_locked_sqlite_store_says_so_after_the_busy_timeout(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.sqlite", busy_timeout_s=0.1)
    with store.engine.connect() as holder:
        holder.execute(text("SELECT 1"))
        with pytest.raises(StoreUnavailableError, match="locked"), store.transaction() as session:
            session.execute(text("SELECT 1"))
    store.close()


# -- runs


def test_the_same_request_is_one_run(service: RunService, tmp_path: Path) -> None:
    request = request_for(service, tmp_path)
    first, new = service.create(request)
    second, again = service.create(request)
    assert (new, again) == (True, False)
    assert first.id == second.id == first.key[:12]
    third, different = service.create(replace(request, parameters={**request.parameters, "min_points": 5}))
    assert different
    assert third.id != first.id


def test_eight_threads_that_ask_at_once_make_one_run(service: RunService, tmp_path: Path) -> None:
    request = request_for(service, tmp_path)
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(service.create(request)[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]


def test_a_run_goes_to_its_products_and_its_times_are_in_order(service: RunService, tmp_path: Path) -> None:
    seen: list[tuple[str, object]] = []
    service.events.subscribe(lambda event: seen.append((event.kind, event.data.get("state"))))
    run, _ = service.create(request_for(service, tmp_path))
    done = service.execute(run.id)
    assert done is not None
    assert done.state == "succeeded", done.reason
    times = [done.created_at, done.planned_at, done.submitted_at, done.started_at, done.finished_at, done.published_at]
    assert all(time is not None and time.tzinfo is not None for time in times)
    assert done.jobs_done == done.jobs_total == 5
    index = orjson.loads((Path(str(done.product_dir)) / "index.json").read_bytes())
    assert index["key"] == run.key
    assert index["parameters"]["levels"] == [30]
    assert index["inputs"][0]["sha256"] == run.inputs[0]["sha256"]
    assert {item.get("lead_min") for item in index["products"]} == {0, 1}
    with service.store.reading() as session:
        products = ledger.products_of(session, run.id)
        observed = session.scalar(select(func.count(CostObservation.id)))
    assert len(products) == 4
    assert all(Path(item.path).is_file() for item in products)
    assert observed == 5
    states = [state for kind, state in seen if kind == "run_state"]
    assert [state for state in states if state != "running"] == ["planned", "submitted", "publishing", "succeeded"]
    assert seen[-1][0] == "published"


@pytest.mark.parametrize("state", list(TRANSITIONS))
def test_moves_follow_the_table_and_nothing_else(service: RunService, tmp_path: Path, state: RunState) -> None:
    run, _ = service.create(request_for(service, tmp_path))
    for target in TRANSITIONS:
        with service.store.transaction() as session:
            session.get_one(Run, run.id).state = state
        with service.store.transaction() as session:
            assert ledger.move(session, run.id, target) == (target in TRANSITIONS[state])


def test_a_failed_run_says_why_and_a_retry_succeeds(service: RunService, engine: ThreadEngine, tmp_path: Path) -> None:
    run, _ = service.create(request_for(service, tmp_path))
    engine.failing.add("split")
    failed = service.execute(run.id)
    assert failed is not None
    assert (failed.state, failed.reason) == ("failed", "job split: told to fail")
    with pytest.raises(UsageError):
        service.cancel(run.id)
    engine.failing.clear()
    assert service.retry(run.id, "mended").state == "created"
    done = service.execute(run.id)
    assert done is not None
    assert (done.state, done.attempts) == ("succeeded", 2)
    with pytest.raises(UsageError, match="succeeded"):
        service.retry(run.id)
    with service.store.reading() as session:
        assert [item.action for item in ledger.decisions_about(session, run.id)] == ["retry"]


def test_a_cancelled_run_ends_wherever_it_is(service: RunService, engine: ThreadEngine, tmp_path: Path) -> None:
    waiting, _ = service.create(request_for(service, tmp_path, 1))
    assert service.cancel(waiting.id, "not wanted").state == "cancelled"
    engine.gate.clear()
    running, _ = service.create(request_for(service, tmp_path, 2))
    thread = threading.Thread(target=service.execute, args=(running.id,))
    thread.start()
    wait_for(lambda: service.get(running.id).state == "running")
    service.cancel(running.id, "a better one came")
    thread.join(300)
    ended = service.get(running.id)
    assert (ended.state, ended.reason) == ("cancelled", "a better one came")
    engine.gate.set()


def test_work_that_the_engine_lost_is_given_to_it_again(
    service: RunService, engine: ThreadEngine, tmp_path: Path
) -> None:
    engine.gate.clear()
    run, _ = service.create(request_for(service, tmp_path))
    thread = threading.Thread(target=service.execute, args=(run.id,))
    thread.start()
    wait_for(lambda: engine.started == [run.id])
    engine.lose()
    wait_for(lambda: engine.started == [run.id, run.id])
    engine.gate.set()
    thread.join(300)
    assert service.get(run.id).state == "succeeded"


def test_an_input_that_changed_or_went_away_fails_the_run(service: RunService, tmp_path: Path) -> None:
    gone, _ = service.create(request_for(service, tmp_path, 1))
    Path(gone.inputs[0]["path"]).unlink()
    changed, _ = service.create(request_for(service, tmp_path, 2))
    Path(changed.inputs[0]["path"]).write_bytes(b"something else")
    for run, word in ((gone, "was removed"), (changed, "input changed")):
        ended = service.execute(run.id)
        assert ended is not None
        assert ended.state == "failed"
        assert word in ended.reason


def test_an_input_that_is_written_over_while_the_run_works_is_not_published(
    service: RunService, engine: ThreadEngine, tmp_path: Path
) -> None:
    engine.gate.clear()
    run, _ = service.create(request_for(service, tmp_path))
    thread = threading.Thread(target=service.execute, args=(run.id,))
    thread.start()
    wait_for(lambda: service.get(run.id).state == "running")
    path = Path(run.inputs[0]["path"])
    path.write_bytes(path.read_bytes().replace(b"Reflectivity", b"reflectivity"))
    engine.gate.set()
    thread.join(300)
    ended = service.get(run.id)
    assert ended.state == "failed"
    assert "overwritten" in ended.reason
    assert not (tmp_path / "products").exists()


def test_a_crash_between_rename_and_store_is_recognised(service: RunService, tmp_path: Path) -> None:
    run, _ = service.create(request_for(service, tmp_path))
    done = service.execute(run.id)
    assert done is not None
    index = Path(str(done.product_dir)) / "index.json"
    before = index.read_bytes()
    with service.store.transaction() as session:
        row = session.get_one(Run, run.id)
        row.state, row.product_dir, row.published_at = "publishing", None, None
        for product in ledger.products_of(session, run.id):
            session.delete(product)
    again = service.execute(run.id)
    assert again is not None
    assert (again.state, again.product_dir) == ("succeeded", done.product_dir)
    assert index.read_bytes() == before
    with service.store.reading() as session:
        assert len(ledger.products_of(session, run.id)) == 4
        assert [item.action for item in ledger.decisions_about(session, run.id)] == ["adopt"]
        assert session.scalar(select(func.count(CostObservation.id))) == 5


def test_runs_are_found_by_the_beginning_of_their_id(service: RunService, tmp_path: Path) -> None:
    run, _ = service.create(request_for(service, tmp_path))
    assert service.get(run.id[:5]).id == run.id
    for name in ("zzzz", "", "%", "_"):
        with pytest.raises(NotFoundError):
            service.get(name)


def test_run_folders_are_removed_when_their_time_is_over(service: RunService, tmp_path: Path) -> None:
    run, _ = service.create(request_for(service, tmp_path))
    done = service.execute(run.id)
    assert done is not None
    settings = service.settings
    assert clean_run_folders(service.store, settings) == 0
    assert clean_run_folders(service.store, replace(settings, keep_succeeded_s=0.0)) == 1
    assert not Path(done.run_dir).exists()
    assert (Path(str(done.product_dir)) / "index.json").is_file()
    assert all(path.stat().st_size for path in Path(str(done.product_dir)).iterdir())
    assert clean_run_folders(service.store, replace(settings, keep_succeeded_s=0.0)) == 0


def test_coefficients_are_fitted_from_finished_runs(service: RunService, tmp_path: Path) -> None:
    for minute in range(2):
        run, _ = service.create(request_for(service, tmp_path, minute))
        service.execute(run.id)
    service.settings = replace(service.settings, refit_runs=3)
    service.refit()
    with service.store.reading() as session:
        assert session.scalar(select(func.count(CostCoefficients.id))) == 0
    service.settings = replace(service.settings, refit_runs=2)
    service.refit()
    assert set(service.coefficients()) >= {"split", "contour", "plot"}
    with service.store.reading() as session:
        rows = session.scalars(select(CostCoefficients)).all()
    assert {row.module: row.observations for row in rows} == {"split": 2, "contour": 4, "plot": 4}


# -- many runs


def test_the_newest_runs_first_and_stale_ones_are_skipped_with_the_reason(
    service: RunService, engine: ThreadEngine, tmp_path: Path
) -> None:
    past = utc_now() - timedelta(seconds=5)
    runs = [
        service.create(request_for(service, tmp_path, minute, deadline_at=past if minute < 2 else None))[0]
        for minute in (0, 3, 1, 2)
    ]
    future, _ = service.create(request_for(service, tmp_path, 4, valid_at=utc_now() + timedelta(days=1400)))
    dispatcher = RunDispatcher(service, 1)
    dispatcher.start()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert engine.executed == [runs[1].id, runs[3].id, future.id]
    for stale in (runs[0], runs[2]):
        ended = service.get(stale.id)
        assert ended.state == "skipped"
        assert f"superseded by {runs[1].id}" in ended.reason
    with service.store.reading() as session:
        decision = ledger.decisions_about(session, runs[0].id)[0]
    assert decision.action == "skip"
    assert decision.data["late_s"] >= 5


def test_runs_of_a_clock_that_is_ahead_go_last_until_their_time_comes(
    service: RunService, engine: ThreadEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    times = [now + timedelta(days=1400), now - timedelta(minutes=9), now, now + timedelta(minutes=30)]
    runs = [
        service.create(request_for(service, tmp_path, number, valid_at=time))[0] for number, time in enumerate(times)
    ]
    dispatcher = RunDispatcher(service, 1)
    dispatcher.pause()
    dispatcher.start()
    # Half an hour later one of the two is the newest: the daemon looks at its queue again and again.
    monkeypatch.setattr("dynamo.runs.dispatcher.utc_now", lambda: now + timedelta(minutes=30))
    dispatcher.resume()
    dispatcher.unpause()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert engine.executed == [runs[3].id, runs[2].id, runs[1].id, runs[0].id]


def test_a_priority_that_is_changed_reorders_what_waits(
    service: RunService, engine: ThreadEngine, tmp_path: Path
) -> None:
    runs = [service.create(request_for(service, tmp_path, minute))[0] for minute in range(3)]
    dispatcher = RunDispatcher(service, 1)
    dispatcher.pause()
    dispatcher.start()
    assert service.prioritize(runs[0].id, 5, "the mayor asks")[0].priority == 5
    service.prioritize(runs[2].id, -5)
    dispatcher.resume()
    dispatcher.unpause()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert engine.executed == [runs[0].id, runs[1].id, runs[2].id]
    with service.store.reading() as session:
        decision = ledger.decisions_about(session, runs[0].id)[0]
    assert (decision.action, decision.reason, decision.data["priority"]) == ("prioritize", "the mayor asks", 5)
    with pytest.raises(UsageError, match="the run is succeeded"):
        service.prioritize(runs[0].id, 6)


def test_the_newest_is_run_even_past_its_deadline(service: RunService, tmp_path: Path) -> None:
    past = utc_now() - timedelta(seconds=5)
    run, _ = service.create(request_for(service, tmp_path, deadline_at=past))
    dispatcher = RunDispatcher(service, 1)
    dispatcher.start()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert service.get(run.id).state == "succeeded"


def test_a_failing_run_does_not_stop_the_others(service: RunService, engine: ThreadEngine, tmp_path: Path) -> None:
    broken = write_small(tmp_path, 9)
    runs = [service.create(request_for(service, tmp_path, minute))[0] for minute in (0, 1, 9)]
    broken.unlink()
    dispatcher = RunDispatcher(service, 2)
    dispatcher.start()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert [service.get(run.id).state for run in runs] == ["succeeded", "succeeded", "failed"]


def test_never_more_than_max_runs_at_once(service: RunService, engine: ThreadEngine, tmp_path: Path) -> None:
    engine.gate.clear()
    for minute in range(5):
        service.create(request_for(service, tmp_path, minute))
    dispatcher = RunDispatcher(service, 2)
    dispatcher.start()
    wait_for(lambda: len(engine.started) == 2)
    assert dispatcher.counts() == (3, 2)
    engine.gate.set()
    assert dispatcher.wait_idle(300)
    dispatcher.stop(1.0)
    assert len(engine.executed) == 5


def test_a_stopped_dispatcher_leaves_runs_that_the_next_one_resumes(
    service: RunService, engine: ThreadEngine, tmp_path: Path
) -> None:
    engine.gate.clear()
    run, _ = service.create(request_for(service, tmp_path))
    dispatcher = RunDispatcher(service, 1)
    dispatcher.start()
    wait_for(lambda: service.get(run.id).state == "running")
    dispatcher.stop(0.0)
    assert service.get(run.id).state == "running"
    engine.lose()
    engine.gate.set()
    second = RunDispatcher(service, 1)
    second.start()
    assert second.wait_idle(300)
    second.stop(1.0)
    assert service.get(run.id).state == "succeeded"


def test_the_daemon_works_on_this_store(url: str, tmp_path: Path, engine: ThreadEngine) -> None:
    (tmp_path / "incoming").mkdir()
    config = parse_config(
        {
            "store": {"url": url},
            "runs": {"engine": "local", "min_free_mb": 0},
            "feeds": [{"name": "nowcasts", "path": "incoming", "settle_s": 0.1}],
            "triggers": [
                {"name": "storms", "feed": "nowcasts", "workflow": "nowcast", "parameters": {"min_points": 4}},
                {
                    "name": "strong",
                    "feed": "nowcasts",
                    "workflow": "nowcast",
                    "condition": {"area_km2": 1, "level_dbz": 70},
                },
            ],
        },
        base=tmp_path,
    )
    (tmp_path / "incoming" / "bad.nc").write_bytes(b"bad")
    write_small(tmp_path / "incoming", 0)
    for _ in range(2):
        Watcher(config, engine_factory=factory(engine)).run_once()
    store = open_store(url)
    with store.reading() as session:
        assert sorted(session.scalars(select(Arrival.state))) == ["accepted", "quarantined"]
        assert session.scalars(select(Run.state)).all() == ["succeeded"]
        assert sorted(session.scalars(select(RunDecision.action))) == ["quarantine", "refuse", "start"]
        assert session.scalar(select(func.count()).select_from(ProcessLease)) == 0
    store.close()


# -- the lease


def test_a_second_daemon_is_refused_until_the_first_gives_back(store: Store) -> None:
    first, second = StoreLease(store), StoreLease(store)
    first.take()
    with pytest.raises(BusyError, match="another daemon"):
        second.take()
    first.renew()
    first.give_back()
    second.take()
    with pytest.raises(BusyError):
        first.renew()


def test_the_lease_of_a_dead_process_is_free_at_once(store: Store, url: str) -> None:
    code = (
        "from dynamo.store.lease import StoreLease; from dynamo.store.engine import open_store;"
        f"StoreLease(open_store({url!r})).take(); import os; os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 9
    with store.reading() as session:
        assert session.scalar(select(func.count()).select_from(ProcessLease)) == 1
    StoreLease(store).take()


def test_the_lease_of_another_machine_is_free_when_it_has_run_out(store: Store) -> None:
    def held(expires: datetime) -> ProcessLease:
        return ProcessLease(name="watch", token="t", host="elsewhere/1", pid=1, pid_started="1", expires_at=expires)

    with store.transaction() as session:
        session.add(held(utc_now() + timedelta(seconds=30)))
    with pytest.raises(BusyError, match="elsewhere"):
        StoreLease(store).take()
    with store.transaction() as session:
        session.merge(held(utc_now() - timedelta(seconds=1)))
    StoreLease(store).take()


def test_an_arrival_is_stored_once(store: Store) -> None:
    values = {"feed": "f", "path": "/a", "size": 1, "mtime_ns": 2**60, "state": "accepted", "reason": ""}
    for expected in (True, False):
        with store.transaction() as session:
            now = utc_now()
            assert insert_new(session, Arrival, **values, detected_at=now, recorded_at=now) == expected
    with store.reading() as session:
        assert session.scalars(select(Arrival.mtime_ns)).all() == [2**60]


def test_what_checks_found_is_judged_counted_and_reviewed(store: Store, service: RunService, tmp_path: Path) -> None:
    runs = [service.create(request_for(service, tmp_path, minute))[0].id for minute in range(14)]

    def examined(minute: int, gates: float = 1832.0) -> Examination:
        values = {"stuck_rays": (9.0 if minute == 13 else 0.0, "3 deg"), "gates@0.5": (gates, "")}
        marks = {"digest": float(minute), "rain": {str(cell): 30.0 for cell in range(20)}}
        return Examination("KFWS", f"{minute}.nc", "volume", f"2026-05-20T18:{minute:02}:00Z", values, marks)

    other = Examination(
        "KTLX", "t.nc", "volume", "2026-05-20T18:12:30Z", {}, {"rain": dict.fromkeys(map(str, range(20)), 39.0)}
    )
    for minute, run in enumerate(runs[:13]):
        with store.transaction() as session:
            assert open_review(session, run, record(session, run, [examined(minute)], {})) == ""
    with store.transaction() as session:
        found = record(session, runs[0], [other], {})
        assert [(verdict.check, verdict.value, verdict.flag) for verdict in found] == [("neighbour", 9.0, 4)]
    for _ in range(2):
        with store.transaction() as session:
            found = record(session, runs[13], [examined(13, 900.0)], {})
            assert {verdict.check for verdict in found if verdict.flag == 4} == {"stuck_rays", "gates"}
            assert open_review(session, runs[13], found).startswith(
                "blocked by a check: stuck_rays: 9, limit 4 (3 deg)"
            )
    with store.reading() as session:
        days = {row.series: (row.good, row.unknown, row.bad) for row in session.scalars(select(CheckDay))}
        usual = session.scalars(select(CheckUsual)).one()
        assert session.scalar(select(func.count()).select_from(CheckResult)) == 3
        assert [review.run_id for review in reviews_in(session, "waiting")] == [runs[13]]
    # Of the run that is judged anew as another's data, what was counted before is taken back.
    assert days["KTLX"] == (0, 0, 1)
    assert days["KFWS"][2] == 2
    assert (usual.count, usual.mean) == (13, 1832.0)
    with store.transaction() as session:
        assert decide_review(session, runs[13], release=True, note="").state == "released"
    with pytest.raises(UsageError), store.transaction() as session:
        decide_review(session, runs[13], release=False, note="")
