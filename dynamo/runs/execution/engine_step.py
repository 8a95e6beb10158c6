"""The work of a run: submit it to its engine, follow it to the end, resubmit it if the engine loses it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from dynamo.checks.record import open_review, record
from dynamo.engines.base import Engine, EngineError, RunFolder, SharesProcessors, Status
from dynamo.runs import ledger
from dynamo.runs.engines import Engines
from dynamo.runs.execution.courtesy import Courtesy
from dynamo.runs.execution.disk import DiskError
from dynamo.runs.execution.examining import examine_apart
from dynamo.runs.folder import folder_of
from dynamo.runs.journal import REASON_LENGTH, RunJournal
from dynamo.runs.patience import Stopped
from dynamo.runs.results import JobResult, examinations_of, read_results, skipped_jobs, sum_up
from dynamo.runs.settings import RunSettings
from dynamo.runs.states import FINAL, RunState
from dynamo.store.models import Run
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.runs")
#: Attempts at a run that file systems fail although ours are well: with the pauses between them, some minutes.
_MOST_FAULTS = 20
#: The engine whose jobs leave products, but no results.
_WITHOUT_RESULTS = "pegasus"


class EngineStep:
    """Submits runs and follows them.

    Parameters
    ----------
    journal, engines, settings
        The states of runs, the engines that execute them, and the limits.
    check_disk
        Raises `DiskError` while the run folders cannot be written.
    courtesy
        Tells background runs when to submit and to conclude their work.
    """

    def __init__(
        self,
        journal: RunJournal,
        engines: Engines,
        settings: RunSettings,
        check_disk: Callable[[], None],
        courtesy: Courtesy,
    ) -> None:
        self._journal = journal
        self._engines = engines
        self._settings = settings
        self._check_disk = check_disk
        self._courtesy = courtesy
        #: How many times runs failed by a fault of a file system, since they last went well.
        self._faults: Counter[str] = Counter()

    def submit(self, run: Run, _stop: threading.Event) -> None:
        """Record that a planned run is submitted; `follow` hands it to the engine."""
        # Leftovers of an earlier attempt must not be mistaken for this one.
        folder_of(run).engine_file.unlink(missing_ok=True)
        self._journal.move(run, "submitted", submitted_at=utc_now(), attempts=run.attempts + 1)

    def follow(self, run: Run, stop: threading.Event) -> None:
        """Wait for the engine and store how the work ended; raise `Stopped` if it is left to be resumed."""
        folder = folder_of(run)
        reason = self._journal.cancel_reason(run.id)
        if reason is not None and not folder.engine_file.exists():
            # The work was never submitted, so no engine is needed to end it.
            self._journal.move(run, "cancelled", reason=reason, finished_at=utc_now())
            return
        engine = self._engines.named(run.engine)
        if reason is None:
            if self._faults[run.id] and not folder.engine_file.exists():
                self._check_disk()
            with self._courtesy.step(run, stop):
                _submit(engine, folder)
        self._journal.goes_on(run)
        watched = _Watched(run, self._journal)
        lost = 0
        while True:
            here = isinstance(engine, SharesProcessors)
            with contextlib.nullcontext() if here else self._courtesy.elsewhere(run):
                status = engine.wait(folder, timeout_s=self._settings.tick_s)
            watched.see(status)
            if status.state == "lost" and (reason := self._journal.cancel_reason(run.id)) is not None:
                self._journal.move(run, "cancelled", reason=reason, finished_at=utc_now())
                return
            if status.state == "lost":
                lost += 1
                if lost > self._settings.max_lost:
                    raise EngineError(f"lost the work {lost} times: {status.reason}", where=run.engine)
                _log.warning("the engine lost the work: resubmitting", extra={"run": run.id, "reason": status.reason})
                _submit_again(engine, folder)
            elif status.final:
                if status.state == "failed":
                    self._wait_out_faults(run, status)
                self._faults.pop(run.id, None)
                with self._courtesy.step(run, stop):
                    self._conclude(run, status)
                return
            elif stop.is_set():
                raise Stopped
            elif (reason := self._journal.cancel_reason(run.id)) is not None:
                engine.cancel(folder, reason)

    def end(self, run: Run) -> None:
        """End a run that is to be canceled and that this process holds."""
        reason = run.cancel_reason or "cancelled"
        if run.state in FINAL or run.state == "publishing":
            return
        if run.state not in ("created", "planned"):
            engine, folder = self._engines.named(run.engine), folder_of(run)
            try:
                engine.cancel(folder, reason)
                engine.wait(folder, timeout_s=30.0)
            except FileNotFoundError as error:
                _log.warning("the folder of a run that is canceled is gone", extra={"run": run.id, "error": str(error)})
        self._journal.move(run, "cancelled", reason=reason, finished_at=utc_now())

    def _wait_out_faults(self, run: Run, status: Status) -> None:
        """Have the work done again if a file system failed it; return if that is not the reason, or too often was.

        Raises
        ------
        DiskError
            If the work is to be submitted again after a pause.
        """
        folder = folder_of(run)
        try:
            self._check_disk()
        except DiskError:
            # It is known when this one is over: waiting for it costs no attempt.
            again = True
        else:
            again = status.transient or any(result.transient for result in read_results(folder).values())
            again = again and self._faults[run.id] < _MOST_FAULTS
        if again:
            self._faults[run.id] += 1
            folder.engine_file.unlink(missing_ok=True)
            raise DiskError(f"a file system failed the work: {status.reason}")

    def _conclude(self, run: Run, status: Status) -> None:
        results = read_results(folder_of(run))
        values = sum_up(results, run.jobs_total)
        if status.state == "succeeded":
            self._judge(run, results, values)
        elif status.state == "cancelled":
            reason = status.reason or "cancelled"
            self._journal.move(run, "cancelled", reason=reason, finished_at=utc_now(), **values)
        else:
            reason = status.reason or next((f"{r.job}: {r.error}" for r in results.values() if r.error), "failed")
            reason = reason[:REASON_LENGTH]
            with self._journal.store.transaction() as session:
                moved = ledger.move(session, run.id, "failed", reason=reason, finished_at=utc_now(), **values)
                if moved:
                    _note_skipped(session, run, results)
            if moved:
                self._journal.tell(run.id, "failed", reason)

    def _judge(self, run: Run, results: Mapping[str, JobResult], values: dict[str, Any]) -> None:
        """Judge what the checks measured; the run goes on to publication unless one of them blocks it."""
        journal = self._journal
        apart = run.engine == _WITHOUT_RESULTS and not results
        examinations = examine_apart(run) if apart else examinations_of(results)
        with journal.store.transaction() as session:
            verdicts = record(session, run.id, examinations, self._settings.checks)
            reason = open_review(session, run.id, verdicts)[:REASON_LENGTH]
            to: RunState = "failed" if reason else "publishing"
            moved = ledger.move(session, run.id, to, reason=reason, finished_at=utc_now(), **values)
            if moved and reason:
                ledger.decide(session, run.id, "block", reason)
                _note_skipped(session, run, results)
            if not moved:
                # Another process has concluded it: nothing is counted twice.
                session.rollback()
        if moved:
            journal.tell(run.id, to, reason)


def _note_skipped(session: Session, run: Run, results: Mapping[str, JobResult]) -> None:
    """Record the jobs that a result kept from running, although nothing is published; publication records them, too."""
    if run.engine != _WITHOUT_RESULTS and not any(result.skipped for result in results.values()):
        return
    folder = folder_of(run)
    plan = folder.read_plan()
    ledger.note_skipped(session, run.id, skipped_jobs(folder, plan, results), len(plan.jobs))


class _Watched:
    """The last announced status of an active run, so that only changes are announced.

    What keeps the work from getting on is stored and announced in any state: a run may be `running` with a task held.
    """

    def __init__(self, run: Run, journal: RunJournal) -> None:
        self._run = run
        self._journal = journal
        self._seen: Status | None = None
        self._state: str = run.state
        self._reason = run.reason

    def see(self, status: Status) -> None:
        """Announce jobs that have ended since, and store whether the work is running or held."""
        run, seen = self._run, self._seen
        if seen is None or (status.jobs_done, status.jobs_failed) != (seen.jobs_done, seen.jobs_failed):
            self._journal.events.emit(
                "job_progress",
                run.id,
                done=status.jobs_done,
                failed=status.jobs_failed,
                total=status.jobs_total or run.jobs_total,
            )
        if status.state in ("running", "held") and status.state != self._state:
            self._state, self._reason = status.state, status.reason
            values = {"started_at": run.started_at or utc_now()} if status.state == "running" else {}
            to: RunState = "running" if status.state == "running" else "held"
            self._journal.move(run, to, reason=status.reason[:REASON_LENGTH], **values)
        elif not status.final and status.reason != self._reason:
            self._reason = status.reason
            self._journal.note(run, status.reason[:REASON_LENGTH])
        self._seen = status


def _submit(engine: Engine, folder: RunFolder) -> None:
    """Hand the work to the engine, unless it is known to have it.

    An earlier call may have been cut off anywhere, by a kill or because the engine did not respond. ``engine.json``
    alone does not say that the work was taken: only the engine can, and its `submit` may be repeated.
    """
    if folder.engine_file.exists() and engine.status(folder).state == "lost":
        _submit_again(engine, folder)
    else:
        engine.submit(folder)


def _submit_again(engine: Engine, folder: RunFolder) -> None:
    folder.engine_file.unlink(missing_ok=True)
    engine.submit(folder)
