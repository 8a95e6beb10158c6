"""Servers on leased Chameleon hardware: a lease for each worker, then the server on it.

A lease takes seconds to minutes to start, and no caller waits for it. `ChameleonSite.create` is called until there
is a server: each call checks how far things are at the site (server, lease, nothing) and does the next step, so it can
be interrupted anywhere. Until then the worker is listed as a server in BUILDING with the id ``lease:<id>``; see
`dynamo.provision.sites.base.Server.unfinished`. The request of the last call counts, its user data too.

python-blazarclient speaks to Blazar on the keystone session of openstacksdk. python-chi is built on the same library;
what it adds (one global configuration from the environment, waiting loops, notebook widgets) does not suit a daemon
with several sites and threads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dynamo.extras import need
from dynamo.provision.sites.base import (
    FLEET_TAG,
    GROUP_TAG,
    WORKER_TAG,
    Flavor,
    Quota,
    Server,
    ServerRequest,
    ServerStatus,
    SiteContext,
)
from dynamo.provision.sites.chameleon import vlans
from dynamo.provision.sites.chameleon.alternatives import alternatives, unknown_node_type
from dynamo.provision.sites.chameleon.leases import (
    VLAN,
    Lease,
    Leases,
    flavor_reservation,
    host_reservation,
    lease_name,
)
from dynamo.provision.sites.chameleon.options import LeaseOptions, LeaseSiteOptions
from dynamo.provision.sites.errors import SiteCapacityError, SitePermanentError, SiteRetryableError
from dynamo.provision.sites.extras import LEASE_PREFIX, NetworkRequest, VlanRequest
from dynamo.provision.sites.kind import SiteKind
from dynamo.provision.sites.openstack.errors import no_room
from dynamo.provision.sites.openstack.marks import LEASE_TAG
from dynamo.provision.sites.openstack.options import RequestOptions, SiteOptions
from dynamo.provision.sites.openstack.site import OpenStackSite
from dynamo.provision.sites.options import split_options
from dynamo.times import to_iso, utc_now


class ChameleonSite:
    """One region of Chameleon: an `OpenStackSite` and the leases under its servers."""

    def __init__(self, context: SiteContext) -> None:
        need("blazarclient.client", extra="chameleon")
        where = context.site
        own, self._defaults, cloud, servers = split_options(
            context.options, LeaseSiteOptions, LeaseOptions, SiteOptions, RequestOptions, where=where
        )
        self._options = LeaseSiteOptions.read(own, where=where)
        LeaseOptions.read(self._defaults, where=where)
        self._servers = OpenStackSite(replace(context, options={**servers, **cloud}))
        self._access = self._servers.access
        self._leases = Leases(self._access)

    @property
    def name(self) -> str:
        """The site's name, ``Cloud:Region``."""
        return self._servers.name

    def create(self, request: ServerRequest) -> Server:
        """Take the next step toward a server on its own lease; repeat until the server exists.

        Returns
        -------
        The server, or until the lease has started a server in BUILDING with the id ``lease:<id>``.

        Raises
        ------
        SiteCapacityError
            If the lease is unavailable; the hint lists what else is free, as far as this user may see it.
        InputError
            If an option is unknown or wrong.
        """
        lease_options, rest = split_options(request.options, LeaseOptions, RequestOptions, where=self.name)
        wanted = LeaseOptions.read({**self._defaults, **lease_options}, where=self.name)
        if self._reserve(wanted) == "none":
            return self._servers.create(replace(request, options=rest))
        fleet = request.tags.get(FLEET_TAG, "")
        lease = None
        if not rest.get("first_attempt"):
            existing = self._servers.find(fleet, request.name)
            lease = self._leases.find(fleet, request.name)
            if existing is not None:
                return _on_lease(existing, lease)
        if lease is None:
            lease = self._lease(request, wanted)
        if not lease.active:
            return _as_server(lease, request.tags)
        return self._make(lease, request, rest)

    def check(self, request: ServerRequest, *, new_networks: Collection[str] = ()) -> Sequence[str]:
        """See `CheckingSite.check`; also the type of machine, as far as this user may see the machines."""
        lease_options, rest = split_options(request.options, LeaseOptions, RequestOptions, where=self.name)
        wanted = LeaseOptions.read({**self._defaults, **lease_options}, where=self.name)
        found = list(self._servers.check(replace(request, options=rest), new_networks=new_networks))
        if wanted.node_type and self._reserve(wanted) == "host":
            found += unknown_node_type(self._access, wanted.node_type)
        return found

    def list(self, fleet: str) -> Sequence[Server]:
        """See `SiteDriver.list`; leases without a server are included as servers with ids ``lease:<id>``.

        So a lease whose server was never created, or was deleted externally, is seen and can be deleted.
        """
        # Leases first: a server created on one of them in the meantime is then found too; the reverse would miss it.
        leases = {lease.id: lease for lease in self._leases.list(fleet)}
        servers = [_on_lease(server, leases.pop(server.lease_id, None)) for server in self._servers.list(fleet)]
        alone = [_as_server(lease, {FLEET_TAG: fleet}) for lease in leases.values() if lease.resource != VLAN]
        return (*servers, *alone)

    def get(self, server_id: str) -> Server | None:
        """See `SiteDriver.get`; also accepts ``lease:<id>``, which returns the server once it exists."""
        if not server_id.startswith(LEASE_PREFIX):
            server = self._servers.get(server_id)
            if server is None or not server.lease_id:
                return server
            return _on_lease(server, self._leases.get(server.lease_id))
        lease = self._leases.get(server_id.removeprefix(LEASE_PREFIX))
        if lease is None:
            return None
        server = self._server_on(lease)
        return _on_lease(server, lease) if server is not None else _as_server(lease, {})

    def delete(self, server_id: str) -> None:
        """See `SiteDriver.delete`: deletes the server, then its lease; also accepts ``lease:<id>``."""
        if server_id.startswith(LEASE_PREFIX):
            lease_id = server_id.removeprefix(LEASE_PREFIX)
            lease = self._leases.get(lease_id)
            server = self._server_on(lease) if lease is not None else None
        else:
            server = self._servers.get(server_id)
            lease_id = server.lease_id if server is not None else ""
        if server is not None:
            self._servers.delete(server.id)
        if lease_id:
            self._leases.delete(lease_id)

    def extend(self, server_id: str, until: datetime) -> datetime:
        """See `LeasingSite.extend`."""
        lease_id = server_id.removeprefix(LEASE_PREFIX)
        if lease_id == server_id:
            server = self._servers.get(server_id)
            if server is None or not server.lease_id:
                raise SitePermanentError(f"server {server_id} has no lease", where=self.name)
            lease_id = server.lease_id
        try:
            return self._leases.prolong(lease_id, until)
        except SiteCapacityError as error:
            hint = "others have reserved the machine from then on: request less, or let a new worker take over"
            raise SiteCapacityError(error.what, where=self.name, hint=hint) from error

    def quota(self) -> Quota:
        """See `SiteDriver.quota`; Chameleon limits bare metal by leases and allocation instead."""
        return self._servers.quota()

    def flavors(self) -> Sequence[Flavor]:
        """See `SiteDriver.flavors`."""
        return self._servers.flavors()

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        """See `SweepingSite.sweep`."""
        return self._servers.sweep(fleet, keep)

    def clear(self, fleet: str) -> Sequence[str]:
        """See `SweepingSite.clear`."""
        vlan_leases = [lease for lease in self._leases.list(fleet) if lease.resource == VLAN]
        for lease in vlan_leases:
            self._leases.delete(lease.id)
        return [*self._servers.clear(fleet), *(f"lease {lease.worker}" for lease in vlan_leases)]

    def ensure_network(self, request: NetworkRequest) -> str:
        """See `NetworkingSite.ensure_network`."""
        return self._servers.ensure_network(request)

    def remove_network(self, name: str, fleet: str) -> None:
        """See `NetworkingSite.remove_network`."""
        self._servers.remove_network(name, fleet)

    def ensure_volume(self, server_id: str, name: str, fleet: str, size_gb: int) -> str:
        """See `StorageSite.ensure_volume`."""
        return self._servers.ensure_volume(server_id, name, fleet, size_gb)

    def remove_volume(self, name: str, fleet: str) -> None:
        """See `StorageSite.remove_volume`."""
        self._servers.remove_volume(name, fleet)

    def ensure_vlan(self, request: VlanRequest) -> str:
        """See `VlanSite.ensure_vlan`."""
        return vlans.ensure(self._access, self._leases, request)

    def remove_vlan(self, name: str, fleet: str) -> None:
        """See `VlanSite.remove_vlan`."""
        vlans.remove(self._leases, name, fleet)

    def console(self, server_id: str) -> str:
        """See `ConsoleSite.console`; a lease has none."""
        return "" if server_id.startswith(LEASE_PREFIX) else self._servers.console(server_id)

    def close(self) -> None:
        """See `SiteDriver.close`."""
        self._servers.close()

    def _lease(self, request: ServerRequest, wanted: LeaseOptions) -> Lease:
        start = utc_now()
        end = request.lease_end or start + timedelta(hours=self._options.lease_h)
        name = lease_name(request.tags.get(FLEET_TAG, ""), request.tags.get(GROUP_TAG, ""), request.name)
        try:
            return self._leases.create(name, end, self._reservation(request, wanted))
        except SiteCapacityError as error:
            what = wanted.resource_properties or wanted.node_type or "any machine"
            if self._reserve(wanted) == "flavor":
                what = f"flavor {request.flavor.name}"
            raise SiteCapacityError(
                f"no lease of {what} until {to_iso(end)} available: {error.what}",
                where=self.name,
                hint=alternatives(self._access, start, end),
            ) from error
        except SiteRetryableError as error:
            # Blazar answers 500 for a property that no machine has; that stays so.
            if wanted.resource_properties and "DBNotFound" in error.what:
                hint = "its machines may not have such a property: check the names in resource_properties"
                raise SitePermanentError(error.what, where=self.name, hint=hint) from error
            raise

    def _reserve(self, wanted: LeaseOptions) -> str:
        return wanted.reserve or ("none" if self._access.region.startswith("KVM@") else "host")

    def _reservation(self, request: ServerRequest, wanted: LeaseOptions) -> dict[str, object]:
        if self._reserve(wanted) == "flavor":
            return flavor_reservation(self._servers.flavor_id(request.flavor.name))
        return host_reservation(wanted)

    def _make(self, lease: Lease, request: ServerRequest, rest: Mapping[str, object]) -> Server:
        options = {**rest, "first_attempt": True, "metadata": {**_words(rest.get("metadata")), LEASE_TAG: lease.id}}
        flavor = request.flavor
        if lease.flavor:
            # It finds its host by itself; with the hint, Blazar's filter would look for a leased machine.
            flavor = replace(flavor, name=lease.flavor)
        else:
            options["scheduler_hints"] = {**_words(rest.get("scheduler_hints")), "reservation": lease.reservation}
        return _on_lease(self._servers.create(replace(request, options=options, flavor=flavor)), lease)

    def _server_on(self, lease: Lease) -> Server | None:
        return next(iter(self._servers.tagged(LEASE_TAG, lease.id)), None)


def _words(option: object) -> Mapping[str, str]:
    return option if isinstance(option, dict) else {}


def _on_lease(server: Server, lease: Lease | None) -> Server:
    if lease is None:
        return server
    return replace(server, lease_id=lease.id, lease_end=lease.end)


def _as_server(lease: Lease, tags: Mapping[str, str]) -> Server:
    status = lease.as_server_status
    fault = ""
    if status is ServerStatus.ERROR:
        ended = lease.status == "TERMINATED" and lease.end is not None
        fault = f"its lease ended at {to_iso(lease.end)}" if ended and lease.end else f"its lease is {lease.status}"
        if lease.trouble:
            fault += f": {lease.trouble}"
    known = {**lease.tags, **tags}
    name = known[WORKER_TAG]
    return Server(
        id=f"{LEASE_PREFIX}{lease.id}",
        name=name,
        status=status,
        tags=known,
        fault=fault,
        no_capacity=no_room(fault),
        unfinished=status is ServerStatus.BUILDING,
        lease_id=lease.id,
        lease_end=lease.end,
    )


KIND = SiteKind(
    ChameleonSite,
    (LeaseSiteOptions, LeaseOptions, SiteOptions, RequestOptions),
    (LeaseOptions, RequestOptions),
)
