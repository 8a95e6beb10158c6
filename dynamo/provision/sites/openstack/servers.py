"""Convert nova's servers, limits and flavors to the types of `dynamo.provision.sites.base`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dynamo.provision.sites.base import Flavor, Quota, Server, ServerStatus
from dynamo.provision.sites.openstack.errors import no_room
from dynamo.provision.sites.openstack.marks import LEASE_TAG, read_nova_tags
from dynamo.times import parse_time

#: https://docs.openstack.org/api-guide/compute/server_concepts.html
_STATUS = {
    "BUILD": ServerStatus.BUILDING,
    "REBUILD": ServerStatus.BUILDING,
    "ACTIVE": ServerStatus.ACTIVE,
    "REBOOT": ServerStatus.ACTIVE,
    "HARD_REBOOT": ServerStatus.ACTIVE,
    "PASSWORD": ServerStatus.ACTIVE,
    "RESIZE": ServerStatus.ACTIVE,
    "VERIFY_RESIZE": ServerStatus.ACTIVE,
    "REVERT_RESIZE": ServerStatus.ACTIVE,
    "MIGRATING": ServerStatus.ACTIVE,
    "SHUTOFF": ServerStatus.STOPPED,
    "PAUSED": ServerStatus.STOPPED,
    "SUSPENDED": ServerStatus.STOPPED,
    "RESCUE": ServerStatus.STOPPED,
    "SHELVED": ServerStatus.STOPPED,
    "SHELVED_OFFLOADED": ServerStatus.STOPPED,
    "ERROR": ServerStatus.ERROR,
    "DELETED": ServerStatus.DELETING,
    "SOFT_DELETED": ServerStatus.DELETING,
}
_ENDING = frozenset({"deleting", "soft-deleting"})


def status_of(status: str, task_state: str | None) -> ServerStatus:
    """Return what nova's status and task mean; a server being deleted still shows its old status."""
    if task_state in _ENDING:
        return ServerStatus.DELETING
    return _STATUS.get(status.upper(), ServerStatus.UNKNOWN)


def server_of(found: Any) -> Server:
    """Convert the SDK's server to ours."""
    metadata = {str(key): str(value) for key, value in (found.metadata or {}).items()}
    fault = found.fault or {}
    words = str(fault.get("message", "")) if isinstance(fault, Mapping) else ""
    flavor = found.flavor
    return Server(
        id=found.id,
        name=found.name,
        status=status_of(found.status or "UNKNOWN", found.task_state),
        tags={**read_nova_tags(getattr(found, "tags", None) or ()), **metadata},
        created_at=parse_time(found.created_at) if found.created_at else None,
        addresses=_addresses(found.addresses or {}),
        flavor=str((flavor and (flavor.original_name or flavor.name or flavor.id)) or ""),
        fault=" ".join(words.split()),
        no_capacity=no_room(words),
        lease_id=metadata.get(LEASE_TAG, ""),
    )


def flavor_of(found: Any) -> Flavor:
    """Convert the SDK's flavor to ours."""
    return Flavor(
        name=found.name,
        cpus=int(found.vcpus),
        ram_mb=int(found.ram),
        disk_gb=int(found.disk),
        gpus=gpus_of(found.extra_specs or {}),
    )


def gpus_of(extra_specs: Mapping[str, object]) -> int:
    """Return how many GPUs a flavor's extra specs request.

    Sites use one of three forms: ``resources:VGPU=1``, ``resources:CUSTOM_..GPU..=1`` or, for whole cards,
    ``pci_passthrough:alias=a100:2``, with an alias defined by the site.
    """
    count = 0
    for key, value in extra_specs.items():
        text = str(value)
        if re.fullmatch(r"resources\d*:(?:VGPU|PGPU|CUSTOM_\w*GPU\w*)", key) and text.isdigit():
            count += int(text)
        elif key == "pci_passthrough:alias":
            for alias in text.split(","):
                name, _, number = alias.strip().partition(":")
                if re.search(r"gpu|nvidia|tesla|[avhl]\d{2,3}|p100|rtx|mi\d{3}", name, re.IGNORECASE):
                    count += int(number) if number.isdigit() else 1
    return count


def quota_of(limits: Mapping[str, Any]) -> Quota:
    """Convert nova's absolute limits to a quota; -1 means no limit."""

    def limit(name: str) -> int | None:
        value = limits.get(name)
        return None if value is None or int(value) < 0 else int(value)

    def used(name: str) -> int:
        return max(0, int(limits.get(name) or 0))

    return Quota(
        servers=limit("maxTotalInstances"),
        servers_used=used("totalInstancesUsed"),
        cpus=limit("maxTotalCores"),
        cpus_used=used("totalCoresUsed"),
        ram_mb=limit("maxTotalRAMSize"),
        ram_mb_used=used("totalRAMUsed"),
    )


def _addresses(networks: Mapping[str, Any]) -> tuple[str, ...]:
    # The address reachable from outside comes first.
    entries = [entry for network in networks.values() for entry in network]
    entries.sort(key=lambda entry: entry.get("OS-EXT-IPS:type") != "floating")
    return tuple(str(entry["addr"]) for entry in entries if "addr" in entry)
