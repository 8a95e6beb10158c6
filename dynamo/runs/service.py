"""The run service: takes one run from where the store says it is to its end.

Every step writes the store first and then touches the world, and every step may be repeated: after a crash the same
call goes on where the store stands. `RunService.execute` is synchronous; `dynamo.runs.dispatcher` runs many.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, update

from dynamo.engines.base import Engine, EngineError, RunFolder, Status
from dynamo.errors import DynamoError, RetryableError, UsageError
from dynamo.inspection.facts import InputFacts, facts_from_json
from dynamo.runs import learning
from dynamo.runs.claim import claimed
from dynamo.runs.events import Events
from dynamo.runs.inputs import check_inputs, keep_inputs
from dynamo.runs.ledger import (
    RunRequest,
    create_run,
    decide,
    find_run,
    move,
    reopen,
)
from dynamo.runs.outcome import product_rows, sum_up
from dynamo.runs.patience import Stopped, patiently
from dynamo.runs.planning import Coefficients, Planner
from dynamo.runs.publish import Publication, publish, read_publication
from dynamo.runs.record import index_facts, latencies
from dynamo.runs.results import read_results
from dynamo.runs.settings import RunSettings
from dynamo.runs.shedding import AHEAD
from dynamo.runs.states import FINAL, RunState
from dynamo.store.engine import Store
from dynamo.store.models import Arrival, Document, Product, Run
from dynamo.times import utc_now

T = TypeVar("T")
EngineFactory = Callable[[str, Mapping[str, Any]], Engine]

_log = logging.getLogger("dynamo.runs")
_REASON_LENGTH = 2000


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
        Makes an engine from its name and options; each is made once, when it is first needed.
    events
        Who is told.
    """

    def __init__(
        self,
        store: Store,
        settings: RunSettings,
        *,
        planner: Planner,
        engine_factory: EngineFactory,
        events: Events | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.planner = planner
        self.events = events or Events()
        self._engine_factory = engine_factory
        self._engines: dict[str, Engine] = {}
        self._engines_lock = threading.Lock()
        self._coefficients: Coefficients | None = None

    # -- what people and triggers ask for

    def create(self, request: RunRequest) -> tuple[Run, bool]:
        """Make a run by its key, or return the one that is there; tells whether it is new."""
        with self.store.transaction() as session:
            run, new = create_run(session, request, runs_dir=self.settings.runs_dir)
        if new:
            self.announce(run)
        return run, new

    def announce(self, run: Run) -> None:
        """Tell the listeners of a run that was made and committed."""
        self.events.emit(
            "run_created", run.id, workflow=run.workflow, trigger=run.trigger, key=run.key, **latencies(run)
        )

    def retry(self, name: str, reason: str = "asked for", request: RunRequest | None = None) -> Run:
        """Let a failed, cancelled or skipped run start again; jobs that have succeeded are not run twice.

        Where the run was asked for anew, ``request`` says where its inputs are now and which engine is to work.

        Raises
        ------
        NotFoundError, UsageError
            If there is no such run, or it is not in one of these states.
        """
        with self.store.transaction() as session:
            run = find_run(session, name)
            state = run.state
            if not reopen(session, run.id, request):
                raise UsageError(
                    f"the run is {state}",
                    where=run.id,
                    expected="failed, cancelled or skipped, to be retried",
                )
            decide(session, run.id, "retry", reason, state=state)
            run_id = run.id
        self.events.emit("decision", run_id, action="retry", reason=reason)
        return self.get(run_id)

    def cancel(self, name: str, reason: str = "asked for") -> Run:
        """Ask for the end of a run; whoever works on it ends it, and if nobody does it is done here.

        Raises
        ------
        NotFoundError, UsageError
            If there is no such run, or it is over or being published.
        """
        with self.store.transaction() as session:
            run = find_run(session, name)
            if run.state in FINAL or run.state == "publishing":
                raise UsageError(f"the run is {run.state}", where=run.id, expected="one that is not over")
            session.execute(update(Run).where(Run.id == run.id).values(cancel_reason=reason, updated_at=utc_now()))
            decide(session, run.id, "cancel", reason, state=run.state)
        self.events.emit("decision", run.id, action="cancel", reason=reason)
        with claimed(Path(run.run_dir)) as mine:
            if mine:
                self._finish_cancel(self.get(run.id))
        return self.get(run.id)

    def get(self, run_id: str) -> Run:
        """Return a run as the store has it now."""
        with self.store.reading() as session:
            return find_run(session, run_id)

    def skip(self, run: Run, reason: str, **data: Any) -> bool:
        """Record that a run which has not started is not worth running any more."""
        with self.store.transaction() as session:
            done = move(session, run.id, "skipped", reason=reason, finished_at=utc_now())
            if done:
                decide(session, run.id, "skip", reason, **data)
        if done:
            self._tell(run.id, "skipped", reason)
            self.events.emit("decision", run.id, action="skip", reason=reason, **data)
        return done

    # -- execution

    def execute(self, run_id: str, stop: threading.Event | None = None) -> Run | None:
        """Take a run to its end, from wherever it stands.

        Parameters
        ----------
        run_id
            The run.
        stop
            When set, the call returns soon and leaves the run to be resumed.

        Returns
        -------
        Run or None
            The run as it was left; None where another process works on it.
        """
        stop = stop or threading.Event()
        run = self._patiently(lambda: self.get(run_id), stop, run_id)
        with claimed(Path(run.run_dir)) as mine:
            if not mine:
                return None
            try:
                # It may have been finished by another process between the look and the claim.
                run = self._patiently(lambda: self.get(run_id), stop, run_id)
                while run.state not in FINAL and not stop.is_set():
                    self._step(run, stop)
                    run = self._patiently(lambda: self.get(run_id), stop, run_id)
            except Stopped:
                _log.info("left for later", extra={"run": run_id})
            return run

    def close(self) -> None:
        """Close the engines that were made."""
        with self._engines_lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def engine(self, name: str) -> Engine:
        """Return the engine ``name``, made at the first call."""
        with self._engines_lock:
            if name not in self._engines:
                self._engines[name] = self._engine_factory(name, self.settings.engines.get(name, {}))
            return self._engines[name]

    def folder(self, run: Run) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(Path(run.run_dir))

    def _step(self, run: Run, stop: threading.Event) -> None:
        steps: dict[str, Callable[[Run, threading.Event], None]] = {
            "created": self._plan,
            "planned": self._submit,
            "submitted": self._follow,
            "running": self._follow,
            "held": self._follow,
            "publishing": self._publish,
        }
        try:
            if run.cancel_reason is not None and run.state in ("created", "planned"):
                self._patiently(lambda: self._finish_cancel(run), stop, run.id)
            else:
                self._patiently(lambda: steps[run.state](run, stop), stop, run.id)
        except Stopped:
            raise
        except (DynamoError, OSError) as error:
            self._fail(run, str(error), stop)
        except Exception as error:  # a defect in one run must not stop the others
            _log.exception("a defect in the run", extra={"run": run.id})
            self._fail(run, f"defect: {type(error).__name__}: {error}", stop)

    def _plan(self, run: Run, _stop: threading.Event) -> None:
        paths = keep_inputs(run)
        with self.store.reading() as session:
            document = session.get_one(Document, run.document)
            arrival = None if run.arrival_id is None else session.get_one(Arrival, run.arrival_id)
        workflow = self.planner.from_body(document.body)
        levels = self.planner.levels(workflow, run.parameters)
        facts = self._facts(workflow.inputs, paths, levels, {} if arrival is None else _known_facts(run, arrival))
        plan, layout = self.planner.plan(
            workflow, paths, run.parameters, facts, engine=run.engine, coefficients=self.coefficients()
        )
        # A trigger may have given it another one than its document; the pool's queue goes by it, too. A full pool would
        # never come to jobs of low priority: those of runs that must not be left out go first, whatever was declared.
        ahead = AHEAD if run.trigger in self.settings.spared_triggers else 0
        plan = replace(plan, priority=run.priority + ahead)
        self.folder(run).prepare(plan, layout)
        self._move(
            run,
            "planned",
            planned_at=utc_now(),
            layout=layout.reason,
            jobs_total=len(plan.jobs),
            predicted_s=plan.predicted_s,
            valid_at=run.valid_at or max((known.issue_time for known in facts.values()), default=None),
        )

    def _submit(self, run: Run, _stop: threading.Event) -> None:
        # What an earlier attempt left must not be taken for this one; `_follow` gives the work to the engine.
        self.folder(run).engine_file.unlink(missing_ok=True)
        self._move(run, "submitted", submitted_at=utc_now(), attempts=run.attempts + 1)

    def _follow(self, run: Run, stop: threading.Event) -> None:
        folder = self.folder(run)
        try:
            engine = self.engine(run.engine)
        except RetryableError:
            reason = self._cancel_reason(run.id)
            if reason is None or folder.engine_file.exists():
                raise
            # Nobody has the work, so nobody need be reached to end it.
            self._move(run, "cancelled", reason=reason, finished_at=utc_now())
            return
        if not folder.engine_file.exists() or engine.status(folder).state == "lost":
            folder.engine_file.unlink(missing_ok=True)
            engine.submit(folder)
        lost = 0
        seen: Status | None = None
        state = run.state
        while True:
            status = engine.wait(folder, timeout_s=self.settings.tick_s)
            if seen is None or (status.jobs_done, status.jobs_failed) != (seen.jobs_done, seen.jobs_failed):
                self.events.emit(
                    "job_progress",
                    run.id,
                    done=status.jobs_done,
                    failed=status.jobs_failed,
                    total=status.jobs_total or run.jobs_total,
                )
            if status.state in ("running", "held") and status.state != state:
                state = status.state
                values = {"started_at": run.started_at or utc_now()} if state == "running" else {}
                self._move(run, "running" if state == "running" else "held", reason=status.reason, **values)
            seen = status
            if status.state == "lost":
                lost += 1
                if lost > self.settings.max_lost:
                    raise EngineError(f"lost the work {lost} times: {status.reason}", where=run.engine)
                _log.warning("submitted again: the work was lost", extra={"run": run.id, "reason": status.reason})
                folder.engine_file.unlink(missing_ok=True)
                engine.submit(folder)
            elif status.final:
                self._conclude(run, status)
                return
            elif stop.is_set():
                raise Stopped
            elif (reason := self._cancel_reason(run.id)) is not None:
                engine.cancel(folder, reason)

    def _conclude(self, run: Run, status: Status) -> None:
        results = read_results(self.folder(run))
        values = sum_up(results, run.jobs_total)
        if status.state == "succeeded":
            self._move(run, "publishing", reason="", finished_at=utc_now(), **values)
        elif status.state == "cancelled":
            self._move(run, "cancelled", reason=status.reason or "cancelled", finished_at=utc_now(), **values)
        else:
            reason = status.reason or next((f"{r.job}: {r.error}" for r in results.values() if r.error), "failed")
            self._move(run, "failed", reason=reason[:_REASON_LENGTH], finished_at=utc_now(), **values)

    def _publish(self, run: Run, _stop: threading.Event) -> None:
        folder = self.folder(run)
        plan = folder.read_plan()
        run = self.get(run.id)
        valid_at = run.valid_at or run.created_at
        check_inputs(run)
        results = read_results(folder)
        publication = publish(
            folder.work,
            plan.products,
            root=self.settings.products_dir,
            workflow=run.workflow,
            key=run.key,
            valid_at=valid_at,
            facts=index_facts(run, plan, results),
            fsync=self.settings.fsync,
        )
        now = utc_now()
        with self.store.transaction() as session:
            session.execute(delete(Product).where(Product.run_id == run.id))
            rows = product_rows(run, publication)
            if rows:
                session.execute(insert(Product), rows)
            learning.observe(session, run.id, plan, results)
            moved = move(session, run.id, "succeeded", published_at=now, product_dir=str(publication.folder))
            if publication.found:
                decide(session, run.id, "adopt", "the products were published before a crash")
        if moved:
            run = self.get(run.id)
            self._tell(run.id, "succeeded", "")
            times = latencies(run)
            _log.info(
                "published",
                extra={"run": run.id, "products": len(rows), "dir": run.product_dir or "", **times},
            )
            self.events.emit(
                "published",
                run.id,
                workflow=run.workflow,
                trigger=run.trigger,
                product_dir=run.product_dir,
                products=len(rows),
                valid_at=run.valid_at,
                **times,
            )

    # -- helpers

    def coefficients(self) -> Coefficients:
        """Return the cost coefficients that finished runs have taught so far."""
        if self._coefficients is None:
            with self.store.reading() as session:
                self._coefficients = learning.current(session)
        return self._coefficients

    def refit(self) -> None:
        """Fit the cost coefficients anew where enough runs have finished since the last time."""
        fitted = learning.refit(self.store, self.planner, self.settings.refit_runs)
        if fitted is not None:
            self._coefficients = fitted
            _log.info("cost coefficients fitted", extra={"modules": ",".join(sorted(fitted))})

    def _facts(
        self,
        formats: Mapping[str, str],
        paths: Mapping[str, Sequence[Path]],
        levels: tuple[float, ...],
        known: Mapping[str, InputFacts],
    ) -> dict[str, InputFacts]:
        facts = {port: one for port, one in known.items() if set(levels) <= set(one.crossings)}
        unknown = {port: several for port, several in paths.items() if port not in facts}
        if unknown:
            from dynamo.inspection.process import inspect_port

            looked = {port: inspect_port(formats.get(port, ""), several, levels) for port, several in unknown.items()}
            facts.update((port, one) for port, one in looked.items() if one is not None)
        return {port: facts[port] for port in paths if port in facts}

    def _finish_cancel(self, run: Run) -> None:
        """End a run that this process holds."""
        reason = run.cancel_reason or "cancelled"
        if run.state in FINAL or run.state == "publishing":
            return
        if run.state not in ("created", "planned"):
            engine, folder = self.engine(run.engine), self.folder(run)
            engine.cancel(folder, reason)
            engine.wait(folder, timeout_s=30.0)
        self._move(run, "cancelled", reason=reason, finished_at=utc_now())

    def _cancel_reason(self, run_id: str) -> str | None:
        with self.store.reading() as session:
            return session.scalar(select(Run.cancel_reason).where(Run.id == run_id))

    def _fail(self, run: Run, reason: str, stop: threading.Event) -> None:
        _log.error("the run failed", extra={"run": run.id, "reason": reason})
        self._patiently(
            lambda: self._move(run, "failed", reason=reason[:_REASON_LENGTH], finished_at=utc_now()),
            stop,
            run.id,
        )

    def _move(self, run: Run, to: RunState, **values: Any) -> None:
        with self.store.transaction() as session:
            moved = move(session, run.id, to, **values)
        if moved:
            self._tell(run.id, to, str(values.get("reason") or ""))

    def _tell(self, run_id: str, state: RunState, reason: str) -> None:
        _log.info("run %s", state, extra={"run": run_id, **({"reason": reason} if reason else {})})
        self.events.emit("run_state", run_id, state=state, reason=reason)

    def _patiently(self, call: Callable[[], T], stop: threading.Event, subject: str) -> T:
        return patiently(call, stop=stop, events=self.events, subject=subject)


def _known_facts(run: Run, arrival: Arrival) -> dict[str, InputFacts]:
    """Return what the arrival says of the input that is its file alone: reading it again would tell the same."""
    if arrival.facts is None:
        return {}
    ports = [item["port"] for item in run.inputs]
    mine = [item["port"] for item in run.inputs if Path(item["path"]) == Path(arrival.path)]
    return {port: facts_from_json(arrival.facts) for port in mine if ports.count(port) == 1}


def publication_of(run: Run) -> Publication | None:
    """Return what a succeeded run has published, or None."""
    return None if run.product_dir is None else read_publication(Path(run.product_dir), run.key)
