"""One cycle of a fleet: look at sites and pool, judge each worker, store what follows, and only then act.

The cycle itself never waits for a site: it works with the newest list that each has given. What is stored before
anything is done is enough for another process to go on after a kill at any point.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from dynamo.errors import RetryableError
from dynamo.provision import ledger
from dynamo.provision.cycle.acting import Actor
from dynamo.provision.cycle.bookkeeping import Bookkeeper
from dynamo.provision.cycle.effects import Effects
from dynamo.provision.cycle.recruiting import adopt, mark_attempts, request_workers
from dynamo.provision.cycle.upkeep import Upkeep
from dynamo.provision.deciding.balance import GroupNeed, targets
from dynamo.provision.deciding.breaker import BreakerSettings
from dynamo.provision.deciding.groups import GroupPlan, Override, plan_groups
from dynamo.provision.deciding.growth import SiteRoom, plan_growth
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.holds import Holds
from dynamo.provision.deciding.judging import judge
from dynamo.provision.deciding.lifecycle import COMING, LIVING, SERVING, Patience, WorkerState
from dynamo.provision.deciding.live import Live, Move, counts_by_state
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.deciding.shrinking import drain, shrink
from dynamo.provision.deciding.sights import Orphan, SiteIndex, Watch, sight_of, sort_foreigners
from dynamo.provision.notes import Note
from dynamo.provision.pool_link import PoolLink, PoolView
from dynamo.provision.sites.base import GROUP_TAG
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.states import ACTIVE, ENDING_NOW
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.times import utc_now

log = logging.getLogger(__name__)
_S = WorkerState
_NEVER = datetime.min.replace(tzinfo=UTC)
#: When a worker was last seen is stored this often; the store need not know the second.
_SEEN_STEP = timedelta(seconds=20)


@dataclass(frozen=True)
class CycleReport:
    """What a cycle found and left.

    Attributes
    ----------
    counts
        Workers by group and state.
    target
        How many workers each group should have.
    held
        What is not done now, by what it concerns, and why.
    settled
        Whether everything is as it should be, and nothing is under way.
    ended
        Whether the fleet was to end and has.
    """

    counts: Mapping[str, Mapping[str, int]]
    target: Mapping[str, int]
    held: Mapping[str, str]
    settled: bool
    ended: bool


class Reconciler:
    """The loop's body for one fleet; one process at a time, see `dynamo.store.lease`.

    Parameters
    ----------
    store, fleet, spec
        Where it is kept, and its spec.
    runners
        Its sites.
    link
        Its pool.
    clock, rng
        The present instant, and chance (for jitter only).
    """

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        spec: FleetSpec,
        runners: Mapping[str, SiteRunner],
        link: PoolLink,
        *,
        clock: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
    ) -> None:
        self.spec = spec
        self.runners = dict(runners)
        self._store = store
        self._name = fleet.name
        self._id = fleet.id
        self._link = link
        self._clock = clock
        policy = spec.policy
        breaker = BreakerSettings(policy.breaker.failures, policy.breaker.base_s, policy.breaker.max_s)
        with store.reading() as session:
            known = ledger.site_health(session, fleet.name)
            holds = ledger.open_holds(session, fleet.name, clock())
        self.health = HealthBook(known, breaker, clock, rng)
        effects = Effects(store, fleet.name, fleet.id, spec, link, self.health, clock)
        self._actor = Actor(store, effects, self.runners, spec)
        self._upkeep = Upkeep(store, fleet.name, fleet.id, spec, self.runners, clock)
        self._books = Bookkeeper(store, fleet.name, spec, link, clock)
        # A look at the pool that comes later than this after the one before begins anew to count who is missing.
        self._gap = timedelta(seconds=max(policy.missing_s / 2, 3 * policy.cycle_s))
        self._removals = Removals(policy.max_removal_share, policy.cycle_s)
        self._holds = Holds(holds)
        self._patience = {
            name: Patience(
                boot_s=site.boot_timeout_s,
                join_s=policy.join_timeout_s,
                missing_s=policy.missing_s,
                settle_s=site.timeout_s,
            )
            for name, site in spec.sites.items()
        }
        self._indexes: dict[str, tuple[object, SiteIndex]] = {}
        self._list_errors: dict[str, object] = {}
        self._began_at = self._pool_since = self._pool_at = clock()
        self._lock = threading.Lock()

    def cycle(self, *, wait_s: float = 0.0) -> CycleReport:
        """Go through one cycle.

        Parameters
        ----------
        wait_s
            How long to wait for the sites' lists before judging; 0 takes what there is.

        Raises
        ------
        StoreUnavailableError
            If the store does not answer; what was stored before then is gone on with in the next cycle.
        """
        with self._lock:
            for runner in self.runners.values():
                runner.refresh()
            if wait_s:
                for runner in self.runners.values():
                    runner.wait(wait_s, calls=False)
            return self._cycle(self._clock())

    def settle_accounts(self) -> None:
        """Bill everything up to now: before the loop ends, or a report is made."""
        with self._store.transaction() as session:
            self._books.bill(session, self._clock())

    def _cycle(self, now: datetime) -> CycleReport:
        held: dict[str, str] = {}
        view, trusted = self._look_at_pool(now, held)
        indexes = self._look_at_sites(held)
        with self._store.reading() as session:
            fleet = ledger.fleet_named(session, self._name)
            rows = ledger.living_workers(session, self._name)
            overrides = {
                name: Override(wish.wanted, wish.source, wish.reason)
                for name, wish in ledger.wishes(session, self._name).items()
            }
            state, applied_at = fleet.state, fleet.applied_at
        lives = [self._live(row, indexes, view, trusted) for row in rows]
        judgement = judge(lives, self._patience, self.health, self._removals, now)
        if judgement.spared:
            held["workers"] = f"{judgement.spared} more workers are not seen; only a share is given up at once"
        plans = plan_groups(
            self.spec,
            {name: runner.flavors for name, runner in self.runners.items()},
            overrides,
            applied_at=applied_at,
            now=now,
            ending=state != ACTIVE,
        )
        target, surplus, missing = self._balance(lives, plans, now)
        deadline_s = 0.0 if state == ENDING_NOW else self.spec.policy.drain_deadline_s
        moves = judgement.moves
        moves += shrink(lives, plans, surplus, self._removals, deadline_s=deadline_s, now=now)
        moves += self._drain_black_holes(lives, now)
        if state == ACTIVE:
            moves += self._upkeep.look_after(lives, plans, self._removals, now)
        adopted, orphans = self._foreigners(rows, indexes, plans)
        for item in adopted:
            missing[item.server.tags[GROUP_TAG]] -= 1
        growth = plan_growth(
            plans,
            missing,
            {name: self._room(name, lives, now) for name in self.runners},
            cheapest_first=sorted(plans, key=lambda name: (plans[name].cost_per_hour, name)),
            problems={site: self._upkeep.problem(site) for site in self.runners},
            affordable=self._books.affordable(plans, (live.row.cost_per_hour for live in lives), now),
            living=Counter(live.row.group for live in lives if live.state in LIVING),
        )
        held |= growth.held
        notes = self._holds.say(held, {plan.name: plan.spec.site for plan in plans.values()}, now)
        with self._store.transaction() as session:
            self._write(session, moves, notes, self._seen(lives, now), now)
            for live, values in judgement.found:
                ledger.set_worker(session, live.row.id, **values)
            # First, so that new workers do not get the numbers of those that were found.
            adopt(session, self._name, plans, adopted, now)
            request_workers(session, self._name, self._id, plans, growth.add, now)
            attempts = mark_attempts(session, lives, plans, self.runners, self.health, now)
            if state == ENDING_NOW:
                self._books.shorten_drains(session, now)
            self._books.write(session, now)
        self._books.committed()
        self._actor.act(lives, plans, attempts, judgement.losses, orphans, now)
        self._look_after_tokens(lives)
        changing = bool(moves or growth.add or adopted or orphans)
        left = [live for live in lives if live.state in LIVING]
        listed = all(runner.listing is not None for runner in self.runners.values())
        ended = state != ACTIVE and self._upkeep.end(left, now) and listed and not left and not changing
        return CycleReport(
            counts=counts_by_state(lives),
            target=target,
            held=held,
            settled=not changing and self._settled(lives, target),
            ended=ended,
        )

    # ---- looking -----------------------------------------------------------------------------------------------

    def _look_at_pool(self, now: datetime, held: dict[str, str]) -> tuple[PoolView | None, bool]:
        try:
            view = self._link.view()
        except RetryableError as error:
            held["pool"] = f"the pool does not answer, nobody is judged by it: {error}"
            return None, False
        if now - self._pool_at > self._gap:
            self._pool_since = now
        self._pool_at = now
        trusted = now - view.collector_since >= timedelta(seconds=self.spec.policy.collector_grace_s)
        return view, trusted

    def _look_at_sites(self, held: dict[str, str]) -> dict[str, SiteIndex]:
        indexes = {}
        for name, runner in self.runners.items():
            error = runner.list_error
            if error is not None:
                if self._list_errors.get(name) is not error:
                    self.health.failure(name, error.kind, str(error))
                held[name] = f"no list of its servers, they are left as they are: {error}"
            elif (before := self._list_errors.get(name)) is not None:
                # What opened the breaker has passed; nobody need wait for the end of its time.
                self.health.passed(name, str(before))
            self._list_errors[name] = error
            listing = runner.listing
            if listing is None:
                continue
            known = self._indexes.get(name)
            if known is None or known[0] is not listing:
                known = (listing, SiteIndex.of(listing))
                self._indexes[name] = known
            indexes[name] = known[1]
        return indexes

    def _live(self, row: Any, indexes: Mapping[str, SiteIndex], view: PoolView | None, trusted: bool) -> Live:
        index, runner = indexes.get(row.site), self.runners.get(row.site)
        if row.unsure and index is not None and runner is not None and runner.is_under_way(f"create {row.name}"):
            # Its answer is still to come: that the list lacks it says nothing.
            index = SiteIndex(_NEVER, index.by_id, index.by_worker)
        watch = Watch(self._began_at, self._pool_since)
        sight = sight_of(row, index, view, trusted, self._patience.get(row.site, Patience()), watch)
        return Live(row, sight, WorkerState(row.state))

    # ---- deciding ----------------------------------------------------------------------------------------------

    def _balance(
        self, lives: Sequence[Live], plans: Mapping[str, GroupPlan], now: datetime
    ) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        serving = Counter(live.row.group for live in lives if live.state in SERVING)
        ready = Counter(live.row.group for live in lives if live.state is _S.READY)
        needs = [
            GroupNeed(
                group=name,
                site=plan.spec.site,
                wanted=plan.wanted,
                most=plan.most,
                serving=serving[name],
                ready=ready[name],
                open=self.health.of(plan.spec.site).closed(now) and not plan.problem,
                weight=plan.site.weight,
            )
            for name, plan in plans.items()
        ]
        target = targets(needs)
        surplus = {name: serving[name] - target.get(name, 0) for name in {*serving, *target}}
        missing = {name: target[name] - serving[name] for name in target}
        return target, surplus, missing

    def _drain_black_holes(self, lives: Sequence[Live], now: datetime) -> list[Move]:
        ready = {live.row.name: live for live in lives if live.state is _S.READY}
        moves = []
        for name, why in self._books.black_holes(ready, now).items():
            if self._removals.take(len(lives), now):
                moves.append(drain(ready[name], why, self.spec.policy.drain_deadline_s, now))
                self.health.failure(ready[name].row.site, "retryable", f"{name}: {why}")
        return moves

    def _foreigners(
        self, rows: Sequence[Any], indexes: Mapping[str, SiteIndex], plans: Mapping[str, GroupPlan]
    ) -> tuple[list[Any], list[Orphan]]:
        adopted, orphans = [], []
        for site, index in indexes.items():
            mine = [row for row in rows if row.site == site]
            found = index.foreigners(mine)
            if not found:
                continue
            with self._store.reading() as session:
                known = ledger.workers_named(session, self._name, {item.worker for item in found})
            groups = {name for name, plan in plans.items() if plan.spec.site == site}
            found = [item for item in found if not self.runners[site].is_under_way(f"create {item.worker}")]
            welcome, others = sort_foreigners(site, found, known, groups)
            adopted += welcome
            orphans += others
        return adopted, orphans

    def _room(self, site: str, lives: Sequence[Live], now: datetime) -> SiteRoom:
        health = self.health.of(site)
        here = [live for live in lives if live.row.site == site and live.state in LIVING]
        runner = self.runners[site]
        counted = runner.quota_at or _NEVER
        pending = sum(1 for live in here if live.row.started_at is None or live.row.started_at >= counted)
        probing = COMING if self.health.owes_worker(site) else {_S.REQUESTED}
        probes = sum(1 for live in here if live.state in probing)
        return SiteRoom(health, health.closed(now), runner.quota, pending, probes, len(here))

    # ---- storing -----------------------------------------------------------------------------------------------

    def _write(
        self, session: Session, moves: Sequence[Move], notes: list[Note], seen: list[dict[str, Any]], now: datetime
    ) -> None:
        for item in moves:
            row = item.live.row
            if ledger.move_worker(session, row.id, item.to, item.reason, now, **item.values):
                notes.append(Note(item.action, item.reason, row.site, row.name, item.data))
        ledger.set_many(session, ("seen_at", "busy_cpus", "jobs"), seen)
        changed, told = self.health.take_changes()
        for site, health in changed.items():
            runner = self.runners.get(site)
            listed = runner.listing.began_at if runner is not None and runner.listing is not None else None
            ledger.store_health(session, self._name, site, health, listed)
        ledger.note(session, self._name, [*notes, *told], now)

    @staticmethod
    def _seen(lives: Sequence[Live], now: datetime) -> list[dict[str, Any]]:
        changed = []
        for live in lives:
            slots, row = live.sight.slots, live.row
            if slots is None:
                continue
            jobs = len(slots.jobs)
            stale = row.seen_at is None or now - row.seen_at >= _SEEN_STEP
            if stale or row.busy_cpus != slots.busy_cpus or row.jobs != jobs:
                changed.append({"id": row.id, "seen_at": now, "busy_cpus": slots.busy_cpus, "jobs": jobs})
        return changed

    def _look_after_tokens(self, lives: Sequence[Live]) -> None:
        try:
            # Those that are ready ask for their next token.
            self._link.admit({live.row.name for live in lives if live.state in SERVING})
            self._books.revoke_ended()
        except RetryableError as error:
            log.info("tokens wait: %s", error)

    def _settled(self, lives: Sequence[Live], target: Mapping[str, int]) -> bool:
        if any(runner.calls() for runner in self.runners.values()):
            return False
        ready = Counter(live.row.group for live in lives if live.state is _S.READY)
        return len(lives) == sum(ready.values()) and all(ready[name] == count for name, count in target.items())
