"""One cycle of a fleet: view sites and pool, judge each worker, store what follows, and only then act.

The cycle itself never waits for a site: it uses each site's latest list. What is stored before acting is enough for
another process to continue after a kill at any point.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dynamo.errors import RetryableError
from dynamo.provision import ledger
from dynamo.provision.cycle.acting import Actor
from dynamo.provision.cycle.balancing import balance, growth
from dynamo.provision.cycle.bookkeeping import Bookkeeper
from dynamo.provision.cycle.effects import Effects
from dynamo.provision.cycle.failing_jobs import HoleDrainer
from dynamo.provision.cycle.forgetting import forget, given_up, tell_forgotten
from dynamo.provision.cycle.looking import Lookout, Seen
from dynamo.provision.cycle.recruiting import adopt, foreigners, mark_attempts, request_workers
from dynamo.provision.cycle.storing import store_health, store_moves, store_sights
from dynamo.provision.cycle.upkeep import Upkeep
from dynamo.provision.deciding.breaker import BreakerSettings
from dynamo.provision.deciding.groups import GroupPlan, Override, plan_groups
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.holds import Holds, tell_once
from dynamo.provision.deciding.hopeless import all_hopeless, cannot_ask, lasting_error
from dynamo.provision.deciding.judging import Judgement, judge
from dynamo.provision.deciding.lifecycle import LIVING, SERVING, WorkerState
from dynamo.provision.deciding.live import Live, Move, counts_by_state
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.deciding.shrinking import shrink
from dynamo.provision.deciding.sights import Foreign, Orphan
from dynamo.provision.pool_link import PoolLink, PoolView
from dynamo.provision.sites.base import GROUP_TAG
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.states import ACTIVE, ENDING_NOW, FORGETTING
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.times import utc_now

log = logging.getLogger(__name__)
#: States in which jobs are not waited for.
_AT_ONCE = frozenset({ENDING_NOW, FORGETTING})


@dataclass(frozen=True)
class CycleReport:
    """The outcome of a cycle.

    Attributes
    ----------
    counts
        Workers by group and state.
    target
        How many workers each group should have.
    held
        What is held back, by subject, and why.
    settled
        Whether everything is as requested and nothing is in progress.
    ended
        Whether the fleet was ending and has ended.
    hopeless
        Why nothing of what is unfinished can be finished without a person; empty if something may still work.
    """

    counts: Mapping[str, Mapping[str, int]]
    target: Mapping[str, int]
    held: Mapping[str, str]
    settled: bool
    ended: bool
    hopeless: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stored:
    """The stored state of the fleet at the start of a cycle."""

    state: str
    state_since: datetime
    applied_at: datetime
    rows: Sequence[Any]
    overrides: Mapping[str, Override]


@dataclass(frozen=True)
class _Decided:
    """A cycle's decisions, to be stored and then carried out."""

    plans: Mapping[str, GroupPlan]
    target: Mapping[str, int]
    judgement: Judgement
    moves: Sequence[Move]
    adopted: Sequence[Foreign]
    orphans: Sequence[Orphan]
    add: Mapping[str, int]
    held: Mapping[str, str]
    given_up: Mapping[str, str]

    @property
    def changing(self) -> bool:
        """Whether anything is in progress."""
        return bool(self.moves or self.add or self.adopted or self.orphans)


