"""The autoscaling loop: gather demand, observe the fleet, decide, then store the decision and the new sizes.

A manual override holds until it is released. No failure stops the loop.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from dynamo.autoscale.decisions import (
    Change,
    LoopState,
    inputs_json,
    read_state,
    store_decision,
    write_state,
)
from dynamo.autoscale.demand.base import DemandSource, gather
from dynamo.autoscale.model import Decision, Demand, Policy, Work
from dynamo.autoscale.observing import Observed, observe
from dynamo.autoscale.overload import Overload, assess, store_overload
from dynamo.config.autoscale import AutoscaleSection
from dynamo.errors import DynamoError, RetryableError
from dynamo.provision import ledger
from dynamo.provision.fleets import OPERATOR
from dynamo.provision.notes import FleetNote
from dynamo.store.engine import Store
from dynamo.times import utc_now

log = logging.getLogger(__name__)
AUTOSCALER = "autoscaler"
#: Intervals after which an overload expires unless confirmed.
_VALID_INTERVALS = 4.0


@dataclass(frozen=True)
class Look:
    """What one iteration of the loop observed and decided.

    Attributes
    ----------
    changes
        Changes of the requested sizes; in a dry run, those that would be made.
    applied
        Whether the changes were stored.
    """

    at: datetime
    observed: Observed
    demand: Demand
    decision: Decision
    changes: tuple[Change, ...]
    overload: Overload | None
    applied: bool


class Autoscaler:
    """Scales one fleet.

    Parameters
    ----------
    store, fleet
        The store, and the fleet's name.
    policy
        Makes the decisions.
    sources
        Report work.
    settings
        The configuration section ``[autoscale]``.
    clock
        Returns the current time.
    """

    def __init__(
        self,
        store: Store,
        fleet: str,
        policy: Policy,
        sources: Sequence[DemandSource],
        settings: AutoscaleSection,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.fleet = fleet
        self._store = store
        self._policy = policy
        self._sources = [_Guarded(source) for source in sources]
        self._settings = settings
        self._clock = clock
        self._said: set[str] = set()

    def look(self, *, dry_run: bool = False) -> Look:
        """Observe once, decide, and store the result unless it is a dry run.

        Raises
        ------
        NotFoundError
            If the fleet does not exist.
        StoreUnavailableError
            If the store is unavailable.
        """
        settings = self._settings
        demand = gather(self._sources, self._clock(), settings.horizon_s)
        now = self._clock()
        with self._store.reading() as session:
            observed = observe(session, self.fleet, now)
            state = self._state(session)
        decision = self._policy.decide(now, demand, observed.view, state.memory)
        changes = self._changes(observed, decision, silent=bool(demand.missing))
        after = {**observed.now_wanted, **{change.group: change.after for change in changes}}
        overload = assess(demand, observed.view, after, now) if observed.active else None
        found = Look(now, observed, demand, decision, changes, overload, applied=False)
        if dry_run or not observed.active:
            return found
        return self._store_all(found, state)

    def run(self, stop: threading.Event, tell: Callable[[Look], None] = lambda _look: None) -> None:
        """Iterate until ``stop`` is set; failures are logged and retried."""
        while not stop.is_set():
            begun = time.monotonic()
            self.attempt(tell)
            stop.wait(max(0.1, self._settings.every_s - (time.monotonic() - begun)))

    def attempt(self, tell: Callable[[Look], None] = lambda _look: None) -> Look | None:
        """Run one iteration; log a failure and return None."""
        try:
            found = self.look()
        except DynamoError as error:
            log.warning("no decision: %s", error, extra={"fleet": self.fleet})
            return None
        except Exception:  # a bug in a policy must not stop the daemon that it runs in
            log.exception("no decision: unexpected error", extra={"fleet": self.fleet})
            return None
        for change in found.changes:
            log.info("scale", extra={"fleet": self.fleet, "group": change.group, "reason": change.sentence})
        said = list(found.decision.notes)
        for name, why in found.demand.missing.items():
            if not any(f"{name} is silent" in note for note in said):
                said.append(f"{name} is silent: {why}")
        if found.overload is not None:
            said.append(f"overload: {found.overload.deficit_core_s:.0f} core-s over capacity: {found.overload.reason}")
        self._warn(said)
        tell(found)
        return found

    def _warn(self, texts: Sequence[str]) -> None:
        """Log notes that are new since the last iteration; changed numbers alone do not count as new."""
        kinds = {re.sub(r"[\d.,:]+", "#", text): text for text in texts}
        for kind, text in kinds.items():
            if kind not in self._said:
                log.warning(text, extra={"fleet": self.fleet})
        self._said = set(kinds)

    def _state(self, session: Session) -> LoopState:
        state = read_state(session, self.fleet)
        if state is None or state.policy != self._settings.policy:
            # One policy's memory means nothing to another.
            return LoopState(policy=self._settings.policy)
        return state

    def _changes(self, observed: Observed, decision: Decision, *, silent: bool) -> tuple[Change, ...]:
        changes = []
        for option in observed.view.groups:
            group = option.group
            before = observed.now_wanted[group]
            # A group that the policy does not mention stays as it is.
            after = decision.wanted.get(group, before)
            reason = decision.reasons.get(group, "")
            if silent and not reason:
                # The policy keeps existing workers; requested workers that do not exist yet are kept as well.
                after = max(after, min(before, option.most))
            if group in observed.held or after == before:
                continue
            if not reason and after == observed.view.count(group):
                reason = f"{after} ready or booting are enough"
            changes.append(Change(group, option.site, before, after, reason))
        return tuple(changes)

    def _store_all(self, found: Look, state: LoopState) -> Look:
        now, settings = found.at, self._settings
        with self._store.transaction() as session:
            wishes = ledger.wishes(session, self.fleet)
            held = {group for group, wish in wishes.items() if wish.source == OPERATOR}
            # An operator may have set an override in the meantime.
            changes = tuple(change for change in found.changes if change.group not in held)
            due = state.traced_at is None or now - state.traced_at >= timedelta(seconds=settings.trace_s)
            if changes or due:
                inputs = inputs_json(found.demand, found.observed.view, found.observed.held)
                store_decision(session, self.fleet, changes, now, policy=settings.policy, inputs=inputs)
            for change in changes:
                ledger.wish(
                    session,
                    self.fleet,
                    change.group,
                    site=change.site,
                    wanted=change.after,
                    source=AUTOSCALER,
                    reason=change.sentence,
                    now=now,
                )
                # The event wakes the provisioner.
                data = {"group": change.group, "wanted": change.after, "before": change.before}
                ledger.note(session, self.fleet, [FleetNote("autoscale", change.sentence, change.site, data=data)], now)
            store_overload(session, found.overload, now, _VALID_INTERVALS * settings.every_s)
            write_state(
                session,
                self.fleet,
                LoopState(
                    policy=settings.policy,
                    memory=found.decision.memory,
                    looked_at=now,
                    traced_at=now if changes or due else state.traced_at,
                    demand_core_s={**self._nothing(found.demand), **found.demand.by_source()},
                    demand_high_core_s={**self._nothing(found.demand), **_high(found.demand)},
                    missing=found.demand.missing,
                    notes=found.demand.notes,
                    wanted={**found.observed.now_wanted, **{change.group: change.after for change in changes}},
                ),
                now,
            )
        return Look(now, found.observed, found.demand, found.decision, changes, found.overload, applied=True)

    def _nothing(self, demand: Demand) -> dict[str, float]:
        """Return 0 for each source that reported: no work is not the same as no answer."""
        return {source.name: 0.0 for source in self._sources if source.name not in demand.missing}


class _Guarded:
    """A source whose bugs count as silence."""

    def __init__(self, source: DemandSource) -> None:
        self._source = source

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def notes(self) -> Mapping[str, str]:
        return getattr(self._source, "notes", {})

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        try:
            return self._source.work(now, horizon_s)
        except RetryableError:
            raise
        except (DynamoError, OSError) as error:
            raise RetryableError(str(error)) from error
        except Exception as error:  # one source must not silence the others
            log.exception("unexpected error in a demand source", extra={"source": self.name})
            raise RetryableError(f"unexpected error: {type(error).__name__}: {error}") from error


def _high(demand: Demand) -> dict[str, float]:
    sums: dict[str, float] = {}
    for item in demand.work:
        sums[item.source] = sums.get(item.source, 0.0) + item.core_s_high
    return sums
