"""Find, list, pause, resume and cancel backfills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from dynamo.backfill.making import run_states, unfinished_runs
from dynamo.backfill.states import ACTIVE, CANCELLED, OPEN, PAUSED
from dynamo.backfill.worker import forget_notes
from dynamo.errors import NotFoundError, UsageError
from dynamo.runs.ledger import decide
from dynamo.runs.service import RunService
from dynamo.store.backfills import Backfill
from dynamo.store.engine import Store
from dynamo.times import to_iso, utc_now


def find_backfill(session: Session, name: str) -> Backfill:
    """Return the backfill whose id starts with ``name``; raise `NotFoundError` if none or several do."""
    rows = session.scalars(select(Backfill).where(Backfill.id.startswith(name, autoescape=True)).limit(2)).all()
    if not name or not rows:
        raise NotFoundError(f"no backfill {name!r:.80}", hint="dynamo backfill list")
    if len(rows) > 1:
        raise NotFoundError(f"{name!r:.80} matches several backfills", hint="dynamo backfill list")
    return rows[0]


def list_backfills(session: Session, limit: int, *conditions: ColumnElement[bool]) -> Sequence[Backfill]:
    """Return backfills that meet all conditions, newest first."""
    query = select(Backfill).where(*conditions).order_by(Backfill.created_at.desc(), Backfill.id).limit(limit)
    return session.scalars(query).all()


def pause(store: Store, name: str, reason: str) -> Backfill:
    """Make no more runs until `resume`; those that were made are finished by whoever works on them."""
    return _move(store, name, frozenset({ACTIVE}), PAUSED, "pause", reason)


def resume(store: Store, name: str, why: str = "") -> Backfill:
    """Go on with a paused backfill where it was; ``why`` is kept with the decision."""
    return _move(store, name, frozenset({PAUSED}), ACTIVE, "resume", "", why)


def cancel(service: RunService, name: str, reason: str) -> Backfill:
    """End a backfill and cancel its unfinished runs; what was published stays."""
    row = _move(service.store, name, OPEN, CANCELLED, "cancel", reason)
    with service.store.reading() as session:
        runs = unfinished_runs(session, row.id)
    for run in runs:
        try:
            service.cancel(run, f"backfill {row.id}: {reason}")
        except UsageError:
            # It ended, or is being published.
            continue
    return row


def _move(
    store: Store, name: str, sources: frozenset[str], to: str, action: str, reason: str, why: str = ""
) -> Backfill:
    with store.transaction() as session:
        found = find_backfill(session, name)
        row = session.get_one(Backfill, found.id, with_for_update=True, populate_existing=True)
        if row.state not in sources:
            raise UsageError(
                f"the backfill is {row.state}", where=row.id, expected=f"one that is {' or '.join(sorted(sources))}"
            )
        row.state, row.reason, row.updated_at = to, reason, utc_now()
        if to == CANCELLED:
            row.finished_at = row.updated_at
            forget_notes(session, row)
        decide(session, f"backfill {row.id}", action, reason or why or "requested")
    return row


def backfill_json(session: Session, row: Backfill) -> dict[str, Any]:
    """Return one backfill as JSON data, with the states of its runs."""
    return {
        "id": row.id,
        "state": row.state,
        "reason": row.reason,
        "phase": row.phase,
        "trigger": row.trigger,
        "workflow": row.workflow,
        "document": row.document,
        "as": row.variant,
        "since": to_iso(row.since),
        "until": to_iso(row.until),
        "position": None if row.cursor_at is None else to_iso(row.cursor_at),
        "radars": row.radars,
        "folder": row.folder,
        "parameters": row.parameters,
        "engine": row.engine,
        "at_most": row.at_most,
        "slots": row.slots,
        "made": row.made,
        "up_to_date": row.had,
        "refused": row.refused,
        "gone": row.gone,
        "runs": run_states(session, row.id),
        "created": to_iso(row.created_at),
        "finished": None if row.finished_at is None else to_iso(row.finished_at),
        "promoted": None if row.promoted_at is None else to_iso(row.promoted_at),
    }
