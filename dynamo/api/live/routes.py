"""Routes of the state of everything, load, timeline and costs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import dynamo
from dynamo.api.auth import Reader
from dynamo.api.live.costs import read_costs
from dynamo.api.live.load import read_load
from dynamo.api.live.models import Caller, CostsShown, DaemonItem, LoadShown, StatusShown, Timeline
from dynamo.api.live.timeline import read_timeline
from dynamo.api.paging import Since, Until, time_in
from dynamo.api.service import Served
from dynamo.api.showing import show, shown
from dynamo.store.lease import TERM_S, is_free
from dynamo.store.models import ProcessLease, Run
from dynamo.store.problems import ProblemRecord
from dynamo.times import utc_now

router = APIRouter(prefix="/v1", tags=["now"])
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_ROLES = {"read": "viewer", "write": "operator", "admin": "admin", "ping": "reporter"}


@router.get("/status", summary="State of everything", responses=shown(StatusShown))
def status(request: Request, service: Served, caller: Reader) -> Response:
    """Show which daemons live, open problems, runs of the last day, and who you are. Scope `read`."""
    now = utc_now()
    with service.store.reading() as session:
        still_open = select(func.count()).where(ProblemRecord.closed_at.is_(None))
        by_state = select(Run.state, func.count()).where(Run.created_at >= now - _DAY).group_by(Run.state)
        found = StatusShown(
            now=now,
            version=dynamo.__version__,
            store=service.store.url,
            daemons=_daemons(session),
            problems=session.scalar(still_open) or 0,
            runs=dict(session.execute(by_state).all()),
            you=Caller(name=caller.name, roles=[_ROLES[scope] for scope in caller.scopes]),
        )
    return show(request, found)


@router.get("/load", summary="Demand against capacity", responses=shown(LoadShown))
def load(request: Request, service: Served, caller: Reader) -> Response:
    """Show demand against capacity of the last hours, and the demand ahead. Scope `read`."""
    with service.store.reading() as session:
        return show(request, read_load(session, utc_now()))


@router.get("/timeline", summary="Timeline", responses=shown(Timeline))
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


def _daemons(session: Session) -> list[DaemonItem]:
    return [
        DaemonItem(
            name=lease.name,
            alive=not is_free(lease),
            since=None,
            seen_at=lease.expires_at - timedelta(seconds=TERM_S),
            host=lease.host.partition("/")[0],
        )
        for lease in session.scalars(select(ProcessLease).order_by(ProcessLease.name))
    ]
