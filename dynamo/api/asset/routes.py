"""Routes of feeds, arrivals, assets, checks and problems."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select

from dynamo.api.asset import views
from dynamo.api.asset.models import (
    ArrivalItem,
    Arrivals,
    AssetDetail,
    AssetHistory,
    AssetList,
    CheckResults,
    CheckRuleItem,
    CheckRules,
    Feeds,
    LineageTree,
    MakingItem,
    ProblemItem,
    ProblemList,
)
from dynamo.api.auth import Reader
from dynamo.api.paging import After, Limit, Since, Until, listed, read_page, time_in
from dynamo.api.run.views import check_item
from dynamo.api.service import Served
from dynamo.api.showing import shared, show, shown
from dynamo.assets.catalog import assets_of, find_asset
from dynamo.assets.coverage import series_of
from dynamo.assets.history import history_of
from dynamo.assets.lineage import lineage_of_row
from dynamo.assets.watched import about_radar
from dynamo.checks.listing import configured_checks
from dynamo.errors import InputError, NotFoundError
from dynamo.runs.ledger import find_run
from dynamo.store.checks import CheckResult
from dynamo.store.models import Arrival, Product
from dynamo.store.problems import ProblemRecord
from dynamo.times import utc_now

router = APIRouter(prefix="/v1", tags=["data"])
Radar = Annotated[str | None, Query(max_length=100, description="Only of this radar.")]
AssetName = Annotated[str, Path(max_length=500, description="Name of the asset, or what it is: WORKFLOW/JOB.PORT.")]
#: Range of an asset if none is given, and the longest.
_RANGE, _LONGEST = timedelta(days=1), timedelta(days=366)


@router.get("/feeds", summary="Feeds", responses=shown(Feeds))
@shared
def feeds(request: Request, service: Served, caller: Reader) -> Response:
    """Show how the data of each feed and radar come. Scope `read`."""
    with service.store.reading() as session:
        items = views.feed_items(session, service.config, service.judge.states(session))
    return show(request, Feeds(items=items, next=None))


@router.get("/arrivals", summary="Arrivals", responses=shown(Arrivals))
@shared
def arrivals(
    request: Request,
    service: Served,
    caller: Reader,
    feed: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[str | None, Query(max_length=20, description="Such as `quarantined`.")] = None,
    radar: Radar = None,
    since: Since = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List files that came or were refused, the newest first. Scope `read`."""
    query = select(Arrival)
    for column, value in ((Arrival.feed, feed), (Arrival.state, state), (Arrival.radar, radar)):
        if value is not None:
            query = query.where(column == value)
    if (begin := time_in("since", since)) is not None:
        query = query.where(Arrival.recorded_at >= begin)
    with service.store.reading() as session:
        page = listed(*read_page(session, query, (Arrival.id,), after, limit), _arrival)
    return show(request, Arrivals(**page))


