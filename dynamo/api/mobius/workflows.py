"""Mobius workflows as fleets: a workflow is the fleet of its name, a compute request one of its groups."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dynamo.api.fleet.asking import refuse_unknown_names
from dynamo.api.fleet.remote_specs import local_scripts, refuse_mixture, refuse_unreadable
from dynamo.api.mobius.refusals import refuse_network, refuse_without_effect
from dynamo.api.problems import Refusal
from dynamo.api.service import Service
from dynamo.errors import BusyError, NotFoundError
from dynamo.provision import ledger, orders
from dynamo.provision.deciding.lifecycle import FINAL, LIVING, WorkerState
from dynamo.provision.fleets import apply_fleet, stored_spec
from dynamo.provision.keeping.opening import fleet_folder
from dynamo.provision.spec.checks import plain_name
from dynamo.provision.spec.errors import SpecError
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec, NetworkSpec, ScriptSpec, StitchSpec, StorageSpec
from dynamo.provision.spec.loading import check_request, load_spec
from dynamo.provision.spec.network import concerns
from dynamo.provision.spec.not_acted_on import Ignored, not_acted_on
from dynamo.provision.spec.types import NAME_PATTERN, WORD_PATTERN, Part
from dynamo.provision.states import ACTIVE, ENDED
from dynamo.store.fleets import Fleet, FleetWish, Worker

#: Prefix of a fleet's description if its name cannot be the workflow's id.
_MARK = "Mobius workflow "
_LONGEST_ID = 200
#: Mobius accepts a start this long past as the present.
_PAST = timedelta(minutes=5)
_MODELS: dict[str, type[Part]] = {
    "compute": ComputeSpec,
    "network": NetworkSpec,
    "storage": StorageSpec,
    "stitch": StitchSpec,
    "script": ScriptSpec,
}
#: Our states -> those of ExoGENI, which Mobius clients wait for.
_STATES = {
    WorkerState.REQUESTED: "Nascent",
    WorkerState.BOOTING: "Ticketed",
    WorkerState.JOINING: "Ticketed",
    WorkerState.READY: "Active",
    WorkerState.DRAINING: "Active",
    WorkerState.RELEASING: "Closing",
}


def fleet_name(workflow_id: str | None) -> str:
    """Return the fleet name of a workflow id: the id itself if valid, otherwise one derived from it and its hash.

    Raises
    ------
    Refusal
        If there is no id, or it is invalid.
    """
    if not workflow_id:
        raise Refusal(400, "WorkflowId is required")
    if len(workflow_id) > _LONGEST_ID or not workflow_id.isprintable():
        raise Refusal(400, "WorkflowId is invalid", expected=f"at most {_LONGEST_ID} printable characters")
    if re.fullmatch(NAME_PATTERN, workflow_id):
        return workflow_id
    digest = hashlib.sha256(workflow_id.encode()).hexdigest()[:10]
    return f"{plain_name(workflow_id)[:28].rstrip('-')}-{digest}"


def workflow_id_of(fleet: Fleet) -> str:
    """Return the workflow id of a fleet: from its description, or its name."""
    description = str(fleet.spec.get("description", ""))
    return description.removeprefix(_MARK) if description.startswith(_MARK) else fleet.name


def create(service: Service, caller: str, workflow_id: str | None) -> None:
    """Create a workflow without workers."""
    name = fleet_name(workflow_id)

    def work(session: Session, now: datetime) -> None:
        fleet = session.get(Fleet, name)
        if fleet is not None and fleet.state != ENDED:
            raise Refusal(400, "Workflow Id already in use")
        spec = load_spec({"name": name, "description": f"{_MARK}{workflow_id}"})
        _, changed = apply_fleet(session, spec, base=fleet_folder(service.state_dir, name), now=now)
        if not changed:
            # Another request has created it in the meantime.
            raise Refusal(400, "Workflow Id already in use")

    service.order(name, caller, "a Mobius workflow", work)


def end(service: Service, caller: str, workflow_id: str | None) -> None:
    """Drain a workflow's workers: they finish their jobs, then go."""
    name = fleet_name(workflow_id)

    def work(session: Session, now: datetime) -> None:
        _found(session, name, workflow_id)
        orders.end_fleet(session, name, now)

    service.order(name, caller, "delete the Mobius workflow", work)


def living_ids(service: Service) -> list[str]:
    """Return the ids of all workflows that have not ended: every live fleet is one."""
    with service.store.reading() as session:
        fleets = session.scalars(select(Fleet).where(Fleet.state != ENDED).order_by(Fleet.name)).all()
    return [workflow_id_of(fleet) for fleet in fleets]


