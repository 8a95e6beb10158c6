"""Servers in an OpenStack region, through openstacksdk.

A server carries its fleet, group and worker in metadata and nova tags from creation, so ours can always be
distinguished from others. Ids of images, flavors, networks and groups are cached for
some minutes: creating a server costs one call, or two if it must first check for an earlier attempt's server.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Collection, Sequence
from typing import Any

from dynamo.provision.sites.base import FLEET_TAG, WORKER_TAG, Flavor, Quota, Server, ServerRequest, SiteContext
from dynamo.provision.sites.base import ServerStatus as Status
from dynamo.provision.sites.errors import SiteError, SitePermanentError, SiteRetryableError
from dynamo.provision.sites.extras import NetworkRequest
from dynamo.provision.sites.kind import SiteKind
from dynamo.provision.sites.openstack import addresses, networks, volumes
from dynamo.provision.sites.openstack.checking import problems_of
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.errors import sure_not_found
from dynamo.provision.sites.openstack.lookup import Lookup
from dynamo.provision.sites.openstack.marks import ADDRESS_TAG, REGION_TAG, nova_tag, nova_tags
from dynamo.provision.sites.openstack.options import RequestOptions, SiteOptions
from dynamo.provision.sites.openstack.servers import quota_of, server_of
from dynamo.provision.sites.options import split_options

log = logging.getLogger(__name__)
#: Nova's limit on user data, in base64.
_LONGEST_USER_DATA = 65535
_CONSOLE_LINES = 100


class OpenStackSite:
    """One region of one OpenStack cloud, in one project."""

    def __init__(self, context: SiteContext) -> None:
        own, self._defaults = split_options(context.options, SiteOptions, RequestOptions, where=context.site)
        self._options = SiteOptions.read(own, where=context.site)
        RequestOptions.read(self._defaults, where=context.site)
        self._site = context.site
        self.access = CloudAccess(context, self._options)
        self._lookup = Lookup(self.access, self._options.cache_s)

    @property
    def name(self) -> str:
        """The site's name, ``Cloud:Region``."""
        return self._site

    def create(self, request: ServerRequest) -> Server:
        """See `SiteDriver.create`; ``options.first_attempt`` skips the check for an earlier attempt's server.

        Raises
        ------
        InputError
            If an option is unknown or wrong.
        """
        options = RequestOptions.read({**self._defaults, **request.options}, where=self._site)
        if not options.first_attempt:
            existing = self.find(request.tags.get(FLEET_TAG, ""), request.name)
            if existing is not None:
                return existing
        try:
            return self._create(request, options)
        except SiteRetryableError:
            # The server may be on its way, and need its address.
            raise
        except SiteError:
            self._give_up_address(request)
            raise

    def check(self, request: ServerRequest, *, new_networks: Collection[str] = ()) -> Sequence[str]:
        """See `CheckingSite.check`."""
        options = RequestOptions.read({**self._defaults, **request.options}, where=self._site)
        external = self._options.external_network
        return problems_of(self._lookup, request, options, external=external, new_networks=new_networks)

    def find(self, fleet: str, name: str) -> Server | None:
        """Return the fleet's server of that name; if there are two, the one that is not being deleted."""
        with self.access.use(f"look for server {name}") as connection:
            query: dict[str, Any] = {"name": f"^{re.escape(name)}$", "tags": nova_tag(FLEET_TAG, fleet)}
            found = [server_of(server) for server in connection.compute.servers(details=True, **query)]
        mine = [server for server in found if server.name == name and self._is_mine(server, fleet)]
        mine.sort(key=lambda server: server.status is Status.DELETING)
        return mine[0] if mine else None

    def tagged(self, key: str, value: str) -> Sequence[Server]:
        """Return the servers that carry one of our tags with this value."""
        with self.access.use(f"look for servers of {value}") as connection:
            found = [
                server_of(server) for server in connection.compute.servers(details=True, tags=nova_tag(key, value))
            ]
        return tuple(server for server in found if server.tags.get(key) == value)

    def flavor_id(self, name: str) -> str:
        """Return the id of a flavor."""
        return self._lookup.flavor(name)

    def list(self, fleet: str) -> Sequence[Server]:
        """See `SiteDriver.list`."""
        with self.access.use("list servers") as connection:
            # The SDK follows nova's pagination links and raises if a page fails.
            found = list(connection.compute.servers(details=True, tags=nova_tag(FLEET_TAG, fleet)))
            servers = [server_of(server) for server in found]
        mine = [server for server in servers if self._is_mine(server, fleet)]
        return tuple(known for server in mine if (known := self._with_fault(server)) is not None)

    def get(self, server_id: str) -> Server | None:
        """See `SiteDriver.get`."""
        from openstack.exceptions import NotFoundException

        with self.access.use(f"look at server {server_id}") as connection:
            try:
                return server_of(connection.compute.get_server(server_id))
            except NotFoundException as error:
                if sure_not_found(error):
                    return None
                raise

    def delete(self, server_id: str) -> None:
        """See `SiteDriver.delete`; does not wait for completion."""
        server = self.get(server_id)
        if server is None:
            return
        if server.status is not Status.DELETING:
            self._remove(server_id)
        if ADDRESS_TAG in server.tags and FLEET_TAG in server.tags:
            addresses.release(self.access, fleet=server.tags[FLEET_TAG], worker=server.name)

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        """See `SweepingSite.sweep`."""
        kept = {server.tags.get(WORKER_TAG, server.name) for server in self.list(fleet)} | set(keep)
        gone = addresses.sweep(self.access, fleet=fleet, keep=kept)
        return [*gone, *volumes.sweep(self.access, fleet=fleet, keep=kept)]

    def clear(self, fleet: str) -> Sequence[str]:
        """See `SweepingSite.clear`."""
        gone = self.sweep(fleet, ())
        if left := volumes.left(self.access, fleet=fleet):
            raise SiteRetryableError(f"still attached: {', '.join(left)}", where=self._site, hint="will be retried")
        return [*gone, *networks.remove(self.access, name="", fleet=fleet)]

    def quota(self) -> Quota:
        """See `SiteDriver.quota`."""
        with self.access.use("read the quota") as connection:
            answer = connection.compute.get("/limits")
            _raise_for(answer)
            return quota_of(answer.json()["limits"]["absolute"])

    def flavors(self) -> Sequence[Flavor]:
        """See `SiteDriver.flavors`."""
        return self._lookup.flavors()

    def ensure_network(self, request: NetworkRequest) -> str:
        """See `NetworkingSite.ensure_network`."""
        external = self._lookup.external_network(request.external or self._options.external_network)
        return networks.ensure(self.access, request, external=external)

    def remove_network(self, name: str, fleet: str) -> None:
        """See `NetworkingSite.remove_network`."""
        networks.remove(self.access, name=name, fleet=fleet)

    def ensure_volume(self, server_id: str, name: str, fleet: str, size_gb: int) -> str:
        """See `StorageSite.ensure_volume`."""
        return volumes.ensure(self.access, server_id=server_id, name=name, fleet=fleet, size_gb=size_gb)

    def remove_volume(self, name: str, fleet: str) -> None:
        """See `StorageSite.remove_volume`."""
        volumes.remove(self.access, name=name, fleet=fleet)

    def console(self, server_id: str) -> str:
        """See `ConsoleSite.console`."""
        with self.access.use(f"read the console of server {server_id}") as connection:
            answer = connection.compute.get_server_console_output(server_id, length=_CONSOLE_LINES)
        return str((answer or {}).get("output") or "")

    def close(self) -> None:
        """See `SiteDriver.close`."""
        self.access.close()

    def _is_mine(self, server: Server, fleet: str) -> bool:
        # Never trust the query alone: what we consider ours may be deleted. A fleet's name that does not fit in a nova
        # tag is stored there as its digest.
        known = (fleet, nova_tag(FLEET_TAG, fleet).partition("=")[2])
        here = (self.access.region, nova_tag(REGION_TAG, self.access.region).partition("=")[2])
        return server.tags.get(FLEET_TAG) in known and server.tags.get(REGION_TAG, here[0]) in here

    def _with_fault(self, server: Server) -> Server | None:
        # Nova's list omits the faults of servers that never reached a host; only single-server queries include them.
        if server.status is Status.ERROR and not server.fault:
            return self.get(server.id)
        return server

    def _create(self, request: ServerRequest, options: RequestOptions) -> Server:
        body = self._body(request, options)
        try:
            return self._post(request, body)
        except SitePermanentError:
            # An image or network may have been replaced under the same name since the lookup.
            self._lookup.clear()
            fresh = self._body(request, options)
            if fresh == body:
                raise
            return self._post(request, fresh)

    def _give_up_address(self, request: ServerRequest) -> None:
        if not request.floating_ip:
            return
        try:
            addresses.release(self.access, fleet=request.tags.get(FLEET_TAG, ""), worker=request.name)
        except SiteError as error:
            # What led here matters more; `sweep` finds it.
            log.info("%s: the address of %s stays for now: %s", self._site, request.name, error)

    def _body(self, request: ServerRequest, options: RequestOptions) -> dict[str, Any]:
        tags = {**request.tags, WORKER_TAG: request.tags.get(WORKER_TAG, request.name)}
        metadata = {**options.metadata, **tags, REGION_TAG: self.access.region}
        # Look up before creating anything, so that an invalid request leaves nothing behind.
        flavor = self._lookup.flavor(request.flavor.name)
        image = self._lookup.image(request.image, options.image_properties)
        network = self._lookup.network(request.network)
        groups = self._lookup.security_groups(request.security_groups)
        body: dict[str, Any] = {
            "name": request.name,
            "flavor_id": flavor,
            "image_id": image,
            "networks": [{"uuid": network}],
            # Called "name", but an id is accepted too, and only an id is unambiguous.
            "security_groups": [{"name": group} for group in groups],
            "tags": nova_tags({key: value for key, value in metadata.items() if key.startswith("dynamo-")}),
        }
        body["metadata"] = metadata
        if request.user_data:
            body["user_data"] = self._user_data(request)
        if options.public_key:
            body["key_name"] = self._lookup.key_pair(options.public_key)
        elif request.key:
            body["key_name"] = request.key
        if request.availability_zone:
            body["availability_zone"] = request.availability_zone
        if options.config_drive:
            body["config_drive"] = True
        if options.boot_volume_gb:
            self._lookup.volumes()
            body["block_device_mapping"] = [volumes.boot_volume(image, options.boot_volume_gb)]
            body["image_id"] = ""
        hints = dict(options.scheduler_hints)
        if options.server_group is not None:
            hints["group"] = self._lookup.server_group(options.server_group)
        if hints:
            body["scheduler_hints"] = hints
        if request.floating_ip:
            external = self._lookup.external_network(self._options.external_network)
            fleet = tags.get(FLEET_TAG, "")
            # Last: all that may be refused before it leaves no address behind.
            port = addresses.prepare(
                self.access, fleet=fleet, worker=request.name, network=network, groups=groups, external=external
            )
            metadata[ADDRESS_TAG] = "yes"
            body["networks"] = [{"port": port}]
            del body["security_groups"]  # the port has them
        return body

    def _user_data(self, request: ServerRequest) -> str:
        encoded = base64.b64encode(request.user_data.encode()).decode()
        if len(encoded) > _LONGEST_USER_DATA:
            raise SitePermanentError(
                f"the user data of {request.name} is too long: {len(encoded)} bytes in base64",
                where=self._site,
                expected=f"at most {_LONGEST_USER_DATA}",
                hint="use a shorter post-boot script, or one that fetches the rest",
            )
        return encoded

    def _post(self, request: ServerRequest, body: dict[str, Any]) -> Server:
        with self.access.use(f"create server {request.name}") as connection:
            made = connection.compute.create_server(**body)
            return Server(
                id=str(made.id),
                name=request.name,
                status=Status.BUILDING,
                tags=dict(body["metadata"]),
                flavor=request.flavor.name,
            )

    def _remove(self, server_id: str) -> None:
        from openstack.exceptions import NotFoundException

        with self.access.use(f"delete server {server_id}") as connection:
            try:
                connection.compute.delete_server(server_id, ignore_missing=False)
            except NotFoundException as error:
                if not sure_not_found(error):
                    raise


def _raise_for(answer: Any) -> None:
    from openstack.exceptions import raise_from_response

    raise_from_response(answer)


KIND = SiteKind(OpenStackSite, (SiteOptions, RequestOptions), (RequestOptions,))
