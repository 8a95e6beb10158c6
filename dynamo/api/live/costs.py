"""What runs and fleets cost, from the ledger of paid hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.api.live.models import BudgetItem, CostItem, CostsShown
from dynamo.provision.cost_report import CostRow, cost_report
from dynamo.provision.cycle.accounting import spent_by_now
from dynamo.provision.fleets import stored_spec
from dynamo.provision.states import ENDED
from dynamo.store.fleets import Fleet, WorkerHour, WorkerUse
from dynamo.store.models import Product, Run

#: Costs of workflows, with the number of files that they published.
PRODUCT = "product"

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


def read_costs(session: Session, by: str, since: datetime, until: datetime, now: datetime) -> CostsShown:
    """Return what all fleets cost in a range, by site, day or workflow, or by product: workflows with their files."""
    items, budgets = [], []
    for fleet in session.scalars(select(Fleet).order_by(Fleet.state == ENDED, Fleet.name)):
        budget = stored_spec(fleet).budget
        grouping = "workflow" if by == PRODUCT else by
        report = cost_report(session, fleet.name, grouping, since=since, until=until, currency=budget.currency)
        files = _published(session, since, until) if by == PRODUCT else {}
        items += [_cost_item(fleet.name, row, files.get(row.key) if by == PRODUCT else None) for row in report.rows]
        if fleet.state != ENDED:
            today, whole = spent_by_now(session, fleet.name, now)
            budgets.append(
                BudgetItem(
                    fleet=fleet.name,
                    currency=budget.currency,
                    total=budget.total,
                    per_day=budget.per_day,
                    spent=whole,
                    spent_today=today,
                )
            )
    return CostsShown(by=by, since=since, until=until, items=items, budgets=budgets)


def _published(session: Session, since: datetime, until: datetime) -> dict[str, int]:
    query = select(Run.workflow, func.count()).join(Product, Product.run_id == Run.id)
    in_range = (Run.published_at >= since, Run.published_at < until)
    return dict(session.execute(query.where(*in_range).group_by(Run.workflow)).all())


def _cost_item(fleet: str, row: CostRow, products: int | None) -> CostItem:
    cost = float(row.cost)
    return CostItem(
        key=row.key,
        fleet=fleet,
        currency=row.currency,
        cost=cost,
        core_hours=row.core_hours,
        busy_core_hours=row.busy_core_hours,
        idle_share=row.idle_share,
        products=products,
        cost_each=cost / products if products else None,
    )
