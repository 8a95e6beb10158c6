"""Runs and products read from the store and from run folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from dynamo.api.live.costs import cost_of_run
from dynamo.api.paging import cursor, read_page
from dynamo.api.run.models import (
    CheckItem,
    DecisionItem,
    InputShown,
    JobCounts,
    JobShown,
    LogFile,
    ParameterShown,
    ProductItem,
    RunDetail,
    RunInputFile,
    RunItem,
    WorkflowItem,
)
from dynamo.engines.base import RunFolder
from dynamo.engines.logs import log_files
from dynamo.runs import ledger
from dynamo.runs.folder import is_attended
from dynamo.runs.planning import Workflow
from dynamo.runs.record import latencies, run_json, skipped_json
from dynamo.runs.results import JobResult, read_results
from dynamo.runs.states import FINAL
from dynamo.store.checks import CheckResult
from dynamo.store.models import OWNED, Product, Run, RunDecision
from dynamo.store.stream import StreamRow

Declared = TypeVar("Declared", InputShown, ParameterShown)


def run_items(session: Session, runs: Sequence[Run]) -> list[RunItem]:
    """Return runs for a list."""
    counted = select(Product.run_id, func.count()).where(Product.run_id.in_([run.id for run in runs]))
    products = dict(session.execute(counted.group_by(Product.run_id)).all())
    return [RunItem(**_item(run, products.get(run.id, 0))) for run in runs]


def runs_told(session: Session, rows: Sequence[StreamRow]) -> dict[str, Any]:
    """Return the runs that events are about, as a list shows them, by their id."""
    names = {row.subject for row in rows if row.kind in ("run", "product")}
    runs = session.scalars(select(Run).where(Run.id.in_(names))).all() if names else ()
    return {item.id: item.model_dump(mode="json") for item in run_items(session, runs)} if runs else {}


def runs_matching(
    *,
    workflow: str | None,
    trigger: str | None,
    radar: str | None,
    since: datetime | None,
    until: datetime | None,
    owner: str | None = None,
) -> Select[Run]:
    """Return the query for runs; None matches all."""
    query = select(Run)
    for column, value in ((Run.workflow, workflow), (Run.trigger, trigger), (Run.radar, radar)):
        if value is not None:
            query = query.where(column == value)
    if owner is not None:
        # The index of runs that somebody ordered is found by its condition.
        query = query.where(OWNED, Run.owner == owner)
    if since is not None:
        query = query.where(Run.created_at >= since)
    if until is not None:
        query = query.where(Run.created_at < until)
    return query


def runs_page(
    session: Session, query: Select[Run], states: Collection[str], after: str | None, limit: int
) -> tuple[Sequence[Run], str | None]:
    """Return a page of runs in any of several states, or in all, the newest first, and the cursor of the next one."""
    keys = (Run.created_at, Run.id)
    if not states:
        return read_page(session, query, keys, after, limit)
    # One by one, each by its index: a database would sort all that have one of several states.
    pages = [read_page(session, query.where(Run.state == state), keys, after, limit) for state in sorted(set(states))]
    rows = sorted((run for page, _ in pages for run in page), key=lambda run: (run.created_at, run.id), reverse=True)
    if len(rows) <= limit and not any(following for _, following in pages):
        return rows, None
    return rows[:limit], cursor([rows[limit - 1].created_at, rows[limit - 1].id])


def run_detail(session: Session, name: str) -> RunDetail:
    """Return everything about a run.

    Raises
    ------
    NotFoundError
        If there is none whose id or key starts with ``name``, or more than one.
    """
    run = ledger.find_run(session, name)
    decided = ledger.decisions_about(session, run.id)
    products = ledger.products_of(session, run.id)
    found = session.scalars(select(CheckResult).where(CheckResult.run_id == run.id).order_by(CheckResult.id))
    folder = RunFolder(Path(run.run_dir))
    known = run_json(run)
    cost, currency = cost_of_run(session, run)
    return RunDetail(
        **_item(run, len(products)),
        **{
            name: known[name]
            for name in (
                *("key", "version", "origin", "backfill", "variant", "standing", "priority", "attempts", "software"),
                *("run_dir", "product_dir", "predicted_s", "cpu_s", "times", "parameters"),
            )
        },
        attended=None if run.state in FINAL else is_attended(session, run),
        plan_reason=run.layout,
        latencies=latencies(run),
        counts=JobCounts(**known["jobs"]),
        inputs=[RunInputFile(**{key: item[key] for key in RunInputFile.model_fields}) for item in run.inputs],
        jobs=[_job(result) for result in read_results(folder).values()],
        skipped=skipped_json(decided),
        logs=logs_in(folder.root),
        product_files=[product_item(product, run) for product in products],
        decisions=[decision_item(item) for item in decided],
        remarks=[item.reason for item in decided if item.action == "remark"],
        checks=[check_item(item) for item in found],
        cost=cost,
        currency=currency,
    )


def logs_in(root: Path) -> list[LogFile]:
    """Return the logs of a run folder."""
    return [LogFile(name=path.relative_to(root).as_posix(), bytes=path.stat().st_size) for path in log_files(root)]


def product_item(product: Product, run: Run) -> ProductItem:
    """Return one product for a list."""
    return ProductItem(
        id=product.id,
        run=run.id,
        workflow=run.workflow,
        radar=run.radar,
        name=product.lfn,
        output=product.output,
        path=product.path,
        tier=run.tier,
        bytes=product.bytes,
        sha256=product.sha256,
        lead_min=product.lead_min,
        valid_at=product.valid_at,
        published_at=run.published_at,
    )


def decision_item(decision: RunDecision) -> DecisionItem:
    """Return one decision for a list."""
    return DecisionItem.model_validate(decision, from_attributes=True)


def check_item(result: CheckResult) -> CheckItem:
    """Return one check result for a list."""
    values = {name: getattr(result, name) for name in CheckItem.model_fields if name != "run"}
    return CheckItem(run=result.run_id, **values)


def workflow_item(workflow: Workflow) -> WorkflowItem:
    """Return what a workflow needs, as its document says."""
    body = workflow.body
    inputs = [_declared(InputShown, name, spec) for name, spec in body.get("inputs", {}).items()]
    # A plain Pegasus workflow says only the formats.
    formats = [InputShown(name=name, format=format_) for name, format_ in workflow.inputs.items()]
    return WorkflowItem(
        name=workflow.name,
        version=workflow.version,
        description=str(body.get("description", "")),
        inputs=inputs or formats,
        parameters=[_declared(ParameterShown, name, spec) for name, spec in body.get("parameters", {}).items()],
    )


def _declared(model: type[Declared], name: str, spec: Mapping[str, Any]) -> Declared:
    return model(
        name=name, **{key: value for key, value in spec.items() if key in model.model_fields and key != "name"}
    )


def _item(run: Run, products: int) -> dict[str, Any]:
    ended = (run.published_at or run.finished_at or run.updated_at) if run.state in FINAL else None
    return {
        **{name: getattr(run, name) for name in RunItem.model_fields if hasattr(run, name)},
        "ended_at": ended,
        "duration_s": None if ended is None else max(0.0, round((ended - run.created_at).total_seconds(), 3)),
        "products": products,
        "background": run.origin == "backfill",
    }


def _job(result: JobResult) -> JobShown:
    return JobShown(
        job=result.job,
        module=result.module,
        state="succeeded" if result.succeeded else "skipped" if result.skipped else "failed",
        reason=result.error or result.skipped,
        wall_s=result.wall_s,
        cpu_s=result.cpu_s,
        started_at=result.started,
        ended_at=result.ended,
        metrics=dict(result.metrics),
    )
