"""What some sites offer beyond `SiteDriver`; check with ``isinstance(site, LeasingSite)`` before use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from dynamo.provision.sites.base import ServerRequest

#: Prefix of a server's id while it only has a lease (`Server.unfinished`): ``lease:<id>``.
LEASE_PREFIX = "lease:"


@dataclass(frozen=True)
class NetworkRequest:
    """A requested network.

    Attributes
    ----------
    name, fleet
        Together they identify it.
    cidr
        The addresses of its subnet, e.g. ``192.168.10.0/24``.
    external
        The network its router connects to; empty for the site's only one.
    bandwidth_mbit
        Limit for each of its ports, in Mbit/s per direction; 0 for none.
    """

    name: str
    fleet: str
    cidr: str
    external: str = ""
    bandwidth_mbit: int = 0


@dataclass(frozen=True)
class VlanRequest:
    """A layer-2 network on a leased VLAN, optionally stitched to another one elsewhere.

    Attributes
    ----------
    name, fleet
        Together they identify it.
    until
        When its lease ends.
    physical_network
        Which of the site's physical networks; empty for any.
    stitch_provider
        The provider that carries it further, e.g. ``fabric``; empty for none.
    vlan
        The required VLAN; 0 for any.
    """

    name: str
    fleet: str
    until: datetime
    physical_network: str = ""
    stitch_provider: str = ""
    vlan: int = 0


@runtime_checkable
class LeasingSite(Protocol):
    """A site whose servers run on leases that expire."""

    def extend(self, server_id: str, until: datetime) -> datetime:
        """Extend the lease of a server (by its id or ``lease:`` id) and return its new end.

        Raises
        ------
        SiteCapacityError
            If others have reserved the hardware from then on.
        """
        ...


@runtime_checkable
class NetworkingSite(Protocol):
    """A site that can create networks."""

    def ensure_network(self, request: NetworkRequest) -> str:
        """Create the missing parts of a network and return its id; safe to repeat."""
        ...

    def remove_network(self, name: str, fleet: str) -> None:
        """Remove a network of the fleet; one already gone is not an error."""
        ...


@runtime_checkable
class VlanSite(Protocol):
    """A site that leases VLANs."""

    def ensure_vlan(self, request: VlanRequest) -> str:
        """Lease a VLAN once; return the id of its network, empty until the lease has started."""
        ...

    def remove_vlan(self, name: str, fleet: str) -> None:
        """End the lease of a VLAN; one already gone is not an error."""
        ...


@runtime_checkable
class StorageSite(Protocol):
    """A site that can create volumes."""

    def ensure_volume(self, server_id: str, name: str, fleet: str, size_gb: int) -> str:
        """Create and attach a volume once; return its id.

        Raises
        ------
        SiteRetryableError
            While it is being created: try again.
        SitePermanentError
            If the site offers no volumes.
        """
        ...

    def remove_volume(self, name: str, fleet: str) -> None:
        """Delete a volume of the fleet; one already gone is not an error."""
        ...


@runtime_checkable
class SweepingSite(Protocol):
    """A site where more than servers is made for workers: addresses, ports, volumes. All of it carries tags."""

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        """Remove what was created for workers that have no server and are not in ``keep``.

        Parameters
        ----------
        keep
            The workers being created now, whose resources are not orphans yet.

        Returns
        -------
        What was removed, e.g. ``port storm-3f9a21-4``.
        """
        ...

    def clear(self, fleet: str) -> Sequence[str]:
        """Remove all that carries the fleet's tag except servers, which must be gone; return what was removed."""
        ...


@runtime_checkable
class ConsoleSite(Protocol):
    """A site that shows what a server prints while it boots."""

    def console(self, server_id: str) -> str:
        """Return the end of a server's console; empty if it has printed nothing."""
        ...


@runtime_checkable
class CheckingSite(Protocol):
    """A site that can tell what it would refuse, before anything is created."""

    def check(self, request: ServerRequest, *, new_networks: Collection[str] = ()) -> Sequence[str]:
        """Return everything that is wrong with a request: names the site does not know, each with the nearest one.

        Parameters
        ----------
        new_networks
            Networks that do not exist yet, because the fleet creates them.
        """
        ...


@runtime_checkable
class EndingSite(Protocol):
    """A site that keeps something on this machine for as long as a fleet exists."""

    def end(self) -> None:
        """Remove it; no servers are left."""
        ...
