"""How many new workers may be requested now, and what holds back the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.sites.base import Quota


@dataclass
class Growth:
    """New workers by group, and by group the reason there are no more."""

    add: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteRoom:
    """The current limits of a site.

    Attributes
    ----------
    quota
        None while unknown.
    pending
        Workers the quota does not count yet.
    requested
        Workers that probe whether the site works: those not requested from it yet, or not answered; if workers failed
        there, all that are not ready yet.
    living
        All workers at the site that may have a server.
    """

    health: SiteTrust
    open: bool
    quota: Quota | None
    pending: int
    requested: int
    living: int


def plan_growth(
    groups: Mapping[str, GroupPlan],
    missing: Mapping[str, int],
    rooms: Mapping[str, SiteRoom],
    *,
    cheapest_first: Sequence[str],
    problems: Mapping[str, str],
    affordable: Mapping[str, tuple[int | None, str]],
    living: Mapping[str, int],
) -> Growth:
    """Decide how many workers to create.

    Parameters
    ----------
    groups
        The groups.
    missing
        How many workers each group is missing.
    rooms
        Limits by site.
    problems
        By site, what workers there still need (networks); empty if nothing.
    cheapest_first
        The order in which groups use what is left of the budget.
    affordable
        By group: how many more workers the budget allows (None: no limit), and the reason if that is too few.
    living
        By group: workers that may have a server, including those that are leaving.
    """
    growth = Growth()
    taken: dict[str, int] = {}
    bought = 0.0
    for name in cheapest_first:
        want = missing.get(name, 0)
        if want <= 0:
            continue
        group, room = groups[name], rooms[groups[name].spec.site]
        site = group.spec.site
        if not room.open:
            until = f"until {room.health.retry_at:%H:%M:%S} UTC" if room.health.retry_at else "for now"
            growth.held[name] = f"{want} requested, but the site is paused {until}: {room.health.error}"
            continue
        problem = group.problem if group.flavor is None else problems.get(site, "")
        if problem or group.flavor is None:
            growth.held[name] = problem
            continue
        limits: list[tuple[int, str]] = [(want, "")]
        if room.health.probing:
            probes = max(0, 1 - room.requested - taken.get(site, 0))
            limits.append((probes, f"one worker first tests whether the site works again ({room.health.error})"))
        if group.spec.max is not None:
            left = max(0, group.spec.max - living.get(name, 0))
            limits.append((left, f"the group's cap of {group.spec.max} workers, including those leaving"))
        if group.site.max_workers is not None:
            left = max(0, group.site.max_workers - room.living - taken.get(site, 0))
            limits.append((left, f"the site's cap of {group.site.max_workers} workers"))
        if room.quota is not None:
            fits = room.quota.room(group.flavor)
            if fits is not None:
                left = max(0, fits - room.pending - taken.get(site, 0))
                limits.append((left, f"the site's quota has room for {left}: {quota_words(room.quota)}"))
        can_pay, sentence = affordable.get(name, (None, ""))
        if can_pay is not None and group.cost_per_hour > 0:
            limits.append((max(0, can_pay - math.ceil(bought / group.cost_per_hour - 1e-9)), sentence))
        count, why = min(limits, key=lambda pair: pair[0])
        if count < want:
            growth.held[name] = f"{want} requested, {count} being created: {why}"
        if count > 0:
            growth.add[name] = count
            taken[site] = taken.get(site, 0) + count
            bought += count * group.cost_per_hour
    return growth


def quota_words(quota: Quota) -> str:
    """Return the quota in words, e.g. ``18 of 20 servers, 72 of 80 cpus used``."""
    parts = [
        f"{used} of {limit} {what}"
        for limit, used, what in (
            (quota.servers, quota.servers_used, "servers"),
            (quota.cpus, quota.cpus_used, "cpus"),
            (quota.ram_mb, quota.ram_mb_used, "MB of memory"),
        )
        if limit is not None
    ]
    remark = f" ({quota.remark})" if quota.remark else ""
    return f"{', '.join(parts)} used{remark}" if parts else "no limits"
