"""Spec routes: check and plan, without changing anything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from dynamo.api.auth import Reader, Writer
from dynamo.api.bodies import Body
from dynamo.api.documented import failures, spec_body
from dynamo.api.fleet.remote_specs import refuse_local, refuse_mixture, refuse_unreadable
from dynamo.api.fleet.views import serving_by_group
from dynamo.api.models import Validated
from dynamo.api.problems import answer
from dynamo.api.service import Served
from dynamo.documents.problems import Problem
from dynamo.provision.cycle.accounting import spent_by_now
from dynamo.provision.keeping.opening import fleet_folder, open_sites
from dynamo.provision.planning import FleetPlan, plan_fleet
from dynamo.provision.spec.errors import SpecError
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.spec.not_acted_on import not_acted_on
from dynamo.provision.spec.schema import spec_schema
from dynamo.provision.spec.types import NAME_PATTERN, PATTERN_WORDS
from dynamo.times import utc_now

router = APIRouter(prefix="/v1", tags=["specs"])
SpecName = Annotated[
    str | None,
    Query(pattern=NAME_PATTERN, description="Name of the fleet, if the spec has none.", examples=["storms"]),
]


@router.post(
    "/validate",
    summary="Check a spec",
    responses={200: {"model": Validated}, **failures(422)},
    openapi_extra=spec_body(),
)
def validate(service: Served, caller: Reader, body: Body, name: SpecName = None) -> Response:
    """Check a spec and show it with derived values, or all errors at once with their JSON paths. Scope `read`."""
    spec = spec_from(body, name)
    if not service.settings.local_files:
        refuse_local(spec)
    refuse_mixture(spec)
    refuse_unreadable(spec)
    ignored = [asdict(item) for item in not_acted_on(spec)]
    return answer({"name": spec.name, "groups": len(spec.compute), "spec": spec.to_json(), "not_acted_on": ignored})


@router.post(
    "/plan",
    summary="Plan a spec",
    responses={200: {"model": FleetPlan}, **failures(422)},
    openapi_extra=spec_body(),
)
def plan(service: Served, caller: Writer, body: Body, name: SpecName = None) -> Response:
    """Show what would be created, at what cost, against the sites' live quotas; takes seconds. Scope `write`."""
    spec = spec_from(body, name)
    if not service.settings.local_files:
        refuse_local(spec)
    with service.store.reading() as session:
        there = serving_by_group(session, spec.name)
        today, total = spent_by_now(session, spec.name, utc_now())
    with service.slow.one():
        drivers = open_sites(spec, fleet_folder(service.state_dir, spec.name))
        try:
            return answer(plan_fleet(spec, drivers, there, spent_today=today, spent_total=total).to_json())
        finally:
            for driver in drivers.values():
                driver.close()


@router.get("/spec-schema", summary="JSON Schema of specs", responses=failures())
def schema(caller: Reader) -> Response:
    """Return the JSON Schema (draft 2020-12) of fleet specs, for editors and other programs. Scope `read`."""
    return answer(spec_schema())


def spec_from(data: Any, name: str | None) -> FleetSpec:
    """Return the spec in a body; ``name`` is the fallback for its name.

    Raises
    ------
    SpecError
        If it is invalid, or has no name.
    """
    if not isinstance(data, dict | list):
        # A string would be taken as the path of a file on this machine.
        raise SpecError([Problem("", "not a JSON object", "a fleet spec, or Mobius requests")])
    spec = load_spec(data, name=name)
    # Plain Mobius requests also have a `name`, which is not the fleet's.
    if name is None and not (isinstance(data, dict) and data.get("name") == spec.name):
        raise SpecError([Problem("name", "missing", PATTERN_WORDS[NAME_PATTERN])])
    return spec
