"""What the store keeps of checks, and the review of what they block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.checks.judging import CheckRule
from dynamo.checks.model import Examination, Flag, from_json
from dynamo.checks.record import open_review, record
from dynamo.checks.review import decide_review, reviews_in
from dynamo.errors import NotFoundError, UsageError
from dynamo.store.checks import CheckDay, CheckLast, CheckResult, CheckUsual
from dynamo.store.engine import open_store
from dynamo.store.models import Run, StoredDocument
from dynamo.times import utc_now


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    store = open_store(tmp_path / "store.sqlite")
    now = utc_now()
    with store.transaction() as opened:
        opened.add(StoredDocument(sha256="d", name="hail", version="1", body={}, recorded_at=now))
        opened.flush()
        for name in ("run", *(f"run-{minute}" for minute in range(6))):
            opened.add(
                Run(
                    id=name, key=name, workflow="hail", version="1", document="d", engine="local", state="running",
                    inputs=[], parameters={}, run_dir="", software="", created_at=now, updated_at=now,
                )
            )  # fmt: skip
        opened.flush()
        yield opened
    store.close()


def file(stuck: float, minute: int = 0) -> Examination:
    values: dict[str, tuple[float | None, str]] = {"stuck_rays": (stuck, "azimuth 3 deg"), "gates@0.5": (1832.0, "")}
    marks = {"digest": float(minute + 1), "rain": {}}
    return Examination("KFWS", f"sweep-{minute}", "volume", f"2024-05-01T12:{minute:02d}:00Z", values, marks)


def test_only_what_is_not_good_has_a_row_and_all_is_counted(session: Session) -> None:
    for minute in range(5):
        record(session, f"run-{minute}", [file(0.0, minute)], {})
    assert session.scalar(select(func.count()).select_from(CheckResult)) == 0
    record(session, "run", [file(9.0, 5), file(9.0, 5)], {})
    row = session.scalars(select(CheckResult)).one()
    assert (row.check, row.flag, row.value, row.limit, row.file) == ("stuck_rays", Flag.BAD, 9.0, 4.0, "sweep-5")
    day = session.scalars(select(CheckDay)).one()
    # Repeats of one file, as a second job gives them, count once.
    assert (day.good, day.unknown, day.bad) == (10, 6, 1)
    usual = session.scalars(select(CheckUsual)).one()
    # The damaged file taught nothing.
    assert (usual.count, usual.mean) == (5, 1832.0)
    assert session.scalars(select(CheckLast)).one().valid_at.minute == 4


def test_a_retried_run_counts_once_and_teaches_once(session: Session) -> None:
    for _ in range(3):
        record(session, "run", [file(9.0)], {})
    day = session.scalars(select(CheckDay)).one()
    assert (day.good, day.unknown, day.bad) == (0, 1, 1)
    assert session.scalar(select(func.count()).select_from(CheckResult)) == 1
    assert session.scalar(select(func.count()).select_from(CheckUsual)) == 0
    # With another limit it is sound: what it counted as before is taken back.
    for _ in range(2):
        record(session, "run", [file(9.0)], {"stuck_rays": CheckRule(fail=20.0, suspect=20.0)})
    session.refresh(day)
    assert (day.good, day.unknown, day.bad) == (1, 1, 0)
    assert session.scalar(select(func.count()).select_from(CheckResult)) == 0
    assert session.scalars(select(CheckUsual)).one().count == 1
    record(session, "run", [], {})
    session.refresh(day)
    assert (day.good, day.unknown, day.bad) == (0, 0, 0)


def test_a_blocked_run_waits_for_review_and_is_not_blocked_again_once_released(session: Session) -> None:
    verdicts = record(session, "run", [file(9.0)], {})
    reason = open_review(session, "run", verdicts)
    assert reason == "blocked by a check: stuck_rays: 9, limit 4 (azimuth 3 deg) in sweep-0"
    assert [(one.run_id, one.check, one.reason) for one in reviews_in(session, "waiting")] == [
        ("run", "stuck_rays", reason)
    ]
    decide_review(session, "run", release=True, note="a test signal")
    session.flush()
    assert reviews_in(session, "waiting") == []
    assert open_review(session, "run", verdicts) == ""
    with pytest.raises(UsageError, match="released"):
        decide_review(session, "run", release=False, note="")
    with pytest.raises(NotFoundError):
        decide_review(session, "other", release=True, note="")


def test_a_warning_blocks_nothing(session: Session) -> None:
    verdicts = record(session, "run", [file(9.0)], {"stuck_rays": CheckRule(severity="warn")})
    assert [verdict.flag for verdict in verdicts if verdict.check == "stuck_rays"] == [Flag.BAD]
    assert open_review(session, "run", verdicts) == ""


@pytest.mark.parametrize("damage", [{"values": {"a": 3}}, {"values": {"a": ["x", ""]}}, {"marks": 3}, {"values": None}])
def test_what_a_foreign_module_writes_amiss_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError, IndexError)):
        from_json({**file(0.0).to_json(), **damage})
    assert from_json(file(0.0).to_json()) == file(0.0)
