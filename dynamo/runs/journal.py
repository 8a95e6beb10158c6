"""State changes of runs: stored first, then announced to listeners and the log."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from sqlalchemy import ColumnElement, select, update

from dynamo.errors import RetryableError
from dynamo.runs.events import RunEvents
from dynamo.runs.ledger import decide, find_run, move, note
from dynamo.runs.states import UNFINISHED, RunState
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.runs")
REASON_LENGTH = 2000
_WAITING = "waiting: "
#: For states that someone should look at.
_LEVELS: dict[RunState, int] = {"failed": logging.ERROR, "held": logging.WARNING}


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
        self._waiting: set[str] = set()

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

    def waits(self, run: Run, reason: str) -> None:
        """Store what an unfinished run waits for, until it goes on; without the store, only the log has it."""
        self._waiting.add(run.id)
        self._give_reason(run, f"{_WAITING}{reason}"[:REASON_LENGTH])

    def goes_on(self, run: Run) -> None:
        """Take back and announce the end of what a run waited for, if it did."""
        if run.id in self._waiting:
            self._waiting.discard(run.id)
            self._give_reason(run, "", Run.reason.startswith(_WAITING))
            self.events.emit("recovered", run.id)

    def _give_reason(self, run: Run, reason: str, *conditions: ColumnElement[bool]) -> None:
        with contextlib.suppress(RetryableError), self.store.transaction() as session:
            unfinished = Run.state.in_(UNFINISHED)
            session.execute(update(Run).where(Run.id == run.id, unfinished, *conditions).values(reason=reason))

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
        level = _LEVELS.get(state, logging.INFO)
        _log.log(level, "run %s", state, extra={"run": run_id, **({"reason": reason} if reason else {})})
        self.events.emit("run_state", run_id, state=state, reason=reason)
