"""Floating IPs: created with their own port before the server, so that the address is known and found again.

Everything has the fleet and the worker in its description from creation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from dynamo.provision.sites.base import FLEET_TAG, WORKER_TAG
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.errors import sure_not_found
from dynamo.provision.sites.openstack.marks import described, description

if TYPE_CHECKING:
    from openstack.connection import Connection

_WORDS = {"ip": "floating IP", "port": "port"}


def prepare(access: CloudAccess, *, fleet: str, worker: str, network: str, groups: Sequence[str], external: str) -> str:
    """Create a port with a floating IP for a worker, or find those of an earlier attempt; return the port's id."""
    mark = description(fleet, worker)
    with access.use(f"create an address for {worker}") as connection:
        port = next(iter(connection.network.ports(description=mark)), None)
        if port is None:
            port = connection.network.create_port(
                name=worker, description=mark, network_id=network, security_group_ids=list(groups)
            )
        if next(iter(connection.network.ips(description=mark)), None) is None:
            connection.network.create_ip(floating_network_id=external, port_id=port.id, description=mark)
        return str(port.id)


def release(access: CloudAccess, *, fleet: str, worker: str) -> list[str]:
    """Release a worker's floating IP and remove its port; return what was removed. Missing ones are not an error."""
    mark = description(fleet, worker)
    with access.use(f"release the address of {worker}") as connection:
        found: list[tuple[str, Any]] = [("ip", thing) for thing in connection.network.ips(description=mark)]
        found += [("port", thing) for thing in connection.network.ports(description=mark)]
        for kind, thing in found:
            remove_quietly(connection, kind, thing.id)
    return [f"{_WORDS[kind]} {thing.name or worker}" for kind, thing in found]


def sweep(access: CloudAccess, *, fleet: str, keep: Collection[str]) -> list[str]:
    """Remove addresses and ports of the fleet whose worker is not in ``keep``; return what was removed."""
    with access.use("look for addresses without a server") as connection:
        workers = _workers(connection, fleet)
    return [gone for worker in sorted(workers - set(keep)) for gone in release(access, fleet=fleet, worker=worker)]


def remove_quietly(connection: Connection, kind: str, resource_id: str) -> None:
    """Delete a network resource; one already gone is not an error."""
    from openstack.exceptions import NotFoundException

    try:
        getattr(connection.network, f"delete_{kind}")(resource_id, ignore_missing=False)
    except NotFoundException as error:
        if not sure_not_found(error):
            raise


def _workers(connection: Connection, fleet: str) -> set[str]:
    marks = [described(address.description) for address in connection.network.ips()]
    marks += [described(port.description) for port in connection.network.ports()]
    return {mark[WORKER_TAG] for mark in marks if mark.get(FLEET_TAG) == fleet and WORKER_TAG in mark}
