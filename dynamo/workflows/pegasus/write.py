"""Writing complete input for ``pegasus-plan`` 5.1 through ``pegasus-wms.api``: workflow, catalogs, properties.

Every logical job stays a job of the abstract workflow. The physical plan is encoded in ``pegasus.label`` profiles, one
label per multi-job task; the planner merges them with ``--cluster label``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from Pegasus.api import (
    OS,
    Arch,
    Container,
    Directory,
    File,
    FileServer,
    Namespace,
    Operation,
    Properties,
    ReplicaCatalog,
    Site,
    SiteCatalog,
    Transformation,
    TransformationCatalog,
    TransformationSite,
)
from Pegasus.api import Job as PegasusJob
from Pegasus.api import Workflow as PegasusWorkflow

from dynamo.contract import Module
from dynamo.errors import InputError
from dynamo.files import write_text
from dynamo.workflows.arguments import build_arguments
from dynamo.workflows.model import Job, Layout, Plan
from dynamo.workflows.names import check_job_id
from dynamo.workflows.pegasus.check import check_files
from dynamo.workflows.pegasus.settings import CONTAINER, SITE, PegasusSettings, check_paths

NAMESPACE = "dynamo"
LABEL_KEY = "label"
FILES = ("workflow.yml", "sites.yml", "transformations.yml", "replicas.yml", "pegasus.properties")


def write_plan(
    plan: Plan,
    layout: Layout,
    contracts: Mapping[str, Module],
    folder: Path,
    settings: PegasusSettings | None = None,
) -> dict[str, Path]:
    """Write the five files into ``folder`` and check for mistakes the planner would silently accept.

    The same plan gives identical bytes.

    Returns
    -------
    dict
        The path of each file in `FILES`, by name.

    Raises
    ------
    InputError
        If something in the plan cannot be expressed in Pegasus.
    """
    settings = settings or PegasusSettings()
    folder = folder.absolute()
    check_paths(paths_of(plan, folder, settings))
    documents = {
        "workflow.yml": abstract_workflow(plan, layout, contracts),
        "sites.yml": _plain(_sites(folder, settings)),
        "transformations.yml": _plain(_transformations(plan, contracts, settings)),
        "replicas.yml": _plain(_replicas(plan)),
    }
    texts = {name: yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110) for name, data in documents.items()}
    texts["pegasus.properties"] = _properties_text()
    for name in FILES:
        write_text(folder / name, texts[name])
    check_files(folder, site=settings.site)
    return {name: folder / name for name in FILES}


def paths_of(plan: Plan, folder: Path, settings: PegasusSettings) -> list[Path]:
    """Return the paths that the planner is told, with ``folder`` that of its files."""
    return [folder.absolute(), Path(settings.executable), *(path.absolute() for path in plan.replicas.values())]


def planner_command(folder: Path, site: str = SITE) -> list[str]:
    """Return the command that plans the files in ``folder``, to be run in that folder."""
    return [
        "pegasus-plan",
        "--conf",
        "pegasus.properties",
        "--dir",
        str(folder.absolute() / "submit"),
        "--sites",
        site,
        "--output-sites",
        "local",
        "--cluster",
        "label",
        "--cleanup",
        "none",
        "workflow.yml",
    ]


def abstract_workflow(plan: Plan, layout: Layout, contracts: Mapping[str, Module]) -> dict[str, Any]:
    """Return the plan as Pegasus 5 abstract workflow data; `dynamo.workflows.pegasus.read` reads it back."""
    workflow = PegasusWorkflow(plan.name)
    metadata: dict[str, str] = {"dynamo.version": plan.version}
    if plan.description:
        metadata["dynamo.description"] = plan.description
    if plan.deadline_s is not None:
        metadata["dynamo.deadline_s"] = repr(float(plan.deadline_s))
    if plan.priority:
        metadata["dynamo.priority"] = str(plan.priority)
    workflow.add_metadata(metadata)
    labels = {name: task.id for task in layout.tasks if len(task.jobs) > 1 for name in task.jobs}
    products = {lfn: index for index, lfn in enumerate(plan.products)}
    files = {lfn: File(lfn) for job in plan.jobs for lfn in (*job.reads, *job.writes)}
    for lfn, index in products.items():
        files[lfn].add_metadata({"dynamo.product": index})
    for job in plan.jobs:
        workflow.add_jobs(
            _job(job, plan, label=labels.get(job.id), files=files, products=products, contracts=contracts)
        )
    stream = io.StringIO()
    workflow.write(stream, _format="json")
    data: dict[str, Any] = json.loads(stream.getvalue())
    # The API keeps files and children in sets and records user and time: neither belongs in a reproducible file.
    data.pop("x-pegasus", None)
    for item in data["jobs"]:
        item["uses"].sort(key=lambda use: (use["type"], use["lfn"]))
    for item in data.get("jobDependencies", ()):
        item["children"].sort()
    data.get("jobDependencies", []).sort(key=lambda item: item["id"])
    return data


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


def _sites(folder: Path, settings: PegasusSettings) -> SiteCatalog:
    local = Site("local", arch=Arch(settings.arch), os_type=OS.LINUX)
    for kind, name in ((Directory.SHARED_SCRATCH, "scratch"), (Directory.LOCAL_STORAGE, "products")):
        path = folder / name
        local.add_directories(Directory(kind, path).add_file_servers(FileServer(f"file://{path}", Operation.ALL)))
    pool = Site(settings.site, arch=Arch(settings.arch), os_type=OS.LINUX)
    pool.add_pegasus_profile(style="condor", data_configuration="condorio")
    pool.add_condor_profile(universe="vanilla")
    return SiteCatalog().add_sites(local, pool)


def _transformations(plan: Plan, contracts: Mapping[str, Module], settings: PegasusSettings) -> TransformationCatalog:
    catalog = TransformationCatalog()
    container = None
    if settings.image:
        kinds = {"docker": Container.DOCKER, "singularity": Container.SINGULARITY}
        container = Container(CONTAINER, kinds[settings.container_type], settings.image)
        catalog.add_containers(container)
    for name in sorted({job.module for job in plan.jobs}):
        site = TransformationSite(
            settings.site,
            settings.executable,
            is_stageable=False,
            arch=Arch(settings.arch),
            os_type=OS.LINUX,
            container=container,
        )
        item = Transformation(name, namespace=NAMESPACE).add_sites(site)
        item.add_metadata({"dynamo.module_version": contracts[name].version})
        catalog.add_transformations(item)
    return catalog


def _replicas(plan: Plan) -> ReplicaCatalog:
    catalog = ReplicaCatalog()
    for lfn, path in plan.replicas.items():
        catalog.add_replica("local", lfn, path.absolute())
    return catalog


def _properties_text() -> str:
    properties = Properties()
    for catalog, name in (("site", "sites"), ("transformation", "transformations"), ("replica", "replicas")):
        properties[f"pegasus.catalog.{catalog}"] = "YAML"
        properties[f"pegasus.catalog.{catalog}.file"] = f"{name}.yml"
    properties["pegasus.data.configuration"] = "condorio"
    # The schedd can read a run's inputs directly; staging them first would cost two more jobs.
    properties["pegasus.transfer.bypass.input.staging"] = "true"
    properties["pegasus.clusterer.label.key"] = LABEL_KEY
    properties["pegasus.register"] = "false"
    stream = io.StringIO()
    properties.write(stream)
    return stream.getvalue()


def _plain(catalog: SiteCatalog | TransformationCatalog | ReplicaCatalog) -> dict[str, Any]:
    stream = io.StringIO()
    catalog.write(stream, _format="json")
    data: dict[str, Any] = json.loads(stream.getvalue())
    data.pop("x-pegasus", None)
    return data


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Plain values, no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True
