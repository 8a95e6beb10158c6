"""Routes of the map: which times there are, all leads of a nowcast in one answer, hail areas, radars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.alerts.hazards import hazard_of
from dynamo.api.auth import Reader
from dynamo.api.kept.pictures import hail_areas
from dynamo.api.paging import Since, Until, time_in
from dynamo.api.service import Served
from dynamo.api.showing import shared, show, show_bytes, shown
from dynamo.api.weather.models import (
    Frames,
    HailFrame,
    HailList,
    HailShown,
    NowcastFrame,
    NowcastShown,
    RadarItem,
    RadarList,
)
from dynamo.assets.watched import Subject
from dynamo.config.alerts import Hazard
from dynamo.errors import NotFoundError
from dynamo.runs.ledger import find_run, products_of
from dynamo.runs.series import CURRENT, FEED, WORKFLOW
from dynamo.store.models import Arrival, Product, Run, Series
from dynamo.times import CLOCK_TOLERANCE, ahead_of, utc_now

router = APIRouter(prefix="/v1/map", tags=["map"])
#: Newest runs of each workflow that are looked at.
_MOST_RUNS = 300
_MOST_HAIL = 50


@router.get("/frames", summary="Times that there are", responses=shown(Frames))
@shared
def frames(request: Request, service: Served, caller: Reader, since: Since = None, until: Until = None) -> Response:
    """List nowcasts and hail products by valid time, at most the newest 300 runs of each workflow. Scope `read`."""
    nowcasts, hail = [], []
    now = utc_now()
    with service.store.reading() as session:
        for run, products in _newest(session, time_in("since", since), time_in("until", until)):
            ahead = run.valid_at is not None and bool(ahead_of(run.valid_at, now))
            facts = {"run": run.id, "workflow": run.workflow, "radar": run.radar, "ahead": ahead}
            if storms := _of("storm", products):
                leads = sorted(product.lead_min or 0 for product in storms)
                nowcasts.append(NowcastFrame(**facts, issued_at=run.valid_at, leads_min=leads))
            hail += [
                HailFrame(**facts, product=product.id, valid_at=product.valid_at or run.valid_at)
                for product in _of("hail", products)
            ]
    return show(request, Frames(nowcasts=nowcasts, hail=hail))


@router.get("/nowcasts/{run}", summary="A nowcast with all leads", responses=shown(NowcastShown, 404, 410))
def nowcast(
    request: Request,
    service: Served,
    caller: Reader,
    run: Annotated[str, Path(max_length=64, description="Its run.")],
    lead: Annotated[int | None, Query(ge=0, le=10_000, description="Only this lead, in minutes.")] = None,
) -> Response:
    """Send the contours of all leads in one answer. Scope `read`."""
    with service.store.reading() as session:
        found = find_run(session, run)
        products = _of("storm", products_of(session, found.id))
    if lead is not None:
        products = [product for product in products if (product.lead_min or 0) == lead]
    if not products:
        raise NotFoundError("no nowcast among its products", where=found.id)
    picture = service.pictures.nowcast(found, products)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return show_bytes(
            request, picture.packed, "application/json", {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        )
    return show_bytes(request, picture.body, "application/json", {"Vary": "Accept-Encoding"})


@router.get("/hail", summary="Hail areas", responses=shown(HailList, 404, 410))
@shared
def hail(
    request: Request,
    service: Served,
    caller: Reader,
    run: Annotated[list[str], Query(max_length=_MOST_HAIL, description="Of these runs; may be repeated.")] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Send the hail areas of runs; without any, the newest of each workflow and radar. Scope `read`."""
    with service.store.reading() as session:
        if run:
            runs = [find_run(session, name) for name in run]
            several = [(one, _of("hail", products_of(session, one.id))) for one in runs]
        else:
            several = _newest_hail(session, utc_now())
    items = [HailShown(**hail_areas(one, product)) for one, products in several for product in products]
    return show(request, HailList(items=items, next=None))


@router.get("/radars", summary="Radars", responses=shown(RadarList))
@shared
def radars(request: Request, service: Served, caller: Reader) -> Response:
    """List the radars whose place is known from their data, with how these come. Scope `read`."""
    items = []
    with service.store.reading() as session:
        states = service.judge.states(session)
        for series in session.scalars(select(Series).where(Series.kind == FEED, Series.radar != "")).all():
            of_radar = (Arrival.feed == series.name, Arrival.radar == series.radar, Arrival.state == "accepted")
            newest = select(Arrival.facts).where(*of_radar).order_by(Arrival.valid_at.desc()).limit(1)
            right = newest.where(Arrival.valid_at <= utc_now() + CLOCK_TOLERANCE)
            facts = session.scalar(right) or session.scalar(newest) or {}
            if not facts.get("position"):
                continue
            state = states.get(Subject(FEED, series.name, radar=series.radar))
            items.append(
                RadarItem(
                    radar=series.radar,
                    feed=series.name,
                    state="" if state is None else str(state.state),
                    reason="" if state is None else state.reason,
                    latitude=facts["position"][0],
                    longitude=facts["position"][1],
                    range_km=facts.get("range_km"),
                    last_valid_at=series.newest_at,
                )
            )
    return show(request, RadarList(items=items, next=None))


def _newest_hail(session: Session, now: datetime) -> list[tuple[Run, list[Product]]]:
    """Return the newest hail of each workflow and radar; that of a clock that is ahead only where there is no other."""
    found: dict[tuple[str, str], tuple[Run, list[Product]]] = {}
    for run, products in _newest(session, None, None):
        ahead = run.valid_at is not None and ahead_of(run.valid_at, now)
        if (areas := _of("hail", products)) and not (ahead and (run.workflow, run.radar) in found):
            found[run.workflow, run.radar] = (run, areas)
    return list(found.values())


def _newest(
    session: Session, since: datetime | None, until: datetime | None
) -> Iterator[tuple[Run, Sequence[Product]]]:
    """Yield the newest published runs of each workflow with their products, the oldest of each workflow first."""
    line = (Series.kind == WORKFLOW, Series.variant == "")
    for workflow in session.scalars(select(Series.name).where(*line).distinct().order_by(Series.name)).all():
        query = select(Run).where(Run.workflow == workflow, Run.standing == CURRENT, Run.variant == "")
        if since is not None:
            query = query.where(Run.valid_at >= since)
        if until is not None:
            query = query.where(Run.valid_at <= until)
        runs = session.scalars(query.order_by(Run.valid_at.desc()).limit(_MOST_RUNS)).all()
        products: dict[str, list[Product]] = defaultdict(list)
        of_runs = select(Product).where(Product.run_id.in_([run.id for run in runs]), Product.lfn.endswith(".geojson"))
        for product in session.scalars(of_runs):
            products[product.run_id].append(product)
        for run in reversed(runs):
            yield run, products[run.id]


def _of(hazard: Hazard, products: Sequence[Product]) -> list[Product]:
    return [product for product in products if hazard_of(PurePosixPath(product.lfn)) == hazard]
