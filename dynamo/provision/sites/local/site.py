"""Workers on this machine: the site everyone has."""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dynamo.pool.processes import Process, boot_id
from dynamo.provision.sites.base import FLEET_TAG, Flavor, Quota, Server, ServerRequest, ServerStatus, SiteContext
from dynamo.provision.sites.errors import SitePermanentError, SiteQuotaError, SiteRetryableError
from dynamo.provision.sites.kind import SiteKind
from dynamo.provision.sites.local import servers
from dynamo.provision.sites.local.network import LocalNetwork
from dynamo.provision.sites.local.options import LocalOptions
from dynamo.texts import counted
from dynamo.times import parse_time

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: A server without a known process is being created for at most this long; after that its creator was killed.
_MAKING_S = 10.0
#: A hail job requests 2 GB in addition to what HTCondor keeps for itself.
_SIZES = ((1, 2304), (2, 4608), (4, 9216), (8, 18432))


class LocalSite:
    """Implements `dynamo.provision.sites.base.SiteDriver`; all its state is on disk and in ``/proc``.

    Raises
    ------
    InputError
        If it rejects the options.
    MissingPartError
        If separate worker networks are requested but cannot be created here.
    """

    def __init__(self, context: SiteContext) -> None:
        self._name = context.site
        self._root = context.state.absolute() / "servers"
        self._lock = context.state.absolute() / ".lock"
        self._timeout_s = context.timeout_s
        self.options = LocalOptions.read(context.options, where=context.site)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._network: LocalNetwork | None = None
        if self.options.network == "namespace":
            self._network = LocalNetwork(
                context.site, self.options.network_cidr, self.options.bandwidth_mbit, self.options.delay_ms
            )
            self._network.ensure()

    @property
    def name(self) -> str:
        """The site's name."""
        return self._name

    @property
    def host_address(self) -> str:
        """This machine's address as workers see it; the pool must listen there."""
        return self._network.host_address if self._network is not None else "127.0.0.1"

    def create(self, request: ServerRequest) -> Server:
        """Create a server, or finish creating one of that name."""
        if not _NAME.fullmatch(request.name):
            raise SitePermanentError("invalid server name", where=self._name, expected="letters, digits, . _ -")
        with self._alone():
            folder = self._root / request.name
            server = servers.read_server(folder)
            if server is None:
                server = self._new(request, folder)
                servers.prepare(server, request.user_data, request.private_files)
            if not server.deleting and server.pid == 0:
                server = self._start(server)
            return self._describe(server)

    def _new(self, request: ServerRequest, folder: Path) -> servers.LocalServer:
        flavor = request.flavor
        quota = self._count(servers.read_servers(self._root))
        if quota.room(flavor) == 0:
            raise SiteQuotaError(
                f"no room for another {flavor.name}: {quota.servers_used} of {quota.servers} servers, "
                f"{quota.cpus_used} of {quota.cpus} processors and {quota.ram_mb_used} of {quota.ram_mb} MB are used",
                where=self._name,
                hint="raise the site options cpus, ram_mb or servers, or request fewer workers",
            )
        return servers.LocalServer(
            id=servers.new_id(request.name),
            name=request.name,
            folder=str(folder),
            tags=dict(request.tags),
            flavor=flavor.name,
            cpus=self.options.slots_per_worker or flavor.cpus,
            ram_mb=flavor.ram_mb,
            created=servers.now_text(),
            boot=boot_id(),
        )

    def _start(self, server: servers.LocalServer) -> servers.LocalServer:
        if self._network is not None:
            joined = self._network.join(server.id)
            server = replace(server, network=joined.namespace, address=joined.address, command=joined.command)
            servers.write_server(server)
        try:
            return servers.start(server)
        except OSError as error:
            server = replace(server, fault=f"cannot run its script: {error}")
            servers.write_server(server)
            return server

    def list(self, fleet: str) -> Sequence[Server]:
        """Return all servers of the fleet."""
        return [
            self._describe(server) for server in servers.read_servers(self._root) if server.tags.get(FLEET_TAG) == fleet
        ]

    def get(self, server_id: str) -> Server | None:
        """Return one server."""
        server = self._find(server_id)
        return self._describe(server) if server is not None else None

    def delete(self, server_id: str) -> None:
        """Stop the server's processes, by force if needed, and remove its files and network."""
        server = self._find(server_id)
        if server is None:
            self._end_without_files(server_id)
            return
        with self._alone():
            server = self._find(server_id)
            if server is None:
                return
            server = replace(server, deleting=True)
            servers.write_server(server)
        # Not under the lock: stopping takes a second, and many may stop at once.
        self._refuse_left(server_id, servers.end(server))
        if self._network is not None or server.network:
            LocalNetwork.leave(server.network)
        servers.remove(server)

    def _end_without_files(self, server_id: str) -> None:
        """Stop the processes of a server whose folder was removed, which nothing else could find anymore."""
        self._refuse_left(server_id, servers.end_marked(server_id))

    def _refuse_left(self, server_id: str, left: Sequence[Process]) -> None:
        if left:
            numbers = ", ".join(str(process.pid) for process in left)
            raise SiteRetryableError("processes do not stop", where=f"{self._name}: {server_id} (pid {numbers})")

    def quota(self) -> Quota:
        """Return the limits from the options, and usage."""
        return self._count(servers.read_servers(self._root))

    def _count(self, known: builtins.list[servers.LocalServer]) -> Quota:
        machine = os.cpu_count() or 1
        most = self.options.cpus or max(16, 8 * machine)
        return Quota(
            servers=self.options.servers,
            servers_used=len(known),
            cpus=most,
            cpus_used=sum(server.cpus for server in known),
            ram_mb=self.options.ram_mb,
            ram_mb_used=sum(server.ram_mb for server in known),
            # Workers are processes that share the machine: for trials and tests there may be more than it has cores.
            remark=f"workers share this machine's {counted(machine, 'cpu')}" if most > machine else "",
        )

    def flavors(self) -> Sequence[Flavor]:
        """Return the sizes from the options, or a few common ones."""
        if self.options.flavors:
            return [
                Flavor(one.name, one.cpus, one.ram_mb, one.disk_gb, cost_per_hour=one.cost_per_hour)
                for one in self.options.flavors
            ]
        return [Flavor(f"worker.{cpus}cpu", cpus, ram_mb, 10, cost_per_hour=0.0) for cpus, ram_mb in _SIZES]

    def console(self, server_id: str) -> str:
        """Return the end of what the server printed."""
        server = self._find(server_id)
        return servers.console(server) if server is not None else ""

    def end(self) -> None:
        """Remove the workers' network; see `EndingSite.end`."""
        if self._network is not None:
            self._network.remove()

    def close(self) -> None:
        """Do nothing: servers stay."""

    def _find(self, server_id: str) -> servers.LocalServer | None:
        server = servers.read_server(self._root / server_id.rpartition(".")[0]) if "/" not in server_id else None
        return server if server is not None and server.id == server_id else None

    def _describe(self, server: servers.LocalServer) -> Server:
        created = parse_time(server.created)
        fault = server.fault
        if server.deleting:
            status = ServerStatus.DELETING
        elif fault:
            status = ServerStatus.ERROR
        elif server.leader is not None:
            status = ServerStatus.ACTIVE
        elif server.pid == 0 and server.boot == boot_id() and time.time() - created.timestamp() < _MAKING_S:
            status = ServerStatus.BUILDING
        else:
            status = ServerStatus.STOPPED
            fault = "" if server.pid else "it was never started; requesting it again starts it"
        return Server(
            id=server.id,
            name=server.name,
            status=status,
            tags=dict(server.tags),
            created_at=created,
            addresses=(server.address or "127.0.0.1",),
            flavor=server.flavor,
            fault=fault,
        )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout_s
        with self._lock.open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise SiteRetryableError("another call is in progress", where=self._name) from None
                    time.sleep(0.01)
            servers.sweep(self._root)
            yield


KIND = SiteKind(LocalSite, (LocalOptions,))
