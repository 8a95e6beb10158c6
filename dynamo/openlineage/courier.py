"""Sends the stored steps of runs as OpenLineage events, in its own time: no run waits for it or fails by it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dynamo.errors import DynamoError
from dynamo.openlineage.targets import Target
from dynamo.runs.ledger import products_of
from dynamo.runs.provenance.facts import facts_of
from dynamo.runs.provenance.openlineage import RunStep, run_event
from dynamo.store.engine import Store
from dynamo.store.lineage import UntoldStep
from dynamo.store.models import Run
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.openlineage")
_BATCH = 100
#: Pauses after a failure, in seconds: the first, and the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 300.0


class LineageCourier:
    """Sends what is stored, oldest first, and removes it once it has arrived.

    A kill between the two repeats some events: they arrive at least once, and are the same each time.

    Parameters
    ----------
    store, target
        Where steps are stored, and who is told.
    namespace
        Of the workflows.
    keep_days
        Steps that could not be told for so long are given up.
    """

    def __init__(self, store: Store, target: Target, *, namespace: str, keep_days: float) -> None:
        self._store = store
        self._target = target
        self._namespace = namespace
        self._keep = timedelta(days=keep_days)
        self._failures = 0
        self._not_before = 0.0

    def deliver(self) -> int:
        """Send what is stored until there is no more or something fails; return how many events arrived.

        After a failure it does nothing for a while.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable.
        """
        arrived = 0
        while time.monotonic() >= self._not_before and (steps := self._next()):
            arrived += self._send(steps)
        return arrived

    def _next(self) -> list[UntoldStep]:
        with self._store.reading() as session:
            order = UntoldStep.failures, UntoldStep.id
            return list(session.scalars(select(UntoldStep).order_by(*order).limit(_BATCH)))

    def _send(self, steps: list[UntoldStep]) -> int:
        done, oldest = [], utc_now() - self._keep
        failed: UntoldStep | None = None
        try:
            for step in steps:
                event = None if step.at < oldest else self._event(step)
                if event is None:
                    _log.warning("event given up", extra={"run": step.run_id, "event": step.kind})
                else:
                    try:
                        self._target.send(event)
                    except DynamoError as error:
                        failed = step
                        self._pause(step, error)
                        break
                    self._failures = 0
                done.append(step.id)
        finally:
            if done or failed is not None:
                self._settle(done, failed)
        return len(done)

    def _settle(self, done: list[int], failed: UntoldStep | None) -> None:
        with self._store.transaction() as session:
            session.execute(delete(UntoldStep).where(UntoldStep.id.in_(done)))
            if failed is not None:
                failures = UntoldStep.failures + 1
                session.execute(update(UntoldStep).where(UntoldStep.id == failed.id).values(failures=failures))

    def _event(self, step: UntoldStep) -> dict[str, Any] | None:
        with self._store.reading() as session:
            return _event(session, step, self._namespace)

    def _pause(self, step: UntoldStep, error: DynamoError) -> None:
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(self._failures, 30), _LONGEST_PAUSE_S)
        self._failures += 1
        self._not_before = time.monotonic() + pause_s
        facts = {"run": step.run_id, "event": step.kind, "failures": step.failures + 1, "retry_s": pause_s}
        _log.warning("not delivered", extra={**facts, "reason": error.what})


def _event(session: Session, step: UntoldStep, namespace: str) -> dict[str, Any] | None:
    """Return the event of a step; None if its run is not known any more."""
    run = session.get(Run, step.run_id)
    if run is None:
        return None
    facts = facts_of(session, run, products_of(session, run.id))
    told: Any = step.kind
    try:
        return run_event(facts, RunStep(told, step.at, step.attempt, step.reason), namespace=namespace)
    except (LookupError, TypeError, ValueError, AttributeError):
        # An index that was changed by hand: it must not hold up the others.
        _log.exception("no event can be made", extra={"run": step.run_id})
        return None
