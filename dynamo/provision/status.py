"""The state of a fleet, from the store alone: the same data for people, programs and the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.errors import NotFoundError, UsageError
from dynamo.provision import ledger
from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.deciding.groups import GroupPlan, Override, plan_groups
from dynamo.provision.deciding.holds import tell_once
from dynamo.provision.deciding.lifecycle import FINAL, WorkerState
from dynamo.provision.fleets import stored_spec
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.states import ACTIVE, ENDED, lease_name
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet, FleetWish, Worker
from dynamo.store.lease import holder, is_free
from dynamo.store.models import ProcessLease
from dynamo.store.url import store_of
from dynamo.times import to_iso, utc_now

#: How long ended workers are shown.
_SHOWN = timedelta(minutes=15)


@dataclass(frozen=True)
class WorkerStatus:
    """One worker as shown to users."""

    name: str
    site: str
    group: str
    state: str
    since: str
    reason: str
    flavor: str
    cpus: int
    busy_cpus: int
    jobs: int
    server: str
    addresses: tuple[str, ...]
    cost_per_hour: float
    requested_at: str
    ready_at: str | None
    seen_at: str | None
    drain_deadline: str | None
    lease_end: str | None
    jobs_killed: int


@dataclass(frozen=True)
class GroupStatus:
    """One group: requested and actual workers."""

    group: str
    site: str
    wanted: int | None
    source: str
    states: dict[str, int]
    cpus: int
    busy_cpus: int


@dataclass(frozen=True)
class SiteStatus:
    """Health of one site; ``left_alone_until`` is None while nothing is wrong."""

    site: str
    driver: str
    left_alone_until: str | None
    kind: str
    error: str


@dataclass(frozen=True)
class FleetStatus:
    """The state of a fleet.

    Attributes
    ----------
    settled
        Whether every group has the requested workers and none are starting or leaving.
    looked_after_by
        The process that manages it, as ``pid on host``; None if none does.
    holds
        What is held back, and why, as last reported.
    """

    name: str
    id: str
    state: str
    settled: bool
    applied_at: str
    looked_after_by: str | None
    pool: str
    currency: str
    cost_per_hour: float
    jobs_killed: int
    groups: tuple[GroupStatus, ...]
    sites: tuple[SiteStatus, ...]
    workers: tuple[WorkerStatus, ...] = ()
    holds: tuple[str, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON data."""
        return asdict(self)


def fleet_names(session: Session) -> list[str]:
    """Return the names of all fleets, living ones first."""
    return list(session.scalars(select(Fleet.name).order_by(Fleet.state == ENDED, Fleet.name)))


def the_fleet(session: Session, name: str | None) -> str:
    """Return the named fleet, or the only living one.

    Raises
    ------
    NotFoundError
        If the fleet does not exist, or none is named and there is not exactly one live fleet.
    """
    if name is not None:
        return ledger.fleet_named(session, name).name
    living = list(session.scalars(select(Fleet.name).where(Fleet.state != ENDED).order_by(Fleet.name)))
    if len(living) > 1:
        raise UsageError("there are several fleets", expected="--fleet " + " or ".join(living))
    if not living:
        raise NotFoundError("no fleet found", where=store_of(session), hint="dynamo-provision apply SPEC.json")
    return living[0]


def fleet_state(store: Store, name: str) -> str:
    """Return the state of a fleet as a whole."""
    with store.reading() as session:
        return ledger.fleet_named(session, name).state


def has_fleets(store: Store) -> bool:
    """Return whether there is any fleet, ended or not."""
    with store.reading() as session:
        return bool(fleet_names(session))


