"""Routes of the state of everything, load, timeline and costs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from dynamo.api.auth import Reader
from dynamo.api.live.costs import read_costs
from dynamo.api.live.load import read_load
from dynamo.api.live.models import Caller, CostsShown, LoadShown, StatusShown, Timeline
from dynamo.api.live.timeline import read_timeline
from dynamo.api.paging import Since, Until, time_in
from dynamo.api.service import Served
from dynamo.api.showing import shared, show, shown
from dynamo.times import utc_now

router = APIRouter(prefix="/v1", tags=["now"])
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)


@router.get("/status", summary="State of everything", responses=shown(StatusShown))
def status(request: Request, service: Served, caller: Reader) -> Response:
    """Show daemons, data, problems, runs and fleets at a glance, and who you are. Scope `read`."""
    with service.store.reading() as session:
        seen = service.judge.overview(session)
    you = Caller(name=caller.name, roles=caller.roles)
    return show(request, StatusShown(**seen.to_json(), you=you))


@router.get("/load", summary="Demand against capacity", responses=shown(LoadShown))
@shared
def load(request: Request, service: Served, caller: Reader) -> Response:
    """Show demand against capacity of the last hours, and the demand ahead. Scope `read`."""
    with service.store.reading() as session:
        return show(request, read_load(session, utc_now()))


@router.get("/timeline", summary="Timeline", responses=shown(Timeline))
@shared
def timeline(
    request: Request,
    service: Served,
    caller: Reader,
    since: Since = None,
    until: Until = None,
    by: Annotated[Literal["workflow"], Query()] = "workflow",
) -> Response:
    """Count runs by workflow and workers by site in parts of a range, the last day by default. Scope `read`."""
    begin, end = _range(since, until, _DAY)
    with service.store.reading() as session:
        return show(request, read_timeline(session, begin, end))


@router.get("/costs", summary="Costs", responses=shown(CostsShown))
@shared
def costs(
    request: Request,
    service: Served,
    caller: Reader,
    by: Annotated[Literal["site", "day", "workflow", "product"], Query()] = "site",
    since: Since = None,
    until: Until = None,
) -> Response:
    """Show what fleets cost in a range, the last 7 days by default, and their budgets. Scope `read`."""
    begin, end = _range(since, until, _WEEK)
    with service.store.reading() as session:
        return show(request, read_costs(session, by, begin, end, utc_now()))


def _range(since: str | None, until: str | None, usual: timedelta) -> tuple[datetime, datetime]:
    end = time_in("until", until) or utc_now()
    return time_in("since", since) or end - usual, end
