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
from dynamo.workflows.pegasus.image import RUNTIMES, require_image
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
#: With a container, a job also takes Pegasus's own programs that were sent with it if they are not for the image's
#: system. Otherwise it fetches others, which needs curl or wget in the image, and the network.
IN_CONTAINER = {"pegasus.transfer.worker.package.strict": "false"}
#: Beside the files, links with the names that jobs use: HTCondor sends a file under its own name.
LINKS = "links"
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
    links = _links(plan, settings)
    documents = {
        "workflow.yml": abstract_workflow(plan, layout, contracts),
        "sites.yml": _plain(_sites(folder, settings)),
        "transformations.yml": _plain(_transformations(plan, contracts, folder, settings)),
        "replicas.yml": _plain(_replicas(plan, folder, links)),
    }
    properties = {**PROPERTIES, **(IN_CONTAINER if settings.image else {})}
    workflow, sites, transformations, replicas = documents.values()
    if found := check(workflow, sites, transformations, replicas, properties, site=settings.site):
        raise DocumentError(found, where=folder)
    for name, data in documents.items():
        write_text(folder / name, yaml_text(data))
    write_text(folder / "pegasus.properties", _properties_text(properties))
    for name, target in links.items():
        _link(folder / LINKS / name, target)
    return {name: folder / name for name in FILES}


def _links(plan: Plan, settings: PegasusSettings) -> dict[str, Path]:
    """Return the files that jobs use under another name than their own."""
    links = {lfn: path.absolute() for lfn, path in plan.replicas.items() if path.name != Path(lfn).name}
    image = settings.located_image()
    if isinstance(image, Path):
        require_image(image)
        links[_image_name(image, settings)] = image
    return links


def _image_name(image: Path, settings: PegasusSettings) -> str:
    # As the planner composes it: the container's name and, for Apptainer, the kind of file.
    return CONTAINER + (image.suffix if settings.container_type == "singularity" else "")


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


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
    if settings.image and settings.container_type == "singularity":
        # A job starts its container itself, so HTCondor does not know that it needs a runtime. Docker's attribute is
        # missing where only the jobs' user may use Docker.
        pool.add_condor_profile(requirements=f"TARGET.{RUNTIMES[settings.container_type]}")
    return SiteCatalog().add_sites(local, pool)


def _transformations(
    plan: Plan, contracts: Mapping[str, Module], folder: Path, settings: PegasusSettings
) -> TransformationCatalog:
    catalog = TransformationCatalog()
    container = None
    image = settings.located_image()
    if image is not None:
        site = None
        if isinstance(image, Path):
            image, site = f"file://{folder / LINKS / _image_name(image, settings)}", "local"
        kinds = {"docker": Container.DOCKER, "singularity": Container.SINGULARITY}
        container = Container(CONTAINER, kinds[settings.container_type], image, image_site=site)
        catalog.add_containers(container)
    for name in sorted({job.module for job in plan.jobs}):
        place = TransformationSite(
            settings.site,
            settings.executable,
            is_stageable=False,
            arch=Arch(settings.arch),
            os_type=OS.LINUX,
            container=container,
        )
        item = Transformation(name, namespace=NAMESPACE).add_sites(place)
        item.add_metadata({"dynamo.module_version": contracts[name].version})
        catalog.add_transformations(item)
    return catalog


def _replicas(plan: Plan, folder: Path, links: Mapping[str, Path]) -> ReplicaCatalog:
    catalog = ReplicaCatalog()
    for lfn, path in plan.replicas.items():
        catalog.add_replica("local", lfn, folder / LINKS / lfn if lfn in links else path.absolute())
    return catalog


def _properties_text(values: Mapping[str, str]) -> str:
    properties = Properties()
    for key, value in values.items():
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
