"""Blazar leases: one for each worker, found again by name.

One lease per worker, not per group, because a fleet shrinks worker by worker: Blazar reduces a shared lease by
hosts of its own choice, even busy ones, and a lease is charged until it ends, used or not. It also lets each
worker start when its machine is ready, and be extended or given up alone.

Leases have no metadata; the name says what a lease belongs to, with digests if it exceeds Blazar's 80 characters.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dynamo.extras import need
from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG, ServerStatus
from dynamo.provision.sites.chameleon.options import LeaseOptions
from dynamo.provision.sites.errors import SitePermanentError
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.errors import sure_not_found
from dynamo.times import parse_time, utc_now

#: The resource type of a leased network.
VLAN = "network"
_LONGEST_NAME = 80
_MARK = "dynamo"
#: Blazar takes times to the minute, in UTC.
_API_TIME = "%Y-%m-%d %H:%M"
_COMING = frozenset({"PENDING", "CREATING", "STARTING"})
_GOING = frozenset({"TERMINATING", "DELETING"})


@dataclass(frozen=True)
class Lease:
    """One of our leases.

    Attributes
    ----------
    fleet
        The fleet's id, or its digest if the name would be too long.
    resource
        What is leased, e.g. ``physical:host``.
    status
        Blazar's status.
    reservation
        The id to pass to the scheduler.
    flavor
        The flavor to request if the reservation is for a flavor.
    trouble
        What Blazar says went wrong, as far as it says anything; empty if nothing did.
    """

    id: str
    name: str
    fleet: str
    worker: str
    status: str
    end: datetime | None = None
    resource: str = ""
    reservation: str = ""
    flavor: str = ""
    trouble: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether servers can be created on it, including while it is being changed."""
        return self.status in {"ACTIVE", "UPDATING"}

    @property
    def as_server_status(self) -> ServerStatus:
        """Status of a worker that has only this lease: building, going, or failed."""
        if self.active or self.status in _COMING:
            return ServerStatus.BUILDING
        if self.status in _GOING:
            return ServerStatus.DELETING
        return ServerStatus.ERROR


def lease_name(fleet: str, group: str, worker: str) -> str:
    """Return the name of a worker's lease, at most 80 characters.

    Raises
    ------
    SitePermanentError
        If the worker's name is too long to be recovered from it.
    """
    for parts in ((fleet, group, worker), (digest(fleet), "", worker)):
        name = "/".join((_MARK, *parts))
        if len(name) <= _LONGEST_NAME and name.count("/") == len(parts):
            return name
    raise SitePermanentError(
        f"worker name {worker!r} does not fit in a lease name", expected="at most 59 characters, no slash"
    )


def digest(text: str) -> str:
    """Return a digest of ``text`` of twelve hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_lease(values: Mapping[str, Any]) -> Lease | None:
    """Return our lease from Blazar's JSON; None for someone else's."""
    parts = str(values.get("name", "")).split("/")
    if len(parts) != 4 or parts[0] != _MARK:
        return None
    _, fleet, group, worker = parts
    reservation: Mapping[str, Any] = next(iter(values.get("reservations") or []), {})
    end = values.get("end_date")
    reservation_id = str(reservation.get("id", ""))
    resource = str(reservation.get("resource_type", ""))
    tags = {FLEET_TAG: fleet, GROUP_TAG: group, WORKER_TAG: worker}
    return Lease(
        id=str(values["id"]),
        name=str(values["name"]),
        fleet=fleet,
        worker=worker,
        status=str(values.get("status") or "PENDING").upper(),
        end=parse_time(str(end)) if end else None,
        resource=resource,
        reservation=reservation_id,
        # A flavor reservation creates its own flavor, named by the reservation's id.
        flavor=reservation_id if resource in {"flavor:instance", "virtual:instance"} else "",
        trouble=_trouble(values, reservation),
        tags={key: value for key, value in tags.items() if value},
    )


def _trouble(lease: Mapping[str, Any], reservation: Mapping[str, Any]) -> str:
    """Return the parts of a lease that Blazar marks as failed; it keeps no message."""
    found = [
        f"event {event.get('event_type')} failed"
        for event in lease.get("events") or []
        if str(event.get("status")).upper() == "ERROR"
    ]
    if str(reservation.get("status")).upper() == "ERROR":
        found.append(f"reservation of {reservation.get('resource_type')} failed")
    if reservation.get("missing_resources"):
        found.append("its machine has failed and not enough hosts are left")
    return ", ".join(found)


def host_reservation(options: LeaseOptions) -> dict[str, object]:
    """Return Blazar's request for one machine."""
    wanted = options.resource_properties
    if not wanted and options.node_type:
        wanted = json.dumps(["==", "$node_type", options.node_type])
    return {
        "resource_type": "physical:host",
        "min": 1,
        "max": 1,
        "hypervisor_properties": "",
        "resource_properties": wanted,
    }


