"""The fleet spec: pool, sites, workers, networks, storage and policy. Units are in the names.

`dynamo.provision.spec.loading` reads it and reports all errors at once; `spec_schema` and `spec_docs` publish it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynamo.provision.sites.base import Flavor
from dynamo.provision.spec.checks import SpecParts, check, default_driver, derived_names
from dynamo.provision.spec.compute import ComputeSpec
from dynamo.provision.spec.marks import NotActedOn
from dynamo.provision.spec.network import NetworkSpec, ScriptSpec, StitchSpec, StorageSpec
from dynamo.provision.spec.sites import SiteSpec, SiteWorkerSpec
from dynamo.provision.spec.types import (
    CURRENCY_PATTERN,
    MAX_ITEMS,
    MAX_SECONDS,
    Name,
    Part,
    PathText,
    SiteName,
    moment_of,
)

__all__ = [
    "BlackHolePolicy",
    "BreakerPolicy",
    "BudgetSpec",
    "ComputeSpec",
    "FleetSpec",
    "NetworkSpec",
    "PolicySpec",
    "PoolSpec",
    "ScriptSpec",
    "SiteSpec",
    "SiteWorkerSpec",
    "StitchSpec",
    "StorageSpec",
]

_FOR_PEOPLE = NotActedOn("it is for readers and editors", silent=True)

Leased = TypeVar("Leased", ComputeSpec, NetworkSpec, StorageSpec)


class PoolSpec(Part):
    """The HTCondor pool the workers join."""

    kind: Annotated[
        Literal["own", "existing"],
        Field(description="`own`: start its daemons here. `existing`: use a running pool, see `condor_config`."),
    ] = "own"
    address: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9\[][A-Za-z0-9.:\]-]{0,254}$",
            description="Address or host name workers use to reach the pool; 127.0.0.1 works for local workers only.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int | None, Field(ge=1, le=65535, description="Collector port. Default: a free port, picked once and kept.")
    ] = None
    condor_config: Annotated[
        PathText | None, Field(description="Configuration file of an existing pool, relative to the spec.")
    ] = None
    state: Annotated[
        PathText | None,
        Field(description="Folder for a pool of kind `own`, relative to the spec. Default: the fleet's."),
    ] = None


class BreakerPolicy(Part):
    """When a failing site is paused, and for how long."""

    failures: Annotated[int, Field(ge=1, le=100, description="Consecutive failures before the site is paused.")] = 3
    base_s: Annotated[
        float, Field(ge=1, le=86400, description="First pause, s; doubles with each further failure.")
    ] = 30.0
    max_s: Annotated[float, Field(ge=1, le=86400, description="Longest pause, s.")] = 1800.0


class BlackHolePolicy(Part):
    """When a worker counts as a black hole, that is, jobs fail fast on it."""

    jobs: Annotated[int, Field(ge=1, le=1000, description="Number of the worker's most recent jobs to check.")] = 5
    seconds: Annotated[float, Field(gt=0, le=3600, description="A job that fails within this time failed fast, s.")] = (
        10.0
    )
    share: Annotated[float, Field(gt=0, le=1, description="Drain the worker at this share of fast failures.")] = 0.8


class PolicySpec(Part):
    """How the fleet is managed."""

    cycle_s: Annotated[float, Field(ge=0.1, le=3600, description="Time between reconcile cycles, s.")] = 10.0
    drain_deadline_s: Annotated[
        float, Field(ge=0, le=MAX_SECONDS, description="Time running jobs have to finish when a worker is drained, s.")
    ] = 3600.0
    max_removal_share: Annotated[
        float, Field(gt=0, le=1, description="Largest share of the fleet removed in one cycle (at least one worker).")
    ] = 0.25
    join_timeout_s: Annotated[
        float,
        Field(
            ge=5, le=86400, description="Give up on a running server that has not joined the pool after this time, s."
        ),
    ] = 300.0
    missing_s: Annotated[
        float,
        Field(
            ge=15,
            le=86400,
            description="A ready worker missing from the collector for this long is lost, s; at least two cycles. "
            "Workers report four times in it, at most once a second.",
        ),
    ] = 120.0
    collector_grace_s: Annotated[
        float, Field(ge=0, le=86400, description="Ignore what a restarted collector reports for this long, s.")
    ] = 120.0
    breaker: Annotated[BreakerPolicy, Field(description="Pauses for a failing site.")] = BreakerPolicy()
    black_hole: Annotated[BlackHolePolicy, Field(description="Workers on which jobs fail fast.")] = BlackHolePolicy()
    dead_man_s: Annotated[
        float,
        Field(ge=60, le=MAX_SECONDS, description="A worker shuts itself down if its pool is silent for this long, s."),
    ] = 1800.0
    token_lifetime_s: Annotated[
        float, Field(ge=60, le=MAX_SECONDS, description="Lifetime of a worker's HTCondor token, s.")
    ] = 86400.0
    lease_extend_before_s: Annotated[
        float, Field(ge=0, le=MAX_SECONDS, description="Extend leases this long before they end, s; 0: never.")
    ] = 3600.0


class BudgetSpec(Part):
    """Cost caps; growth beyond them is refused."""

    per_hour: Annotated[float | None, Field(ge=0, le=10**9, description="Maximum cost per hour.")] = None
    per_day: Annotated[float | None, Field(ge=0, le=10**9, description="Maximum cost per day (UTC).")] = None
    total: Annotated[float | None, Field(ge=0, le=10**12, description="Maximum total cost of the fleet.")] = None
    currency: Annotated[
        str, Field(pattern=CURRENCY_PATTERN, description="Currency of all costs in the spec, e.g. USD or SU.")
    ] = "USD"


class FleetSpec(Part):
    """The whole document."""

    schema_: Annotated[str | None, _FOR_PEOPLE, Field(alias="$schema", max_length=500, description="For editors.")] = (
        None
    )
    name: Annotated[Name, Field(description="Fleet name. Default: the file name.")] = "fleet"
    description: Annotated[str, _FOR_PEOPLE, Field(max_length=4000, description="Free text for readers.")] = ""
    pool: Annotated[PoolSpec, Field(description="The HTCondor pool.")] = PoolSpec()
    sites: Annotated[
        dict[SiteName, SiteSpec],
        Field(
            max_length=MAX_ITEMS, description="Sites by name, `Cloud:Region`. Default: the sites named in `compute`."
        ),
    ] = Field(default_factory=dict)
    compute: Annotated[
        tuple[ComputeSpec, ...], Field(strict=False, max_length=MAX_ITEMS, description="Groups of workers.")
    ] = ()
    network: Annotated[
        tuple[NetworkSpec, ...], Field(strict=False, max_length=MAX_ITEMS, description="Networks and links.")
    ] = ()
    storage: Annotated[tuple[StorageSpec, ...], Field(strict=False, max_length=MAX_ITEMS, description="Volumes.")] = ()
    stitch: Annotated[tuple[StitchSpec, ...], Field(strict=False, max_length=MAX_ITEMS, description="Circuits.")] = ()
    script: Annotated[
        tuple[ScriptSpec, ...], Field(strict=False, max_length=MAX_ITEMS, description="Scripts to run on workers.")
    ] = ()
    policy: Annotated[PolicySpec, Field(description="How the fleet is managed.")] = PolicySpec()
    budget: Annotated[BudgetSpec, Field(description="Cost caps.")] = BudgetSpec()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = check(_parts(self))
        if problems:
            raise PydanticCustomError(
                "spec_checks", "{what}", {"what": "; ".join(str(problem) for problem in problems)}
            )
        names = derived_names(dict(enumerate(self.compute)))
        groups = tuple(
            group if group.name else group.model_copy(update={"name": names[position]})
            for position, group in enumerate(self.compute)
        )
        asked = [group.site for group in groups] + [network.site for network in self.network if network.site]
        sites = {**dict.fromkeys(asked, SiteSpec()), **self.sites} if not self.sites else self.sites
        # The model is frozen for its users; values the document leaves out are derived once, here.
        self.__dict__["compute"] = groups
        self.__dict__["sites"] = {name: _placed(name, site) for name, site in sites.items()}
        return self

    def group(self, name: str) -> ComputeSpec | None:
        """Return the group of that name."""
        return next((group for group in self.compute if group.name == name), None)

    def groups_at(self, site: str) -> tuple[ComputeSpec, ...]:
        """Return the groups of a site."""
        return tuple(group for group in self.compute if group.site == site)

    def cost_per_hour(self, group: ComputeSpec, flavor: Flavor | None = None) -> float:
        """Return the hourly cost of one worker of a group: from the group, else the flavor, else the site, else 0."""
        site = self.sites.get(group.site)
        told = (
            group.cost_per_hour,
            None if flavor is None else flavor.cost_per_hour,
            None if site is None else site.cost_per_hour,
        )
        return next((cost for cost in told if cost is not None), 0.0)

    def settled(self, now: datetime) -> FleetSpec:
        """Return the spec with relative lease times resolved from ``now``, as stored when it is applied."""
        parts = {}
        for kind in ("compute", "network", "storage"):
            parts[kind] = tuple(_settle(thing, now) for thing in getattr(self, kind))
        return self.model_copy(update=parts)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON data, with derived values and without defaults."""
        document = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for name, site in self.sites.items():
            # The default here is not what the cloud's name implies.
            document["sites"][name]["driver"] = site.driver
        return document


def _parts(spec: FleetSpec) -> SpecParts:
    """Return the parts of a whole spec for the cross-checks."""
    return SpecParts(
        sites=spec.sites,
        compute=dict(enumerate(spec.compute)),
        network=dict(enumerate(spec.network)),
        storage=dict(enumerate(spec.storage)),
        stitch=dict(enumerate(spec.stitch)),
        script=dict(enumerate(spec.script)),
        pool_config=(spec.pool.kind, spec.pool.condor_config),
        breaker_s=(spec.policy.breaker.base_s, spec.policy.breaker.max_s),
        looks_s=(spec.policy.cycle_s, spec.policy.missing_s),
    )


def _settle(thing: Leased, now: datetime) -> Leased:
    start = now if thing.lease_start is None else thing.lease_start.at(now)
    update = {}
    if thing.lease_start is not None:
        update["lease_start"] = moment_of(start)
    if thing.lease_end is not None:
        update["lease_end"] = moment_of(thing.lease_end.at(start))
    return thing.model_copy(update=update) if update else thing


def _placed(name: str, site: SiteSpec) -> SiteSpec:
    if "driver" in site.model_fields_set:
        return site
    return site.model_copy(update={"driver": default_driver(name.partition(":")[0])})
