"""Fleet routes: orders, state, events and cost. Orders are stored and answered immediately."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from dynamo.api.auth import Reader, Writer
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures, spec_body
from dynamo.api.fleet import views
from dynamo.api.fleet.asking import refuse_unknown_names
from dynamo.api.fleet.remote_specs import refuse_local, refuse_mixture, refuse_unreadable
from dynamo.api.fleet.specs import SpecName, spec_from
from dynamo.api.models import DrainOrder, Events, Fleets, LeaseOrder, Ordered, ScaleOrder
from dynamo.api.paging import time_of
from dynamo.api.problems import answer
from dynamo.api.service import Served, Service
from dynamo.provision import ledger, orders
from dynamo.provision.cost_report import GROUPINGS
from dynamo.provision.fleets import apply_fleet, scale
from dynamo.provision.keeping.opening import fleet_folder
from dynamo.provision.status import FleetStatus, fleet_status, looked_after_by

router = APIRouter(prefix="/v1/fleets", tags=["fleets"])
Name = Annotated[str, Path(max_length=63, description="Name of the fleet.", examples=["storms"])]


@router.get("", summary="All fleets", responses={200: {"model": Fleets}, **failures()})
def list_fleets(service: Served, caller: Reader) -> Response:
    """List all fleets, live ones first, with their workers by state. Scope `read`."""
    return answer({"fleets": views.fleet_list(service.store)})


@router.post(
    "",
    summary="Apply a spec",
    status_code=202,
    responses={202: {"model": Ordered}, **failures(409, 422)},
    openapi_extra=spec_body(),
)
def apply(service: Served, caller: Writer, body: Body, name: SpecName = None) -> Response:
    """Apply a spec: create a fleet, or change an existing one. Scope `write`.

    The body is a fleet spec, one plain Mobius request, or a list of them. Remote specs must not name files of the
    server or run scripts on it. Sites are asked whether they know its names; one that does not answer in time is
    not waited for, and `remarks` says so.
    """
    spec = spec_from(body, name)
    if not service.settings.local_files:
        refuse_local(spec)
    refuse_mixture(spec)
    refuse_unreadable(spec)
    remarks = refuse_unknown_names(service, spec)
    base = fleet_folder(service.state_dir, spec.name)

    def work(session: Session, now: datetime) -> bool:
        orders.refuse_ended_leases(spec, now)
        return apply_fleet(session, spec, base=base, now=now)[1]

    changed = service.order(spec.name, caller.name, "apply", work)
    return _ordered(service, spec.name, changed=changed, **({"remarks": remarks} if remarks else {}))


@router.get("/{name}", summary="Fleet status", responses={200: {"model": FleetStatus}, **failures(404)})
def show(service: Served, caller: Reader, name: Name) -> Response:
    """Show groups, sites, workers, and what is pending and why. Scope `read`."""
    return answer(fleet_status(service.store, name).to_json())


@router.get("/{name}/spec", summary="Fleet spec", responses=failures(404))
def show_spec(service: Served, caller: Reader, name: Name) -> Response:
    """Show the spec as applied, with derived values. Scope `read`."""
    return answer(views.spec_of(service.store, name).to_json())


@router.delete("/{name}", summary="End a fleet", status_code=202, responses={202: {"model": Ordered}, **failures(404)})
def end(
    service: Served,
    caller: Writer,
    name: Name,
    now: Annotated[bool, Query(description="Kill running jobs and remove the workers immediately.")] = False,
    forget: Annotated[
        bool, Query(description="As `now`; give up sites that cannot be asked any more: event `forgot`.")
    ] = False,
) -> Response:
    """Drain all workers, then shut down the pool. Scope `write`."""
    what = "end, giving up sites that cannot be asked" if forget else "end at once" if now else "end"

    def work(session: Session, time: datetime) -> None:
        orders.end_fleet(session, name, time, at_once=now, forget=forget)

    service.order(name, caller.name, what, work)
    return _ordered(service, name)


@router.put(
    "/{name}/groups/{group}",
    summary="Scale a group",
    status_code=202,
    responses={202: {"model": Ordered}, **failures(400, 404, 422)},
    openapi_extra=body_of(ScaleOrder),
)
def scale_group(
    service: Served, caller: Writer, name: Name, group: Annotated[str, Path(max_length=130)], body: Body
) -> Response:
    """Set the number of workers of a group (or a site's only group) until the next spec is applied. Scope `write`."""
    order = read_order(ScaleOrder, body)
    scaled = service.order(
        name,
        caller.name,
        f"{order.wanted} workers of {group}",
        lambda session, now: scale(session, name, group, order.wanted, now),
    )
    return _ordered(service, name, group=scaled, wanted=order.wanted)


@router.post(
    "/{name}/drain",
    summary="Drain a worker or a site",
    status_code=202,
    responses={202: {"model": Ordered}, **failures(400, 404, 422)},
    openapi_extra=body_of(DrainOrder),
)
def drain(service: Served, caller: Writer, name: Name, body: Body) -> Response:
    """Drain a worker, or all workers of a site: they finish their jobs, then go. Scope `write`."""
    order = read_order(DrainOrder, body)
    target = order.worker or order.site or ""
    done = service.order(
        name,
        caller.name,
        f"drain {target}",
        lambda session, now: orders.drain(session, name, target, now, deadline_s=order.deadline_s),
    )
    return _ordered(service, name, workers=done.workers)


@router.post(
    "/{name}/leases/extend",
    summary="Extend leases",
    responses=failures(400, 404, 422, 502),
    openapi_extra=body_of(LeaseOrder),
)
def extend(service: Served, caller: Writer, name: Name, body: Body) -> Response:
    """Extend the leases of a worker, a group or a site; takes seconds, since the sites are asked. Scope `write`."""
    order = read_order(LeaseOrder, body)
    until = None if order.until is None else time_of("until", order.until)
    by = None if order.by_s is None else timedelta(seconds=order.by_s)
    with service.slow.one():
        done = orders.extend_leases(service.store, name, order.target, until=until, by=by)
    return answer({"fleet": name, "leases": [vars(lease) for lease in done]})


@router.get("/{name}/events", summary="Fleet events", responses={200: {"model": Events}, **failures(404)})
def events(
    service: Served,
    caller: Reader,
    name: Name,
    after_id: Annotated[int | None, Query(ge=0, le=2**62, description="Only events after this one.")] = None,
    about: Annotated[str, Query(max_length=130, description="Only events of this worker or site.")] = "",
    action: Annotated[str, Query(max_length=50)] = "",
    limit: Annotated[int, Query(ge=1, le=views.MAX_EVENTS)] = 100,
) -> Response:
    """Show the newest events; with `after_id`, the ones after it, so that a poller misses none. Scope `read`."""
    return answer(views.events_page(service.store, name, after_id=after_id, about=about, action=action, limit=limit))


@router.get("/{name}/cost", summary="Fleet cost", responses=failures(400, 404, 422))
def cost(
    service: Served,
    caller: Reader,
    name: Name,
    by: Annotated[str, Query(description=f"One of {', '.join(GROUPINGS)}.", max_length=40)] = "site",
    since: Annotated[str | None, Query(description="ISO 8601; expanded to whole hours.", max_length=40)] = None,
    until: Annotated[str | None, Query(description="ISO 8601; expanded to whole hours.", max_length=40)] = None,
) -> Response:
    """Report paid and used time, and its cost. Scope `read`."""
    return answer(views.cost(service.store, name, by, since, until))


def _ordered(service: Service, name: str, **more: object) -> Response:
    with service.store.reading() as session:
        state = ledger.fleet_named(session, name).state
    place = f"/v1/fleets/{name}"
    by = looked_after_by(service.store, name)
    data = {"fleet": name, "state": state, "looked_after_by": by, "status": place, **more}
    return answer(data, 202, {"Location": place})
