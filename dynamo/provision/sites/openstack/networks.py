"""A fleet's networks: network, subnet, router to the outside, and a bandwidth limit if supported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamo.provision.sites.base import FLEET_TAG
from dynamo.provision.sites.errors import SitePermanentError
from dynamo.provision.sites.extras import NetworkRequest
from dynamo.provision.sites.openstack.addresses import remove_quietly
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.marks import described, description

if TYPE_CHECKING:
    from openstack.connection import Connection


def ensure(access: CloudAccess, request: NetworkRequest, *, external: str) -> str:
    """Create the missing parts of a network and return its id; safe to repeat after a partial failure.

    Raises
    ------
    SitePermanentError
        If a bandwidth is requested but the site cannot limit it, or the name is taken by someone else's network.
    """
    mark = description(request.fleet)
    with access.use(f"create network {request.name}") as connection:
        policy = _policy(access, connection, request, mark) if request.bandwidth_mbit else None
        return _ensure(access, connection, request, mark, external, policy)


def remove(access: CloudAccess, *, name: str, fleet: str) -> list[str]:
    """Remove a network created by `ensure`, with its router and limit; parts already gone are not an error.

    ``name`` is empty for all networks of the fleet. Returns what was removed.
    """
    query = {"name": name} if name else {}
    gone = []
    with access.use(f"remove network {name or f'of fleet {fleet}'}") as connection:
        service = connection.network
        for router in _ours(service.routers(**query), fleet):
            for port in list(service.ports(device_id=router.id, device_owner="network:router_interface")):
                service.remove_interface_from_router(router.id, port=port.id)
            remove_quietly(connection, "router", router.id)
            gone.append(f"router {router.name}")
        for network in _ours(service.networks(**query), fleet):
            remove_quietly(connection, "network", network.id)
            gone.append(f"network {network.name}")
        if service.find_extension("qos", ignore_missing=True) is not None:
            for policy in _ours(service.qos_policies(**query), fleet):
                remove_quietly(connection, "qos_policy", policy.id)
                gone.append(f"QoS policy {policy.name}")
    return gone


def _ensure(
    access: CloudAccess, connection: Connection, request: NetworkRequest, mark: str, external: str, policy: str | None
) -> str:
    service = connection.network
    named = list(service.networks(name=request.name))
    mine = _ours(named, request.fleet)
    if named and not mine:
        raise SitePermanentError(
            f"a network {request.name!r} not owned by this fleet already exists",
            where=access.site,
            hint="use it by name without creating it, or choose another name",
        )
    network = (
        mine[0]
        if mine
        else service.create_network(
            name=request.name, description=mark, **({"qos_policy_id": policy} if policy else {})
        )
    )
    subnet = next(iter(service.subnets(network_id=network.id)), None)
    if subnet is None:
        subnet = service.create_subnet(
            name=request.name, description=mark, network_id=network.id, ip_version=4, cidr=request.cidr
        )
    routers = _ours(service.routers(name=request.name), request.fleet)
    router = (
        routers[0]
        if routers
        else service.create_router(name=request.name, description=mark, external_gateway_info={"network_id": external})
    )
    joined = service.ports(device_id=router.id, network_id=network.id)
    if next(iter(joined), None) is None:
        service.add_interface_to_router(router.id, subnet=subnet.id)
    return str(network.id)


def _policy(access: CloudAccess, connection: Connection, request: NetworkRequest, mark: str) -> str:
    service = connection.network
    if service.find_extension("qos", ignore_missing=True) is None:
        raise SitePermanentError(
            f"this site cannot limit the bandwidth of network {request.name!r}",
            where=access.site,
            hint="leave out the bandwidth: the site's network service has no QoS",
        )
    found = _ours(service.qos_policies(name=request.name), request.fleet)
    policy = found[0] if found else service.create_qos_policy(name=request.name, description=mark)
    limit = {"max_kbps": request.bandwidth_mbit * 1000, "max_burst_kbps": request.bandwidth_mbit * 800}
    there = {rule.direction for rule in service.qos_bandwidth_limit_rules(policy.id)}
    for direction in sorted({"egress", "ingress"} - there):
        service.create_qos_bandwidth_limit_rule(policy.id, direction=direction, **limit)
    return str(policy.id)


def _ours(found: Any, fleet: str) -> list[Any]:
    return [thing for thing in found if described(thing.description).get(FLEET_TAG) == fleet]