def fleet_status(store: Store, name: str) -> FleetStatus:
    """Return the state of a fleet.

    Raises
    ------
    NotFoundError
        If the fleet does not exist.
    """
    now = utc_now()
    with store.reading() as session:
        fleet = ledger.fleet_named(session, name)
        workers = ledger.recent_workers(session, name, now - _SHOWN)
        wishes = ledger.wishes(session, name)
        health = ledger.site_health(session, name)
        killed = session.scalar(select(func.sum(Worker.jobs_killed)).where(Worker.fleet == name)) or 0
        holds = list(ledger.open_holds(session, name, now).values())
    spec = stored_spec(fleet)
    plans = _plans(fleet, spec, wishes, now)
    living = [worker for worker in workers if WorkerState(worker.state) not in FINAL]
    here = {group.name: [worker for worker in living if worker.group == group.name] for group in spec.compute}
    return FleetStatus(
        name=fleet.name,
        id=fleet.id,
        state=fleet.state,
        settled=all(worker.group in here for worker in living)
        and all(_is_settled(plan, here[name]) for name, plan in plans.items()),
        applied_at=to_iso(fleet.applied_at),
        looked_after_by=looked_after_by(store, name),
        pool=_pool(fleet, spec.pool.state, spec.pool.condor_config),
        currency=spec.budget.currency,
        cost_per_hour=round(sum(worker.cost_per_hour for worker in living if worker.started_at is not None), 6),
        jobs_killed=int(killed),
        groups=tuple(_group(plan, here[name]) for name, plan in plans.items()),
        sites=tuple(
            _site(site_name, site.driver, health.get(site_name), now) for site_name, site in spec.sites.items()
        ),
        workers=tuple(_worker(worker) for worker in workers),
        holds=tuple(dict.fromkeys(_with_errors_told(holds, [trust.error for trust in health.values()]))),
    )


def _with_errors_told(holds: Sequence[str], errors: Sequence[str]) -> list[str]:
    """Return what is held back without the sites' errors, which are shown with the sites."""
    return list(tell_once(dict(enumerate(holds)), errors, errors).values())


def _plans(fleet: Fleet, spec: FleetSpec, wishes: Mapping[str, FleetWish], now: datetime) -> dict[str, GroupPlan]:
    """Return what is requested as the loop sees it, including caps and lease times; flavors are not known here."""
    return plan_groups(
        spec,
        {},
        {name: Override(wish.wanted, wish.source, wish.reason) for name, wish in wishes.items()},
        applied_at=fleet.applied_at,
        now=now,
        ending=fleet.state != ACTIVE,
    )


def _wanted(plan: GroupPlan) -> int | None:
    """Return how many workers a group should have; None if only the site knows."""
    return plan.wanted if plan.certain or plan.wanted == 0 else None


def _is_settled(plan: GroupPlan, workers: Sequence[Worker]) -> bool:
    """Return whether a group has the requested workers and none are starting or leaving."""
    ready = sum(worker.state == WorkerState.READY for worker in workers)
    wanted, spec = _wanted(plan), plan.spec
    if wanted is None:
        # The request is in processors, for workers of a size only the site knows.
        cpus = sum(worker.cpus for worker in workers)
        enough = cpus >= (spec.cpus or 0) or (spec.max is not None and ready >= spec.max)
    else:
        enough = ready == wanted
    return len(workers) == ready and enough


def _group(plan: GroupPlan, workers: Sequence[Worker]) -> GroupStatus:
    return GroupStatus(
        group=plan.name,
        site=plan.spec.site,
        wanted=_wanted(plan),
        source=plan.source,
        states=dict(Counter(worker.state for worker in workers)),
        cpus=sum(worker.cpus for worker in workers if worker.state == WorkerState.READY),
        busy_cpus=sum(worker.busy_cpus for worker in workers),
    )


def _site(name: str, driver: str, health: SiteTrust | None, now: datetime) -> SiteStatus:
    retry_at = None if health is None else health.retry_at
    return SiteStatus(
        site=name,
        driver=driver,
        left_alone_until=_iso(retry_at if retry_at is not None and retry_at > now else None),
        kind="" if health is None else health.kind,
        error="" if health is None else health.error,
    )


def looked_after_by(store: Store, name: str) -> str | None:
    """Return which process manages a fleet, or None."""
    with store.reading() as session:
        held = session.get(ProcessLease, lease_name(name))
        if held is None or is_free(held):
            return None
        return holder(held)


def _pool(fleet: Fleet, state: str | None, config: str | None) -> str:
    if config is not None:
        return config
    return state or f"{fleet.base}/pool"


def _worker(worker: Worker) -> WorkerStatus:
    return WorkerStatus(
        name=worker.name,
        site=worker.site,
        group=worker.group,
        state=worker.state,
        since=to_iso(worker.since),
        reason=worker.reason,
        flavor=worker.flavor,
        cpus=worker.cpus,
        busy_cpus=worker.busy_cpus,
        jobs=worker.jobs,
        server=worker.server_id,
        addresses=tuple(worker.addresses),
        cost_per_hour=worker.cost_per_hour,
        requested_at=to_iso(worker.requested_at),
        ready_at=_iso(worker.ready_at),
        seen_at=_iso(worker.seen_at),
        drain_deadline=_iso(worker.drain_deadline),
        lease_end=_iso(worker.lease_end),
        jobs_killed=worker.jobs_killed,
    )


def _iso(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)
