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
    """What is installed or shared on a site's workers."""

    condor_prefix: Annotated[
        PathText | None,
        Field(
            description="Folder of HTCondor in the images, if not from packages: the one that `dynamo pool install` "
            "prints, or the one above it. If there is none, HTCondor is installed."
        ),
    ] = None
    shared_files: Annotated[
        bool, Field(description="Workers see this machine's files under the same paths, so jobs need no file transfer.")
    ] = False


class SiteSpec(Part):
    """One site: a region of a cloud."""

    driver: Annotated[
        str,
        PartName(SITES),
        Field(description="Site driver. Default: by cloud name (Local, Chameleon, Simulated), else openstack."),
    ] = "openstack"
    cloud: Annotated[
        Word | None,
        NotActedOn("there is no cloud", ("local", "simulated")),
        Field(description="Cloud name in clouds.yaml. Default: the cloud's name in lower case, e.g. jetstream2."),
    ] = None
    region: Annotated[
        Word | None,
        NotActedOn("there is no cloud", ("local", "simulated")),
        Field(description="Region of the cloud. Default: the part after the colon."),
    ] = None
    options: Annotated[
        dict[str, Any], Field(max_length=100, description="Driver-specific options, checked by the driver.")
    ] = Field(default_factory=dict)
    parallel: Annotated[int, Field(ge=1, le=64, description="Maximum creations and deletions at once.")] = 8
    max_workers: Annotated[
        int | None, Field(ge=0, le=MAX_WORKERS, description="Maximum number of workers in all groups together.")
    ] = None
    cost_per_hour: Annotated[
        float | None,
        Field(ge=0, le=10**6, description="Cost of a worker per hour, if neither group nor flavor sets it."),
    ] = None
    billing_s: Annotated[
        float,
        Field(ge=1, le=31 * 86400, description="Billing unit, s; 3600 if the site bills started hours."),
    ] = 1.0
    boot_timeout_s: Annotated[
        float, Field(ge=5, le=86400, description="Give up on a server that is not running after this time, s.")
    ] = 900.0
    timeout_s: Annotated[float, Field(ge=1, le=3600, description="Time limit per cloud API call, s.")] = 30.0
    worker: Annotated[SiteWorkerSpec, Field(description="What is installed or shared on the workers.")] = (
        SiteWorkerSpec()
    )
    weight: Annotated[
        float, Field(ge=0, le=1000, description="Share of growth, relative to the other sites' weights.")
    ] = 1.0

    def driver_options(self, name: str) -> dict[str, Any]:
        """Return the options for the driver of site ``name``: `options`, plus cloud and region for clouds."""
        cloud, _, region = name.partition(":")
        place = {"cloud": self.cloud or cloud.lower(), "region": self.region or region}
        known = {option for model in SITES.load(self.driver).site_options for option in model.model_fields}
        return {**{option: value for option, value in place.items() if option in known}, **self.options}
