"""Calls with side effects for one worker: create, delete, confirm a loss, drain.

Each runs in one of its site's threads, after its intent has been stored. Each may be killed at any point:
what it leaves behind is found again by server names and tags.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dynamo.errors import DynamoError
from dynamo.provision.deciding import console
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.provision.deciding.requests import request_for
from dynamo.provision.deciding.site_parts import scripts_for
from dynamo.provision.ledger import move_worker, note, set_worker
from dynamo.provision.notes import FleetNote
from dynamo.provision.pool_link import PoolLink
from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG
from dynamo.provision.sites.errors import SiteError, SiteQuotaError, SiteRetryableError
from dynamo.provision.sites.extras import ConsoleSite
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.store.engine import Store

log = logging.getLogger(__name__)

#: In `ServerRequest.options`: no earlier call can have created this server, so the driver need not look for it.
FIRST_ATTEMPT = "first_attempt"
_SHORT = 300


@dataclass
class Effects:
    """What the calls need.

    Attributes
    ----------
    fleet, fleet_id
        The fleet's name in the store and its tag at the sites.
    """

    store: Store
    fleet: str
    fleet_id: str
    spec: FleetSpec
    link: PoolLink
    health: HealthBook
    clock: Callable[[], datetime]

    def create(self, runner: SiteRunner, row: Any, group: GroupPlan) -> None:
        """Request the worker's server from the site; intent and attempt are already stored."""
        assert group.flavor is not None  # noqa: S101 - the caller creates only what has a flavor
        first = row.attempts == 0
        local = group.site.driver == "local"
        try:
            papers = self.link.papers(
                row.name,
                script=scripts_for(self.spec, group.spec, row.name),
                remote=not local,
                options=_paper_options(group),
            )
        except DynamoError as error:
            # The site was not called.
            self._store(
                row, [FleetNote("wait", f"no join credentials: {error}", row.site, row.name)], unsure=row.unsure
            )
            return
        request = replace(
            request_for(self.spec, group, row.name),
            tags={FLEET_TAG: self.fleet_id, WORKER_TAG: row.name, GROUP_TAG: row.group},
            user_data=papers.user_data,
            private_files=papers.private_files,
            lease_end=row.lease_end or group.lease_end,
            options={**group.spec.options, FIRST_ATTEMPT: first},
        )
        try:
            server = runner.driver.create(request)
        except SiteRetryableError as error:
            self.health.failure(row.site, error.kind, _short(error))
            # It may take a while from now, not from the start of the attempt, until a list has the server.
            told = FleetNote("create-unsure", _short(error), row.site, row.name)
            self._store(row, [told], attempted_at=self.clock())
        except SiteError as error:
            self._refused(runner, row, error)
        else:
            self.health.answered(row.site)
            runner.forget_quota()
            self._made(row, server.id, list(server.addresses), server.lease_end)

    def _made(self, row: Any, server_id: str, addresses: list[str], lease_end: datetime | None) -> None:
        now = self.clock()
        known = {"server_id": server_id, "unsure": False, "addresses": addresses, "started_at": now}
        if lease_end is not None:
            known["lease_end"] = lease_end
        with self.store.transaction() as session:
            if row.state != WorkerState.REQUESTED:
                set_worker(session, row.id, server_id=server_id, unsure=False)
            elif move_worker(session, row.id, WorkerState.BOOTING, "the site is creating its server", now, **known):
                note(session, self.fleet, [FleetNote("booting", f"server {server_id}", row.site, row.name)], now)
            else:
                # It was given up in the meantime; its removal must know what to delete.
                set_worker(session, row.id, **known)

    def _refused(self, runner: SiteRunner, row: Any, error: SiteError) -> None:
        if isinstance(error, SiteQuotaError):
            runner.forget_quota()
        self.health.failure(row.site, error.kind, _short(error))
        now = self.clock()
        with self.store.transaction() as session:
            reason = f"not created ({error.kind}): {_short(error)}"
            set_worker(session, row.id, unsure=False)
            if move_worker(session, row.id, WorkerState.RELEASED, reason, now):
                found = FleetNote("refused", _short(error), row.site, row.name, {"kind": error.kind})
                note(session, self.fleet, [found], now)

    def explain(self, runner: SiteRunner, server_id: str, worker: str) -> None:
        """Note what the console of a worker that did not join says, before its server is deleted."""
        if not isinstance(runner.driver, ConsoleSite):
            return
        try:
            text = console.tail(runner.driver.console(server_id))
        except SiteError as error:
            log.info("%s: cannot read the console of %s: %s", runner.name, worker, error)
            return
        if text:
            why = f"its console's last word: {console.last_word(text)}"
            self.health.explain(runner.name, worker, why)
            self._note(FleetNote("console", why, runner.name, worker, {"console": text}))

    def delete(self, runner: SiteRunner, server_id: str, worker: str, *, unjoined: bool = False) -> None:
        """Ask the site to delete a server; it is done when a later list lacks it.

        ``unjoined`` is for a worker that should have joined and did not.
        """
        if unjoined:
            self.explain(runner, server_id, worker)
        try:
            runner.driver.delete(server_id)
        except SiteError as error:
            self.health.failure(runner.name, error.kind, _short(error))
            self._note(FleetNote("delete-failed", _short(error), runner.name, worker, {"server": server_id}))
        else:
            runner.refresh()

    def confirm_lost(self, runner: SiteRunner, row: Any, reason: str) -> None:
        """Ask the site once more for a server missing from its list; only then mark the worker lost."""
        try:
            server = runner.driver.get(row.server_id)
        except SiteError as error:
            log.info("%s: cannot confirm that %s is gone: %s", runner.name, row.name, error)
            return
        if server is not None:
            return
        now = self.clock()
        with self.store.transaction() as session:
            if move_worker(session, row.id, WorkerState.LOST, reason, now, jobs_killed=row.jobs):
                data = {"jobs_killed": row.jobs, "server": row.server_id}
                note(session, self.fleet, [FleetNote("lost", reason, row.site, row.name, data)], now)

    def drain(self, row: Any, deadline_s: float) -> None:
        """Tell the pool to drain the worker; repeated until the collector shows it."""
        try:
            self.link.drain(row.name, deadline_s=deadline_s)
        except DynamoError as error:
            log.info("%s: cannot drain %s yet: %s", row.site, row.name, error)

    def _store(self, row: Any, notes: list[FleetNote], **values: Any) -> None:
        with self.store.transaction() as session:
            if values:
                set_worker(session, row.id, **values)
            note(session, self.fleet, notes, self.clock())

    def _note(self, item: FleetNote) -> None:
        with self.store.transaction() as session:
            note(session, self.fleet, [item], self.clock())


def _paper_options(group: GroupPlan) -> dict[str, object]:
    """Return the worker's options for its join papers: its size, and what the site's images contain."""
    options: dict[str, object] = {"site": group.spec.site}
    if group.flavor is not None:
        options |= {"cpus": group.flavor.cpus, "memory_mb": group.flavor.ram_mb}
    told = group.site.worker
    if told.condor_prefix is not None:
        options["condor_prefix"] = told.condor_prefix
    if told.shared_files:
        options["shared_files"] = True
    return options


def _short(error: DynamoError) -> str:
    text = str(error)
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
