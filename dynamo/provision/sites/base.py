"""What a site driver offers: create, list, get, delete, quota and flavours of one site, and nothing else.

A driver knows its cloud and nothing of workers, weather or HTCondor. It keeps no state that matters: what survives a
crash is in the store and in the names and tags of the servers themselves. All methods may be called from several
threads at once and raise only `dynamo.provision.sites.errors.SiteError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

#: The tag (metadata key) by which a server is known to be a fleet's; its value is the fleet's id.
FLEET_TAG = "dynamo-fleet"
#: The tag with the worker's name, unique in the fleet and never used again.
WORKER_TAG = "dynamo-worker"
#: The tag with the group of the spec that the worker belongs to.
GROUP_TAG = "dynamo-group"


class ServerStatus(StrEnum):
    """What the site says of a server."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETING = "deleting"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Flavor:
    """A size in which a site sells servers."""

    name: str
    cpus: int
    ram_mb: int
    disk_gb: int
    gpus: int = 0
    cost_per_hour: float | None = None


@dataclass(frozen=True)
class Quota:
    """What may be used at a site and what is; None where the site sets no limit or does not tell."""

    servers: int | None = None
    servers_used: int = 0
    cpus: int | None = None
    cpus_used: int = 0
    ram_mb: int | None = None
    ram_mb_used: int = 0

    def room(self, flavor: Flavor) -> int | None:
        """Return how many more servers of ``flavor`` fit; None where nothing limits them."""
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
    """A server as its site describes it.

    Attributes
    ----------
    id
        The site's own identifier.
    name
        The worker's name, under which it was asked for.
    tags
        At least `FLEET_TAG`, `WORKER_TAG`, `GROUP_TAG` where the server is ours.
    fault
        Why it is in `ServerStatus.ERROR`, in the site's words.
    no_capacity
        Whether that fault says that the site has no room now ("No valid host").
    unfinished
        Whether `SiteDriver.create` has to be called again to go on with it (a lease that had to begin first).
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
    """One server that is wanted.

    Attributes
    ----------
    name
        The worker's name; the server is found again by it after a lost answer.
    tags
        Written on the server.
    flavor
        Its name at the site.
    image, key, network, security_groups, availability_zone
        As the site names them; empty where the site's default does.
    user_data
        What the server runs at its first boot; holds no lasting secret.
    private_files
        Files that a driver which shares this machine's disk hands over itself, by name; never sent to a cloud.
    options
        What only this kind of site understands.
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
        """The site's name, as ``Cloud:Region``."""
        ...

    def create(self, request: ServerRequest) -> Server:
        """Ask for a server and return it as soon as the site knows it, not when it runs.

        A second call with the name of a server that is there returns that one: it is safe to repeat.

        Raises
        ------
        SiteError
            Of the kind that says what to do. `SiteRetryableError` may mean that the server is being made all the
            same: only `list` tells.
        """
        ...

    def list(self, fleet: str) -> Sequence[Server]:
        """Return all servers tagged with the fleet's id: a complete list, or an error, never a part of it."""
        ...

    def get(self, server_id: str) -> Server | None:
        """Return one server, or None if the site is sure that it is not there."""
        ...

    def delete(self, server_id: str) -> None:
        """Ask for the end of a server and of all that was made for it; one that is gone already is no error."""
        ...

    def quota(self) -> Quota:
        """Return limits and use."""
        ...

    def flavors(self) -> Sequence[Flavor]:
        """Return the sizes that are to be had."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True)
class SiteContext:
    """What every driver is made with.

    Attributes
    ----------
    site
        The name of the site in the spec, ``Cloud:Region``.
    options
        The ``options`` of the site in the spec; the driver checks them.
    state
        A folder of the driver's own, for what it must keep on this machine.
    timeout_s
        How long one call may take.
    """

    site: str
    options: Mapping[str, object]
    state: Path
    timeout_s: float = 30.0
