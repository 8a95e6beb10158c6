"""Judge what a run's jobs measured against what the store knows, and store the outcome: one transaction per run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dynamo.checks.judging import CheckRule, SeriesMemory, Usual, judge
from dynamo.checks.model import CheckVerdict, Examination, Flag
from dynamo.errors import InputError
from dynamo.store.checks import CheckDay, CheckLast, CheckResult, CheckReview, CheckRun, CheckUsual
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
_MOST_NEIGHBORS = 50
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
    now = utc_now()
    before = session.get(CheckRun, run_id)
    learned = set() if before is None else set(before.learned)
    day = f"{now:%Y-%m-%d}" if before is None else before.day
    verdicts: list[CheckVerdict] = []
    counts: dict[str, dict[str, int]] = {}
    # In the order of their names, so that two processes never wait for each other's rows.
    for series, some in _by_series(examinations).items():
        found = _judge_series(session, some, rules, now, learn=series not in learned)
        if not any(verdict.flag == Flag.BAD for verdict in found):
            learned.add(series)
        counts[series] = _counted(found)
        verdicts += found
    _count(session, day, counts, {} if before is None else before.counts)
    session.execute(delete(CheckResult).where(CheckResult.run_id == run_id))
    shown = [verdict for verdict in verdicts if verdict.flag not in (Flag.GOOD, Flag.NOT_EVALUATED)][:_MOST_ROWS]
    if shown:
        session.execute(insert(CheckResult), [_row(run_id, verdict, now) for verdict in shown])
    values = {"day": day, "counts": counts, "learned": dict.fromkeys(sorted(learned), True)}
    if before is not None:
        session.execute(update(CheckRun).where(CheckRun.run_id == run_id).values(**values))
    elif counts:
        session.execute(insert(CheckRun).values(run_id=run_id, **values))
    return verdicts


def open_review(session: Session, run_id: str, verdicts: Sequence[CheckVerdict]) -> str:
    """Put a run whose data must not be published up for review; return the reason, empty if nothing blocks it.

    A run that was released before is not blocked again.
    """
    blocking = [verdict for verdict in verdicts if verdict.blocks]
    if not blocking:
        # Retried with other limits, or with inputs that are there again, it has nothing left to review.
        session.execute(delete(CheckReview).where(CheckReview.run_id == run_id, CheckReview.state == "waiting"))
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


def _by_series(examinations: Sequence[Examination]) -> dict[str, list[Examination]]:
    """Return the first examination of each file, by series, oldest data first."""
    first: dict[tuple[str, str], Examination] = {}
    for one in examinations:
        first.setdefault((one.kind, one.file), one)
    found: dict[str, list[Examination]] = {}
    for one in sorted(first.values(), key=lambda one: (one.series, one.valid_at)):
        found.setdefault(one.series, []).append(one)
    return found


def _judge_series(
    session: Session, examinations: Sequence[Examination], rules: Mapping[str, CheckRule], now: datetime, *, learn: bool
) -> list[CheckVerdict]:
    """Judge the files of one series, one after the other, and remember what they teach."""
    memory = known(session, examinations[0])
    known_before = {name: usual.count for name, usual in memory.usual.items()}
    last_before = memory.last.get(examinations[0].series)
    verdicts = []
    for number, examination in enumerate(examinations):
        if number and examination.marks.get("rain"):
            # Neighbors of another time.
            memory.last |= _neighbors(session, examination)
        found = judge(examination, memory, rules)
        if learn:
            memory.learn(examination, found, newest=now + CLOCK_TOLERANCE)
        verdicts += found
    changed = {name: usual for name, usual in memory.usual.items() if usual.count != known_before.get(name)}
    _remember(session, examinations[0].series, changed)
    last = memory.last.get(examinations[0].series)
    if last is not None and last != last_before:
        _remember_last(session, examinations[0].series, *last)
    return verdicts


def known(session: Session, examination: Examination) -> SeriesMemory:
    """Return what is stored of a series, and of its neighbors at that time."""
    memory = SeriesMemory()
    for usual in session.scalars(select(CheckUsual).where(CheckUsual.series == examination.series)):
        memory.usual[usual.series, usual.name] = Usual(usual.count, usual.mean, usual.variance)
    own = session.get(CheckLast, examination.series)
    if own is not None:
        memory.last[own.series] = to_iso(own.valid_at), own.marks
    memory.last |= _neighbors(session, examination)
    return memory


def _neighbors(session: Session, examination: Examination) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the newest files of other radars at the time of a radar's file."""
    at = _time(examination.valid_at)
    if at is None or not examination.marks.get("rain"):
        return {}
    near = select(CheckLast).where(
        CheckLast.valid_at.between(at - _AROUND, at + _AROUND), CheckLast.series != examination.series
    )
    return {row.series: (to_iso(row.valid_at), row.marks) for row in session.scalars(near.limit(_MOST_NEIGHBORS))}


def _remember(session: Session, series: str, usual: Mapping[tuple[str, str], Usual]) -> None:
    for (_, name), one in sorted(usual.items()):
        values = {"count": one.count, "mean": one.mean, "variance": one.variance}
        if not insert_new(session, CheckUsual, series=series, name=name, **values):
            session.execute(
                update(CheckUsual).where(CheckUsual.series == series, CheckUsual.name == name).values(**values)
            )


def _remember_last(session: Session, series: str, valid_at: str, marks: Mapping[str, Any]) -> None:
    values = {"valid_at": parse_time(valid_at), "marks": dict(marks)}
    if not insert_new(session, CheckLast, series=series, **values):
        session.execute(update(CheckLast).where(CheckLast.series == series).values(**values))


def _counted(verdicts: Sequence[CheckVerdict]) -> dict[str, int]:
    """Return how many verdicts there are by column, without those of which there is none."""
    return dict(Counter(_COLUMNS[verdict.flag] for verdict in verdicts))


def _count(session: Session, day: str, counts: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Add a run's numbers to those of a day, instead of what it added before."""
    for series in sorted(counts.keys() | before.keys()):
        new, old = counts.get(series, {}), before.get(series, {})
        more = {name: new.get(name, 0) - old.get(name, 0) for name in _COLUMNS.values()}
        changes = {name: getattr(CheckDay, name) + number for name, number in more.items() if number}
        if changes:
            insert_new(session, CheckDay, series=series, day=day, **dict.fromkeys(_COLUMNS.values(), 0))
            session.execute(update(CheckDay).where(CheckDay.series == series, CheckDay.day == day).values(**changes))


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
