"""Rows that are pruned, those that stay for idempotence, and the space that both had."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from dynamo.archive import pruning
from dynamo.archive.pruning import prune
from dynamo.checks.judging import CheckRule
from dynamo.checks.model import Examination
from dynamo.checks.record import record
from dynamo.config.file import parse_config
from dynamo.runs.ledger import decide
from dynamo.store.checks import CheckDay, CheckLast, CheckResult, CheckReview, CheckRun, CheckUsual
from dynamo.store.engine import Store, open_store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, CostObservation, Product, Run, RunDecision, StoredDocument
from dynamo.store.space import compact, free_space
from dynamo.times import utc_now
from tests.unit.archive.published_runs import START, add_run, new_store

DAY = timedelta(days=1)
NOW = START + 400 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path)


def pruned(store: Store, folder: Path, **options: float) -> dict[str, int]:
    return prune(store, parse_config({"retention": options}, base=folder), NOW, lambda: False)


def add_arrival(store: Store, path: Path, recorded_at: datetime, state: str = "accepted", **values: Any) -> int:
    arrival = Arrival(
        feed="f", path=str(path), size=1, mtime_ns=1, state=state, facts={"format": "x"}, detected_at=recorded_at
    )
    arrival.recorded_at = recorded_at
    for name, value in values.items():
        setattr(arrival, name, value)
    with store.transaction() as session:
        session.add(arrival)
        session.flush()
        return arrival.id


def count(store: Store, table: type[Any]) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_nothing_is_pruned_by_default(store: Store, tmp_path: Path) -> None:
    add_arrival(store, tmp_path / "gone.nc", START)
    add_run(store, tmp_path, 0, state="failed", tier="", product_dir=None)
    assert pruned(store, tmp_path) == {}
    assert (count(store, Arrival), count(store, Run)) == (1, 1)


def test_what_checks_found_goes_with_its_run_but_not_what_waits_for_review(store: Store, tmp_path: Path) -> None:
    def examined(series: str) -> Examination:
        values = {"stuck_rays": (9.0, ""), "gates@0.5": (1832.0, "")}
        return Examination(series, f"{series}.nc", "volume", "2024-05-20T18:00:00Z", values, {"digest": 1.0})

    failed: dict[str, Any] = {"state": "failed", "tier": "", "product_dir": None}
    dropped, waiting, young = (add_run(store, tmp_path, number, **failed) for number in range(3))
    with store.transaction() as session:
        session.execute(update(Run).where(Run.id == young.id).values(updated_at=NOW - DAY))
        for run, series in ((dropped, "KOLD"), (waiting, "KWAIT"), (young, "KNEW")):
            # The limit is another's, so that the file teaches what is usual, too.
            sound = {"stuck_rays": CheckRule(fail=20.0)}
            record(session, run.id, [examined(series)], sound)
            session.add(CheckReview(run_id=run.id, check="stuck_rays", reason="", state="waiting", opened_at=START))
        session.get_one(CheckReview, dropped.id).state = "dropped"
        day = {"KOLD": "2024-05-20", "KWAIT": "2024-05-20", "KNEW": f"{NOW - DAY:%Y-%m-%d}"}
        for series, at in day.items():
            session.execute(update(CheckDay).where(CheckDay.series == series).values(day=at))
    assert pruned(store, tmp_path, runs_days=90.0) == {"check_days": 2, "runs": 1, "documents": 0}
    with store.reading() as session:
        left = {table: set(session.scalars(select(table.run_id))) for table in (CheckResult, CheckReview, CheckRun)}
        at_series = {table: set(session.scalars(select(table.series))) for table in (CheckDay, CheckUsual, CheckLast)}
    assert left == {key: {waiting.id, young.id} for key in (CheckResult, CheckReview, CheckRun)}
    assert at_series == {key: {"KNEW"} for key in (CheckDay, CheckUsual, CheckLast)}


def test_a_file_that_is_still_there_keeps_its_identity(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there.nc").touch()
    (tmp_path / "link.nc").symlink_to("nowhere")
    there, link = (add_arrival(store, tmp_path / name, START) for name in ("there.nc", "link.nc"))
    gone = add_arrival(store, tmp_path / "gone.nc", START)
    young = add_arrival(store, tmp_path / "young.nc", NOW - 89 * DAY)
    aside = add_arrival(store, tmp_path / "bad.nc", START, "quarantined", moved_to="/q/bad.nc")
    run = add_run(store, tmp_path, 0, arrival_id=gone)
    assert pruned(store, tmp_path, arrivals_days=90.0) == {"arrivals": 1}
    with store.reading() as session:
        rows = {row.id: row for row in session.scalars(select(Arrival))}
        assert session.get_one(Run, run.id).arrival_id is None
    assert set(rows) == {there, link, young, aside}
    assert rows[there].facts is None, "what takes the space"
    assert rows[young].facts == {"format": "x"}


def test_a_pass_over_arrivals_goes_on_where_the_last_one_ended(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 2)
    monkeypatch.setattr(pruning, "_LOOKS", 4)
    for number in range(7):
        add_arrival(store, tmp_path / f"{number}.nc", START)
    assert [pruned(store, tmp_path, arrivals_days=90.0)["arrivals"] for _ in range(3)] == [4, 3, 0]


def test_decisions_are_kept_as_long_as_alerts_need_them(store: Store, tmp_path: Path) -> None:
    with store.transaction() as session:
        decide(session, "a", "start", "")
        decide(session, "b", "start", "")
        session.flush()
        for row, age in zip(session.scalars(select(RunDecision)), (100, 10), strict=True):
            row.time = NOW - age * DAY
    late = parse_config({"retention": {"decisions_days": 5.0}, "alerts": {"late_min": 30 * 1440.0}}, base=tmp_path)
    assert prune(store, late, NOW, lambda: False) == {"decisions": 1}
    assert pruned(store, tmp_path, decisions_days=5.0) == {"decisions": 1}


def test_runs_without_products_go_with_all_that_is_theirs(store: Store, tmp_path: Path) -> None:
    failed = add_run(store, tmp_path, 0, state="failed", tier="", product_dir=None)
    gone = add_run(store, tmp_path, 1, tier="gone", product_dir=None)
    kept = [
        add_run(store, tmp_path, 2),
        add_run(store, tmp_path, 3, tier="warm"),
        add_run(store, tmp_path, 4, state="running", tier="", product_dir=None),
        add_run(store, tmp_path, 400 * 1440, state="failed", tier="", product_dir=None),
    ]
    with store.transaction() as session:
        for run in (failed, gone, kept[0]):
            session.add(
                CostObservation(run_id=run.id, job="a", module="m", features={}, cpu_s=1, wall_s=1, observed_at=START)
            )
    unused = {"name": "old", "version": "1", "body": {}}
    with store.transaction() as session:
        insert_new(session, StoredDocument, sha256="a" * 64, recorded_at=START, **unused)
        insert_new(session, StoredDocument, sha256="b" * 64, recorded_at=NOW - DAY, **unused)
    assert pruned(store, tmp_path, runs_days=90.0) == {"check_days": 0, "runs": 2, "documents": 1}
    with store.reading() as session:
        assert set(session.scalars(select(Run.id))) == {run.id for run in kept}
        assert set(session.scalars(select(CostObservation.run_id))) == {kept[0].id}
        assert set(session.scalars(select(Product.run_id))) == {run.id for run in kept}
        assert set(session.scalars(select(StoredDocument.sha256))) == {"b" * 64, "d" * 64}


def test_costs_that_a_fit_uses_stay(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "WINDOW", 3)
    run = add_run(store, tmp_path, 0)
    with store.transaction() as session:
        for number in range(5):
            session.add(
                CostObservation(
                    run_id=run.id, job=str(number), module="m", features={}, cpu_s=1, wall_s=1, observed_at=START
                )
            )
    assert pruned(store, tmp_path, costs_days=90.0) == {"cost_observations": 2}
    with store.reading() as session:
        assert set(session.scalars(select(CostObservation.job))) == {"2", "3", "4"}


def test_the_space_of_removed_rows_is_given_back(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    fill_and_empty(store)
    before = file.stat().st_size
    assert free_space(store) > 2_000_000
    store.close()
    assert file.stat().st_size < before - 2_000_000


def test_an_older_store_is_compacted_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store.engine.connect() as connection:
        driver = connection.connection.cursor()
        for pragma in ("PRAGMA auto_vacuum=NONE", "VACUUM"):
            driver.execute(pragma)
    store.close()
    store = open_store(tmp_path / "store.sqlite")
    fill_and_empty(store)
    assert free_space(store) == 0
    before, after = compact(store)
    assert after < before - 2_000_000
    fill_and_empty(store)
    assert free_space(store) > 2_000_000
    store.close()


def fill_and_empty(store: Store) -> None:
    with store.transaction() as session:
        for _ in range(300):
            session.add(RunDecision(time=utc_now(), subject="a", action="a", reason="x" * 10_000, data={}))
    with store.transaction() as session:
        session.execute(text("DELETE FROM decisions"))
