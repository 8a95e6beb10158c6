"""The abstract workflow of a plan, as ``pegasus-wms.api`` writes it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from Pegasus.api import File, Namespace
from Pegasus.api import Job as PegasusJob
from Pegasus.api import Workflow as PegasusWorkflow

from dynamo.contract import Module
from dynamo.errors import InputError
from dynamo.workflows.arguments import build_arguments
from dynamo.workflows.model import Job, Layout, Plan
from dynamo.workflows.names import check_job_id

NAMESPACE = "dynamo"
LABEL_KEY = "label"
#: Jobs that exist as objects of Pegasus at a time: each takes some 20 kB, as data a fifth of it.
_BATCH = 500


def abstract_workflow(plan: Plan, layout: Layout, contracts: Mapping[str, Module]) -> dict[str, Any]:
    """Return the plan as Pegasus 5 abstract workflow data; `dynamo.workflows.pegasus.read` reads it back."""
    labels = {name: task.id for task in layout.tasks if len(task.jobs) > 1 for name in task.jobs}
    products = {lfn: index for index, lfn in enumerate(plan.products)}
    data = _data(_workflow(plan))
    jobs: list[dict[str, Any]] = []
    for first in range(0, len(plan.jobs), _BATCH):
        batch = plan.jobs[first : first + _BATCH]
        workflow = _workflow(plan)
        files = {lfn: File(lfn) for job in batch for lfn in (*job.reads, *job.writes)}
        for lfn in files.keys() & products.keys():
            files[lfn].add_metadata({"dynamo.product": products[lfn]})
        for job in batch:
            workflow.add_jobs(
                _job(job, plan, label=labels.get(job.id), files=files, products=products, contracts=contracts)
            )
        jobs += _data(workflow)["jobs"]
    # The API keeps files in sets: a reproducible file needs an order.
    for item in jobs:
        item["uses"].sort(key=lambda use: (use["type"], use["lfn"]))
    data["jobs"] = jobs
    if dependencies := _dependencies(plan):
        data["jobDependencies"] = dependencies
    return data


def _workflow(plan: Plan) -> PegasusWorkflow:
    # Dependencies may join jobs of different batches.
    workflow = PegasusWorkflow(plan.name, infer_dependencies=False)
    metadata: dict[str, str] = {"dynamo.version": plan.version}
    if plan.description:
        metadata["dynamo.description"] = plan.description
    if plan.deadline_s is not None:
        metadata["dynamo.deadline_s"] = repr(float(plan.deadline_s))
    if plan.priority:
        metadata["dynamo.priority"] = str(plan.priority)
    workflow.add_metadata(metadata)
    return workflow


def _data(workflow: PegasusWorkflow) -> dict[str, Any]:
    stream = io.StringIO()
    workflow.write(stream, _format="json")
    data: dict[str, Any] = json.loads(stream.getvalue())
    # User and time of writing.
    data.pop("x-pegasus", None)
    return data


def _dependencies(plan: Plan) -> list[dict[str, Any]]:
    children: dict[str, list[str]] = {}
    for job, parents in plan.parents.items():
        for parent in parents:
            children.setdefault(parent, []).append(job)
    return [{"id": parent, "children": sorted(names)} for parent, names in sorted(children.items())]


def _job(
    job: Job,
    plan: Plan,
    *,
    label: str | None,
    files: Mapping[str, File],
    products: Mapping[str, int],
    contracts: Mapping[str, Module],
) -> PegasusJob:
    arguments = build_arguments(job, contracts)
    for argument in arguments:
        # Pegasus joins arguments with spaces and cannot quote them for the worker's shell.
        if any(character in argument for character in " \t\n'\"\\$`;&|<>*?(){}"):
            raise InputError(
                f"the argument {argument!r} cannot be passed to Pegasus",
                where=f"{plan.name}: job {job.id}",
                expected="no spaces, quotes or shell metacharacters",
            )
    item = PegasusJob(job.module, _id=check_job_id(job.id), namespace=NAMESPACE, node_label=job.id)
    item.add_args(*arguments)
    # One file may appear at two ports.
    item.add_inputs(*(files[lfn] for lfn in dict.fromkeys(job.reads)))
    for lfn in dict.fromkeys(job.writes):
        item.add_outputs(files[lfn], stage_out=lfn in products, register_replica=False)
    item.add_metadata({"dynamo.max_seconds": job.resources.max_seconds})
    item.add_pegasus_profile(
        cores=str(job.resources.cpus),
        memory=str(job.resources.memory_mb),
        diskspace=str(job.resources.disk_mb),
        runtime=str(max(1, round(job.predicted_s))),
        max_walltime=str(max(1, -(-job.resources.max_seconds // 60))),
        label=label,
    )
    item.add_profiles(Namespace.DAGMAN, key="RETRY", value=str(job.retries))
    if plan.priority:
        item.add_profiles(Namespace.CONDOR, key="priority", value=str(plan.priority))
    return item
