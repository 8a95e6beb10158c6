"""Chameleon options of a site and of a group of workers, in addition to those for OpenStack."""

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
        description="Lease length for groups without `leaseEnd`, hours; Chameleon allows at most seven days.",
    )


class LeaseOptions(DriverOptions):
    """Lease options of a request; also allowed in a site's options, for all servers."""

    reserve: Literal["", "host", "flavor", "none"] = Field(
        default="",
        description="`host`: a machine; `flavor`: room for one server of the flavor on KVM; `none`: no lease. Default: "
        "`host`, except for `KVM@...` regions, where servers need no lease.",
    )
    node_type: str = Field(default="", description="Type of machine, e.g. `compute_skylake`; empty for any.")
    resource_properties: str = Field(
        default="",
        description='Blazar expression instead of `node_type`, e.g. `["==", "$node_type", "gpu_v100"]`, in quotes.',
    )