def status(service: Service, workflow_id: str | None) -> str:
    """Return Mobius's status: JSON in a string, with the workflow's status as JSON in a nested string."""
    name = fleet_name(workflow_id)
    with service.store.reading() as session:
        spec = stored_spec(_found(session, name, workflow_id))
        final = [state.value for state in FINAL]
        workers = session.scalars(
            select(Worker).where(Worker.fleet == name, Worker.state.not_in(final)).order_by(Worker.id)
        ).all()
    sites: list[dict[str, Any]] = []
    for site in spec.sites:
        slices = []
        for group in spec.groups_at(site):
            slice_name = group.slice_name or f"Mobius-{site.partition(':')[0]}-{name}-{group.name}"
            nodes = [_node(worker) for worker in workers if worker.group == group.name]
            slices.append({"slice": slice_name, "nodes": nodes})
        if slices:
            sites.append({"site": site, "slices": slices})
    return json.dumps({"workflowStatus": json.dumps(sites)})


def request(service: Service, caller: str, kind: str, workflow_id: str | None, body: Any) -> tuple[Ignored, ...]:
    """Add the resources of a Mobius request to the workflow's spec, or remove or renew them.

    Returns what of the request changes nothing.

    Raises
    ------
    NotFoundError
        If the workflow, or the target of a ``delete``, ``renew`` or ``update``, does not exist.
    SpecError
        If the request is invalid.
    BusyError
        If the workflow is about to end.
    Refusal
        501 if nothing would come of it.
    """
    name = fleet_name(workflow_id)
    data = _as_jackson(kind, body)
    part = check_request(kind, data)
    if isinstance(part, ComputeSpec):
        _refuse_unknown_names(service, workflow_id, kind, part, data)

    def work(session: Session, now: datetime) -> tuple[Ignored, ...]:
        fleet = _found(session, name, workflow_id)
        if fleet.state != ACTIVE:
            raise BusyError("the workflow is about to end", where=workflow_id)
        if getattr(part, "action", "add") != "delete":
            _check_times(part, now)
        document = {**fleet.spec, "name": name}
        old = stored_spec(fleet)
        if isinstance(part, NetworkSpec):
            refuse_network(part, old)
        if isinstance(part, StorageSpec) and part.action == "renew":
            # As in Mobius, the volume lives as long as the slice of its worker.
            _renew(session, document, part, old)
        else:
            _change(document, kind, part, data, name)
        spec = load_spec(document, name=name)
        refuse_without_effect(part, spec, old.sites, _started(session, name, part))
        if not service.settings.local_files:
            # Entries added by a local operator stay allowed.
            allowed = local_scripts(old)
            new = [problem for problem in local_scripts(spec) if problem not in allowed]
            if new:
                raise SpecError(new)
        refuse_mixture(spec)
        refuse_unreadable(spec)
        _apply_beside_wishes(session, spec, Path(fleet.base), now)
        return _ignored(kind, part, spec)

    return service.order(name, caller, f"a Mobius {kind} request", work)


def _refuse_unknown_names(
    service: Service, workflow_id: str | None, kind: str, part: ComputeSpec, data: dict[str, Any]
) -> None:
    """Ask the site of a compute request about its names; the request is checked whole when it is stored."""
    name = fleet_name(workflow_id)
    with service.store.reading() as session:
        document = {**_found(session, name, workflow_id).spec, "name": name}
    there = len(document.get("compute", ()))
    _change(document, kind, part, data, name)
    refuse_unknown_names(service, load_spec(document, name=name), first=there)


def _started(session: Session, name: str, part: Part) -> list[str]:
    """Return the living workers that a script is for and whose servers have been requested."""
    if not isinstance(part, ScriptSpec):
        return []
    rows = session.execute(
        select(Worker.name, Worker.group)
        .where(Worker.fleet == name, Worker.state.in_([state.value for state in LIVING]))
        .where((Worker.state != WorkerState.REQUESTED.value) | (Worker.attempts > 0))
    )
    return [row.name for row in rows if concerns(part.target, row.group, row.name)]


def _ignored(kind: str, part: Part, spec: FleetSpec) -> tuple[Ignored, ...]:
    """Return what of a request is not acted on; what it takes away or renews is not in the spec as it was sent."""
    if getattr(part, "action", "add") not in ("add", "update"):
        return ()
    place = f"{kind}[{len(getattr(spec, kind)) - 1}]."
    return tuple(
        replace(item, path=item.path.removeprefix(place)) for item in not_acted_on(spec) if item.path.startswith(place)
    )


def _found(session: Session, name: str, workflow_id: str | None) -> Fleet:
    fleet = session.get(Fleet, name)
    if fleet is None or fleet.state == ENDED or workflow_id_of(fleet) != workflow_id:
        raise NotFoundError("Workflow does not exist", where=workflow_id)
    return fleet


