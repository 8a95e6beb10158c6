"""Routes of what waits for a person: files that intake refused, and runs that a check kept back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from dynamo.api.asset.models import ReviewItem, ReviewList
from dynamo.api.auth import Reader
from dynamo.api.documented import failures
from dynamo.api.paging import Limit
from dynamo.api.problems import Refusal
from dynamo.api.service import Served
from dynamo.api.showing import show, show_bytes, shown
from dynamo.inspection import process
from dynamo.watch.quarantined import find_waiting, waiting

router = APIRouter(prefix="/v1/reviews", tags=["data"])


@router.get("", summary="What waits for a person", responses=shown(ReviewList))
def reviews(
    request: Request,
    service: Served,
    caller: Reader,
    state: Annotated[Literal["quarantined", "released", "dropped"], Query()] = "quarantined",
    limit: Limit = 50,
) -> Response:
    """List files that intake refused and runs that a check kept back, the newest first. Scope `read`."""
    with service.store.reading() as session:
        found = waiting(session, state, limit)
    items = [ReviewItem(**{**item.as_json(), "drawable": item.at is not None}) for item in found]
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
    number: Annotated[str, Path(max_length=64, description="Number of the file, or the run.")],
) -> Response:
    """Draw what can be read of a refused file, in a process of its own: it may be hostile. Scope `read`."""
    with service.store.reading() as session:
        item = find_waiting(session, number)
    if item.at is None:
        raise Refusal(410, "the file is gone", where=item.path)
    with service.slow.one():
        return show_bytes(request, process.draw(item.at).png, "image/png")
