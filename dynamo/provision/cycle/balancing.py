"""Compare what each group should have with what it has: targets, and limits on new workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dynamo.provision.deciding.balance import GroupNeed, targets
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.growth import Growth, SiteRoom, plan_growth
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import COMING, LIVING, SERVING, WorkerState
from dynamo.provision.deciding.live import Live
from dynamo.provision.sites.runner import SiteRunner

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Balance:
    """Workers by group: how many there should be, how many are surplus, and how many are missing."""

    target: Mapping[str, int]
    surplus: Mapping[str, int]
    missing: dict[str, int]


def balance(lives: Sequence[Live], plans: Mapping[str, GroupPlan], health: HealthBook, now: datetime) -> Balance:
    """Return what each group should have; groups substitute for those at paused sites."""
    serving = Counter(live.row.group for live in lives if live.state in SERVING)
    ready = Counter(live.row.group for live in lives if live.state is WorkerState.READY)
    needs = [
        GroupNeed(
            group=name,
            site=plan.spec.site,
            wanted=plan.wanted,
            most=plan.most,
            serving=serving[name],
            ready=ready[name],
            open=health.of(plan.spec.site).closed(now) and not plan.problem,
            weight=plan.site.weight,
            cpus=plan.cpus,
            ram_mb=plan.flavor.ram_mb if plan.flavor is not None else 0,
            asked_mb=plan.asked_mb,
        )
        for name, plan in plans.items()
    ]
    target = targets(needs)
    return Balance(
        target=target,
        surplus={name: serving[name] - target.get(name, 0) for name in {*serving, *target}},
        missing={name: target[name] - serving[name] for name in target},
    )


def growth(
    lives: Sequence[Live],
    plans: Mapping[str, GroupPlan],
    missing: Mapping[str, int],
    runners: Mapping[str, SiteRunner],
    health: HealthBook,
    *,
    problem: Callable[[str], str],
    affordable: Mapping[str, tuple[int | None, str]],
    now: datetime,
) -> Growth:
    """Return the new workers that may be requested now.

    Parameters
    ----------
    lives, plans, missing
        Workers, groups, and how many workers each group is missing.
    runners, health
        The sites, and their health.
    problem
        Why no workers can be created at a site yet; empty if they can.
    affordable
        What the budget allows for each group.
    """
    return plan_growth(
        plans,
        missing,
        {name: _room(name, runner, lives, health, now) for name, runner in runners.items()},
        cheapest_first=sorted(plans, key=lambda name: (plans[name].cost_per_hour, name)),
        problems={site: problem(site) for site in runners},
        affordable=affordable,
        living=Counter(live.row.group for live in lives if live.state in LIVING),
    )


def _room(site: str, runner: SiteRunner, lives: Sequence[Live], health: HealthBook, now: datetime) -> SiteRoom:
    trust = health.of(site)
    here = [live for live in lives if live.row.site == site and live.state in LIVING]
    counted = runner.quota_at or _NEVER
    pending = sum(1 for live in here if live.row.started_at is None or live.row.started_at >= counted)
    probing = COMING if health.owes_worker(site) else {WorkerState.REQUESTED}
    probes = sum(1 for live in here if live.state in probing)
    return SiteRoom(trust, trust.closed(now), runner.quota, pending, probes, len(here))
