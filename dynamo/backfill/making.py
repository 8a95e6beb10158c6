"""Make runs, a few at a time: each portion and the position after it are one transaction."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dynamo.backfill.judging import Notes, SlotOutcome, counts, judge
from dynamo.backfill.order import Order
from dynamo.backfill.source import Position, slots
from dynamo.backfill.states import ACTIVE, FINISH, MAKE
from dynamo.engines.base import BACKGROUND
from dynamo.runs.folder import clear_work
from dynamo.runs.ledger import create_run, decide, reopen
from dynamo.runs.service import RunService
from dynamo.runs.states import FINAL, RETRIED, UNFINISHED
from dynamo.store.backfills import Backfill
from dynamo.store.models import Run
from dynamo.times import utc_now

#: Most slots to look at in one go: files are looked at, and a cancellation must not wait.
_LOOKS = 50


def unfinished_runs(session: Session, backfill: str) -> list[str]:
    """Return the runs of a backfill that have not ended, oldest data first."""
    query = select(Run.id).where(Run.backfill == backfill, Run.state.in_(UNFINISHED)).order_by(Run.valid_at, Run.id)
    return list(session.scalars(query))


def run_states(session: Session, backfill: str) -> dict[str, int]:
    """Return how many runs of a backfill are in each state."""
    query = select(Run.state, func.count().label("number")).where(Run.backfill == backfill).group_by(Run.state)
    return {row.state: row.number for row in session.execute(query)}


def make_portion(service: RunService, order: Order, backfill: str, most: int) -> list[Run]:
    """Create up to ``most`` runs, or look at so many slots in vain; return the runs.

    Nothing happens if the backfill is not active, or another process has moved its position meanwhile.
    """
    with service.store.reading() as session:
        row = session.get_one(Backfill, backfill)
        before = Position(row.cursor_at, row.cursor_id)
        if row.state != ACTIVE or row.phase != MAKE:
            return []
        book = Notes(session, order.rule.kind, backfill, utc_now())
        found: list[SlotOutcome] = []
        end, ended = before, True
        for slot in slots(session, order, row.feed, before):
            if len(found) >= _LOOKS or sum(one.word == "make" for one in found) >= most:
                ended = False
                break
            found += judge(session, slot, order, book, backfill)
            end = slot.end
    with service.store.transaction() as session:
        row = session.get_one(Backfill, backfill, with_for_update=True)
        if row.state != ACTIVE or row.phase != MAKE or Position(row.cursor_at, row.cursor_id) != before:
            return []
        runs = [run for one in found if (run := _made(session, service, one, backfill)) is not None]
        book.write_to(session)
        for name, count in counts(found).items():
            setattr(row, name, getattr(row, name) + count)
        row.cursor_at, row.cursor_id, row.updated_at = end.at, end.id, utc_now()
        if ended:
            row.phase = FINISH
    for run in runs:
        service.announce(run)
    return runs


def _made(session: Session, service: RunService, outcome: SlotOutcome, backfill: str) -> Run | None:
    """Create the run of an outcome, or open an ended one again as the backfill's; None if there is nothing to run."""
    if outcome.request is None:
        return None
    run, new = create_run(session, outcome.request, runs_dir=service.settings.runs_dir)
    if not new:
        again = run.state in RETRIED or (run.state in FINAL and run.id == outcome.known)
        if not again:
            return None
        if run.state == "succeeded":
            clear_work(run)
        reopen(session, run.id, outcome.request)
        values = {"origin": "backfill", "backfill": backfill, "priority": BACKGROUND}
        session.execute(update(Run).where(Run.id == run.id).values(**values))
        session.refresh(run)
    decide(session, run.id, "backfill", f"backfill {backfill}: {outcome.reason}")
    return run
