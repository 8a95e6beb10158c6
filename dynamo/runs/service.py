"""The run service: what users and triggers request of runs, and the parts that carry it out.

Requests are stored, and carried out by whoever executes the run; see `dynamo.runs.execution.executor`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import update

from dynamo.engines.base import Engine, RunFolder, SharesProcessors
from dynamo.errors import InputError, MissingPartError, RetryableError, UsageError
from dynamo.places.base import PlaceRefusedError
from dynamo.runs.engines import EngineFactory, Engines
from dynamo.runs.events import RunEvents
from dynamo.runs.execution.courtesy import Courtesy
from dynamo.runs.execution.disk import check_disk
from dynamo.runs.execution.engine_step import EngineStep
from dynamo.runs.execution.executor import Executor
from dynamo.runs.execution.plan_step import PlanStep
from dynamo.runs.execution.publish_step import PublishStep
from dynamo.runs.folder import clear_work, folder_of, is_attended
from dynamo.runs.journal import RunJournal
from dynamo.runs.learning import LearnedCosts
from dynamo.runs.ledger import TELLS_STEPS, RunRequest, create_run, decide, find_run, reopen
from dynamo.runs.planning import Coefficients, Planner
from dynamo.runs.publish import Publication, is_gone, is_whole, read_publication
from dynamo.runs.record import latencies
from dynamo.runs.settings import RunSettings
from dynamo.runs.shedding import pool_priority
from dynamo.runs.states import FINAL, RETRIED, WAITING
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.times import utc_now

ProductsState = Literal["whole", "changed", "gone"]


class RunService:
    """Creates, executes, retries and cancels runs.

    Parameters
    ----------
    store
        The open store.
    settings
        Folders and limits.
    planner
        Turns workflow documents into plans.
    engine_factory
        Creates an engine from its name and options; each is created once, on first use.
    events
        Who is notified.
    """

    def __init__(
        self,
        store: Store,
        settings: RunSettings,
        *,
        planner: Planner,
        engine_factory: EngineFactory,
        events: RunEvents | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        store.info[TELLS_STEPS] = settings.tells_steps
        self.planner = planner
        self.events = events or RunEvents()
        #: Whose turn it is, of live and background runs.
        self.courtesy = Courtesy()
        self._engines = Engines(partial(self._make_engine, engine_factory), settings.engines)
        self._costs = LearnedCosts(store, planner)
        self._journal = RunJournal(store, self.events)
        self._executor = Executor(
            self._journal,
            plan=PlanStep(self._journal, planner, self._costs, settings.spared_triggers),
            engine=EngineStep(self._journal, self._engines, settings, self.check_disk, self.courtesy),
            publish=PublishStep(self._journal, settings),
            courtesy=self.courtesy,
        )

    def _make_engine(self, make: EngineFactory, name: str, options: Mapping[str, Any]) -> Engine:
        engine = make(name, options)
        if isinstance(engine, SharesProcessors):
            self.courtesy.follow(engine.give_way)
        return engine

    def create(self, request: RunRequest) -> tuple[Run, bool]:
        """Create a run by its key, or return the existing one; also return whether it is new."""
        with self.store.transaction() as session:
            run, new = create_run(session, request, runs_dir=self.settings.runs_dir)
        if new:
            self.announce(run)
        return run, new

    def announce(self, run: Run) -> None:
        """Announce a run that was created and committed."""
        self.events.emit(
            "run_created", run.id, workflow=run.workflow, trigger=run.trigger, key=run.key, **latencies(run)
        )

    def retry(self, name: str, reason: str = "requested", request: RunRequest | None = None) -> Run:
        """Restart a failed, canceled or skipped run; jobs that succeeded do not run again.

        An unfinished run on which no process works any more goes on where it is, once it is executed. A succeeded run
        whose products are gone or were changed makes them again, from the beginning.

        If the run was requested again, ``request`` says where its inputs are now and which engine to use.

        Raises
        ------
        NotFoundError, UsageError
            If the run does not exist, or is none of these.
        InputError
            If the products' folder holds something else, or an index that cannot be read.
        """
        with self.store.transaction() as session:
            run = find_run(session, name)
            run_id, state = run.id, run.state
            left = state not in FINAL and not is_attended(session, run)
            gone = state == "succeeded" and not has_products(run)
            if gone:
                # What is there instead, such as a broken index, is not replaced: say so before anything runs.
                publication_of(run)
            if gone:
                # Files in the run folder may be those that were published: they are read-only, or were edited.
                clear_work(run)
            wanted = left or gone or state in RETRIED
            if not wanted or not (left or reopen(session, run_id, request)):
                raise UsageError(
                    f"the run is {state}",
                    where=run_id,
                    expected="a failed, cancelled or skipped run to retry, one that no process works on, or one whose "
                    "products are gone or were changed",
                )
            action = "resume" if left else "retry"
            decide(session, run_id, action, reason, state=state)
        self.events.emit("decision", run_id, action=action, reason=reason)
        return self.get(run_id)

    def cancel(self, name: str, reason: str = "requested") -> Run:
        """Request the cancellation of a run; whoever works on it ends it, or this call if nobody does.

        Raises
        ------
        NotFoundError, UsageError
            If the run does not exist, is finished, or is being published.
        """
        with self.store.transaction() as session:
            run = find_run(session, name)
            if run.state in FINAL or run.state == "publishing":
                raise UsageError(f"the run is {run.state}", where=run.id, expected="an unfinished run")
            session.execute(update(Run).where(Run.id == run.id).values(cancel_reason=reason, updated_at=utc_now()))
            decide(session, run.id, "cancel", reason, state=run.state)
        self.events.emit("decision", run.id, action="cancel", reason=reason)
        self._executor.end_if_nobody_works(run)
        return self.get(run.id)

    def prioritize(self, name: str, priority: int, reason: str = "requested") -> tuple[Run, bool]:
        """Change the priority of an unfinished run, of its jobs in a pool's queue as well.

        Returns
        -------
        tuple
            The run, and whether an engine that already has its jobs changed them, too.

        Raises
        ------
        NotFoundError, UsageError
            If the run does not exist, or is finished or being published.
        RetryableError
            If the pool does not respond; the run's own priority is changed, and the call can be repeated.
        """
        with self.store.transaction() as session:
            run = find_run(session, name)
            if run.state in FINAL or run.state == "publishing":
                raise UsageError(f"the run is {run.state}", where=run.id, expected="an unfinished run")
            before, run.priority, run.updated_at = run.priority, priority, utc_now()
            decide(session, run.id, "prioritize", reason, before=before, priority=priority)
        self.events.emit("decision", run.id, action="prioritize", reason=reason)
        return run, self._prioritize_jobs(run)

    def _prioritize_jobs(self, run: Run) -> bool:
        """Change what a pool knows of a run's priority; return whether jobs in its queue were changed."""
        folder = folder_of(run)
        if not (folder.root / "plan.json").exists():
            return False
        # As when it is planned: see `dynamo.runs.execution.plan_step`.
        priority = pool_priority(run, self.settings.spared_triggers)
        folder.write_plan(replace(folder.read_plan(), priority=priority))
        change = None if run.state in WAITING else getattr(self.engine(run.engine), "prioritize", None)
        return change is not None and bool(change(folder, priority))

    def get(self, run_id: str) -> Run:
        """Return a run as currently stored."""
        return self._journal.get(run_id)

    def skip(self, run: Run, reason: str, **data: Any) -> bool:
        """Record that a run that has not started is no longer worth running."""
        return self._journal.skip(run, reason, **data)

    def folder(self, run: Run) -> RunFolder:
        """Return the folder of a run."""
        return folder_of(run)

    def execute(self, run_id: str, stop: threading.Event | None = None) -> Run | None:
        """Take a run to its end, from its current state; synchronous.

        Parameters
        ----------
        run_id
            The run.
        stop
            When set, the call returns soon and leaves the run to be resumed.

        Returns
        -------
        Run or None
            The run as it was left; None if another process is working on it.
        """
        return self._executor.execute(run_id, stop or threading.Event())

    def check_disk(self) -> None:
        """Check that run folders and products can be written; raise `DiskError` if they cannot for now."""
        check_disk(self.settings)

    def engine(self, name: str) -> Engine:
        """Return the engine ``name``, created on first call."""
        return self._engines.named(name)

    def coefficients(self) -> Coefficients:
        """Return the cost coefficients learned from finished runs so far."""
        return self._costs.coefficients()

    def refit(self) -> None:
        """Refit the cost coefficients if enough runs have finished since the last fit."""
        self._costs.refit(self.settings.refit_runs)

    def close(self) -> None:
        """Close all created engines."""
        self._engines.close()


def has_products(run: Run) -> bool:
    """Return whether everything that a succeeded run published is still there."""
    return products_state(run) == "whole"


def products_state(run: Run) -> ProductsState:
    """Return whether what a succeeded run published is there as it was, there but edited, or gone in part or all."""
    try:
        publication = publication_of(run)
    except InputError:
        return "changed"
    if publication is None or is_gone(publication):
        return "gone"
    return "whole" if is_whole(publication) else "changed"


def lost_products(run: Run) -> str:
    """Return in words what became of a succeeded run's products, and what to do; empty if they are as published."""
    try:
        state = products_state(run) if run.state == "succeeded" else "whole"
    except (RetryableError, PlaceRefusedError, MissingPartError) as error:
        return f"out of reach: {error}"
    if state == "whole":
        return ""
    try:
        publication_of(run)
    except InputError as error:
        return f"{state}: {error}"
    return f"{state}: dynamo runs retry {run.id} makes them again"


def publication_of(run: Run) -> Publication | None:
    """Return what a succeeded run published; None if nothing."""
    return None if run.product_dir is None else read_publication(run.product_dir, run.key)
