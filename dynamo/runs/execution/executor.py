"""Take one run to its end, step by step, from its stored state.

Every step writes the store first and then touches the world, and every step may be repeated: after a crash the same
call continues from the stored state.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dynamo.errors import DynamoError
from dynamo.runs.execution.courtesy import Courtesy
from dynamo.runs.execution.engine_step import EngineStep
from dynamo.runs.execution.plan_step import PlanStep
from dynamo.runs.execution.publish_step import PublishStep
from dynamo.runs.folder import claimed
from dynamo.runs.journal import REASON_LENGTH, RunJournal
from dynamo.runs.patience import Stopped, patiently
from dynamo.runs.states import FINAL
from dynamo.store.models import Run
from dynamo.times import utc_now

T = TypeVar("T")
_log = logging.getLogger("dynamo.runs")


class Executor:
    """Executes runs, one at a time; `dynamo.runs.dispatcher` runs many.

    Parameters
    ----------
    journal
        The states of runs.
    plan, engine, publish
        The steps.
    courtesy
        Tells background runs when to plan and to publish.
    """

    def __init__(
        self, journal: RunJournal, *, plan: PlanStep, engine: EngineStep, publish: PublishStep, courtesy: Courtesy
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._courtesy = courtesy
        self._steps: dict[str, Callable[[Run, threading.Event], None]] = {
            "created": self._in_turn(plan.take),
            "planned": engine.submit,
            "submitted": engine.follow,
            "running": engine.follow,
            "held": engine.follow,
            "publishing": self._in_turn(publish.take),
        }

    def _in_turn(self, step: Callable[[Run, threading.Event], None]) -> Callable[[Run, threading.Event], None]:
        def take(run: Run, stop: threading.Event) -> None:
            with self._courtesy.step(run, stop):
                step(run, stop)

        return take

    def execute(self, run_id: str, stop: threading.Event) -> Run | None:
        """Take a run to its end, or until ``stop`` is set; None if another process is working on it."""
        try:
            run = self._patiently(lambda: self._journal.get(run_id), stop, run_id)
            with contextlib.ExitStack() as claims:
                if not self._patiently(lambda: claims.enter_context(claimed(Path(run.run_dir))), stop, run_id):
                    return None
                with self._courtesy.at_work(run):
                    return self._advance(run_id, stop)
        except Stopped:
            _log.info("run postponed", extra={"run": run_id})
            return None

    def _advance(self, run_id: str, stop: threading.Event) -> Run:
        # Another process may have finished it before it was claimed.
        run = self._patiently(lambda: self._journal.get(run_id), stop, run_id)
        try:
            while run.state not in FINAL and not stop.is_set():
                self._step(run, stop)
                run = self._patiently(lambda: self._journal.get(run_id), stop, run_id)
        except Stopped:
            _log.info("run postponed", extra={"run": run_id})
        return run

    def end_if_nobody_works(self, run: Run) -> None:
        """End a run that is to be canceled, unless another process is working on it and will do so itself."""
        with claimed(Path(run.run_dir)) as mine:
            if mine:
                self._engine.end(self._journal.get(run.id))

    def _step(self, run: Run, stop: threading.Event) -> None:
        try:
            if run.cancel_reason is not None and run.state in ("created", "planned"):
                self._patiently(lambda: self._engine.end(run), stop, run.id)
            else:
                patiently(
                    lambda: self._steps[run.state](run, stop),
                    stop=stop,
                    events=self._journal.events,
                    subject=run.id,
                    waits=lambda reason: self._journal.waits(run, reason),
                )
                self._journal.goes_on(run)
        except Stopped:
            raise
        except (DynamoError, OSError) as error:
            self._fail(run, str(error), stop)
        except Exception as error:  # a defect in one run must not stop the others
            _log.exception("bug in the run", extra={"run": run.id})
            self._fail(run, f"defect: {type(error).__name__}: {error}", stop)

    def _fail(self, run: Run, reason: str, stop: threading.Event) -> None:
        self._patiently(
            lambda: self._journal.move(run, "failed", reason=reason[:REASON_LENGTH], finished_at=utc_now()),
            stop,
            run.id,
        )

    def _patiently(self, call: Callable[[], T], stop: threading.Event, subject: str) -> T:
        return patiently(call, stop=stop, events=self._journal.events, subject=subject)
