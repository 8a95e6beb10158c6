"""What a site and a group of workers may say in ``options`` for Chameleon, beside what they may for OpenStack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.provision.sites.options import DriverOptions


class LeaseSiteOptions(DriverOptions):
    """Options of a Chameleon site."""

    lease_h: float = Field(
        default=24.0,
        gt=0,
        le=7 * 24,
        description="How long a lease is where a group has no `leaseEnd`, hours; Chameleon allows at most seven days.",
    )


class LeaseOptions(DriverOptions):
    """What of a request concerns its lease; a site's options may have it too, for all servers."""

    reserve: Literal["", "host", "flavor", "none"] = Field(
        default="",
        description="`host`: a machine; `flavor`: room for one server of the flavour on KVM; `none`: no lease. Without "
        "it a machine, except where the region is named `KVM@...`: there servers are to be had without.",
    )
    node_type: str = Field(default="", description="Which machines, as `compute_skylake`; empty for any.")
    resource_properties: str = Field(
        default="",
        description='A Blazar expression in place of `node_type`, as `["==", "$node_type", "gpu_v100"]`, in quotes.',
    )
