"""Remove rows that are no longer needed, in small batches, but for what keeps work from being done twice.

A file that is still in its feed keeps its arrival, so that it is not taken again; a run keeps its row, and with it its
key, as long as its products exist anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, delete, null, or_, select, update
from sqlalchemy.orm import Session

from dynamo.config.file import Config
from dynamo.runs.learning import WINDOW
from dynamo.runs.states import RETRIED
from dynamo.store.checks import CheckDay, CheckLast, CheckReview, CheckUsual
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Base, CostObservation, Cursor, Run, RunDecision, StoredDocument
from dynamo.store.retention import ProductMove
from dynamo.times import utc_now

#: Rows removed in one transaction, and between two looks at whether to stop.
_BATCH = 500
#: Old arrivals looked at in one pass: each costs a look at its file.
_LOOKS = 20_000
_CURSOR = "retention arrivals"


def prune(store: Store, config: Config, now: datetime, stopped: Callable[[], bool]) -> dict[str, int]:
    """Remove rows that are older than the options of `[retention]` say; return how many of each table."""
    section = config.retention
    removed: dict[str, int] = {}
    if section.decisions_days is not None:
        # Alerts look up by its decisions whether a run was judged.
        days = max(section.decisions_days, config.alerts.late_min / 1440.0)
        old = RunDecision.time < now - timedelta(days=days)
        removed["decisions"] = _in_batches(store, stopped, lambda session: _drop_some(session, RunDecision, [old]))
    if section.costs_days is not None:
        removed["cost_observations"] = _prune_costs(store, now - timedelta(days=section.costs_days), stopped)
    if section.runs_days is not None:
        before = now - timedelta(days=section.runs_days)
        removed["check_days"] = _prune_checks(store, before)
        removed["runs"] = sum(
            _in_batches(store, stopped, lambda session, ended=ended: _drop_runs(session, ended, before))  # type: ignore[misc]
            for ended in (Run.state.in_(RETRIED), and_(Run.tier == "gone", Run.state == "succeeded"))
        )
        removed["documents"] = _in_batches(store, stopped, lambda session: _drop_documents(session, before))
    if section.arrivals_days is not None:
        removed["arrivals"] = _prune_arrivals(store, now - timedelta(days=section.arrivals_days), stopped)
    return removed


def _in_batches(store: Store, stopped: Callable[[], bool], some: Callable[[Session], int]) -> int:
    total = 0
    while not stopped():
        with store.transaction() as session:
            gone = some(session)
        total += gone
        if gone < _BATCH:
            break
    return total


def _drop_some(session: Session, table: type[Any], conditions: Sequence[ColumnElement[bool]]) -> int:
    chosen = select(table.id).where(*conditions).limit(_BATCH)
    return _count(session.execute(delete(table).where(table.id.in_(chosen))))


def _drop_runs(session: Session, ended: ColumnElement[bool], before: datetime) -> int:
    """Remove some finished runs without products, and what belongs to them."""
    moving = select(ProductMove.run_id).where(ProductMove.run_id == Run.id).exists()
    # What waits for a person stays, as refused files do.
    waits = select(CheckReview.run_id).where(CheckReview.run_id == Run.id, CheckReview.state == "waiting").exists()
    chosen = select(Run.id).where(ended, Run.updated_at < before, ~moving, ~waits).limit(_BATCH)
    runs = session.scalars(chosen.with_for_update()).all()
    if not runs:
        return 0
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column is Run.__table__.c.id:
                session.execute(delete(table).where(key.parent.in_(runs)))
    session.execute(delete(Run).where(Run.id.in_(runs)))
    return len(runs)


def _drop_documents(session: Session, before: datetime) -> int:
    """Remove some workflow documents that nothing refers to any more.

    Who is about to refer to one holds it (`keep_document`): it is left, and looked at once more when it is locked.
    """
    column = StoredDocument.__table__.c.sha256
    unused = [
        ~select(key.parent).where(key.parent == column).exists()
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column is column
    ]
    chosen = select(column).where(StoredDocument.recorded_at < before, *unused).limit(_BATCH)
    locked = session.scalars(chosen.with_for_update(of=StoredDocument, skip_locked=True)).all()
    return _count(session.execute(delete(StoredDocument).where(column.in_(locked), *unused)))


def _prune_checks(store: Store, before: datetime) -> int:
    """Remove the counters of old days, and what is usual for series of which nothing came since; results go with runs.

    There are few of both: a row per series and day, and some per series.
    """
    with store.transaction() as session:
        days = _count(session.execute(delete(CheckDay).where(CheckDay.day < f"{before:%Y-%m-%d}")))
        alive = select(CheckDay.series).distinct()
        session.execute(delete(CheckUsual).where(CheckUsual.series.not_in(alive)))
        session.execute(delete(CheckLast).where(CheckLast.series.not_in(alive)))
    return days


def _prune_costs(store: Store, before: datetime, stopped: Callable[[], bool]) -> int:
    with store.reading() as session:
        modules = session.scalars(select(CostObservation.module).distinct()).all()
        firsts = {
            module: session.scalar(
                select(CostObservation.id)
                .where(CostObservation.module == module)
                .order_by(CostObservation.id.desc())
                .offset(WINDOW)
                .limit(1)
            )
            for module in modules
        }
    total = 0
    for module, last in firsts.items():
        if last is not None:
            old = [CostObservation.module == module, CostObservation.id <= last, CostObservation.observed_at < before]
            total += _in_batches(store, stopped, lambda session, old=old: _drop_some(session, CostObservation, old))  # type: ignore[misc]
    return total


def _prune_arrivals(store: Store, before: datetime, stopped: Callable[[], bool]) -> int:
    """Remove arrivals whose files are gone, and the facts of the others; a pass goes on where the last one ended."""
    total, looked = 0, 0
    with store.reading() as session:
        cursor = session.get(Cursor, _CURSOR)
        last = int(cursor.data["id"]) if cursor is not None else 0
    while not stopped() and looked < _LOOKS:
        with store.reading() as session:
            rows = session.execute(
                select(Arrival.id, Arrival.path, Arrival.recorded_at)
                .where(Arrival.id > last)
                .order_by(Arrival.id)
                .limit(_BATCH)
            ).all()
        old = [row for row in rows if row.recorded_at < before]
        gone = [row.id for row in old if not os.path.lexists(row.path)]
        there = [row.id for row in old if row.id not in set(gone)]
        # Numbers ascend with time: nothing after a younger one is old, but for a clock that was set back.
        last = rows[-1].id if len(rows) == _BATCH and old else 0
        looked += len(rows)
        with store.transaction() as session:
            total += _drop_arrivals(session, gone)
            session.execute(
                update(Arrival).where(Arrival.id.in_(there), Arrival.facts.is_not(None)).values(facts=null())
            )
            insert_new(session, Cursor, name=_CURSOR, data={"id": 0}, updated_at=utc_now())
            session.execute(
                update(Cursor).where(Cursor.name == _CURSOR).values(data={"id": last}, updated_at=utc_now())
            )
        if last == 0:
            break
    return total


def _drop_arrivals(session: Session, ids: Sequence[int]) -> int:
    """Remove arrivals; runs forget where they came from. What waits in quarantine stays."""
    waits = or_(Arrival.state == "released", and_(Arrival.state == "quarantined", Arrival.moved_to.is_not(None)))
    chosen = session.scalars(select(Arrival.id).where(Arrival.id.in_(ids), ~waits)).all()
    session.execute(update(Run).where(Run.arrival_id.in_(chosen)).values(arrival_id=None))
    return _count(session.execute(delete(Arrival).where(Arrival.id.in_(chosen))))


def _count(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
