"""What some sites offer beyond `SiteDriver`; ask with ``isinstance(site, LeasingSite)`` before use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

#: The id of a server begins so while there is only a lease for it (`Server.unfinished`): ``lease:<id>``.
LEASE_PREFIX = "lease:"


@dataclass(frozen=True)
class NetworkRequest:
    """A network that is wanted.

    Attributes
    ----------
    name, fleet
        It is found again by both.
    cidr
        The addresses of its subnet, as ``192.168.10.0/24``.
    external
        The network that its router leads to; empty for the site's only one.
    bandwidth_mbit
        A limit for each of its ports, in Mbit/s and each direction; 0 for none.
    """

    name: str
    fleet: str
    cidr: str
    external: str = ""
    bandwidth_mbit: int = 0


@dataclass(frozen=True)
class VlanRequest:
    """A layer-2 network of a leased VLAN, which may be stitched to one elsewhere.

    Attributes
    ----------
    name, fleet
        It is found again by both.
    until
        When its lease ends.
    physical_network
        Which of the site's physical networks; empty for any.
    stitch_provider
        Who carries it further, as ``fabric``; empty for none.
    vlan
        The VLAN that it must be; 0 for any.
    """

    name: str
    fleet: str
    until: datetime
    physical_network: str = ""
    stitch_provider: str = ""
    vlan: int = 0


@runtime_checkable
class LeasingSite(Protocol):
    """A site whose servers stand on leases that end."""

    def extend(self, server_id: str, until: datetime) -> datetime:
        """Prolong the lease of a server (by its id, or the ``lease:`` id) and return when it ends now.

        Raises
        ------
        SiteCapacityError
            If others have the hardware from then on.
        """
        ...


@runtime_checkable
class NetworkingSite(Protocol):
    """A site at which networks can be made."""

    def ensure_network(self, request: NetworkRequest) -> str:
        """Make what is absent of a network and return its id; safe to repeat."""
        ...

    def remove_network(self, name: str, fleet: str) -> None:
        """Remove a network of the fleet; one that is gone already is no error."""
        ...


@runtime_checkable
class VlanSite(Protocol):
    """A site at which VLANs can be leased."""

    def ensure_vlan(self, request: VlanRequest) -> str:
        """Lease a VLAN, once; return the id of its network, empty while the lease has not begun."""
        ...

    def remove_vlan(self, name: str, fleet: str) -> None:
        """End the lease of a VLAN; one that is gone already is no error."""
        ...


@runtime_checkable
class StorageSite(Protocol):
    """A site at which volumes can be made."""

    def ensure_volume(self, server_id: str, name: str, fleet: str, size_gb: int) -> str:
        """Make and attach a volume, once; return its id.

        Raises
        ------
        SiteRetryableError
            While it is being made: ask again.
        SitePermanentError
            If the site offers no volumes.
        """
        ...

    def remove_volume(self, name: str, fleet: str) -> None:
        """Delete a volume of the fleet; one that is gone already is no error."""
        ...


@runtime_checkable
class SweepingSite(Protocol):
    """A site at which a crash may leave more behind than servers: addresses, ports, leases."""

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        """Remove what was made for workers that have no server and are not in ``keep``.

        Parameters
        ----------
        keep
            The workers that are being made now: what was made for them is no orphan yet.

        Returns
        -------
        The workers whose remains were removed.
        """
        ...


@runtime_checkable
class EndingSite(Protocol):
    """A site that keeps something on this machine for as long as a fleet lives."""

    def end(self) -> None:
        """Remove it: no server is left."""
        ...
