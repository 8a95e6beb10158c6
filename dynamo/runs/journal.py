"""State changes of runs: stored first, then announced to listeners and the log."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import select

from dynamo.runs.events import RunEvents
from dynamo.runs.ledger import decide, find_run, move, note
from dynamo.runs.states import RunState
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.runs")


class RunJournal:
    """Reads runs and moves them between states.

    Parameters
    ----------
    store, events
        Where they are stored, and who is notified.
    """

    def __init__(self, store: Store, events: RunEvents) -> None:
        self.store = store
        self.events = events

    def get(self, run_id: str) -> Run:
        """Return a run as currently stored."""
        with self.store.reading() as session:
            return find_run(session, run_id)

    def cancel_reason(self, run_id: str) -> str | None:
        """Return why the run is to be canceled; None if it is not."""
        with self.store.reading() as session:
            return session.scalar(select(Run.cancel_reason).where(Run.id == run_id))

    def move(self, run: Run, to: RunState, **values: Any) -> None:
        """Move a run to a state and set its columns; announce it if the run actually moved."""
        with self.store.transaction() as session:
            moved = move(session, run.id, to, **values)
        if moved:
            self.tell(run.id, to, str(values.get("reason") or ""))

    def note(self, run: Run, reason: str) -> None:
        """Store why a run does not get on; empty if it does again. Its state stays as it is."""
        with self.store.transaction() as session:
            noted = note(session, run.id, reason)
        if noted and reason:
            _log.info("run waits", extra={"run": run.id, "reason": reason})
            self.events.emit("run_waits", run.id, reason=reason)

    def skip(self, run: Run, reason: str, **data: Any) -> bool:
        """Record that a run that has not started is no longer worth running."""
        with self.store.transaction() as session:
            done = move(session, run.id, "skipped", reason=reason, finished_at=utc_now())
            if done:
                decide(session, run.id, "skip", reason, **data)
        if done:
            self.tell(run.id, "skipped", reason)
            self.events.emit("decision", run.id, action="skip", reason=reason, **data)
        return done

    def tell(self, run_id: str, state: RunState, reason: str) -> None:
        """Announce a stored state."""
        _log.info("run %s", state, extra={"run": run_id, **({"reason": reason} if reason else {})})
        self.events.emit("run_state", run_id, state=state, reason=reason)
