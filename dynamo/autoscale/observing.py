"""Read from the store what policies see: the workers of a fleet, and the groups that may change."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.boots import expected_left_s, failure_rate, learn_boots, prior
from dynamo.autoscale.model import BootTimes, Capacity, FleetView, GroupOption
from dynamo.provision import ledger
from dynamo.provision.cycle import accounting
from dynamo.provision.deciding.breaker import HEALTHY
from dynamo.provision.deciding.budget import Budget, highest_rate
from dynamo.provision.deciding.groups import GroupPlan, Override, plan_groups
from dynamo.provision.deciding.lifecycle import COMING, SERVING, WorkerState
from dynamo.provision.fleets import OPERATOR, stored_spec
from dynamo.provision.site_facts import SiteFacts, read_site_facts
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.sites import SiteSpec
from dynamo.provision.states import ACTIVE
from dynamo.store.fleets import Fleet, FleetEvent, Worker

#: Boot times are learned from this many workers of a group, none older than this.
_LAST_BOOTS = 40
_BOOTS_KEPT = timedelta(days=30)
_MBIT = 1e6


@dataclass(frozen=True)
class Observed:
    """A fleet as the loop sees it.

    Attributes
    ----------
    now_wanted
        Requested workers by group.
    held
        Groups with a manual override, each with the operator's reason.
    currency
        Of all costs.
    """

    fleet: str
    view: FleetView
    now_wanted: Mapping[str, int]
    held: Mapping[str, str]
    sites: Mapping[str, str]
    active: bool
    currency: str
    spec: FleetSpec


def observe(session: Session, name: str, now: datetime) -> Observed:
    """Return a fleet as stored.

    Raises
    ------
    NotFoundError
        If the fleet does not exist.
    """
    fleet = ledger.fleet_named(session, name)
    spec = stored_spec(fleet)
    facts = read_site_facts(session, name)
    wishes = ledger.wishes(session, name)
    rows = ledger.living_workers(session, name)
    plans = plan_groups(
        spec,
        facts.flavors,
        {group: Override(wish.wanted, wish.source, wish.reason) for group, wish in wishes.items()},
        applied_at=fleet.applied_at,
        now=now,
        ending=fleet.state != ACTIVE,
    )
    health = ledger.site_health(session, name)
    boots, failures = _learned(session, fleet, spec, rows, now)
    serving = Counter(row.group for row in rows if WorkerState(row.state) in SERVING)
    held = {group: wish.reason for group, wish in wishes.items() if wish.source == OPERATOR}
    wanted = {
        # Before the flavor is known, processors cannot be converted to workers.
        group: plan.wanted if plan.certain else max(plan.spec.min, serving[group])
        for group, plan in plans.items()
    }
    options = tuple(
        _option(
            plan,
            rows,
            facts,
            boots[group],
            failures[group],
            open_=health.get(plan.spec.site, HEALTHY).closed(now),
            drain_s=spec.policy.drain_deadline_s,
            applied_at=fleet.applied_at,
            now=now,
        )
        for group, plan in plans.items()
    )
    options = tuple(
        replace(option, least=wanted[option.group], most=wanted[option.group]) if option.group in held else option
        for option in options
    )
    return Observed(
        fleet=name,
        view=FleetView(
            workers=tuple(
                _capacity(row, boots.get(row.group, prior("")), now, spec.sites.get(row.site))
                for row in rows
                if WorkerState(row.state) in SERVING and row.group in plans
            ),
            groups=options,
            affordable_per_hour=_affordable(session, spec, name, rows, now),
        ),
        now_wanted=wanted,
        held=held,
        sites={group: plan.spec.site for group, plan in plans.items()},
        active=fleet.state == ACTIVE,
        currency=spec.budget.currency,
        spec=spec,
    )


def _option(
    plan: GroupPlan,
    rows: Sequence[Any],
    facts: SiteFacts,
    boot: BootTimes,
    failures: float,
    *,
    open_: bool,
    drain_s: float,
    applied_at: datetime,
    now: datetime,
) -> GroupOption:
    group, site = plan.spec, plan.site
    mine = [row for row in rows if row.group == group.name]
    serving = sum(1 for row in mine if WorkerState(row.state) in SERVING)
    flavor = plan.flavor
    least, most = group.min, plan.most
    if group.max is None and site.max_workers is None:
        # No limit is given: grow no further than the spec requests.
        most = group.count if group.count is not None else most
    begin, end = group.lease(applied_at)
    if now < begin or (end is not None and now >= end):
        least = most = 0
    room = _room(plan, rows, facts)
    if room is not None:
        most = min(most, serving + room)
    cpus = max([row.cpus for row in mine], default=0) if flavor is None else flavor.cpus
    return GroupOption(
        group=group.name,
        site=group.site,
        least=min(least, most),
        most=most,
        cpus=max(1, cpus or group.worker_cpus),
        memory_mb=flavor.ram_mb if flavor is not None else max([row.ram_mb for row in mine], default=0),
        cost_per_hour=plan.cost_per_hour,
        billing_s=site.billing_s,
        boot=boot,
        failure_rate=failures,
        open=open_ and not (plan.flavor is None and bool(facts.flavors.get(group.site))),
        bandwidth_mbit=None if group.bandwidth_bps is None else group.bandwidth_bps / _MBIT,
        weight=max(site.weight, 1e-6),
        drain_deadline_s=drain_s,
    )


def _room(plan: GroupPlan, rows: Sequence[Any], facts: SiteFacts) -> int | None:
    """Return how many more workers fit in the site's quota; None if it sets no limit."""
    site = plan.spec.site
    quota, counted = facts.quotas.get(site), facts.counted_at.get(site)
    if quota is None or plan.flavor is None:
        return None
    fits = quota.room(plan.flavor)
    if fits is None:
        return None
    later = sum(
        1
        for row in rows
        if row.site == site and (row.started_at is None or counted is None or row.started_at >= counted)
    )
    return max(0, fits - later)


