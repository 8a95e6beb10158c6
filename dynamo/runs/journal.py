"""The states of runs as they change: stored first, then told to listeners and the log."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import select

from dynamo.runs.events import RunEvents
from dynamo.runs.ledger import decide, find_run, move
from dynamo.runs.states import RunState
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.runs")


class RunJournal:
    """Reads runs and moves them on.

    Parameters
    ----------
    store, events
        Where they are stored, and who is told.
    """

    def __init__(self, store: Store, events: RunEvents) -> None:
        self.store = store
        self.events = events

    def get(self, run_id: str) -> Run:
        """Return a run as the store has it now."""
        with self.store.reading() as session:
            return find_run(session, run_id)

    def cancel_reason(self, run_id: str) -> str | None:
        """Return why somebody wants the end of a run; None if nobody does."""
        with self.store.reading() as session:
            return session.scalar(select(Run.cancel_reason).where(Run.id == run_id))

    def move(self, run: Run, to: RunState, **values: Any) -> None:
        """Bring a run to a state, with values of its columns; tells of it if the run was in a state before that one."""
        with self.store.transaction() as session:
            moved = move(session, run.id, to, **values)
        if moved:
            self.tell(run.id, to, str(values.get("reason") or ""))

    def skip(self, run: Run, reason: str, **data: Any) -> bool:
        """Record that a run which has not started is not worth running any more."""
        with self.store.transaction() as session:
            done = move(session, run.id, "skipped", reason=reason, finished_at=utc_now())
            if done:
                decide(session, run.id, "skip", reason, **data)
        if done:
            self.tell(run.id, "skipped", reason)
            self.events.emit("decision", run.id, action="skip", reason=reason, **data)
        return done

    def tell(self, run_id: str, state: RunState, reason: str) -> None:
        """Tell of a state that is stored."""
        _log.info("run %s", state, extra={"run": run_id, **({"reason": reason} if reason else {})})
        self.events.emit("run_state", run_id, state=state, reason=reason)
