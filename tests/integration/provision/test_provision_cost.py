"""What workers cost, on SQLite and on PostgreSQL: billed once, whatever is killed; reports that add up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from dynamo.errors import UsageError
from dynamo.provision import ledger
from dynamo.provision.cost_report import GROUPINGS, IDLE, OTHER, cost_report
from dynamo.provision.cycle.accounting import HOUR, accrue, record_uses, spent, unsettled
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.provision.pool_link import FinishedJob
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Fleet, Worker, WorkerHour, WorkerUse
from tests.integration import test_store as stores
from tests.integration.watch.watch_support import environment

url = stores.url

T0 = datetime(2026, 6, 10, 10, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    try:
        with opened.transaction() as session:
            fleet = Fleet(
                name="f",
                id="1",
                state="active",
                spec={},
                document={},
                next_number=1,
                base="",
                applied_at=T0,
                updated_at=T0,
            )
            session.add(fleet)
        yield opened
    finally:
        opened.close()


def worker(name: str, **values: Any) -> dict[str, Any]:
    facts = {"site": "A:1", "group": "g", "reason": "", "flavor": "m4", "cpus": 4, "ram_mb": 8000}
    return {"name": name, **facts, "cost_per_hour": 0.6, "started_at": T0, "state": "ready", **values}


def add(store: Store, *rows: dict[str, Any]) -> None:
    with store.transaction() as session:
        ledger.add_workers(session, "f", rows)


def bill(store: Store, now: datetime, **values: Any) -> float:
    with store.transaction() as session:
        return accrue(session, "f", session.scalars(select(Worker)).all(), now, **values)


def billed(store: Store) -> dict[tuple[str, str], tuple[float, float, float]]:
    with store.reading() as session:
        rows = session.scalars(select(WorkerHour))
        return {(row.worker, f"{row.hour:%d-%H}"): (row.seconds, round(row.cost, 9), row.core_s) for row in rows}


def job(number: int, name: str, ended: datetime, wall_s: float, **values: Any) -> FinishedJob:
    return FinishedJob(
        **{"job": f"{number}.0", "worker": name, "ended_at": ended, "wall_s": wall_s, "cpus": 1, **values}
    )


# -- billing


def test_time_is_billed_from_the_start_of_the_server_by_the_hour_of_the_clock(store: Store) -> None:
    add(
        store,
        worker("w1"),
        worker("w2", site="B:2", cpus=2, started_at=T0 + 45 * MINUTE),
        worker("w3", started_at=None),
    )
    assert bill(store, T0 + 60 * MINUTE) == pytest.approx(0.6 + 0.15)
    assert billed(store) == {
        ("w1", "10-10"): (1800.0, 0.3, 7200.0),
        ("w1", "10-11"): (1800.0, 0.3, 7200.0),
        ("w2", "10-11"): (900.0, 0.15, 1800.0),
    }
    with store.reading() as session:
        rows = {row.name: row.billed_until for row in session.scalars(select(Worker))}
        assert rows == {"w1": T0 + HOUR, "w2": T0 + HOUR, "w3": None}
        hour = session.get_one(WorkerHour, ("f", "w2", T0 + 30 * MINUTE))
        assert (hour.site, hour.group, hour.flavor, hour.cost_per_hour) == ("B:2", "g", "m4", 0.6)


def test_the_next_bill_adds_only_what_is_new(store: Store) -> None:
    add(store, worker("w1"))
    for minute in (1, 2, 2, 3, 1, 40):
        bill(store, T0 + minute * MINUTE)
    assert billed(store) == {("w1", "10-10"): (1800.0, 0.3, 7200.0), ("w1", "10-11"): (600.0, 0.1, 2400.0)}
    with store.reading() as session:
        assert spent(session, "f") == pytest.approx(0.4)
        assert spent(session, "f", T0 + 45 * MINUTE) == pytest.approx(0.1)
        assert spent(session, "g") == 0.0


def test_rows_that_were_read_long_ago_are_not_billed_twice(store: Store) -> None:
    add(store, worker("w1"))
    with store.reading() as session:
        old = ledger.living_workers(session, "f")
    for _ in range(2):
        with store.transaction() as session:
            accrue(session, "f", old, T0 + 10 * MINUTE)
    assert billed(store) == {("w1", "10-10"): (600.0, 0.1, 2400.0)}


def test_processes_that_bill_at_once_bill_once(store: Store) -> None:
    add(store, *(worker(f"w{number}") for number in range(50)))
    gate = threading.Barrier(4)

    def run() -> None:
        gate.wait()
        for minute in range(1, 6):
            bill(store, T0 + minute * MINUTE)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row[0] for row in billed(store).values()} == {300.0}


def test_a_process_that_is_killed_before_its_commit_has_billed_nothing(store: Store, url: str) -> None:
    add(store, worker("w1"))
    code = (
        "import os, signal; from datetime import datetime; from sqlalchemy import select\n"
        "from dynamo.provision.cycle.accounting import accrue; from dynamo.store.engine import open_store\n"
        "from dynamo.store.fleets import Worker\n"
        f"with open_store({url!r}).transaction() as session:\n"
        f"    now = datetime.fromisoformat({(T0 + HOUR).isoformat()!r})\n"
        "    accrue(session, 'f', session.scalars(select(Worker)).all(), now)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert billed(store) == {}
    bill(store, T0 + HOUR)
    assert sum(cost for _, cost, _ in billed(store).values()) == pytest.approx(0.6)


def test_a_worker_is_billed_up_to_its_end_and_no_further(store: Store) -> None:
    add(store, worker("w1"), worker("w2"))
    bill(store, T0 + 5 * MINUTE)
    with store.transaction() as session:
        first, second = ledger.living_workers(session, "f")
        accrue(session, "f", [first, second], T0 + 10 * MINUTE, ended={first.id: T0 + 8 * MINUTE})
        ledger.move_worker(session, first.id, WorkerState.LOST, "gone", T0 + 8 * MINUTE)
    bill(store, T0 + 20 * MINUTE)
    assert {key[0]: value[0] for key, value in billed(store).items()} == {"w1": 480.0, "w2": 1200.0}


def test_an_end_that_was_stored_without_its_bill_is_billed_later(store: Store) -> None:
    add(store, worker("w1"), worker("w2"), worker("w3", started_at=None))
    bill(store, T0 + 5 * MINUTE)
    with store.transaction() as session:
        first, _, third = ledger.living_workers(session, "f")
        ledger.move_worker(session, first.id, WorkerState.LOST, "gone", T0 + 8 * MINUTE)
        ledger.move_worker(session, third.id, WorkerState.RELEASING, "", T0 + 8 * MINUTE)
        ledger.move_worker(session, third.id, WorkerState.RELEASED, "never made", T0 + 8 * MINUTE)
    with store.transaction() as session:
        found = unsettled(session, "f", T0)
        assert [row.name for row in found] == ["w1"]
        accrue(session, "f", found, T0 + 10 * MINUTE)
        assert unsettled(session, "f", T0) == []
    assert billed(store)["w1", "10-10"] == (480.0, 0.08, 1920.0)


def test_a_site_that_bills_whole_hours_is_paid_for_them_at_the_end(store: Store) -> None:
    add(store, worker("w1"), worker("w2", site="B:2"))
    unit = {"A:1": 3600.0}
    assert bill(store, T0 + 20 * MINUTE, billing_s=unit) == pytest.approx(0.4)
    with store.reading() as session:
        ends = dict.fromkeys(session.scalars(select(Worker.id)), T0 + 80 * MINUTE)
    bill(store, T0 + 80 * MINUTE, ended=ends, billing_s=unit)
    assert bill(store, T0 + 85 * MINUTE, ended=ends, billing_s=unit) == 0.0
    with store.reading() as session:
        costs = {row.key: row.cost for row in cost_report(session, "f", "site").rows}
    assert costs == {"A:1": Decimal("1.2"), "B:2": Decimal("0.8")}


def test_thousands_of_workers_are_billed_at_once(store: Store) -> None:
    # More than the parameters that one statement may have.
    add(store, *(worker(f"w{number}", started_at=T0 + number % 7 * MINUTE) for number in range(10_000)))
    with store.reading() as session:
        workers = ledger.living_workers(session, "f")
    for minute in (40, 41):
        with store.transaction() as session:
            accrue(session, "f", workers, T0 + minute * MINUTE)
    with store.reading() as session:
        assert session.scalar(select(func.sum(WorkerHour.seconds))) == sum(41 * 60 - n % 7 * 60 for n in range(10_000))
        assert session.scalar(select(func.count()).where(WorkerHour.fleet == "f")) == 20_000


# -- what jobs used


def test_a_job_is_recorded_once(store: Store) -> None:
    jobs = [job(1, "w1", T0, 60.0, cpus=2, ok=True, run="r", workflow="w"), job(1, "w1", T0 + MINUTE, 30.0, ok=False)]
    for _ in range(2):
        with store.transaction() as session:
            record_uses(session, "f", [*jobs, jobs[0]])
            record_uses(session, "f", [])
    with store.reading() as session:
        rows = session.scalars(select(WorkerUse).order_by(WorkerUse.ended_at)).all()
    assert [(row.job, row.core_s, row.wall_s, row.ok, row.run, row.workflow) for row in rows] == [
        ("1.0", 120.0, 60.0, True, "r", "w"),
        ("1.0", 30.0, 30.0, False, "", ""),
    ]


def test_what_strangers_write_into_their_jobs_is_stored_as_far_as_it_fits(store: Store) -> None:
    with store.transaction() as session:
        record_uses(session, "f", [job(1, "w1", T0, -5.0, ok=True, run="r" * 99, workflow="a\x00b" + "c" * 300)])
    with store.reading() as session:
        row = session.scalars(select(WorkerUse)).one()
    assert (row.run, row.workflow, row.core_s, row.wall_s) == ("r" * 64, "ab" + "c" * 198, 0.0, 0.0)


# -- reports


@pytest.fixture
def history(store: Store) -> Store:
    """Two workers over three days' ends, and jobs of two workflows and of nobody's."""
    add(store, worker("w1"), worker("w2", site="B:2", flavor="m2", cpus=2, cost_per_hour=0.1))
    bill(store, T0 + 30 * HOUR)
    with store.transaction() as session:
        jobs = [
            job(1, "w1", T0 + HOUR, 3600.0, cpus=4, ok=True, run="r1", workflow="nowcast"),
            job(2, "w1", T0 + 14 * HOUR, 3600.0, cpus=2, ok=True, run="r2", workflow="nowcast"),
            job(3, "w2", T0 + 2 * HOUR, 1800.0, cpus=1, ok=True, run="r3", workflow="hail"),
            job(4, "w2", T0 + 2 * HOUR, 1800.0, cpus=1, ok=False),
            job(5, "elsewhere", T0 + 2 * HOUR, 1800.0, cpus=1, ok=True),
        ]
        record_uses(session, "f", jobs)
    return store


def test_by_site_day_flavor_and_worker(history: Store) -> None:
    with history.reading() as session:
        site = cost_report(session, "f", "site", currency="SU")
        day = cost_report(session, "f", "day")
        assert [row.key for row in cost_report(session, "f", "flavor").rows] == ["m4", "m2"]
        assert [row.key for row in cost_report(session, "f", "worker").rows] == ["w1", "w2"]
    assert site.rows[0].to_json() == {
        "key": "A:1",
        "workers": 1,
        "worker_hours": 30.0,
        "core_hours": 120.0,
        "busy_core_hours": 6.0,
        "idle_share": 0.95,
        "cost": 18.0,
        "currency": "SU",
    }
    assert (site.rows[1].cost, site.rows[1].busy_core_hours) == (Decimal(3), 1.0)
    assert [(row.key, row.workers, row.worker_hours) for row in day.rows] == [
        ("2026-06-10", 2, 27.0),
        ("2026-06-11", 2, 33.0),
    ]
    # The job that ran over midnight counts on both days.
    assert [row.busy_core_hours for row in day.rows] == [pytest.approx(6.0), pytest.approx(1.0)]


def test_by_workflow_and_run(history: Store) -> None:
    with history.reading() as session:
        workflow = cost_report(session, "f", "workflow")
        run = cost_report(session, "f", "run")
    assert {row.key: row.cost for row in workflow.rows} == {
        # 4 and 2 of the 4 cores of w1 for an hour, and 1 of the 2 of w2 for half an hour.
        "nowcast": Decimal("0.9"),
        "hail": Decimal("0.025"),
        OTHER: Decimal("0.025"),
        IDLE: Decimal("20.05"),
    }
    assert [row.key for row in workflow.rows] == ["nowcast", "hail", OTHER, IDLE]
    assert [row.key for row in run.rows] == ["r1", "r2", "r3", OTHER, IDLE]


def test_all_groupings_agree_over_any_period(history: Store) -> None:
    periods = [(None, None), (T0 + HOUR, None), (None, T0 + 2 * HOUR), (T0 + 13 * HOUR, T0 + 14 * HOUR)]
    with history.reading() as session:
        for since, until in periods:
            reports = [cost_report(session, "f", by, since=since, until=until) for by in GROUPINGS]
            assert len({report.total.cost for report in reports}) == 1
            assert len({round(report.total.busy_core_hours, 9) for report in reports}) == 1
            for report in reports:
                assert sum((row.cost for row in report.rows), Decimal(0)) == report.total.cost > 0


def test_a_period_is_widened_to_full_hours(history: Store) -> None:
    with history.reading() as session:
        report = cost_report(session, "f", "run", since=T0 + 13 * HOUR, until=T0 + 13 * HOUR + MINUTE)
    assert (report.since, report.until) == (T0 + 12.5 * HOUR, T0 + 13.5 * HOUR)
    assert report.to_json()["since"] == "2026-06-10T23:00:00Z"
    assert {row.key: row.busy_core_hours for row in report.rows} == {"r2": pytest.approx(1.0), IDLE: 0.0}
    assert report.total.worker_hours == 2.0


def test_a_report_that_makes_no_sense_is_refused(store: Store) -> None:
    with store.reading() as session:
        with pytest.raises(UsageError, match=r"cannot report by 'moon'.*site, day"):
            cost_report(session, "f", "moon")
        with pytest.raises(UsageError, match="the period ends"):
            cost_report(session, "f", since=T0, until=T0)
        assert cost_report(session, "nobody").rows == ()
