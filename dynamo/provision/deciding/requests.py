"""What is requested from a site for one worker, as far as the spec alone decides it."""

from __future__ import annotations

from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.site_parts import network_name
from dynamo.provision.sites.base import Flavor, ServerRequest
from dynamo.provision.spec.fleet import FleetSpec

#: Stands for the flavor of a group for which none was found.
_NONE = Flavor("", cpus=0, ram_mb=0, disk_gb=0)


def request_for(spec: FleetSpec, group: GroupPlan, worker: str) -> ServerRequest:
    """Return the request for a worker of a group, without tags and without what it runs."""
    return ServerRequest(
        name=worker,
        tags={},
        flavor=group.flavor or _NONE,
        image=group.spec.image or "",
        key=group.spec.key or "",
        network=network_name(spec, group.spec),
        security_groups=group.spec.security_groups,
        availability_zone=group.spec.availability_zone or "",
        floating_ip=group.spec.floating_ip,
        lease_end=group.lease_end,
        options=group.spec.options,
    )