@router.get("/problems", summary="Problems", responses=shown(ProblemList))
@shared
def problems(
    request: Request,
    service: Served,
    caller: Reader,
    state: Annotated[Literal["open", "closed", "all"], Query()] = "all",
    radar: Radar = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List what is, or was, late, silent or failed, the newest first. Scope `read`."""
    query = select(ProblemRecord)
    if state != "all":
        query = query.where(ProblemRecord.closed_at.is_(None) == (state == "open"))
    if radar is not None:
        query = query.where(about_radar(ProblemRecord.subject, radar.upper()))
    with service.store.reading() as session:
        page = listed(*read_page(session, query, (ProblemRecord.id,), after, limit), _problem)
    return show(request, ProblemList(**page))


@router.get("/assets", summary="Assets", responses=shown(AssetList))
@shared
def assets(request: Request, service: Served, caller: Reader, radar: Radar = None) -> Response:
    """List feeds and outputs of workflows with their counters and freshness. Scope `read`."""
    with service.store.reading() as session:
        found = assets_of(service.config, service.planner, session)
        states = service.judge.states(session)
        items = [views.asset_item(session, asset, states, radar) for asset in found]
    return show(request, AssetList(items=items, next=None))


# Before the route of one asset, whose name may have slashes.
@router.get("/assets/{name:path}/history", summary="History of an asset", responses=shown(AssetHistory, 404))
def asset_history(
    request: Request,
    service: Served,
    caller: Reader,
    name: AssetName,
    radar: Radar = None,
    since: Since = None,
    limit: Limit = 50,
) -> Response:
    """Show how the newest partitions were made, superseded ones too. Scope `read`."""
    with service.store.reading() as session:
        asset = find_asset(assets_of(service.config, service.planner, session), name)
        series = series_of(session, asset, radar=radar)
        found = history_of(session, series, since=time_in("since", since), limit=limit)
    return show(request, AssetHistory(items=[MakingItem(**vars(item)) for item in found], next=None))


@router.get("/assets/{name:path}", summary="One asset", responses=shown(AssetDetail, 404))
def asset_detail(
    request: Request,
    service: Served,
    caller: Reader,
    name: AssetName,
    radar: Radar = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Show an asset's days and gaps in a range, the last day by default. Scope `read`."""
    end = time_in("until", until) or utc_now()
    begin = time_in("since", since) or end - _RANGE
    if not timedelta(0) < end - begin <= _LONGEST:
        raise InputError("not a range", where="since", expected="a time before `until`, at most a year")
    with service.store.reading() as session:
        asset = find_asset(assets_of(service.config, service.planner, session), name)
        states = service.judge.states(session)
        found = views.asset_detail(session, asset, states, radar=radar, since=begin, until=end)
    return show(request, found)


@router.get("/lineage", summary="Lineage of a file", responses=shown(LineageTree, 404))
def lineage(
    request: Request,
    service: Served,
    caller: Reader,
    product: Annotated[int | None, Query(ge=1, le=2**62, description="A product.")] = None,
    arrival: Annotated[int | None, Query(ge=1, le=2**62, description="An arrival.")] = None,
) -> Response:
    """Show what a product or arrival was made from, and what was made from it. Scope `read`."""
    with service.store.reading() as session:
        if (product is None) == (arrival is None):
            raise InputError("either a product or an arrival", where="request parameters")
        row = session.get(Product, product) if product is not None else session.get(Arrival, arrival)
        if row is None:
            raise NotFoundError("no such product" if product is not None else "no such arrival")
        found = lineage_of_row(session, row)
    tree = LineageTree(file=views.lineage_node(found.file), made=[views.lineage_node(node) for node in found.made])
    return show(request, tree)


@router.get("/checks", summary="Checks", responses=shown(CheckRules))
def checks(request: Request, service: Served, caller: Reader) -> Response:
    """List all checks with their limits as configured. Scope `read`."""
    items = [CheckRuleItem(**item.to_json()) for item in configured_checks(service.config)]
    return show(request, CheckRules(items=items, next=None))


@router.get("/checks/results", summary="Check results", responses=shown(CheckResults, 404))
def check_results(
    request: Request,
    service: Served,
    caller: Reader,
    since: Since = None,
    flag: Annotated[int | None, Query(ge=1, le=9, description="3 suspect, 4 bad, 9 missing.")] = None,
    series: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List values in the data of runs that were not good, the newest first. Scope `read`."""
    query = select(CheckResult)
    if (begin := time_in("since", since)) is not None:
        query = query.where(CheckResult.time >= begin)
    for column, value in ((CheckResult.flag, flag), (CheckResult.series, series)):
        if value is not None:
            query = query.where(column == value)
    with service.store.reading() as session:
        if run is not None:
            query = query.where(CheckResult.run_id == find_run(session, run).id)
        page = listed(*read_page(session, query, (CheckResult.id,), after, limit), check_item)
    return show(request, CheckResults(**page))


def _arrival(row: Arrival) -> ArrivalItem:
    values = {name: getattr(row, name) for name in ArrivalItem.model_fields if name != "bytes"}
    return ArrivalItem(**values, bytes=row.size)


def _problem(row: ProblemRecord) -> ProblemItem:
    values = {name: getattr(row, name) for name in ProblemItem.model_fields if name != "state"}
    return ProblemItem(**values, state=row.kind)