def flavor_reservation(flavor_id: str) -> dict[str, object]:
    """Return Blazar's request for room for one server of a flavor."""
    return {"resource_type": "flavor:instance", "amount": 1, "flavor_id": flavor_id, "affinity": "None"}


def api_time(time: datetime) -> str:
    """Return ``time`` in Blazar's format, rounded up to the minute so that a lease is never shorter than requested."""
    seconds = math.ceil(time.timestamp() / 60) * 60
    return datetime.fromtimestamp(seconds, UTC).strftime(_API_TIME)


class Leases:
    """Our leases in the project."""

    def __init__(self, access: CloudAccess) -> None:
        self._access = access

    def list(self, fleet: str) -> Sequence[Lease]:
        """Return all leases of a fleet."""
        with self._access.use("list leases") as connection:
            found = self._access.reservations(connection).lease.list()
        leases = [read_lease(values) for values in found]
        return tuple(lease for lease in leases if lease is not None and lease.fleet in (fleet, digest(fleet)))

    def find(self, fleet: str, worker: str, *, vlan: bool = False) -> Lease | None:
        """Return the lease of a worker or VLAN by name, the active one if there are several."""
        named = [lease for lease in self.list(fleet) if lease.worker == worker]
        mine = [lease for lease in named if (lease.resource == VLAN) == vlan]
        mine.sort(key=lambda lease: lease.as_server_status is not ServerStatus.BUILDING)
        return mine[0] if mine else None

    def get(self, lease_id: str) -> Lease | None:
        """Return a lease, or None if Blazar is sure that it does not exist."""
        with self._access.use(f"look at lease {lease_id}") as connection:
            client = self._access.reservations(connection)
            try:
                return read_lease(client.lease.get(lease_id))
            except _blazar_error() as error:
                if sure_not_found(error):
                    return None
                raise

    def create(self, name: str, end: datetime, reservation: Mapping[str, object]) -> Lease:
        """Request a lease starting now."""
        if end <= utc_now() + timedelta(minutes=1):
            raise SitePermanentError(f"lease {name} would end immediately", where=self._access.site)
        with self._access.use(f"lease for {name.rsplit('/', maxsplit=1)[-1]}") as connection:
            made = self._access.reservations(connection).lease.create(
                name=name, start="now", end=api_time(end), reservations=[dict(reservation)], events=[]
            )
        lease = read_lease(made)
        if lease is None:
            raise SitePermanentError(f"the site renamed lease {name}", where=self._access.site)
        return lease

    def prolong(self, lease_id: str, until: datetime) -> datetime:
        """Move the end of a lease to ``until`` and return its end."""
        with self._access.use(f"extend lease {lease_id}") as connection:
            changed = self._access.reservations(connection).lease.update(lease_id, end_date=api_time(until))
        return parse_time(str(changed["end_date"]))

    def delete(self, lease_id: str) -> None:
        """End a lease; one already gone is not an error."""
        with self._access.use(f"end lease {lease_id}") as connection:
            client = self._access.reservations(connection)
            try:
                client.lease.delete(lease_id)
            except _blazar_error() as error:
                if not sure_not_found(error) and not self._is_going(lease_id):
                    raise

    def _is_going(self, lease_id: str) -> bool:
        # If Blazar is already ending a lease, it refuses to delete it, with an internal error.
        lease = self.get(lease_id)
        return lease is None or lease.as_server_status is ServerStatus.DELETING


def _blazar_error() -> type[Exception]:
    kind: type[Exception] = need("blazarclient.exception", extra="chameleon").BlazarClientException
    return kind
