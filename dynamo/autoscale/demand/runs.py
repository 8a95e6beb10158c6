"""Source `runs`: what is left of the unfinished runs in the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.demand.bands import learned_band
from dynamo.autoscale.demand.costing import RunCost, RunCosts, occupied
from dynamo.autoscale.model import Work
from dynamo.errors import DynamoError
from dynamo.inspection.facts import facts_from_json
from dynamo.runs import learning
from dynamo.runs.ledger import superseded_by
from dynamo.runs.planning import Planner, Workflow
from dynamo.runs.shedding import pool_priority
from dynamo.runs.states import UNFINISHED, WAITING
from dynamo.store.engine import Store
from dynamo.store.models import Arrival, Run, StoredDocument
from dynamo.times import CLOCK_TOLERANCE

NAME = "runs"
#: Engines whose runs need the pool's workers.
POOL_ENGINES = frozenset({"condor", "pegasus"})
#: The jobs of runs being published have ended.
_ON_POOL = UNFINISHED - {"publishing"}
#: Recent runs of each workflow used to learn how far predictions are off, and how often to look.
_LAST_RUNS = 100
_LEARN_EVERY = timedelta(minutes=1)
#: Most late runs to check for replacement by a newer one.
_LATE_LOOKS = 300
#: A run that has used up its prediction still needs this share of it until it ends.
_LEAST_LEFT = 0.05
#: Core-seconds to assume for an unknown run.
_UNKNOWN_CORE_S = 60.0


@dataclass(frozen=True)
class _Past:
    """Predicted and actual CPU seconds of finished runs of one workflow, oldest first."""

    pairs: tuple[tuple[float, float], ...] = ()


class RunsSource:
    """The runs in a store that are waiting for or active on the pool.

    Parameters
    ----------
    store, planner, costs
        Where the runs are, and what predicts the cost of those not planned yet.
    engines
        Runs of other engines need no workers.
    sites
        The site, as ``Cloud:Region``, the runs of a workflow are pinned to, by workflow.
    spared
        Triggers whose runs are never skipped: in the pool they go before all others.
    """

    name = NAME

    def __init__(
        self,
        store: Store,
        planner: Planner,
        costs: RunCosts,
        *,
        engines: Collection[str] = POOL_ENGINES,
        sites: Mapping[str, str] | None = None,
        spared: Collection[str] = (),
    ) -> None:
        self._store = store
        self._planner = planner
        self._spared = frozenset(spared)
        self._costs = costs
        self._engines = frozenset(engines)
        self._sites = dict(sites or {})
        self._workflows: dict[str, Workflow] = {}
        self._past: dict[str, _Past] = {}
        self._past_at: datetime | None = None

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:  # noqa: ARG002 - the interface
        """Return what is left of each run; raise `StoreUnavailableError`."""
        with self._store.reading() as session:
            rows = session.execute(
                select(Run, Arrival.facts)
                .outerjoin(Arrival, Arrival.id == Run.arrival_id)
                .where(Run.state.in_(_ON_POOL), Run.engine.in_(self._engines), Run.cancel_reason.is_(None))
            ).all()
            if not rows:
                return []
            self._costs.use(learning.current(session))
            self._load(session, {run.document for run, _ in rows})
            self._learn(session, {run.workflow for run, _ in rows}, now)
            late = [run for run, _ in rows if run.state in WAITING and run.deadline_at and run.deadline_at < now]
            # The dispatcher will skip these.
            replaced = {run.id for run in late[:_LATE_LOOKS] if superseded_by(session, run) is not None}
        return [self._left(run, facts, now) for run, facts in rows if run.id not in replaced]

    def _left(self, run: Run, facts: dict[str, Any] | None, now: datetime) -> Work:
        workflow = self._workflows.get(run.document)
        cost = self.cost_of(run, facts)
        done = run.jobs_done / run.jobs_total if run.jobs_total else 0.0
        left = max(1.0 - done, _LEAST_LEFT)
        past = self._past.get(run.workflow, _Past())
        layout = self._costs.layout(run.engine)
        payload = max(0.0, cost.core_s - layout.job_overhead_s)
        band = learned_band(past.pairs, payload)
        overhead = cost.core_s - payload
        expected = left * (band.expected + overhead)
        due = run.deadline_at
        deadline_s = None if workflow is None else workflow.deadline_s
        if due is None and deadline_s:
            # A run that was submitted manually, or retried: its time counts from the request.
            due = (run.planned_at or run.created_at) + timedelta(seconds=deadline_s)
        return Work(
            source=NAME,
            label=run.trigger or run.workflow,
            ready_at=now,
            due_at=due,
            core_s=expected,
            core_s_high=max(expected, left * (band.high + overhead)),
            cores=max(1, cost.cores),
            cores_each=cost.cores_each,
            memory_mb_each=cost.memory_mb,
            disk_mb_each=cost.disk_mb,
            site=self._sites.get(run.workflow, ""),
            priority=pool_priority(run, self._spared),
        )

    def cost_of(self, run: Run, facts: dict[str, Any] | None) -> RunCost:
        """Return what a whole run occupies: from its plan, or else from the facts of its arrival."""
        workflow = self._workflows.get(run.document)
        known = None
        if workflow is not None and facts is not None:
            arrived = facts_from_json(facts)
            port = next((name for name, formats in workflow.inputs.items() if arrived.format in formats.split("|")), "")
            if port:
                key = ("arrival", run.arrival_id)
                known = self._costs.cost(workflow, run.parameters, {port: arrived}, run.engine, known_as=key)
        if run.predicted_s > 0:
            core_s, tasks = occupied(run.predicted_s, run.jobs_total, self._costs.layout(run.engine))
            each = known or RunCost(0.0)
            return RunCost(core_s, tasks * each.cores_each, each.cores_each, each.memory_mb, each.disk_mb)
        return known or RunCost(_UNKNOWN_CORE_S)

    def _load(self, session: Session, documents: Collection[str]) -> None:
        missing = [digest for digest in documents if digest not in self._workflows]
        for document in (
            session.scalars(select(StoredDocument).where(StoredDocument.sha256.in_(missing))) if missing else ()
        ):
            try:
                self._workflows[document.sha256] = self._planner.from_body(document.body)
            except DynamoError:
                # Written by another version; its runs still count.
                continue

    def _learn(self, session: Session, workflows: Collection[str], now: datetime) -> None:
        fresh = self._past_at is not None and now - self._past_at < _LEARN_EVERY
        if fresh and all(name in self._past for name in workflows):
            return
        for name in workflows:
            rows = session.execute(
                select(Run.predicted_s, Run.cpu_s)
                .where(
                    Run.workflow == name,
                    Run.state == "succeeded",
                    Run.predicted_s > 0,
                    Run.cpu_s > 0,
                    # Data from a clock that is ahead would stay the newest for good.
                    Run.valid_at <= now + CLOCK_TOLERANCE,
                )
                .order_by(Run.valid_at.desc())
                .limit(_LAST_RUNS)
            ).all()
            self._past[name] = _Past(tuple((predicted, actual) for predicted, actual in reversed(rows)))
        self._past_at = now
