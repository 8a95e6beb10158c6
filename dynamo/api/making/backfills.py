"""Routes of backfills: planned, started, followed, and changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from dynamo.api.auth import Reader, Writer
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.making.models import (
    BackfillItem,
    BackfillList,
    BackfillOrder,
    BackfillPlanShown,
    PromotedShown,
)
from dynamo.api.paging import Limit, time_of
from dynamo.api.problems import answer
from dynamo.api.run.ordering import IdempotencyKey, Repeatable, signed
from dynamo.api.service import Served, Service
from dynamo.api.showing import shared, show, shown
from dynamo.backfill import order as orders
from dynamo.backfill.control import backfill_json, cancel, find_backfill, list_backfills, pause, resume
from dynamo.backfill.planning import plan
from dynamo.backfill.promotion import promote
from dynamo.doors import ENGINES
from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.runs.ledger import decide
from dynamo.store.backfills import Backfill
from dynamo.workflows.workflow import templates

router = APIRouter(prefix="/v1/backfills", tags=["runs"])
Id = Annotated[str, Path(max_length=64, description="ID of the backfill, or a unique prefix of it.")]
Reason = Annotated[str, Query(max_length=500, description="Kept with the decision.")]
#: A plan looks at each valid time of its range; one that takes longer is for the command line.
PLAN_LIMIT_S = 60.0


@router.get("", summary="Backfills", responses=shown(BackfillList))
@shared
def backfills(
    request: Request,
    service: Served,
    caller: Reader,
    state: Annotated[Literal["active", "paused", "done", "cancelled"] | None, Query()] = None,
    limit: Limit = 50,
) -> Response:
    """List backfills with how far they are, the newest first. Scope `read`."""
    conditions = [] if state is None else [Backfill.state == state]
    with service.store.reading() as session:
        items = [_item(backfill_json(session, row)) for row in list_backfills(session, limit, *conditions)]
    return show(request, BackfillList(items=items, next=None))


@router.post(
    "/plan",
    summary="Plan a backfill",
    responses={200: {"model": BackfillPlanShown}, **failures(400, 404)},
    openapi_extra=body_of(BackfillOrder),
)
def plan_backfill(service: Served, caller: Writer, body: Body) -> Response:
    """Tell what a backfill would do: runs, core-hours, money, and what is missing. Nothing is stored. Scope `write`."""
    order = _composed(service, read_order(BackfillOrder, body))
    with service.planning.one():
        found = asdict(plan(service.runs, order, look=_limit(PLAN_LIMIT_S)))
    return answer({name: found[name] for name in BackfillPlanShown.model_fields})


@router.post(
    "",
    summary="Start a backfill",
    status_code=202,
    responses={202: {"model": BackfillItem}, **failures(400, 404)},
    openapi_extra=body_of(BackfillOrder),
)
def start(service: Served, caller: Writer, body: Body, idempotency_key: IdempotencyKey = None) -> Response:
    """Make a trigger or workflow again over a range, behind all live work. Scope `write`."""
    asked = read_order(BackfillOrder, body)

    def carry_out() -> dict[str, Any]:
        order = _composed(service, asked)
        with service.store.transaction() as session:
            row = orders.start(session, order)
            decide(session, f"backfill {row.id}", "order", signed(caller.name, ""))
            return _item(backfill_json(session, row)).model_dump(mode="json")

    return _once(service, caller.name, idempotency_key, ["backfill", body], carry_out)


@router.get("/{name}", summary="One backfill", responses=shown(BackfillItem, 404))
def backfill(request: Request, service: Served, caller: Reader, name: Id) -> Response:
    """Show how far a backfill is, and what became of its runs. Scope `read`."""
    with service.store.reading() as session:
        return show(request, _item(backfill_json(session, find_backfill(session, name))))


@router.post(
    "/{name}/promote",
    summary="Promote a backfill",
    status_code=202,
    responses={202: {"model": PromotedShown}, **failures(400, 404)},
)
def promote_backfill(service: Served, caller: Writer, name: Id, idempotency_key: IdempotencyKey = None) -> Response:
    """Make what a backfill published under a name the current products. Scope `write`."""

    def carry_out() -> dict[str, Any]:
        with service.planning.one():
            return asdict(promote(service.runs, name))

    return _once(service, caller.name, idempotency_key, ["promote", name], carry_out)


@router.post(
    "/{name}/{what}",
    summary="Pause, resume or cancel a backfill",
    status_code=202,
    responses={202: {"model": BackfillItem}, **failures(400, 404)},
)
def change(
    service: Served,
    caller: Writer,
    name: Id,
    what: Literal["pause", "resume", "cancel"],
    reason: Reason = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make no more runs, go on, or end it and cancel its unfinished runs. Scope `write`."""
    why = signed(caller.name, reason)

    def carry_out() -> dict[str, Any]:
        match what:
            case "pause":
                row = pause(service.store, name, why)
            case "resume":
                row = resume(service.store, name, why)
            case "cancel":
                row = cancel(service.runs, name, why)
        with service.store.reading() as session:
            return _item(backfill_json(session, find_backfill(session, row.id))).model_dump(mode="json")

    return _once(service, caller.name, idempotency_key, [what, "backfill", name, reason], carry_out)


def _composed(service: Service, asked: BackfillOrder) -> orders.Order:
    triggers = [section.name for section in service.config.triggers]
    # Any other name could be that of a file of the server.
    if asked.what not in (templates() if asked.feed is not None or asked.input is not None else triggers):
        raise NotFoundError(
            f"no trigger or workflow {asked.what!r:.80}",
            where="what",
            expected=f"a trigger ({', '.join(triggers)}), or with `feed` a workflow ({', '.join(templates())})",
        )
    if asked.engine is not None:
        ENGINES.load(asked.engine)
    with _as_field():
        return orders.compose(
            service.config,
            service.planner,
            asked.what,
            since=time_of("since", asked.since),
            until=time_of("until", asked.until),
            radars=asked.radars,
            parameters=asked.parameters,
            variant=asked.name,
            at_most=asked.at_most,
            feed=asked.feed,
            port=asked.input,
            engine=asked.engine,
        )


@contextmanager
def _as_field() -> Iterator[None]:
    """Name a field of the order where the command line names its option."""
    try:
        yield
    except DynamoError as error:
        if error.where is not None and error.where.startswith("--"):
            error.where = {"--as": "name"}.get(error.where, error.where.removeprefix("--"))
        raise


def _limit(seconds: float) -> Callable[[], None]:
    end = time.monotonic() + seconds

    def look() -> None:
        if time.monotonic() > end:
            raise InputError(
                f"the plan takes longer than {seconds:.0f} s",
                where="since",
                expected="a shorter range",
                hint="dynamo backfill plan has no limit",
            )

    return look


def _item(data: dict[str, Any]) -> BackfillItem:
    return BackfillItem.model_validate({**data, "name": data["as"]})


def _once(
    service: Service, caller: str, key: str | None, order: list[Any], carry_out: Callable[[], dict[str, Any]]
) -> Response:
    return answer(Repeatable(service.store, caller, key, order).once(carry_out), 202)
