"""Learn what jobs cost: each finished run adds observations, and the coefficients are refitted from time to time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from dynamo.runs.planning import Coefficients, Planner
from dynamo.runs.results import JobResult
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import CostCoefficients, CostObservation
from dynamo.times import utc_now
from dynamo.workflows.model import Plan

#: Observations of one module used in a fit; older ones carry almost no weight.
WINDOW = 4000
_log = logging.getLogger("dynamo.runs")


class LearnedCosts:
    """The cost coefficients learned from finished runs so far.

    Parameters
    ----------
    store, planner
        Where the observations are, and what fits them.
    """

    def __init__(self, store: Store, planner: Planner) -> None:
        self._store = store
        self._planner = planner
        self._coefficients: Coefficients | None = None

    def coefficients(self) -> Coefficients:
        """Return the coefficients, read from the store on first call."""
        if self._coefficients is None:
            with self._store.reading() as session:
                self._coefficients = current(session)
        return self._coefficients

    def refit(self, after_runs: int) -> None:
        """Refit the coefficients if ``after_runs`` runs have finished since the last fit; 0: never."""
        fitted = refit(self._store, self._planner, after_runs)
        if fitted is not None:
            self._coefficients = fitted
            _log.info("cost coefficients fitted", extra={"modules": ",".join(sorted(fitted))})


def observe(session: Session, run_id: str, plan: Plan, results: Mapping[str, JobResult]) -> None:
    """Store the cost of each job that succeeded; repeating it for a run changes nothing."""
    now = utc_now()
    rows: list[dict[str, Any]] = [
        {
            "run_id": run_id,
            "job": job.id,
            "module": job.module,
            "features": dict(job.features),
            "cpu_s": results[job.id].cpu_s,
            "wall_s": results[job.id].wall_s,
            "observed_at": now,
        }
        for job in plan.jobs
        if job.features and job.id in results and results[job.id].succeeded
    ]
    if not rows:
        return
    first, *rest = rows
    if insert_new(session, CostObservation, **first) and rest:
        session.execute(insert(CostObservation), rest)


def current(session: Session) -> dict[str, dict[str, float]]:
    """Return the newest coefficients of every module; empty before the first fit."""
    newest = select(func.max(CostCoefficients.id)).group_by(CostCoefficients.module)
    rows = session.scalars(select(CostCoefficients).where(CostCoefficients.id.in_(newest)))
    return {row.module: dict(row.coefficients) for row in rows}


def refit(store: Store, planner: Planner, after_runs: int) -> dict[str, dict[str, float]] | None:
    """Refit if ``after_runs`` runs have finished since the last fit; return the new coefficients, if any."""
    if after_runs <= 0:
        return None
    with store.reading() as session:
        last = session.scalar(select(func.max(CostCoefficients.fitted_at)))
        runs = select(func.count(CostObservation.run_id.distinct()))
        if last is not None:
            runs = runs.where(CostObservation.observed_at > last)
        if (session.scalar(runs) or 0) < after_runs:
            return None
        seen = _window(session)
    fitted = planner.fit([(row.module, row.features, row.cpu_s) for row in seen])
    counts: dict[str, int] = {}
    for row in seen:
        counts[row.module] = counts.get(row.module, 0) + 1
    now = utc_now()
    oldest = {module: min(row.id for row in seen if row.module == module) for module in counts}
    with store.transaction() as session:
        for module, first in oldest.items():
            # Do not keep what no fit will use again.
            session.execute(delete(CostObservation).where(CostObservation.module == module, CostObservation.id < first))
        for module in sorted(set(fitted) & set(counts)):
            session.add(
                CostCoefficients(module=module, coefficients=fitted[module], observations=counts[module], fitted_at=now)
            )
    return fitted


def _window(session: Session) -> list[CostObservation]:
    modules = session.scalars(select(CostObservation.module).distinct()).all()
    rows: list[CostObservation] = []
    for module in modules:
        newest = (
            select(CostObservation)
            .where(CostObservation.module == module)
            .order_by(CostObservation.id.desc())
            .limit(WINDOW)
        )
        rows += reversed(session.scalars(newest).all())
    return rows
