"""Routes that make and change runs."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from dynamo.api.access.roles import OPERATOR, Identity
from dynamo.api.auth import Reader, Researcher
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import failures, named_body
from dynamo.api.people.owning import refuse_others, refuse_overspent, refuse_taking_up
from dynamo.api.problems import Refusal, answer
from dynamo.api.run.models import InputRef, RunOrder, RunOrdered, Uploaded, WorkflowItem, WorkflowList
from dynamo.api.run.ordering import IdempotencyKey, Repeatable
from dynamo.api.run.uploads import take_upload, upload_path
from dynamo.api.service import Served, Service
from dynamo.api.showing import show, shown
from dynamo.errors import NotFoundError
from dynamo.runs.ledger import decide
from dynamo.runs.submitting.apart import detach
from dynamo.runs.submitting.requesting import request_run, submit_run
from dynamo.store.models import Arrival, Product, Run
from dynamo.workflows.workflow import templates

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1", tags=["runs"])
Name = Annotated[str, Path(max_length=64, description="ID of the run, or a unique prefix of it.")]
Reason = Annotated[str, Query(max_length=500, description="Kept with the decision.")]
_UPLOADS = "uploads"


@router.get("/workflows", summary="Workflows", responses=shown(WorkflowList))
def workflows(request: Request, service: Served, caller: Reader) -> Response:
    """List the workflows that may be run on request, with their inputs and parameters. Scope `read`."""
    items = []
    for name in templates():
        found = service.planner.load(name)
        items.append(
            WorkflowItem(
                name=name,
                version=found.version,
                description=str(found.body.get("description", "")),
                inputs=dict(found.inputs),
                optional=sorted(found.optional),
                many=sorted(found.many),
                parameters=service.planner.parameters(found, {}),
            )
        )
    return show(request, WorkflowList(items=items, next=None))


@router.post(
    "/uploads",
    summary="Upload a file",
    status_code=201,
    responses={201: {"model": Uploaded}, **failures(413)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "..."}
            },
        }
    },
)
async def upload(
    request: Request,
    service: Served,
    caller: Researcher,
    name: Annotated[str, Query(max_length=200, description="Name of the file: its format may depend on it.")],
) -> Response:
    """Send a file for a run; it is kept for 7 days. Scope `submit`."""
    number = await take_upload(service.state_dir / _UPLOADS, name, request.stream())
    log.info("file uploaded", extra={"upload": number, "caller": caller.name})
    return answer({"upload": number, "name": name}, 201)


@router.post(
    "/runs",
    summary="Submit a run",
    status_code=202,
    responses={202: {"model": RunOrdered}, **failures(400, 404)},
    openapi_extra=named_body(RunOrder),
)
def submit(service: Served, caller: Researcher, body: Body, idempotency_key: IdempotencyKey = None) -> Response:
    """Run a workflow once, in the background. Scope `submit`.

    The same workflow with the same inputs and parameters is the same run, unless `force` is set.
    """
    order = read_order(RunOrder, body)
    repeatable = Repeatable(service.store, caller.name, idempotency_key, ["submit", body])
    if (before := repeatable.answered()) is not None:
        return _ordered(before)
    if order.workflow not in templates():
        raise NotFoundError(f"no workflow {order.workflow!r:.80}", expected=", ".join(templates()))
    refuse_overspent(service, caller)
    inputs = {port: [str(_path_of(service, caller, ref)) for ref in refs] for port, refs in order.inputs.items()}
    runs = service.runs
    engine = order.engine or service.config.runs.engine
    request = replace(request_run(runs, order.workflow, inputs, order.parameters, engine), owner=caller.name)
    refuse_taking_up(service, caller, request)
    run, known = submit_run(runs, request, force=order.force)
    with service.store.transaction() as session:
        decide(session, run.id, "submit", f"{caller.name} by the API", force=order.force)
    if run.state != "succeeded" and (not known or caller.owns(run.owner)):
        detach(run, service.settings.config_file)
    return _remembered(repeatable, run, new=not known)


@router.post(
    "/runs/{name}/cancel",
    summary="Cancel a run",
    status_code=202,
    responses={202: {"model": RunOrdered}, **failures(400, 404)},
)
def cancel(
    service: Served, caller: Researcher, name: Name, reason: Reason = "", idempotency_key: IdempotencyKey = None
) -> Response:
    """Cancel an unfinished run; whoever works on it stops within about a second. Scope `submit` for own runs."""
    repeatable = Repeatable(service.store, caller.name, idempotency_key, ["cancel", name, reason])
    if (before := repeatable.answered()) is not None:
        return _ordered(before)
    refuse_others(service, caller, name)
    return _remembered(repeatable, service.runs.cancel(name, _signed(caller.name, reason)), new=False)


@router.post(
    "/runs/{name}/retry",
    summary="Retry a run",
    status_code=202,
    responses={202: {"model": RunOrdered}, **failures(400, 404)},
)
def retry(
    service: Served, caller: Researcher, name: Name, reason: Reason = "", idempotency_key: IdempotencyKey = None
) -> Response:
    """Retry a run that ended without products, or goes on nowhere; what succeeded is not repeated.

    Scope `submit` for own runs.
    """
    repeatable = Repeatable(service.store, caller.name, idempotency_key, ["retry", name, reason])
    if (before := repeatable.answered()) is not None:
        return _ordered(before)
    refuse_others(service, caller, name)
    refuse_overspent(service, caller)
    run = service.runs.retry(name, _signed(caller.name, reason))
    detach(run, service.settings.config_file)
    return _remembered(repeatable, run, new=False)


def _path_of(service: Service, caller: Identity, ref: InputRef) -> FilePath:
    """Return the file that an order names."""
    if ref.path is not None:
        if not caller.may(OPERATOR) or not (service.settings.open_to_user or service.settings.local_files):
            raise Refusal(
                403, "files of the server are not for callers from elsewhere", expected="an upload or an arrival"
            )
        return FilePath(ref.path)
    if ref.upload is not None:
        return upload_path(service.state_dir / _UPLOADS, ref.upload)
    with service.store.reading() as session:
        row = session.get(Arrival, ref.arrival) if ref.arrival is not None else session.get(Product, ref.product)
    if row is None:
        raise NotFoundError("no such arrival" if ref.arrival is not None else "no such product")
    return FilePath(row.path)


def _signed(caller: str, reason: str) -> str:
    return f"{caller} by the API{f': {reason}' if reason else ''}"


def _remembered(repeatable: Repeatable, run: Run, *, new: bool) -> Response:
    data = {"id": run.id, "state": run.state, "new": new, "run": f"/v1/runs/{run.id}"}
    repeatable.remember(data)
    return _ordered(data)


def _ordered(data: dict[str, Any]) -> Response:
    return answer(data, 202, {"Location": data["run"]})
