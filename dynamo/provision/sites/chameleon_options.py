"""What a site and a group of workers may say in ``options`` for Chameleon, beside what they may for OpenStack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.provision.sites.openstack_options import Options


class LeaseSiteOptions(Options):
    """Options of a Chameleon site.

    Attributes
    ----------
    lease_h
        How long a lease is where the request has no end, in hours; Chameleon allows at most seven days.
    """

    lease_h: float = Field(default=24.0, gt=0, le=7 * 24)


class LeaseOptions(Options):
    """What of a request concerns its lease; a site's options may have it too, for all servers.

    Attributes
    ----------
    reserve
        ``host``: a machine; ``flavor``: room for one server of the flavour on KVM; ``none``: no lease. By default a
        machine, except where the region is named ``KVM@...``: there servers are to be had without.
    node_type
        Which machines, as ``compute_skylake``; empty for any.
    resource_properties
        A Blazar expression in place of ``node_type``, as ``["==", "$node_type", "gpu_v100"]`` in JSON.
    """

    reserve: Literal["", "host", "flavor", "none"] = ""
    node_type: str = ""
    resource_properties: str = ""
