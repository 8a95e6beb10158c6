"""The first step of a run: from its document and inputs to a plan in its folder."""

from __future__ import annotations

import threading
from dataclasses import replace

from dynamo.runs.execution.input_facts import input_facts, known_facts
from dynamo.runs.execution.inputs import keep_inputs, kept_checksums
from dynamo.runs.folder import folder_of
from dynamo.runs.journal import RunJournal
from dynamo.runs.learning import LearnedCosts
from dynamo.runs.planning import Planner
from dynamo.runs.shedding import pool_priority
from dynamo.runs.whereabouts import inputs_now
from dynamo.store.models import Arrival, Run, StoredDocument
from dynamo.times import utc_now


class PlanStep:
    """Plans runs.

    Parameters
    ----------
    journal
        The states of runs.
    planner, costs
        What turns workflow documents into plans, and the costs it uses.
    spared
        Triggers whose runs are never skipped.
    """

    def __init__(self, journal: RunJournal, planner: Planner, costs: LearnedCosts, spared: frozenset[str]) -> None:
        self._journal = journal
        self._planner = planner
        self._costs = costs
        self._spared = spared

    def take(self, run: Run, _stop: threading.Event) -> None:
        """Write the plan of a created run."""
        planner = self._planner
        with self._journal.store.reading() as session:
            now = inputs_now(session, run.inputs)
        paths = keep_inputs(run, now)
        with self._journal.store.reading() as session:
            document = session.get_one(StoredDocument, run.document)
            arrival = None if run.arrival_id is None else session.get_one(Arrival, run.arrival_id)
        workflow = planner.from_body(document.body)
        levels = planner.levels(workflow, run.parameters)
        facts = input_facts(workflow.inputs, paths, levels, {} if arrival is None else known_facts(run, arrival))
        plan, layout = planner.plan(
            workflow, paths, run.parameters, facts, engine=run.engine, coefficients=self._costs.coefficients()
        )
        # The trigger may have set a priority other than the document's; the pool's queue uses it, too. A full pool
        # would never get to low-priority jobs: those of runs that must not be skipped go first in any case.
        plan = replace(plan, priority=pool_priority(run, self._spared))
        folder_of(run).prepare(plan, layout, kept_checksums(run))
        self._journal.move(
            run,
            "planned",
            planned_at=utc_now(),
            layout=layout.reason,
            jobs_total=len(plan.jobs),
            predicted_s=plan.predicted_s,
            valid_at=run.valid_at or max((known.issue_time for known in facts.values()), default=None),
        )
