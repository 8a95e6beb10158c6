"""The site driver interface: create, list, get, delete, quota and flavors of one site, and nothing else.

A driver knows its cloud and nothing about workers, weather or HTCondor. It keeps no essential state: what survives a
crash is in the store and in the names and tags of the servers. All methods may be called from several
threads at once and raise only `dynamo.provision.sites.errors.SiteError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

#: The tag (metadata key) that marks a server as a fleet's; its value is the fleet's id.
FLEET_TAG = "dynamo-fleet"
#: The tag with the worker's name, unique in the fleet and never reused.
WORKER_TAG = "dynamo-worker"
#: The tag with the worker's group in the spec.
GROUP_TAG = "dynamo-group"


class ServerStatus(StrEnum):
    """A server's status at its site."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETING = "deleting"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Flavor:
    """A server size offered by a site."""

    name: str
    cpus: int
    ram_mb: int
    disk_gb: int
    gpus: int = 0
    cost_per_hour: float | None = None


@dataclass(frozen=True)
class Quota:
    """Limits and usage at a site; None if the site sets no limit or does not report it.

    ``remark`` says what a limit means where its number would surprise.
    """

    servers: int | None = None
    servers_used: int = 0
    cpus: int | None = None
    cpus_used: int = 0
    ram_mb: int | None = None
    ram_mb_used: int = 0
    remark: str = ""

    def room(self, flavor: Flavor) -> int | None:
        """Return how many more servers of ``flavor`` fit; None if there is no limit."""
        rooms = []
        for limit, used, each in (
            (self.servers, self.servers_used, 1),
            (self.cpus, self.cpus_used, flavor.cpus),
            (self.ram_mb, self.ram_mb_used, flavor.ram_mb),
        ):
            if limit is not None and each > 0:
                rooms.append(max(0, limit - used) // each)
        return min(rooms) if rooms else None


@dataclass(frozen=True)
class Server:
    """A server as described by its site.

    Attributes
    ----------
    id
        The site's identifier.
    name
        The worker's name, used in the request.
    tags
        At least `FLEET_TAG`, `WORKER_TAG`, `GROUP_TAG` if the server is ours.
    fault
        Why it is in `ServerStatus.ERROR`, in the site's words.
    no_capacity
        Whether the fault means that the site has no capacity now ("No valid host").
    unfinished
        Whether `SiteDriver.create` must be called again to continue (a lease had to start first).
    """

    id: str
    name: str
    status: ServerStatus
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    flavor: str = ""
    fault: str = ""
    no_capacity: bool = False
    unfinished: bool = False
    lease_id: str = ""
    lease_end: datetime | None = None


@dataclass(frozen=True)
class ServerRequest:
    """One requested server.

    Attributes
    ----------
    name
        The worker's name, used to find the server after a lost answer.
    tags
        Tags to set on the server.
    flavor
        Its name at the site.
    image, key, network, security_groups, availability_zone
        The site's names for them; empty for the site's default.
    user_data
        What the server runs at first boot; contains no long-lived secret.
    private_files
        Files by name, handed over by a driver that shares this machine's disk; never sent to a cloud.
    options
        Options specific to this kind of site.
    """

    name: str
    tags: Mapping[str, str]
    flavor: Flavor
    user_data: str = ""
    image: str = ""
    key: str = ""
    network: str = ""
    security_groups: tuple[str, ...] = ()
    availability_zone: str = ""
    floating_ip: bool = False
    lease_end: datetime | None = None
    private_files: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)


class SiteDriver(Protocol):
    """One site."""

    @property
    def name(self) -> str:
        """The site's name, ``Cloud:Region``."""
        ...

    def create(self, request: ServerRequest) -> Server:
        """Request a server and return it as soon as the site knows it, without waiting until it runs.

        Safe to repeat: a second call with the name of an existing server returns that server.

        Raises
        ------
        SiteError
            Its kind says what to do. `SiteRetryableError` may mean that the server is being created anyway:
            only `list` can tell.
        """
        ...

    def list(self, fleet: str) -> Sequence[Server]:
        """Return all servers tagged with the fleet's id: a complete list or an error, never a partial list."""
        ...

    def get(self, server_id: str) -> Server | None:
        """Return one server, or None if the site is sure that it does not exist."""
        ...

    def delete(self, server_id: str) -> None:
        """Request deletion of a server and everything created for it; one already gone is not an error."""
        ...

    def quota(self) -> Quota:
        """Return limits and usage."""
        ...

    def flavors(self) -> Sequence[Flavor]:
        """Return the available sizes."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True)
class SiteContext:
    """What every driver is created with.

    Attributes
    ----------
    site
        The site's name in the spec, ``Cloud:Region``.
    options
        The site's ``options`` in the spec; checked by the driver.
    state
        The driver's folder, for what it must keep on this machine.
    timeout_s
        Time limit per call, in seconds.
    """

    site: str
    options: Mapping[str, object]
    state: Path
    timeout_s: float = 30.0
