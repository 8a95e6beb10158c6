"""What a spec requests from one site besides workers: networks, circuits and volumes, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dynamo.provision.sites.base import SiteDriver
from dynamo.provision.sites.extras import NetworkingSite, NetworkRequest, VlanRequest, VlanSite
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec, NetworkSpec, ScriptSpec, StitchSpec
from dynamo.provision.spec.network import concerns

#: Default addresses of a private network.
_PRIVATE_CIDR = "192.168.100.0/24"
#: A circuit without an end is leased for this long, then renewed.
_VLAN_LEASE = timedelta(days=7)


@dataclass(frozen=True)
class VolumeWish:
    """A volume for each matching worker."""

    key: str
    target: str
    size_gb: int

    def concerns(self, row: Any) -> bool:
        """Return whether a stored worker gets one."""
        return concerns(self.target, row.group, row.name)

    def name_for(self, worker: str) -> str:
        """Return the name of a worker's volume."""
        return f"{worker}-{self.key}"


@dataclass(frozen=True)
class SiteParts:
    """What one site must have; ``vlans`` creates the requests, whose leases count from now."""

    networks: tuple[NetworkRequest, ...]
    vlans: Callable[[datetime], Sequence[VlanRequest]] | None
    volumes: tuple[VolumeWish, ...]

    @property
    def needed(self) -> bool:
        """Whether workers must wait for something."""
        return bool(self.networks) or self.vlans is not None

    @property
    def any(self) -> bool:
        """Whether there is anything to remove at the end."""
        return self.needed or bool(self.volumes)


def parts_of(spec: FleetSpec, fleet_id: str, site: str) -> SiteParts:
    """Return what a spec requests from one site besides workers."""
    networks: dict[str, NetworkRequest] = {}
    for network in spec.network:
        if network.site == site and network.action == "create" and network.name and not _leased(network):
            networks[network.name] = NetworkRequest(
                name=network.name,
                fleet=fleet_id,
                cidr=network.cidr or _PRIVATE_CIDR,
                external=network.external_network or "",
                bandwidth_mbit=network.bandwidth_mbit or 0,
            )
    for group in spec.groups_at(site):
        if group.network_type == "private" and not group.physical_network:
            name = network_name(spec, group)
            networks[name] = NetworkRequest(
                name=name,
                fleet=fleet_id,
                cidr=group.network_cidr or _PRIVATE_CIDR,
                external=group.external_network or "",
                bandwidth_mbit=(group.bandwidth_bps or 0) // 10**6,
            )
    groups = {group.name for group in spec.groups_at(site)}
    volumes = tuple(
        VolumeWish(f"vol{number}", storage.target, storage.size_gb)
        for number, storage in enumerate(spec.storage)
        if storage.action != "delete" and any(concerns(storage.target, name, name) for name in groups)
    )
    return SiteParts(tuple(networks.values()), _vlans(spec, fleet_id, site), volumes)


def impossible(parts: SiteParts, driver: SiteDriver) -> str:
    """Return why a site cannot provide its parts, so that workers would wait forever; empty if it can."""
    if parts.networks and not isinstance(driver, NetworkingSite):
        return "this kind of site cannot create networks"
    if parts.vlans and not isinstance(driver, VlanSite):
        return "this kind of site offers no circuits"
    return ""


def network_name(spec: FleetSpec, group: ComputeSpec) -> str:
    """Return the network for a group's servers at its site; empty for the site's default."""
    if group.network_type == "private":
        return f"{spec.name}-private"
    return group.network or ""


def scripts_for(spec: FleetSpec, group: ComputeSpec, worker: str) -> str:
    """Return the worker's first-boot script, run before HTCondor: the group's script, then those of ``script``."""
    texts = [group.post_boot_script, *(item.script for item in spec.script if _is_for(item, group, worker))]
    return "\n".join(text.rstrip("\n") + "\n" for text in texts if text)


def _is_for(item: ScriptSpec, group: ComputeSpec, worker: str) -> bool:
    return concerns(item.target, group.name, worker)


def _leased(network: NetworkSpec) -> bool:
    """Return whether a network must be leased as a VLAN, because it has a physical network."""
    return network.physical_network is not None


def _vlans(spec: FleetSpec, fleet_id: str, site: str) -> Callable[[datetime], Sequence[VlanRequest]] | None:
    stitched: list[StitchSpec] = [
        item for item in spec.stitch if any(concerns(item.target, g.name, g.name) for g in spec.groups_at(site))
    ]
    wanted = [(f"{spec.name}-stitch-{item.tag}", "", "fabric", 0) for item in stitched]
    wanted += [
        (network.name, network.physical_network or "", "", network.vlan or 0)
        for network in spec.network
        if network.site == site and network.action == "create" and network.name and _leased(network)
    ]
    wanted += [
        (network_name(spec, group), group.physical_network, "fabric" if group.stitch_tag else "", 0)
        for group in spec.groups_at(site)
        if group.network_type == "private" and group.physical_network
    ]
    if not wanted:
        return None

    def requests(now: datetime) -> Sequence[VlanRequest]:
        until = now + _VLAN_LEASE
        return [
            VlanRequest(name, fleet_id, until, physical, provider, vlan) for name, physical, provider, vlan in wanted
        ]

    return requests
