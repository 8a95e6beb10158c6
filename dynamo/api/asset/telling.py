"""Routes of what was decided, who was alerted, and which places are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import shapely
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select

from dynamo.alerts.places import read_places
from dynamo.api.asset.models import Alerts, Decisions, OngoingAlert, PlaceItem, PlaceList
from dynamo.api.asset.views import alert_items
from dynamo.api.auth import Reader
from dynamo.api.paging import After, Limit, Since, listed, read_page, time_in
from dynamo.api.run.views import decision_item
from dynamo.api.service import Served, Service
from dynamo.api.showing import shared, show, shown
from dynamo.store.alerts import AlertEvent, AlertMessage
from dynamo.store.models import RunDecision
from dynamo.times import utc_now

router = APIRouter(prefix="/v1", tags=["data"])
#: How far back a search for words goes if nothing else narrows it down.
_SEARCHED = timedelta(days=7)


@router.get("/decisions", summary="Decisions", responses=shown(Decisions))
@shared
def decisions(
    request: Request,
    service: Served,
    caller: Reader,
    trigger: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(max_length=400, description="About this run, or this path.")] = None,
    verdict: Annotated[str | None, Query(max_length=50, description="Such as `start`, `skip`, `scale`.")] = None,
    since: Since = None,
    q: Annotated[str | None, Query(max_length=200, description="Words in the reason; of 7 days by default.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Search decisions, the newest first: why something was, or was not, done. Scope `read`."""
    query = select(RunDecision)
    if run is not None:
        query = query.where(RunDecision.subject == run)
    if verdict is not None:
        query = query.where(RunDecision.action == verdict)
    if trigger is not None:
        query = query.where(RunDecision.data["trigger"].as_string() == trigger)
    if q:
        query = query.where(RunDecision.reason.icontains(q, autoescape=True))
    begin = time_in("since", since)
    if begin is None and run is None and (q or trigger or verdict):
        begin = utc_now() - _SEARCHED
    if begin is not None:
        query = query.where(RunDecision.time >= begin)
    with service.store.reading() as session:
        page = listed(*read_page(session, query, (RunDecision.id,), after, limit), decision_item)
    return show(request, Decisions(**page))


@router.get("/alerts", summary="Alerts", responses=shown(Alerts))
@shared
def alerts(
    request: Request,
    service: Served,
    caller: Reader,
    place: Annotated[str | None, Query(max_length=200)] = None,
    since: Since = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List messages about places and how they fared, the newest first. Scope `read`."""
    query = select(AlertMessage)
    if place is not None:
        query = query.where(AlertMessage.place == place)
    if (begin := time_in("since", since)) is not None:
        query = query.where(AlertMessage.created_at >= begin)
    with service.store.reading() as session:
        rows, following = read_page(session, query, (AlertMessage.id,), after, limit)
        items = alert_items(session, rows)
    return show(request, Alerts(items=items, next=following))


@router.get("/places", summary="Places", responses=shown(PlaceList, 404))
@router.get("/map/places", summary="Places on the map", responses=shown(PlaceList, 404))
@shared
def places(request: Request, service: Served, caller: Reader) -> Response:
    """List the places that are alerted, with their geometries and what goes on there. Scope `read`."""
    return show(request, PlaceList(items=_places(service), next=None))


def _places(service: Service) -> list[PlaceItem]:
    section = service.config.alerts
    if section.places is None:
        return []
    read = read_places(service.config.path(section.places), section)
    ongoing: dict[str, list[OngoingAlert]] = defaultdict(list)
    with service.store.reading() as session:
        for event in session.scalars(select(AlertEvent).where(AlertEvent.open).order_by(AlertEvent.began)):
            ongoing[event.place].append(OngoingAlert(hazard=event.hazard, since=event.began, strongest=event.strongest))
    return [
        PlaceItem(**asdict(place), geometry=shapely.geometry.mapping(geometry), alerts=ongoing[place.id])
        for place, geometry in zip(read.places, read.geometries, strict=True)
    ]
