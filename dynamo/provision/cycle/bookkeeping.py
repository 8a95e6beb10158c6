"""Records kept alongside the loop: finished jobs, costs, and tokens of workers that left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dynamo.errors import RetryableError
from dynamo.provision import ledger
from dynamo.provision.cycle import accounting
from dynamo.provision.deciding.black_holes import FastFailures, Fate, blame
from dynamo.provision.deciding.budget import Budget, most_extra, refusal
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.lifecycle import FINAL, LIVING, WorkerState
from dynamo.provision.notes import FleetNote
from dynamo.provision.pool_link import FinishedJob, PoolLink, PoolView
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.store.engine import Store
from dynamo.store.fleets import Worker

log = logging.getLogger(__name__)
_BILL_EVERY = timedelta(seconds=60)
_JOBS_EVERY = timedelta(seconds=5)
#: Older jobs say nothing about a worker's current condition.
FATES_KEPT = timedelta(minutes=30)
#: After a restart, bill workers that ended up to this long ago; later, check only the newest.
_SETTLED_FIRST = timedelta(days=31)
_SETTLED_MARGIN = timedelta(hours=1)
_GONE = [WorkerState.RELEASING.value, *(state.value for state in FINAL)]
_REVOKE_AT_ONCE = 500


class Bookkeeper:
    """The records of one fleet.

    Parameters
    ----------
    store, fleet, spec, link, clock
        As the reconciler's.
    """

    def __init__(
        self, store: Store, fleet: str, spec: FleetSpec, link: PoolLink, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._spec = spec
        self._link = link
        limits = spec.budget
        self._budget = Budget(limits.per_hour, limits.per_day, limits.total, limits.currency)
        self._billed_at: datetime | None = None
        self._billing: datetime | None = None
        self._jobs_at = clock() - _JOBS_EVERY
        self._since = clock() - FATES_KEPT
        self._fates: list[FinishedJob] = []
        self._unstored: list[FinishedJob] = []
        self._settled_from = clock() - _SETTLED_FIRST
        self._spent_today = 0.0
        self._spent_total = 0.0
        self._spent_at: datetime | None = None

    def fast_failures(self, ready: Mapping[str, Any], now: datetime) -> FastFailures:
        """Return the ready workers on which jobs fail fast, or the jobs that do so everywhere."""
        if now - self._jobs_at >= _JOBS_EVERY:
            self._jobs_at = now
            self._read_jobs(now)
        rule = self._spec.policy.black_hole
        fates = [Fate(job.worker, job.ok, job.wall_s, job.kind) for job in self._fates if not job.stopped]
        return blame(fates, jobs=rule.jobs, seconds=rule.seconds, share=rule.share, among=ready)

    def _read_jobs(self, now: datetime) -> None:
        try:
            found = self._link.finished(self._since)
        except RetryableError as error:
            log.info("cannot read finished jobs: %s", error)
            return
        known = {(job.job, job.ended_at) for job in self._fates}
        fresh = sorted(
            (job for job in found if (job.job, job.ended_at) not in known), key=lambda job: (job.ended_at, job.job)
        )
        if not fresh:
            return
        self._unstored += fresh
        self._fates = [job for job in (*self._fates, *fresh) if now - job.ended_at <= FATES_KEPT]
        # The pool's clock has one-second resolution; jobs of the newest second are requested again.
        self._since = max(self._since, fresh[-1].ended_at - timedelta(seconds=1))

    def affordable(
        self, plans: Mapping[str, GroupPlan], rates: Iterable[float], now: datetime
    ) -> dict[str, tuple[int | None, str]]:
        """Return how many more workers of each group the budget allows, with the reason if they are too few."""
        budget = self._budget
        if budget.per_hour is None and budget.per_day is None and budget.total is None:
            return {}
        if self._spent_at is None or now - self._spent_at >= _BILL_EVERY:
            with self._store.reading() as session:
                self._spent_today, self._spent_total = accounting.spent_by_now(session, self._fleet, now)
            self._spent_at = now
        rate_now, today, total = sum(rates), self._spent_today, self._spent_total
        result: dict[str, tuple[int | None, str]] = {}
        for name, plan in plans.items():
            each = plan.cost_per_hour
            most = most_extra(budget, rate_now=rate_now, rate_each=each, spent_today=today, spent_total=total, now=now)
            sentence = None
            if most is not None:
                extra = each * (most + 1)
                sentence = refusal(
                    budget,
                    rate_now=rate_now,
                    extra_rate=extra,
                    spent_today=today,
                    spent_total=total,
                    now=now,
                    extra_workers=most + 1,
                )
            result[name] = (most, sentence or "")
        return result

    def write(self, session: Session, now: datetime) -> None:
        """Store the jobs read, and once a minute what workers cost."""
        if self._unstored:
            accounting.record_uses(session, self._fleet, self._unstored)
        if self._billed_at is None or now - self._billed_at >= _BILL_EVERY:
            self.bill(session, now)
            self._billing = now

    def committed(self) -> None:
        """Discard what `write` has stored; after a failed commit it is stored again."""
        self._unstored = []
        self._billed_at = self._billing

    def bill(self, session: Session, now: datetime) -> None:
        """Store what workers have cost up to now, or up to their end."""
        living = session.execute(
            select(Worker.id).where(
                Worker.fleet == self._fleet,
                Worker.state.in_([state.value for state in LIVING]),
                Worker.started_at.is_not(None),
            )
        ).all()
        ended = accounting.unsettled(session, self._fleet, self._settled_from)
        ends = {row.id: row.ended_at for row in ended if row.ended_at is not None}
        billing_s = {name: site.billing_s for name, site in self._spec.sites.items() if site.billing_s > 1.0}
        accounting.accrue(session, self._fleet, [*living, *ended], now, ended=ends, billing_s=billing_s)
        # The next check need not go further back; a margin covers what another process stored late.
        self._settled_from = now - _SETTLED_MARGIN

    def revoke_ended(self) -> None:
        """Revoke the tokens of workers that are gone or going."""
        with self._store.reading() as session:
            rows = session.execute(
                select(Worker.id, Worker.name)
                .where(Worker.fleet == self._fleet, Worker.revoked.is_(False), Worker.state.in_(_GONE))
                .limit(_REVOKE_AT_ONCE)
            ).all()
        if not rows:
            return
        self._link.revoke([row.name for row in rows])
        with self._store.transaction() as session:
            session.execute(update(Worker).where(Worker.id.in_([row.id for row in rows])).values(revoked=True))

    def release_lost(self, view: PoolView, living: Collection[str], now: datetime) -> None:
        """Put jobs of workers that are gone back in the queue, and note what was done about claims."""
        notes = [
            FleetNote("freed", "a claimed processor had no job while jobs waited; it was freed", worker=name)
            for name in view.freed
            if name in living
        ]
        suspects = {name: jobs for name, jobs in view.running_on.items() if name not in living}
        if suspects:
            with self._store.reading() as session:
                rows = ledger.workers_named(session, self._fleet, suspects)
            gone = {name: row for name, row in rows.items() if row.state in FINAL}
            released = set(self._link.release([job for name in gone for job in suspects[name]]))
            for name, row in gone.items():
                if jobs := [job for job in suspects[name] if job in released]:
                    why = f"{len(jobs)} jobs of it go back to the queue: {', '.join(jobs)}"
                    notes.append(FleetNote("jobs-released", why, row.site, name))
        if notes:
            with self._store.transaction() as session:
                ledger.note(session, self._fleet, notes, now)

    def shorten_drains(self, session: Session, now: datetime) -> None:
        """Move the deadline of draining workers to now."""
        session.execute(
            update(Worker)
            .where(Worker.fleet == self._fleet, Worker.state == WorkerState.DRAINING.value)
            .where(Worker.drain_deadline > now)
            .values(drain_deadline=now)
        )