def _as_jackson(kind: str, body: Any) -> Any:
    """Return a request as Mobius reads it: without unknown fields, and without the empty strings that clients send."""
    if not isinstance(body, Mapping):
        return body
    model = _MODELS[kind]
    known = (
        {info.alias or name for name, info in model.model_fields.items()} | set(model.model_fields) | set(model.ALSO)
    )
    return {key: value for key, value in body.items() if key in known and (value != "" or key == "script")}


def _check_times(part: Part, now: datetime) -> None:
    if not isinstance(part, ComputeSpec | NetworkSpec | StorageSpec):
        return
    start = now if part.lease_start is None else part.lease_start.at(now)
    if start < now - _PAST and not (isinstance(part, StorageSpec) and part.action == "renew"):
        raise Refusal(400, "startTime is before currentTime", where="leaseStart")
    if part.lease_end is not None and part.lease_end.at(start) <= now:
        raise Refusal(400, "endTime is before currTime", where="leaseEnd")


def _change(document: dict[str, Any], kind: str, part: Part, data: dict[str, Any], name: str) -> None:
    items = list(document.get(kind, ()))
    action = getattr(part, "action", "add")
    same = _same_thing(part)
    if action == "add" or same is None:
        document[kind] = [*items, data]
    else:
        left = [item for item in items if not same(item)]
        if len(left) == len(items):
            raise NotFoundError(
                f"no such {kind} to {action}", where=name, hint="it is identified by its ends or target"
            )
        document[kind] = left if action == "delete" else [*left, {**data, "action": "add"}]
    if isinstance(part, ComputeSpec):
        document["sites"] = {**document.get("sites", {})}
        document["sites"].setdefault(part.site, _site(part.site))


def _site(name: str) -> dict[str, str]:
    """Return a site's entry; ExoGENI's names, as ``Exogeni:RENCI (Chapel Hill, NC USA) XO Rack``, are not regions."""
    region = name.partition(":")[2]
    if re.fullmatch(WORD_PATTERN, region):
        return {}
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.@+-") else " " for letter in region
    )
    return {"region": " ".join(plain.split()).lstrip("_.@+-") or "region"}


def _same_thing(part: Part) -> Callable[[Mapping[str, Any]], bool] | None:
    """Return the key of the spec entry that a delete or an update refers to; None for kinds without them."""
    if isinstance(part, StorageSpec):
        return lambda item: (item.get("target"), item.get("mountPoint")) == (part.target, part.mount_point)
    if isinstance(part, NetworkSpec):
        return lambda item: (item.get("source"), item.get("destination")) == (part.source, part.destination)
    return None


def _renew(session: Session, document: dict[str, Any], part: StorageSpec, spec: FleetSpec) -> None:
    if part.lease_end is None:
        raise Refusal(400, "a new end time is required", where="leaseEnd")
    known = select(Worker.group).where(Worker.fleet == spec.name, Worker.name == part.target)
    group = session.scalar(known) or _group_of(part.target.lower(), spec)
    if group is None:
        raise NotFoundError("no worker or group has that name", where=part.target)
    end = str(part.lease_end)
    document["compute"] = [{**item, "leaseEnd": end} if item["name"] == group else item for item in document["compute"]]


def _group_of(target: str, spec: FleetSpec) -> str | None:
    """Return the group whose name or prefix starts a name, longest first: `worker-2` before `worker`."""
    fitting = [
        (len(start), group.name)
        for group in spec.compute
        for start in (group.name, (group.host_name_prefix or group.name).lower())
        if target.startswith(start)
    ]
    return max(fitting)[1] if fitting else None


def _apply_beside_wishes(session: Session, spec: FleetSpec, base: Path, now: datetime) -> None:
    """Apply a spec, keeping the other groups' manual sizes, which nobody asked to undo."""
    kept = [
        (wish.group, wish.site, wish.wanted, wish.source, wish.reason)
        for wish in ledger.wishes(session, spec.name).values()
    ]
    session.execute(delete(FleetWish).where(FleetWish.fleet == spec.name))
    fleet, _ = apply_fleet(session, spec, base=base, now=now)
    body = spec.settled(now).to_json()
    if fleet.spec != body:
        # `apply_fleet` ignores a new lease end alone; here all times are absolute.
        fleet.spec, fleet.updated_at = body, now
    for group, site, wanted, source, reason in kept:
        ledger.wish(session, spec.name, group, site=site, wanted=wanted, source=source, reason=reason, now=now)


def _node(worker: Worker) -> dict[str, str]:
    node = {"name": worker.name, "state": _STATES.get(WorkerState(worker.state), "Failed")}
    public = [address for address in worker.addresses if _is_global(address)]
    if worker.addresses:
        node["publicIP"] = (public or worker.addresses)[0]
    inner = [address for address in worker.addresses if address != node.get("publicIP")]
    return node | {f"ip{number}": address for number, address in enumerate(inner, 1)}


def _is_global(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
