"""What runs and fleets cost, from the ledger of paid hours."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.provision.fleets import stored_spec
from dynamo.store.fleets import Fleet, WorkerHour, WorkerUse
from dynamo.store.models import Run

#: Use of a worker is recorded some time after its job has ended.
_RECORDED_WITHIN = timedelta(hours=1)


def cost_of_run(session: Session, run: Run) -> tuple[float | None, str]:
    """Return what the core-seconds of a run's jobs cost on their workers, without idle time, and the currency.

    None if no paid worker is known to have run them.
    """
    end = run.finished_at or run.updated_at
    used = session.execute(
        select(WorkerUse.fleet, WorkerUse.worker, func.sum(WorkerUse.core_s))
        .where(
            WorkerUse.fleet.in_(select(Fleet.name)),
            WorkerUse.ended_at >= run.created_at,
            WorkerUse.ended_at <= end + _RECORDED_WITHIN,
            WorkerUse.run == run.id,
        )
        .group_by(WorkerUse.fleet, WorkerUse.worker)
    ).all()
    cost, currency = None, ""
    for fleet, worker, core_s in used:
        paid = session.execute(
            select(func.sum(WorkerHour.cost), func.sum(WorkerHour.core_s)).where(
                WorkerHour.fleet == fleet, WorkerHour.worker == worker
            )
        ).one()
        if paid[1]:
            cost = (cost or 0.0) + paid[0] / paid[1] * core_s
            currency = currency or stored_spec(session.get_one(Fleet, fleet)).budget.currency
    return cost, currency
