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
    FileServer,
    Operation,
    Properties,
    ReplicaCatalog,
    Site,
    SiteCatalog,
    Transformation,
    TransformationCatalog,
    TransformationSite,
)

from dynamo.contract import Module
from dynamo.documents.problems import DocumentError
from dynamo.files import write_text
from dynamo.workflows.model import Layout, Plan
from dynamo.workflows.pegasus.abstract import LABEL_KEY, NAMESPACE, abstract_workflow
from dynamo.workflows.pegasus.check import check
from dynamo.workflows.pegasus.settings import CONTAINER, SITE, PegasusSettings, check_paths

FILES = ("workflow.yml", "sites.yml", "transformations.yml", "replicas.yml", "pegasus.properties")
PROPERTIES = {
    "pegasus.catalog.site": "YAML",
    "pegasus.catalog.site.file": "sites.yml",
    "pegasus.catalog.transformation": "YAML",
    "pegasus.catalog.transformation.file": "transformations.yml",
    "pegasus.catalog.replica": "YAML",
    "pegasus.catalog.replica.file": "replicas.yml",
    "pegasus.data.configuration": "condorio",
    # The schedd can read a run's inputs directly; staging them first would cost two more jobs.
    "pegasus.transfer.bypass.input.staging": "true",
    "pegasus.clusterer.label.key": LABEL_KEY,
    "pegasus.register": "false",
}
#: Items of a long list that are turned into YAML at a time: libyaml holds some 20 kB for each.
_BATCH = 500


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
    workflow, sites, transformations, replicas = documents.values()
    if found := check(workflow, sites, transformations, replicas, PROPERTIES, site=settings.site):
        raise DocumentError(found, where=folder)
    for name, data in documents.items():
        write_text(folder / name, yaml_text(data))
    write_text(folder / "pegasus.properties", _properties_text())
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
    for key, value in PROPERTIES.items():
        properties[key] = value
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


def yaml_text(data: Mapping[str, Any]) -> str:
    """Return a document as YAML, its long lists in parts."""

    def dump(part: Any) -> str:
        return str(yaml.dump(part, Dumper=_Dumper, sort_keys=False, width=110))

    texts = []
    for key, value in data.items():
        if isinstance(value, list) and value:
            texts.append(f"{key}:\n")
            texts += [dump(value[first : first + _BATCH]) for first in range(0, len(value), _BATCH)]
        else:
            texts.append(dump({key: value}))
    return "".join(texts)
