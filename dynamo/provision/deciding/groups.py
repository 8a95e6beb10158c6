"""Each group of a spec at one moment: its flavor, how many workers it requests, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dynamo.errors import NotFoundError
from dynamo.provision.sites.base import Flavor
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec
from dynamo.provision.spec.sites import SiteSpec

#: If only a count is requested, any flavor will do.
_ANY = Flavor("", cpus=1, ram_mb=0, disk_gb=0)


@dataclass(frozen=True)
class Override:
    """A number of workers that replaces the spec's: the operator's or the autoscaler's."""

    wanted: int
    source: str
    reason: str


@dataclass(frozen=True)
class GroupPlan:
    """One group now.

    Attributes
    ----------
    flavor
        None if the site has not reported its flavors yet or none fits; ``problem`` then says so.
    most
        Maximum number of workers.
    why
        Who requested ``wanted`` workers.
    """

    spec: ComputeSpec
    site: SiteSpec
    flavor: Flavor | None
    cost_per_hour: float
    wanted: int
    most: int
    why: str
    source: str
    problem: str = ""
    lease_end: datetime | None = None

    @property
    def certain(self) -> bool:
        """Whether ``wanted`` is final: processors cannot be converted to workers before the flavor is known."""
        return self.flavor is not None or self.source != "spec" or self.spec.count is not None

    @property
    def name(self) -> str:
        """The group."""
        return self.spec.name

    @property
    def cpus(self) -> int:
        """Processors of one worker; as far as the spec says, if the flavor is unknown."""
        if self.flavor is not None:
            return max(1, self.flavor.cpus)
        # While it is not, a number of processors is taken for as many workers.
        return self.spec.worker_cpus if self.certain else 1

    @property
    def asked_mb(self) -> int:
        """Memory that the spec asks for in one worker."""
        return max(self.spec.worker_ram_mb, self.spec.ram_per_cpu_mb * self.cpus)


def plan_groups(
    spec: FleetSpec,
    flavors: Mapping[str, Sequence[Flavor]],
    overrides: Mapping[str, Override],
    *,
    applied_at: datetime,
    now: datetime,
    ending: bool,
) -> dict[str, GroupPlan]:
    """Return what is requested of each group.

    Parameters
    ----------
    spec, flavors, overrides
        The fleet's spec, the flavors of its sites, and numbers that replace the spec's.
    applied_at, now
        Leases count from ``applied_at``.
    ending
        Whether the fleet is ending; nothing is requested then.
    """
    return {
        group.name: _plan(spec, group, flavors.get(group.site, ()), overrides.get(group.name), applied_at, now, ending)
        for group in spec.compute
    }


def _plan(
    spec: FleetSpec,
    group: ComputeSpec,
    flavors: Sequence[Flavor],
    override: Override | None,
    applied_at: datetime,
    now: datetime,
    ending: bool,
) -> GroupPlan:
    site = spec.sites[group.site]
    flavor, problem = None, ""
    if flavors:
        try:
            flavor = group.pick_flavor(list(flavors))
        except NotFoundError as error:
            problem = str(error)
    else:
        problem = "the site has not reported its flavors yet"
    by_spec = group.wanted_workers(flavor or _ANY)
    wanted, why, source = by_spec, "the spec", "spec"
    if override is not None:
        wanted, why, source = override.wanted, override.reason, override.source
    begin, end = group.lease(applied_at)
    if now < begin:
        wanted, why = 0, f"the lease starts at {begin:%Y-%m-%d %H:%M} UTC"
    elif end is not None and now >= end:
        wanted, why = 0, f"the lease ended at {end:%Y-%m-%d %H:%M} UTC"
    if ending:
        wanted, why, source = 0, "the fleet is ending", "operator"
    caps = [cap for cap in (group.max, site.max_workers) if cap is not None]
    # Without a cap a group never substitutes for others: there is no limit to go by.
    most = min(caps) if caps else max(by_spec, wanted)
    return GroupPlan(
        spec=group,
        site=site,
        flavor=flavor,
        cost_per_hour=spec.cost_per_hour(group, flavor),
        wanted=min(wanted, most),
        most=most,
        why=why,
        source=source,
        problem=problem,
        lease_end=end,
    )
