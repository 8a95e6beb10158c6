"""Routes of what waits for a person: files that intake refused, and runs that a check kept back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.api.asset.models import ReviewItem, ReviewList, ReviewOrder
from dynamo.api.auth import Reader, Writer
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.paging import Limit
from dynamo.api.problems import Refusal, answer
from dynamo.api.run.ordering import IdempotencyKey, Repeatable, signed
from dynamo.api.run.views import check_item
from dynamo.api.service import Served, Service
from dynamo.api.showing import show, show_bytes, shown
from dynamo.errors import RetryableError
from dynamo.inspection import process
from dynamo.store.checks import CheckResult
from dynamo.watch.decisions import drop_waiting, release_waiting
from dynamo.watch.quarantined import find_waiting, waiting
from dynamo.watch.waiting import Waiting

router = APIRouter(prefix="/v1/reviews", tags=["data"])
Number = Annotated[str, Path(max_length=64, description="Number of the file, or the run.")]
#: More values of one run are in its own list.
_MOST_CHECKS = 50


@router.get("", summary="What waits for a person", responses=shown(ReviewList))
def reviews(
    request: Request,
    service: Served,
    caller: Reader,
    state: Annotated[Literal["quarantined", "released", "dropped"], Query()] = "quarantined",
    feed: Annotated[str | None, Query(max_length=200, description="Only of this feed.")] = None,
    limit: Limit = 50,
) -> Response:
    """List files that intake refused and runs that a check kept back, the newest first. Scope `read`."""
    with service.store.reading() as session:
        items = _items(session, waiting(session, state, limit, feed))
    return show(request, ReviewList(items=items, next=None))


@router.get(
    "/{number}/picture",
    summary="Picture of a file that waits",
    responses={200: {"description": "What can be read of it.", "content": {"image/png": {}}}, **failures(404, 410)},
)
def picture(
    request: Request,
    service: Served,
    caller: Reader,
    number: Number,
) -> Response:
    """Draw what can be read of a refused file, in a process of its own: it may be hostile. Scope `read`."""
    with service.store.reading() as session:
        item = find_waiting(session, number)
    if item.at is None:
        raise Refusal(410, "the file is gone", where=item.path)
    with service.slow.one():
        try:
            drawn = process.draw(item.at)
        except OSError as error:
            raise Refusal(410, f"the file cannot be read: {error.strerror}", where=item.path) from error
    return show_bytes(request, drawn.png, "image/png")


@router.get("/{number}", summary="One thing that waits", responses=shown(ReviewItem, 404))
def review(request: Request, service: Served, caller: Reader, number: Number) -> Response:
    """Show a refused file or a run that was kept back, and what checks found. Scope `read`."""
    with service.store.reading() as session:
        (item,) = _items(session, [find_waiting(session, number)])
    return show(request, item)


@router.post(
    "/{number}/release",
    summary="Release what waits",
    status_code=202,
    responses={202: {"model": ReviewItem}, **failures(400, 404)},
    openapi_extra=body_of(ReviewOrder),
)
def release(
    service: Served, caller: Writer, number: Number, body: Body, idempotency_key: IdempotencyKey = None
) -> Response:
    """Hand a file back to intake, which examines it once more, or have a run published. Scope `write`."""
    reason = signed(caller.name, read_order(ReviewOrder, body).reason)

    def carry_out() -> dict[str, Any]:
        try:
            found = release_waiting(service.config, service.store, number, reason, service.settings.config_file)
        except OSError as error:
            raise RetryableError(f"released, but not moved back yet: {error}", hint="the daemon tries again") from error
        return _told(service, found)

    return answer(
        Repeatable(service.store, caller.name, idempotency_key, ["release", number, body]).once(carry_out), 202
    )


@router.post(
    "/{number}/drop",
    summary="Drop what waits",
    status_code=202,
    responses={202: {"model": ReviewItem}, **failures(400, 404)},
    openapi_extra=body_of(ReviewOrder),
)
def drop(
    service: Served, caller: Writer, number: Number, body: Body, idempotency_key: IdempotencyKey = None
) -> Response:
    """Delete a file for good, or leave a run unpublished; the record stays. Scope `write`."""
    reason = signed(caller.name, read_order(ReviewOrder, body).reason)

    def carry_out() -> dict[str, Any]:
        try:
            return _told(service, drop_waiting(service.config, service.store, number, reason))
        except OSError as error:
            raise RetryableError(f"dropped, but not deleted yet: {error}", hint="the daemon tries again") from error

    return answer(Repeatable(service.store, caller.name, idempotency_key, ["drop", number, body]).once(carry_out), 202)


def _items(session: Session, found: Sequence[Waiting]) -> list[ReviewItem]:
    items = []
    for item in found:
        worst = (
            select(CheckResult).where(CheckResult.run_id == item.id).order_by(CheckResult.flag.desc(), CheckResult.id)
        )
        checks = session.scalars(worst.limit(_MOST_CHECKS)) if item.kind == "run" else ()
        drawable = {"drawable": item.at is not None, "checks": [check_item(one) for one in checks]}
        items.append(ReviewItem(**item.as_json(), **drawable))
    return items


def _told(service: Service, item: Waiting) -> dict[str, Any]:
    with service.store.reading() as session:
        (told,) = _items(session, [item])
    return told.model_dump(mode="json")
