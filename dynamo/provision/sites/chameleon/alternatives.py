"""Alternatives at a Chameleon site when a lease is refused: which machines are free now, and when others will be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dynamo.provision.sites.errors import SiteError, SitePermanentError
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.times import parse_time, to_iso


@dataclass(frozen=True)
class NodeType:
    """The machines of one type, as shown in the calendar.

    Attributes
    ----------
    total, free
        How many there are, and how many are free for the requested period.
    next_free
        When the first of the others becomes free; None if unknown.
    """

    name: str
    total: int
    free: int
    next_free: datetime | None = None


def survey(
    hosts: Sequence[Mapping[str, Any]], allocations: Sequence[Mapping[str, Any]], start: datetime, end: datetime
) -> list[NodeType]:
    """Return the availability of each node type from ``start`` to ``end``."""
    taken: dict[str, datetime] = {}
    for allocation in allocations:
        for reservation in allocation.get("reservations") or []:
            if not reservation.get("start_date") or not reservation.get("end_date"):
                continue
            until = parse_time(str(reservation["end_date"]))
            if parse_time(str(reservation["start_date"])) < end and until > start:
                host = str(allocation.get("resource_id", ""))
                taken[host] = max(until, taken.get(host, until))
    types: dict[str, list[str]] = {}
    for machine in hosts:
        if machine.get("reservable", True):
            types.setdefault(str(machine.get("node_type") or "of no type"), []).append(str(machine["id"]))
    offers = []
    for name, ids in sorted(types.items()):
        ends = [taken[host] for host in ids if host in taken]
        offers.append(NodeType(name, len(ids), len(ids) - len(ends), min(ends) if ends else None))
    return offers


def in_words(offers: Sequence[NodeType]) -> str:
    """Return the offers as a hint for an operator."""
    free = [f"{offer.name} ({offer.free} of {offer.total})" for offer in offers if offer.free]
    later = [f"{offer.name} at {to_iso(offer.next_free)}" for offer in offers if not offer.free and offer.next_free]
    words = f"free now: {', '.join(free)}" if free else "no machine is free now"
    return f"{words}; next free: {', '.join(later)}" if later else words


def unknown_node_type(access: CloudAccess, name: str) -> list[str]:
    """Return in words that the site has no machine of that type; nothing if it has, or shows none to this user."""
    try:
        with access.use("look at the machines") as connection:
            hosts = access.reservations(connection).host.list()
    except SitePermanentError:
        return []
    known = sorted({str(host["node_type"]) for host in hosts if host.get("node_type")})
    if not known or name in known:
        return []
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
    return [f"no machine of node_type {name!r}; {hint}"]


def alternatives(access: CloudAccess, start: datetime, end: datetime) -> str:
    """Describe what else is available, as far as this user may see; never raises."""
    try:
        with access.use("look for other machines") as connection:
            client = access.reservations(connection)
            hosts = client.host.list()
            allocations = client.allocation.list("os-hosts")
    except SiteError as error:
        return f"cannot see what else is free ({error.kind}); see the site's lease calendar"
    return in_words(survey(hosts, allocations, start, end))
