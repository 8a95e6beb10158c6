"""What `apply` would do: which workers where, at what cost, against live quotas. Changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from dynamo.provision.deciding.budget import Budget, refusal
from dynamo.provision.deciding.groups import GroupPlan, plan_groups
from dynamo.provision.deciding.growth import quota_words
from dynamo.provision.deciding.requests import request_for
from dynamo.provision.deciding.site_parts import impossible, parts_of
from dynamo.provision.sites.base import Flavor, Quota, SiteDriver
from dynamo.provision.sites.errors import SiteError
from dynamo.provision.sites.extras import CheckingSite
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.not_acted_on import Ignored, not_acted_on
from dynamo.times import utc_now

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedGroup:
    """One group as planned.

    Attributes
    ----------
    wanted, there
        Workers the spec requests, and those serving now.
    fits
        How many of the missing workers fit in the site's quota; None if it sets no limit.
    problem
        Why not all of them would be created; empty if they would.
    wrong
        What the site will always refuse: unknown names, each with the nearest one.
    """

    group: str
    site: str
    wanted: int
    there: int
    flavor: str
    cpus: int
    ram_mb: int
    image: str
    cost_per_hour: float
    fits: int | None
    quota: str
    problem: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class FleetPlan:
    """What applying a spec would do.

    Attributes
    ----------
    not_acted_on
        Fields of the spec that have no effect.
    """

    name: str
    currency: str
    groups: tuple[PlannedGroup, ...]
    create: int
    remove: int
    cost_per_hour: float
    problems: tuple[str, ...]
    not_acted_on: tuple[Ignored, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """What no repetition helps, by group."""
        return tuple(f"{group.group}: {what}" for group in self.groups for what in group.wrong)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class _Answer:
    flavors: tuple[Flavor, ...] = ()
    quota: Quota | None = None
    problem: str = ""


def plan_fleet(
    spec: FleetSpec,
    drivers: Mapping[str, SiteDriver],
    there: Mapping[str, int],
    *,
    spent_today: float = 0.0,
    spent_total: float = 0.0,
) -> FleetPlan:
    """Query all sites at once and return what applying the spec would do.

    Parameters
    ----------
    spec, drivers
        The spec and its sites; a site that does not answer is reported as a problem of its groups.
    there
        Workers serving now, by group; groups not in the spec would be removed.
    spent_today, spent_total
        What the fleet has cost since midnight UTC, and in total; see `dynamo.provision.cycle.accounting.spent`.
    """
    with ThreadPoolExecutor(max(1, len(drivers))) as threads:
        answers = dict(zip(drivers, threads.map(_ask, drivers.values()), strict=True))
    now = utc_now()
    plans = plan_groups(
        spec,
        {name: answer.flavors for name, answer in answers.items()},
        {},
        applied_at=now,
        now=now,
        ending=False,
    )
    with ThreadPoolExecutor(max(1, len(plans))) as threads:
        found = threads.map(
            lambda plan: _wrong(spec, plan, drivers[plan.spec.site], answers[plan.spec.site]), plans.values()
        )
        wrongs = dict(zip(plans, found, strict=True))
    groups, problems = [], []
    left: dict[str, int | None] = {}
    create = 0
    for plan in plans.values():
        site = plan.spec.site
        answer = answers[site]
        missing = max(0, plan.wanted - there.get(plan.name, 0))
        fits = None
        if plan.flavor is not None and answer.quota is not None:
            fits = left.setdefault(site, answer.quota.room(plan.flavor))
        wrong = wrongs[plan.name]
        cannot = answer.problem or "; ".join(wrong)
        problem = cannot
        if not problem and fits is not None and fits < missing:
            problem = f"the quota has room for {fits} of {missing}"
        comes = 0 if cannot else missing if fits is None else min(missing, fits)
        if fits is not None:
            left[site] = fits - comes
        create += comes
        if answer.problem or not wrong:
            problems += [f"{plan.name}: {problem}"] if problem else []
        else:
            problems += [f"{plan.name}: {what}" for what in wrong]
        flavor = plan.flavor
        groups.append(
            PlannedGroup(
                group=plan.name,
                site=site,
                wanted=plan.wanted,
                there=there.get(plan.name, 0),
                flavor=flavor.name if flavor else "",
                cpus=flavor.cpus if flavor else 0,
                ram_mb=flavor.ram_mb if flavor else 0,
                image=plan.spec.image or "",
                cost_per_hour=plan.cost_per_hour,
                fits=fits,
                quota=quota_words(answer.quota) if answer.quota is not None else "",
                problem=problem,
                wrong=wrong,
            )
        )
    remove = sum(max(0, count - (plans[name].wanted if name in plans else 0)) for name, count in there.items())
    rate = sum(group.wanted * group.cost_per_hour for group in groups)
    there_rate = sum(min(group.wanted, group.there) * group.cost_per_hour for group in groups)
    caps = Budget(spec.budget.per_hour, spec.budget.per_day, spec.budget.total, spec.budget.currency)
    refused = refusal(
        caps,
        rate_now=there_rate,
        extra_rate=rate - there_rate,
        spent_today=spent_today,
        spent_total=spent_total,
        now=now,
    )
    if refused:
        problems.append(f"budget: {refused}")
    return FleetPlan(
        spec.name,
        spec.budget.currency,
        tuple(groups),
        create,
        remove,
        round(rate, 6),
        tuple(problems),
        not_acted_on(spec),
    )


def _wrong(spec: FleetSpec, plan: GroupPlan, driver: SiteDriver, answer: _Answer) -> tuple[str, ...]:
    """Return what the site will always refuse in a group; nothing if it cannot be asked now."""
    parts = parts_of(spec, "", plan.spec.site)
    found = [plan.problem] if plan.flavor is None and answer.flavors else []
    if why := impossible(parts, driver):
        found.append(why)
    if isinstance(driver, CheckingSite) and not answer.problem:
        new = {network.name for network in parts.networks}
        new |= {vlan.name for vlan in (parts.vlans(utc_now()) if parts.vlans else ())}
        try:
            found += driver.check(request_for(spec, plan, plan.name), new_networks=new)
        except SiteError as error:
            log.info("%s: cannot check names: %s", driver.name, error)
    return tuple(found)


def _ask(driver: SiteDriver) -> _Answer:
    try:
        return _Answer(tuple(driver.flavors()), driver.quota())
    except SiteError as error:
        return _Answer(problem=str(error))
