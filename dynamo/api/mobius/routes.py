"""Mobius's resources (RENCI-NRIG/Mobius, REST API 0.1), with its envelope and its codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from dynamo.api.auth import Reader, Writer
from dynamo.api.bodies import Body
from dynamo.api.documented import mobius_failures, object_body
from dynamo.api.mobius import workflows
from dynamo.api.mobius.refusals import refuse_sdx_prefix
from dynamo.api.models import Envelope
from dynamo.api.problems import MOBIUS, envelope
from dynamo.api.service import Served

router = APIRouter(prefix=MOBIUS, tags=["mobius"])
WorkflowId = Annotated[
    str | None, Query(alias="workflowID", description="The workflow's id (required).", examples=["casa-2026"])
]
_DONE: dict[int | str, dict[str, Any]] = {200: {"model": Envelope}}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "compute": {
        "site": "Chameleon:CHI@UC",
        "cpus": "4",
        "gpus": "0",
        "ramPerCpus": "3072",
        "diskPerCpus": "19200",
        "hostNamePrefix": "worker",
        "coallocate": "true",
        "imageName": "CC-Ubuntu24.04",
    },
    "storage": {"target": "worker0", "mountPoint": "/mnt/", "size": "1", "action": "add"},
    "network": {
        "source": "worker0",
        "sourceIP": "192.168.10.2",
        "sourceSubnet": "192.168.10.1/24",
        "destination": "worker1",
        "destinationIP": "192.168.20.2",
        "destinationSubnet": "192.168.20.1/24",
        "linkSpeed": "700000000",
        "action": "add",
    },
    "stitch": {"target": "worker0", "portUrl": "http://example.org/port#1", "tag": "3291"},
    "script": {"target": "worker0", "name": "routes", "script": "ip route show"},
}


@router.post("/workflow", summary="Create a workflow", responses={**_DONE, **mobius_failures(400)})
def create(service: Served, caller: Writer, workflow_id: WorkflowId = None) -> Response:
    """Create a workflow, which is a fleet without workers. Scope `write`."""
    workflows.create(service, caller.name, workflow_id)
    return envelope()


@router.get("/workflow", summary="Status of a workflow", responses={**_DONE, **mobius_failures(400, 404)})
def show(service: Served, caller: Reader, workflow_id: WorkflowId = None) -> Response:
    """Show nodes by site and slice; `value` is JSON in a string, nested twice, as in Mobius. Scope `read`."""
    return envelope(workflows.status(service, workflow_id))


@router.delete("/workflow", summary="End a workflow", responses={**_DONE, **mobius_failures(400, 404)})
def delete(service: Served, caller: Writer, workflow_id: WorkflowId = None) -> Response:
    """Drain all workers: they finish their jobs, then go. Scope `write`."""
    workflows.end(service, caller.name, workflow_id)
    return envelope()


@router.get("/listWorkflows", summary="All workflows", responses=_DONE | mobius_failures())
def list_workflows(service: Served, caller: Reader) -> Response:
    """List the ids of all live workflows: every fleet is one. Scope `read`."""
    return envelope(workflows.living_ids(service))


@router.post("/sdxPrefix", summary="Mobius sdxPrefix request", responses=mobius_failures(501))
def sdx_prefix(service: Served, caller: Writer, workflow_id: WorkflowId = None) -> Response:
    """Refuse: no exchange is driven from here. Scope `write`."""
    workflows.fleet_name(workflow_id)
    refuse_sdx_prefix()
    return envelope()


def _add(kind: str) -> Callable[..., Response]:
    def handle(service: Served, caller: Writer, body: Body, workflow_id: WorkflowId = None) -> Response:
        ignored = workflows.request(service, caller.name, kind, workflow_id, body)
        return envelope({"not_acted_on": [asdict(item) for item in ignored]} if ignored else None)

    handle.__name__ = f"mobius_{kind}"
    handle.__doc__ = (
        f"Take a Mobius {kind} request into the workflow's spec. Scope `write`. "
        "`value` lists the fields that were accepted but change nothing, if any. What would not be carried out at all "
        "is refused (501)."
    )
    return handle


for _kind, _example in _EXAMPLES.items():
    router.post(
        f"/{_kind}",
        summary=f"Mobius {_kind} request",
        responses={**_DONE, **mobius_failures(400, 404, 501)},
        openapi_extra=object_body(f"A Mobius {_kind} request; numbers may be quoted.", _example),
    )(_add(_kind))
