"""What the application's routes share: the store, where fleets have their files, and orders that never get lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from dynamo.api.limits import SlowCalls
from dynamo.api.settings import ApiSettings
from dynamo.errors import InputError
from dynamo.provision import ledger
from dynamo.provision.notes import Note
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.times import utc_now

__all__ = ["ApiSettings", "Served", "Service", "service_of"]

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """A store and the folder of the daemon's files, as the routes use them."""

    store: Store
    state_dir: Path
    settings: ApiSettings = field(default_factory=ApiSettings)
    slow: SlowCalls = field(default_factory=SlowCalls)

    def order(self, fleet: str, caller: str, what: str, work: Callable[[Session, datetime], T]) -> T:
        """Do ``work`` in one transaction in which nobody else changes the fleet, and note who asked for it.

        Raises
        ------
        StoreUnavailableError
            If the store does not answer; then nothing is changed.
        InputError
            If it does not take a value.
        """
        try:
            return self._order(fleet, caller, what, work)
        except IntegrityError:
            # Two callers made the same new fleet; the second one now finds it.
            return self._order(fleet, caller, what, work)
        except DataError as error:
            raise InputError(
                f"the store does not take it: {error.orig}", where=fleet, expected="shorter names"
            ) from error

    def _order(self, fleet: str, caller: str, what: str, work: Callable[[Session, datetime], T]) -> T:
        now = utc_now()
        with self.store.transaction() as session:
            # Until the transaction ends; a fleet that is not there yet is kept apart by its key.
            session.get(Fleet, fleet, with_for_update=True)
            done = work(session, now)
            ledger.note(session, fleet, [Note("api", f"{caller} by the API: {what}", data={"token": caller})], now)
        log.info("ordered", extra={"fleet": fleet, "caller": caller, "order": what})
        return done


def service_of(request: Request) -> Service:
    """Return the application's service, for routes."""
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(service_of)]