class Reconciler:
    """The loop body for one fleet; one process at a time, see `dynamo.store.lease`.

    Parameters
    ----------
    store, fleet, spec
        Where the fleet is stored, its name, and its spec.
    runners
        Its sites.
    link
        Its pool.
    clock, rng
        The current time, and randomness (for jitter only).
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
            holes = HoleDrainer.of(session, fleet.name, spec, clock())
        self.health = HealthBook(known, breaker, clock, rng)
        effects = Effects(store, fleet.name, fleet.id, spec, link, self.health, clock)
        self._actor = Actor(store, effects, self.runners, spec)
        self._upkeep = Upkeep(store, fleet.name, fleet.id, spec, self.runners, clock)
        self._books = Bookkeeper(store, fleet.name, spec, link, clock)
        self._lookout = Lookout(spec, self.runners, link, self.health, clock)
        self._removals = Removals(policy.max_removal_share, policy.cycle_s)
        self._holes = holes
        self._holds = Holds(holds)
        self._began = clock()
        self._lock = threading.Lock()

    def cycle(self, *, wait_s: float = 0.0) -> CycleReport:
        """Run one cycle.

        Parameters
        ----------
        wait_s
            How long to wait for the sites' lists before judging; 0 uses the latest ones.

        Raises
        ------
        StoreUnavailableError
            If the store does not answer; the next cycle continues from what was stored.
        """
        with self._lock:
            for runner in self.runners.values():
                runner.refresh()
            if wait_s:
                for runner in self.runners.values():
                    runner.wait(wait_s, calls=False)
            return self._cycle(self._clock())

    def settle_accounts(self) -> None:
        """Bill everything up to now, before the loop ends or a report is made."""
        with self._store.transaction() as session:
            self._books.bill(session, self._clock())

    def _cycle(self, now: datetime) -> CycleReport:
        seen = self._lookout.look(now)
        stored = self._read()
        lives = [self._lookout.live(row, seen) for row in stored.rows]
        decided = self._decide(lives, stored, seen, now)
        attempts = self._store_all(lives, stored, decided, now)
        self._books.committed()
        self._actor.act(lives, decided.plans, attempts, decided.judgement.losses, decided.orphans, now)
        self._look_after_tokens(lives)
        self._look_after_claims(lives, seen.view, now)
        return self._report(lives, stored, decided, now)

    def _read(self) -> _Stored:
        with self._store.reading() as session:
            fleet = ledger.fleet_named(session, self._name)
            return _Stored(
                state=fleet.state,
                state_since=fleet.updated_at,
                applied_at=fleet.applied_at,
                rows=ledger.living_workers(session, self._name),
                overrides={
                    name: Override(wish.wanted, wish.source, wish.reason)
                    for name, wish in ledger.wishes(session, self._name).items()
                },
            )

    def _decide(self, lives: Sequence[Live], stored: _Stored, seen: Seen, now: datetime) -> _Decided:
        """Decide from what is stored and seen; workers in ``lives`` get their new states."""
        active = stored.state == ACTIVE
        judgement = judge(lives, self._lookout.patience, self.health, self._removals, now)
        plans = plan_groups(
            self.spec,
            {name: runner.flavors for name, runner in self.runners.items()},
            stored.overrides,
            applied_at=stored.applied_at,
            now=now,
            ending=not active,
        )
        balanced = balance(lives, plans, self.health, now)
        deadline_s = 0.0 if stored.state in _AT_ONCE else self.spec.policy.drain_deadline_s
        moves = judgement.moves
        moves += shrink(lives, plans, balanced.surplus, self._removals, deadline_s=deadline_s, now=now)
        ready = {live.row.name: live for live in lives if live.state is WorkerState.READY}
        failing = self._holes.judge(lives, self._books.fast_failures(ready, now), self._removals, self.health, now)
        moves += failing.moves
        if active:
            moves += self._upkeep.look_after(lives, plans, self._removals, now)
        adopted, orphans = foreigners(self._store, self._name, stored.rows, seen.indexes, plans, self.runners)
        for item in adopted:
            balanced.missing[item.server.tags[GROUP_TAG]] -= 1
        grown = growth(
            lives,
            plans,
            balanced.missing,
            self.runners,
            self.health,
            problem=self._upkeep.problem,
            affordable=self._books.affordable(plans, (live.row.cost_per_hour for live in lives), now),
            now=now,
        )
        gone: dict[str, str] = {}
        if stored.state == FORGETTING:
            gone = given_up(self.runners, max(self._began, stored.state_since), now)
            moves = [item for item in moves if item.live.row.site not in gone] + forget(lives, gone)
            # The last list of such a site says nothing about what is there now.
            orphans = [orphan for orphan in orphans if orphan.site not in gone]
        held = seen.held | failing.held
        if not active:
            held |= self._upkeep.in_the_way()
        if judgement.spared:
            held["workers"] = f"{judgement.spared} more workers are missing; only a share is given up at once"
        return _Decided(
            plans=plans,
            target=balanced.target,
            judgement=judgement,
            moves=moves,
            adopted=adopted,
            orphans=orphans,
            add=grown.add,
            held=tell_once(held | grown.held, self._site_errors()),
            given_up=gone,
        )

    def _site_errors(self) -> set[str]:
        errors = {str(runner.list_error) for runner in self.runners.values() if runner.list_error is not None}
        return errors | {self.health.of(name).error for name in self.runners}

    def _store_all(self, lives: Sequence[Live], stored: _Stored, decided: _Decided, now: datetime) -> list[Live]:
        """Store everything found and decided in one transaction; return the workers to create now."""
        plans = decided.plans
        notes = self._holds.say(decided.held, {plan.name: plan.spec.site for plan in plans.values()}, now)
        with self._store.transaction() as session:
            store_moves(session, self._name, decided.moves, notes, now)
            store_sights(session, lives, self.spec.policy.missing_s, now)
            store_health(session, self._name, self.health, self.runners, now)
            for live, values in decided.judgement.found:
                ledger.set_worker(session, live.row.id, **values)
            # First, so that new workers do not get the numbers of adopted ones.
            adopt(session, self._name, plans, decided.adopted, now)
            request_workers(session, self._name, self._id, plans, decided.add, now)
            attempts = mark_attempts(session, lives, plans, self.runners, self.health, now)
            if stored.state in _AT_ONCE:
                self._books.shorten_drains(session, now)
            self._books.write(session, now)
        return attempts

    def _look_after_tokens(self, lives: Sequence[Live]) -> None:
        try:
            # Ready workers request their next token.
            self._link.admit({live.row.name for live in lives if live.state in SERVING})
            self._books.revoke_ended()
        except RetryableError as error:
            log.info("tokens postponed: %s", error)

    def _look_after_claims(self, lives: Sequence[Live], view: PoolView | None, now: datetime) -> None:
        if view is None:
            return
        try:
            self._books.release_lost(view, {live.row.name for live in lives}, now)
        except RetryableError as error:
            log.info("jobs of lost workers are released later: %s", error)

    def _report(self, lives: Sequence[Live], stored: _Stored, decided: _Decided, now: datetime) -> CycleReport:
        left = [live for live in lives if live.state in LIVING]
        gone = decided.given_up
        listed = all(runner.listing is not None or name in gone for name, runner in self.runners.items())
        ended = stored.state != ACTIVE and self._upkeep.end(left, now, gone) and listed and not left
        ended = ended and not decided.changing
        if ended and gone:
            # A site that was cleared before patience ended is not in question.
            open_ones = {name: why for name, why in gone.items() if name not in self._upkeep.cleared}
            with self._store.transaction() as session:
                tell_forgotten(session, self._name, open_ones, self._upkeep.parts, stored.state_since, now)
        return CycleReport(
            counts=counts_by_state(lives),
            target=decided.target,
            held=decided.held,
            settled=not decided.changing and self._settled(lives, decided.target),
            ended=ended,
            hopeless=() if ended else all_hopeless(self._unfinished(lives, stored, decided)),
        )

    def _unfinished(self, lives: Sequence[Live], stored: _Stored, decided: _Decided) -> dict[str, str]:
        """Return by group or site what is unfinished, and why it cannot be finished; empty if it may be."""
        if stored.state == FORGETTING:
            # It ends by itself.
            return {"fleet": ""}
        if stored.state != ACTIVE:
            sites = {name for name in self.runners if name not in self._upkeep.cleared}
            return {name: cannot_ask(self.runners[name].list_error) for name in sites}
        ready = Counter(live.row.group for live in lives if live.state is WorkerState.READY)
        short = [plan for name, plan in decided.plans.items() if ready[name] < decided.target.get(name, 0)]
        return {plan.name: self._lasting_problem(plan) for plan in short}

    def _lasting_problem(self, plan: GroupPlan) -> str:
        site = plan.spec.site
        if plan.flavor is None and self.runners[site].flavors:
            return f"{plan.name}: {plan.problem}"
        return self._upkeep.impossible(site) or lasting_error(self.health.of(site))

    def _settled(self, lives: Sequence[Live], target: Mapping[str, int]) -> bool:
        if any(runner.calls() for runner in self.runners.values()):
            return False
        ready = Counter(live.row.group for live in lives if live.state is WorkerState.READY)
        return len(lives) == sum(ready.values()) and all(ready[name] == count for name, count in target.items())
