"""The route of services: triggers, open backfills, and workflows that a person may start."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from dynamo.api.auth import Reader
from dynamo.api.making.models import ServiceItem, ServiceList
from dynamo.api.run.views import run_items
from dynamo.api.service import Served, Service
from dynamo.api.showing import show, shown
from dynamo.backfill.control import list_backfills
from dynamo.backfill.states import OPEN, PAUSED
from dynamo.config.triggers import TriggerSection
from dynamo.doors import TRIGGERS
from dynamo.store.backfills import Backfill
from dynamo.store.lease import NAME, is_free
from dynamo.store.models import ProcessLease, Product, Run
from dynamo.times import to_iso, utc_now
from dynamo.triggers.pausing import pauses
from dynamo.workflows.workflow import templates

router = APIRouter(prefix="/v1", tags=["runs"])
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_MOST_BACKFILLS = 100
_DOWN = "dynamo watch is not running"


@router.get("/services", summary="Services", responses=shown(ServiceList))
def services(request: Request, service: Served, caller: Reader) -> Response:
    """List what makes runs, with its state: continuous, on request, and instant services. Scope `read`."""
    now = utc_now()
    with service.store.reading() as session:
        lease = session.get(ProcessLease, NAME)
        down = lease is None or is_free(lease)
        paused = {name: str(pause) for name, pause in pauses(session).items()}
        items = [
            _continuous(service, session, one, paused.get(one.name), now, down=down) for one in service.config.triggers
        ]
        rows = list_backfills(session, _MOST_BACKFILLS, Backfill.state.in_(OPEN))
        items += [_on_request(session, row, now, down=down) for row in rows]
        items += [_instant(session, name, now) for name in templates()]
    return show(request, ServiceList(items=items, next=None))


def _continuous(
    service: Service, session: Session, section: TriggerSection, paused: str | None, now: datetime, *, down: bool
) -> ServiceItem:
    with TRIGGERS.blamed(section.kind):
        trigger = TRIGGERS.load(section.kind).make(section, service.config)
        upcoming = list(islice(trigger.upcoming(now), 1))
    return _item(
        session,
        now,
        Run.trigger == section.name,
        name=section.name,
        kind="continuous",
        workflow=section.workflow,
        parameters=section.parameters,
        state="paused" if paused is not None else "down" if down else "active",
        why=(paused or "").removeprefix("paused ") if paused is not None else _DOWN if down else "",
        waits_for=to_iso(upcoming[0]) if upcoming else f"files of {section.feed}",
    )


def _on_request(session: Session, row: Backfill, now: datetime, *, down: bool) -> ServiceItem:
    paused = row.state == PAUSED
    return _item(
        session,
        now,
        Run.backfill == row.id,
        name=f"backfill {row.id}",
        kind="request",
        workflow=row.workflow,
        parameters=row.parameters,
        state="paused" if paused else "down" if down else "active",
        why=row.reason if paused else _DOWN if down else "",
        waits_for="a quiet moment: live work goes first",
    )


def _instant(session: Session, name: str, now: datetime) -> ServiceItem:
    mine = (Run.workflow == name) & (Run.trigger == "submit")
    return _item(
        session, now, mine, name=name, kind="instant", workflow=name, state="active", why="", waits_for="a person"
    )


def _item(session: Session, now: datetime, mine: ColumnElement[bool], **values: object) -> ServiceItem:
    recent = select(Run).where(mine, Run.created_at >= now - _WEEK).order_by(Run.created_at.desc()).limit(1)
    last = session.scalars(recent).all()
    day = select(Run.id).where(mine, Run.created_at >= now - _DAY)
    made = session.scalar(select(func.count()).select_from(day.subquery())) or 0
    published = select(func.count()).select_from(Product).where(Product.run_id.in_(day)) if made else None
    shown_last = run_items(session, last)
    return ServiceItem.model_validate(
        {
            **values,
            "last_run": shown_last[0] if shown_last else None,
            "runs": made,
            "products": 0 if published is None else session.scalar(published) or 0,
        }
    )
