"""The servers of a simulated site by id, name and fleet, and the resources they use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dynamo.provision.sites.base import Flavor, Server


@dataclass(slots=True)
class Made:
    """A server and its future.

    Attributes
    ----------
    fault
        Why it will end in ERROR; empty if it will run.
    delete_s
        How long its deletion will take.
    listed_from
        When lists start to include it.
    """

    server: Server
    fleet: str
    flavor: Flavor
    fault: str
    no_capacity: bool
    delete_s: float
    listed_from: datetime


class Servers:
    """All servers at the site, regardless of status.

    Attributes
    ----------
    used_cpus, used_ram_mb
        Total usage.
    hosted
        How many have a host at the site: those that will not end in ERROR.
    """

    def __init__(self) -> None:
        self.used_cpus = 0
        self.used_ram_mb = 0
        self.hosted = 0
        self._made: dict[str, Made] = {}
        self._ids: dict[tuple[str, str], str] = {}
        # Lists are kept ready, since listing is the most frequent operation.
        self._by_fleet: dict[str, dict[str, Server]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def get(self, server_id: str) -> Made | None:
        """Return a server by id, or None."""
        return self._made.get(server_id)

    def named(self, fleet: str, name: str) -> Made | None:
        """Return a server by name, or None."""
        server_id = self._ids.get((fleet, name))
        return None if server_id is None else self._made[server_id]

    def of_fleet(self, fleet: str) -> list[Server]:
        """Return a fleet's servers, oldest first."""
        return list(self._by_fleet.get(fleet, {}).values())

    def add(self, made: Made) -> None:
        """Add a server."""
        server = made.server
        self._made[server.id] = made
        self._ids[made.fleet, server.name] = server.id
        self._by_fleet.setdefault(made.fleet, {})[server.id] = server
        self.used_cpus += made.flavor.cpus
        self.used_ram_mb += made.flavor.ram_mb
        self.hosted += not made.fault

    def change(self, made: Made, **changes: Any) -> Server:
        """Change fields of a server's `Server` and return it."""
        made.server = self._by_fleet[made.fleet][made.server.id] = replace(made.server, **changes)
        return made.server

    def remove(self, made: Made) -> None:
        """Remove a server."""
        server = made.server
        del self._made[server.id], self._ids[made.fleet, server.name], self._by_fleet[made.fleet][server.id]
        if not self._by_fleet[made.fleet]:
            del self._by_fleet[made.fleet]
        self.used_cpus -= made.flavor.cpus
        self.used_ram_mb -= made.flavor.ram_mb
        self.hosted -= not made.fault
