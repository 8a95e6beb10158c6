"""Turn what a cycle decided and stored into calls in the sites' threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from dynamo.provision import ledger
from dynamo.provision.cycle.effects import Effects
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.provision.deciding.live import Live
from dynamo.provision.deciding.sights import Orphan
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.store.engine import Store

#: A deletion or drain that shows no effect is repeated after this time.
_AGAIN = timedelta(seconds=10)
_REMEMBERED = 20_000


class Actor:
    """Starts calls, each at most once at a time.

    Parameters
    ----------
    store, effects, runners, spec
        As the reconciler's.
    """

    def __init__(self, store: Store, effects: Effects, runners: Mapping[str, SiteRunner], spec: FleetSpec) -> None:
        self._store = store
        self._effects = effects
        self._runners = runners
        self._spec = spec
        self._tried: dict[str, datetime] = {}

    def act(
        self,
        lives: Sequence[Live],
        plans: Mapping[str, GroupPlan],
        attempts: Sequence[Live],
        losses: Sequence[tuple[Live, str]],
        orphans: Sequence[Orphan],
        now: datetime,
    ) -> None:
        """Start what is due now; do not wait for any of it."""
        for live in attempts:
            row, plan = live.row, plans[live.row.group]
            runner = self._runners[row.site]
            runner.start(f"create {row.name}", partial(self._effects.create, runner, row, plan))
        for live, reason in losses:
            runner = self._runners[live.row.site]
            runner.start(f"confirm {live.row.name}", partial(self._effects.confirm_lost, runner, live.row, reason))
        for live in lives:
            if live.state is WorkerState.RELEASING:
                self._delete(live, now)
            elif live.state is WorkerState.DRAINING:
                self._drain(live, now)
        for orphan in orphans:
            self._delete_orphan(orphan, now)

    def _delete(self, live: Live, now: datetime) -> None:
        row, server = live.row, live.sight.server
        runner = self._runners.get(row.site)
        server_id = row.server_id or (server.id if server is not None else "")
        if runner is not None and server_id and self._due(f"delete {server_id} at {row.site}", now):
            # In this cycle it moved on from `FAILED`, so this is the first call for it.
            unjoined = row.state == WorkerState.FAILED and row.ready_at is None
            call = partial(self._effects.delete, runner, server_id, row.name, unjoined=unjoined)
            runner.start(f"delete {server_id}", call)

    def _drain(self, live: Live, now: datetime) -> None:
        row, slots = live.row, live.sight.slots
        runner = self._runners.get(row.site)
        if runner is None or slots is None or slots.draining or not self._due(f"drain {row.name}", now):
            return
        left_s = self._spec.policy.drain_deadline_s
        if row.drain_deadline is not None:
            left_s = max(0.0, (row.drain_deadline - now).total_seconds())
        runner.start(f"drain {row.name}", partial(self._effects.drain, row, left_s))

    def _delete_orphan(self, orphan: Orphan, now: datetime) -> None:
        server_id = orphan.server.id
        if not self._due(f"delete {server_id} at {orphan.site}", now):
            return
        with self._store.transaction() as session:
            told = FleetNote("delete-orphan", f"server {server_id}: {orphan.why}", orphan.site, orphan.worker)
            ledger.note(session, self._effects.fleet, [told], now)
        runner = self._runners[orphan.site]
        runner.start(f"delete {server_id}", partial(self._effects.delete, runner, server_id, orphan.worker))

    def _due(self, key: str, now: datetime) -> bool:
        tried = self._tried.get(key)
        if tried is not None and now - tried < _AGAIN:
            return False
        self._tried[key] = now
        if len(self._tried) > _REMEMBERED:
            self._tried = {name: time for name, time in self._tried.items() if now - time < _AGAIN}
        return True
