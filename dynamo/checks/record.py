"""Judge what a run's jobs measured against what the store knows, and store the outcome: one transaction per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dynamo.checks.judging import CheckRule, SeriesMemory, Usual, judge
from dynamo.checks.model import CheckVerdict, Examination, Flag
from dynamo.errors import InputError
from dynamo.store.checks import CheckDay, CheckLast, CheckResult, CheckReview, CheckUsual
from dynamo.store.inserts import insert_new
from dynamo.times import CLOCK_TOLERANCE, parse_time, to_iso, utc_now

#: Neighbors seen in this time around a file are compared with it.
_AROUND = timedelta(minutes=5)
_COLUMNS = {
    Flag.GOOD: "good",
    Flag.NOT_EVALUATED: "unknown",
    Flag.SUSPECT: "suspect",
    Flag.BAD: "bad",
    Flag.MISSING: "missing",
}
#: Rows of a check that fails in file after file are kept for so many of a run.
_MOST_ROWS = 200


def record(
    session: Session, run_id: str, examinations: Sequence[Examination], rules: Mapping[str, CheckRule]
) -> list[CheckVerdict]:
    """Judge a run's files and store the outcome; repeating it for a run replaces its rows.

    Parameters
    ----------
    session
        The transaction that also stores how the run goes on, so that no file is counted twice.
    run_id, examinations, rules
        The run, what its jobs measured, and the configuration.

    Returns
    -------
    list of CheckVerdict
        All of them, in the order of files and checks.
    """
    session.execute(delete(CheckResult).where(CheckResult.run_id == run_id))
    now = utc_now()
    verdicts: list[CheckVerdict] = []
    for examination in _once(examinations):
        memory = known(session, examination)
        found = judge(examination, memory, rules)
        before = dict(memory.last)
        memory.learn(examination, found)
        _remember(session, examination, memory, before, now)
        _count(session, examination.series, now, found)
        verdicts += found
    shown = [verdict for verdict in verdicts if verdict.flag not in (Flag.GOOD, Flag.NOT_EVALUATED)][:_MOST_ROWS]
    if shown:
        session.execute(insert(CheckResult), [_row(run_id, verdict, now) for verdict in shown])
    return verdicts


def open_review(session: Session, run_id: str, verdicts: Sequence[CheckVerdict]) -> str:
    """Put a run whose data must not be published up for review; return the reason, empty if nothing blocks it.

    A run that was released before is not blocked again.
    """
    blocking = [verdict for verdict in verdicts if verdict.blocks]
    if not blocking:
        return ""
    review = session.get(CheckReview, run_id)
    if review is not None and review.state == "released":
        return ""
    reason = f"blocked by a check: {blocking[0].sentence()}"
    if blocking[0].file:
        reason += f" in {blocking[0].file}"
    if len(blocking) > 1:
        reason += f", and {len(blocking) - 1} more"
    values = {"check": blocking[0].check, "reason": reason, "state": "waiting", "opened_at": utc_now()}
    if review is None:
        session.execute(insert(CheckReview).values(run_id=run_id, decided_at=None, note="", **values))
    else:
        session.execute(update(CheckReview).where(CheckReview.run_id == run_id).values(**values, decided_at=None))
    return reason


def _once(examinations: Sequence[Examination]) -> list[Examination]:
    """Return the first examination of each file, oldest data first."""
    first: dict[tuple[str, str], Examination] = {}
    for one in examinations:
        first.setdefault((one.kind, one.file), one)
    return sorted(first.values(), key=lambda one: one.valid_at)


def known(session: Session, examination: Examination) -> SeriesMemory:
    """Return what is stored of a series, and of its neighbors at that time."""
    memory = SeriesMemory()
    for usual in session.scalars(select(CheckUsual).where(CheckUsual.series == examination.series)):
        memory.usual[usual.series, usual.name] = Usual(usual.count, usual.mean, usual.variance)
    own = session.get(CheckLast, examination.series)
    rows = [] if own is None else [own]
    at = _time(examination.valid_at)
    if at is not None and examination.marks.get("rain"):
        near = select(CheckLast).where(CheckLast.valid_at.between(at - _AROUND, at + _AROUND)).limit(50)
        rows += [row for row in session.scalars(near) if row.series != examination.series]
    for row in rows:
        memory.last[row.series] = to_iso(row.valid_at), row.marks
    return memory


def _remember(
    session: Session, examination: Examination, memory: SeriesMemory, before: Mapping[str, object], now: datetime
) -> None:
    series = examination.series
    for (_, name), usual in memory.usual.items():
        values = {"count": usual.count, "mean": usual.mean, "variance": usual.variance}
        if not insert_new(session, CheckUsual, series=series, name=name, **values):
            session.execute(
                update(CheckUsual).where(CheckUsual.series == series, CheckUsual.name == name).values(**values)
            )
    at = _time(examination.valid_at)
    # Data of a clock that is ahead would be the newest for years.
    if at is None or at > now + CLOCK_TOLERANCE or memory.last.get(series) == before.get(series):
        return
    marks = dict(examination.marks)
    if not insert_new(session, CheckLast, series=series, valid_at=at, marks=marks):
        session.execute(update(CheckLast).where(CheckLast.series == series).values(valid_at=at, marks=marks))


def _count(session: Session, series: str, now: datetime, verdicts: Sequence[CheckVerdict]) -> None:
    day = f"{now:%Y-%m-%d}"
    insert_new(session, CheckDay, series=series, day=day, **dict.fromkeys(_COLUMNS.values(), 0))
    values = {}
    for flag, name in _COLUMNS.items():
        if number := sum(verdict.flag == flag for verdict in verdicts):
            values[name] = getattr(CheckDay, name) + number
    if values:
        session.execute(update(CheckDay).where(CheckDay.series == series, CheckDay.day == day).values(**values))


def _row(run_id: str, verdict: CheckVerdict, now: datetime) -> dict[str, object]:
    names = ("series", "file", "check", "severity", "value", "limit", "place")
    return {
        "run_id": run_id,
        "flag": int(verdict.flag),
        "time": now,
        **{name: getattr(verdict, name) for name in names},
    }


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except InputError:
        return None
