"""Shared by the application's routes: the store, the fleets' files, and transactional orders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from dynamo.api.kept.judge import Judge
from dynamo.api.kept.pictures import Pictures
from dynamo.api.kept.shared import Shared
from dynamo.api.kept.sheets import Sheets
from dynamo.api.limits import SlowCalls
from dynamo.api.settings import ApiSettings
from dynamo.config.file import Config
from dynamo.errors import InputError
from dynamo.provision import ledger
from dynamo.provision.notes import FleetNote
from dynamo.runs.service import RunService
from dynamo.runs.setup import make_planner, make_service
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.times import utc_now

__all__ = ["ApiSettings", "Served", "Service", "service_of"]

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """The store and the daemon's state folder, as used by the routes."""

    store: Store
    state_dir: Path
    settings: ApiSettings = field(default_factory=ApiSettings)
    #: What is watched, and where products and runs are.
    config: Config = field(default_factory=Config)
    slow: SlowCalls = field(default_factory=SlowCalls)
    #: Of their own: a site that hangs holds one for as long as its own time limit.
    asking: SlowCalls = field(default_factory=SlowCalls)
    #: Plans and promotions of backfills read much of the store.
    planning: SlowCalls = field(default_factory=SlowCalls)
    pictures: Pictures = field(default_factory=Pictures)
    sheets: Sheets = field(default_factory=Sheets)

    @cached_property
    def shared(self) -> Shared:
        """Gives an answer to all who ask the same within a moment."""
        return Shared(self.settings.shared_s)

    @cached_property
    def judge(self) -> Judge:
        """Judges how data come."""
        return Judge(self.config)

    @cached_property
    def planner(self) -> DocumentPlanner:
        """Reads workflow documents."""
        return make_planner(self.config)

    @cached_property
    def runs(self) -> RunService:
        """Makes runs and takes orders about them; other processes execute them."""
        return make_service(self.config, store=self.store, planner=self.planner)

    def order(self, fleet: str, caller: str, what: str, work: Callable[[Session, datetime], T]) -> T:
        """Do ``work`` in one transaction that locks the fleet, and record who requested it.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable; nothing is changed.
        InputError
            If the store rejects a value.
        """
        try:
            return self._order(fleet, caller, what, work)
        except IntegrityError:
            # Two callers created the same fleet; the second one now finds it.
            return self._order(fleet, caller, what, work)
        except DataError as error:
            raise InputError(f"rejected by the store: {error.orig}", where=fleet, expected="shorter names") from error

    def _order(self, fleet: str, caller: str, what: str, work: Callable[[Session, datetime], T]) -> T:
        now = utc_now()
        with self.store.transaction() as session:
            # Locked until the transaction ends; a fleet that does not exist yet is protected by its key.
            session.get(Fleet, fleet, with_for_update=True)
            done = work(session, now)
            ledger.note(session, fleet, [FleetNote("api", f"{caller} by the API: {what}", data={"token": caller})], now)
        log.info("ordered", extra={"fleet": fleet, "caller": caller, "order": what})
        return done


def service_of(request: Request) -> Service:
    """Return the application's service, for routes."""
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(service_of)]
