"""A site in the fleet spec: a region of a cloud, its driver and its limits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dynamo.documents.part_name import PartName
from dynamo.doors import SITES
from dynamo.provision.spec.compute import MAX_WORKERS
from dynamo.provision.spec.marks import NotActedOn
from dynamo.provision.spec.types import Part, PathText, Word


class SiteWorkerSpec(Part):
    """What workers of a site find on their machines."""

    condor_prefix: Annotated[
        PathText | None,
        Field(description="Where the images have HTCondor, if not installed as packages; without any it is installed."),
    ] = None
    shared_files: Annotated[
        bool, Field(description="Workers see this machine's files under the same names: jobs need no transfer.")
    ] = False


class SiteSpec(Part):
    """One site: a region of a cloud."""

    driver: Annotated[
        str,
        PartName(SITES),
        Field(
            description="What drives it. Without it by the cloud's name: Local, Chameleon, Simulated, else openstack."
        ),
    ] = "openstack"
    cloud: Annotated[
        Word | None,
        NotActedOn("there is no cloud", ("local", "simulated")),
        Field(description="Cloud in clouds.yaml. Without it the cloud's name in lower case, as jetstream2."),
    ] = None
    region: Annotated[
        Word | None,
        NotActedOn("there is no cloud", ("local", "simulated")),
        Field(description="Region of the cloud. Without it what follows the colon."),
    ] = None
    options: Annotated[
        dict[str, Any], Field(max_length=100, description="What only this driver understands; it checks them.")
    ] = Field(default_factory=dict)
    parallel: Annotated[int, Field(ge=1, le=64, description="Creations and deletions under way at once.")] = 8
    max_workers: Annotated[
        int | None, Field(ge=0, le=MAX_WORKERS, description="Never more workers than this, all groups together.")
    ] = None
    cost_per_hour: Annotated[
        float | None,
        Field(ge=0, le=10**6, description="Cost of a worker for an hour where neither group nor flavour has one."),
    ] = None
    billing_s: Annotated[
        float,
        Field(
            ge=1, le=31 * 86400, description="Span for which a worker is paid at once, s: 3600 where hours are begun."
        ),
    ] = 1.0
    boot_timeout_s: Annotated[
        float, Field(ge=5, le=86400, description="A server that is not running after this is given up, s.")
    ] = 900.0
    timeout_s: Annotated[float, Field(ge=1, le=3600, description="How long one call of the cloud may take, s.")] = 30.0
    worker: Annotated[SiteWorkerSpec, Field(description="What workers find on their machines.")] = SiteWorkerSpec()
    weight: Annotated[
        float, Field(ge=0, le=1000, description="Share of growth that it takes, beside the other sites' weights.")
    ] = 1.0

    def driver_options(self, name: str) -> dict[str, Any]:
        """Return what the driver of the site called ``name`` is made with: `options`, and for clouds where they are."""
        cloud, _, region = name.partition(":")
        place = {"cloud": self.cloud or cloud.lower(), "region": self.region or region}
        known = {option for model in SITES.load(self.driver).site_options for option in model.model_fields}
        return {**{option: value for option, value in place.items() if option in known}, **self.options}
