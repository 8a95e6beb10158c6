"""VLANs at Chameleon: a network lease, optionally stitched to another one elsewhere.

The network of such a lease belongs to the project while the lease lasts, under the name given in the lease.
https://chameleoncloud.readthedocs.io/en/latest/technical/networks/
"""

from __future__ import annotations

import json

from dynamo.provision.sites.chameleon.leases import VLAN, Leases, lease_name
from dynamo.provision.sites.extras import VlanRequest
from dynamo.provision.sites.openstack.connection import CloudAccess

_GROUP = "vlan"


def ensure(access: CloudAccess, leases: Leases, request: VlanRequest) -> str:
    """Lease a VLAN once; return the id of its network, empty until the lease has started.

    Raises
    ------
    SitePermanentError
        If the site leases no networks.
    SiteCapacityError
        If none is free.
    """
    lease = leases.find(request.fleet, request.name, vlan=True)
    if lease is None:
        lease = leases.create(
            lease_name(request.fleet, _GROUP, request.name), request.until, network_reservation(request)
        )
    if not lease.active:
        return ""
    with access.use(f"look for network {request.name}") as connection:
        found = next(iter(connection.network.networks(name=request.name)), None)
    return str(found.id) if found is not None else ""


def remove(leases: Leases, name: str, fleet: str) -> None:
    """End the lease of a VLAN; one already gone is not an error."""
    lease = leases.find(fleet, name, vlan=True)
    if lease is not None:
        leases.delete(lease.id)


def network_reservation(request: VlanRequest) -> dict[str, object]:
    """Return Blazar's request for a VLAN."""
    conditions = [
        ["==", f"${key}", value]
        for key, value in (
            ("physical_network", request.physical_network),
            ("stitch_provider", request.stitch_provider),
            ("segment_id", str(request.vlan) if request.vlan else ""),
        )
        if value
    ]
    wanted = ["and", *conditions] if len(conditions) > 1 else conditions[0] if conditions else None
    return {
        "resource_type": VLAN,
        "network_name": request.name,
        "network_properties": "",
        "resource_properties": json.dumps(wanted) if wanted else "",
    }