def _capacity(row: Any, boot: BootTimes, now: datetime, site: SiteSpec | None) -> Capacity:
    state = WorkerState(row.state)
    ready_at = row.ready_at or now
    if state in COMING:
        age_s = (now - row.requested_at).total_seconds()
        ready_at = now + timedelta(seconds=expected_left_s(age_s, boot))
    return Capacity(
        worker=row.name,
        group=row.group,
        state=state,
        cpus=row.cpus,
        busy_cpus=row.busy_cpus,
        ready_at=ready_at,
        lease_end=row.lease_end,
        paid_until=_paid_until(row.started_at, site.billing_s if site is not None else 1.0, now),
    )


def _paid_until(started_at: datetime | None, billing_s: float, now: datetime) -> datetime | None:
    """Return until when a worker is paid for in any case; None if billed by the second."""
    if started_at is None or billing_s <= 1.0:
        return None
    begun = math.ceil(max(1.0, (now - started_at).total_seconds()) / billing_s)
    return started_at + timedelta(seconds=begun * billing_s)


def _learned(
    session: Session, fleet: Fleet, spec: FleetSpec, rows: Sequence[Any], now: datetime
) -> tuple[dict[str, BootTimes], dict[str, float]]:
    """Return boot times and failure rates by group."""
    since = now - _BOOTS_KEPT
    failed = set(
        session.scalars(
            select(FleetEvent.worker).where(
                FleetEvent.fleet == fleet.name, FleetEvent.action == WorkerState.FAILED.value, FleetEvent.time >= since
            )
        )
    )
    boots: dict[str, BootTimes] = {}
    failures: dict[str, float] = {}
    ages: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if WorkerState(row.state) in COMING:
            ages[row.group].append((now - row.requested_at).total_seconds())
    for group in spec.compute:
        past = session.execute(
            select(Worker.name, Worker.requested_at, Worker.ready_at)
            .where(Worker.fleet == fleet.name, Worker.group == group.name, Worker.requested_at >= since)
            .order_by(Worker.id.desc())
            .limit(_LAST_BOOTS)
        ).all()
        took = [(row.ready_at - row.requested_at).total_seconds() for row in past if row.ready_at is not None]
        never = sum(1 for row in past if row.ready_at is None and row.name in failed)
        boots[group.name] = learn_boots(took, ages[group.name], prior(spec.sites[group.site].driver))
        failures[group.name] = failure_rate(len(took) + never, never)
    return boots, failures


def _affordable(session: Session, spec: FleetSpec, name: str, rows: Sequence[Any], now: datetime) -> float | None:
    limits = spec.budget
    budget = Budget(limits.per_hour, limits.per_day, limits.total, limits.currency)
    if not budget.capped:
        return None
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    highest = highest_rate(
        budget,
        spent_today=accounting.spent(session, name, day),
        spent_total=accounting.spent(session, name),
        now=now,
    )
    rate_now = sum(row.cost_per_hour for row in rows)
    return None if highest is None else max(0.0, highest - rate_now)
