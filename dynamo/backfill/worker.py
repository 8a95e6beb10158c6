"""Work on backfills: one at a time, the oldest first, in threads of their own, and only while no live run waits.

What they do in this process they do while no live work is in flight; see `dynamo.runs.execution.courtesy`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.backfill.listing import list_portion
from dynamo.backfill.making import make_portion, unfinished_runs
from dynamo.backfill.order import Order, order_of
from dynamo.backfill.states import ACTIVE, DONE, FINISH, LIST, PAUSED
from dynamo.config.file import Config
from dynamo.errors import DynamoError, RetryableError
from dynamo.runs.execution.disk import DiskError
from dynamo.runs.ledger import decide
from dynamo.runs.patience import Stopped
from dynamo.runs.service import RunService
from dynamo.store.backfills import Backfill
from dynamo.store.models import Cursor
from dynamo.times import utc_now
from dynamo.triggers.book import prefix_of

_log = logging.getLogger("dynamo.backfill")
#: Before another look at what was held up, seconds.
_PAUSE_S = 0.25


class BackfillWorker:
    """Makes and executes the runs of active backfills.

    Several processes may do so for one store: each portion of runs is made once, and each run has one executor.

    Parameters
    ----------
    service, config
        What executes runs, and the configuration that triggers are made from.
    may_start
        Whether a run may start now; it may not while live ones wait.
    stop
        Ends the work; runs go on at the next start.
    """

    def __init__(
        self, service: RunService, config: Config, *, may_start: Callable[[], bool], stop: threading.Event
    ) -> None:
        self._service = service
        self._config = config
        self._may_start = may_start
        self._stop = stop
        self._orders: dict[str, Order] = {}
        self._active: set[str] = set()
        self._changed = threading.Condition()

    def work(self, only: str | None = None) -> None:
        """Work until nothing is left to do of any active backfill, or of one, or until the stop.

        Raises
        ------
        RetryableError, OSError
            If the store or the disk fails; the call may be repeated.
        """
        with contextlib.suppress(Stopped):
            while not self._stop.is_set():
                row = self._next(only)
                if row is None:
                    return
                if not self._turn(row):
                    with self._changed:
                        self._changed.wait(_PAUSE_S)

    def join(self, timeout_s: float) -> None:
        """Wait until no run is executed here any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._active, timeout_s)

    def _next(self, only: str | None) -> Backfill | None:
        query = select(Backfill).where(Backfill.state == ACTIVE).order_by(Backfill.created_at, Backfill.id).limit(1)
        if only is not None:
            query = query.where(Backfill.id == only)
        with self._service.store.reading() as session:
            return session.scalar(query)

    def _turn(self, row: Backfill) -> bool:
        """Do the next thing for a backfill; return whether there may be more to do at once."""
        with self._changed:
            active = set(self._active)
        if len(active) >= row.at_most or not self._may_start():
            return False
        try:
            self._service.check_disk()
            order = self._order(row)
        except DiskError:
            return False
        except (RetryableError, OSError):
            raise
        except DynamoError as error:
            self._pause(row.id, str(error))
            return True
        if row.phase == LIST:
            list_portion(self._service.store, order, row.id, partial(self._service.courtesy.turn, self._stop))
            return True
        with self._service.store.reading() as session:
            waiting = [run for run in unfinished_runs(session, row.id) if run not in active]
        room = row.at_most - len(active)
        if not waiting and row.phase != FINISH:
            with self._service.courtesy.turn(self._stop):
                waiting = [run.id for run in make_portion(self._service, order, row.id, room)]
            if not waiting:
                return True
        for run_id in waiting[:room]:
            self._begin(run_id)
        if not waiting and not active:
            self._end(row)
            return True
        return bool(waiting)

    def _order(self, row: Backfill) -> Order:
        if row.id not in self._orders:
            with self._service.store.reading() as session:
                self._orders = {row.id: order_of(session, row, self._config, self._service.planner)}
        return self._orders[row.id]

    def _begin(self, run_id: str) -> None:
        with self._changed:
            self._active.add(run_id)
        threading.Thread(target=self._execute, args=(run_id,), name=f"backfill-{run_id}", daemon=True).start()

    def _execute(self, run_id: str) -> None:
        try:
            ended = self._service.execute(run_id, self._stop)
            if ended is None:
                # Another process works on it: look again later.
                self._stop.wait(_PAUSE_S)
            elif ended.state == "failed":
                self._forgive(run_id)
        except (DynamoError, OSError) as error:
            _log.error("run postponed", extra={"run": run_id, "reason": str(error)})
            self._stop.wait(_PAUSE_S)
        except Exception:  # one run must not stop the others
            _log.exception("bug in a backfill", extra={"run": run_id})
            self._stop.wait(_PAUSE_S)
        finally:
            with self._changed:
                self._active.discard(run_id)
                self._changed.notify_all()

    def _forgive(self, run_id: str) -> None:
        """Have a run done again that failed on a disk that is full or fails: it says nothing about the run."""
        try:
            self._service.check_disk()
        except DiskError as error:
            self._service.retry(run_id, f"failed while its disk did: {error}")

    def _pause(self, backfill: str, reason: str) -> None:
        _log.error("backfill paused", extra={"backfill": backfill, "reason": reason})
        with self._service.store.transaction() as session:
            row = session.get_one(Backfill, backfill, with_for_update=True)
            if row.state == ACTIVE:
                row.state, row.reason, row.updated_at = PAUSED, reason, utc_now()
                decide(session, f"backfill {backfill}", "pause", reason)

    def _end(self, row: Backfill) -> None:
        """Note that a backfill is done, and forget what its trigger remembered."""
        with self._service.store.transaction() as session:
            found = session.get_one(Backfill, row.id, with_for_update=True)
            if found.state != ACTIVE or found.phase != FINISH or unfinished_runs(session, row.id):
                return
            found.state, found.reason = DONE, ""
            found.finished_at = found.updated_at = utc_now()
            decide(session, f"backfill {row.id}", "done", f"{found.made} runs made, {found.had} were up to date")
            forget_notes(session, found)
        _log.info("backfill done", extra={"backfill": row.id, "made": found.made, "had": found.had})


def forget_notes(session: Session, row: Backfill) -> None:
    """Remove what the trigger of a backfill remembered."""
    prefix = prefix_of(str(row.section["kind"]), f"backfill {row.id}")
    session.execute(delete(Cursor).where(Cursor.name.startswith(prefix, autoescape=True)))
