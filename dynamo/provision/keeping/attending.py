"""Follow a fleet until a condition holds: by managing it, or by watching another process manage it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dynamo.errors import BusyError, DynamoError
from dynamo.provision import ledger
from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.deciding.hopeless import all_hopeless, lasting_error
from dynamo.provision.deciding.lifecycle import FINAL
from dynamo.provision.fleets import stored_spec
from dynamo.provision.keeping.fleet_loop import BUSY_PACE_S, FleetLoop
from dynamo.provision.keeping.opening import pool_folder
from dynamo.provision.keeping.presence import daemon_for
from dynamo.provision.states import ACTIVE, ENDED
from dynamo.provision.status import FleetStatus, fleet_state, fleet_status, looked_after_by
from dynamo.store.engine import Store

#: How long the first cycle waits for the sites' lists.
_FIRST_LISTS_S = 5.0
#: The end of every call wakes the loop; fast sites would keep it spinning for nothing.
_LEAST_PACE_S = 0.15
_DAEMON_S = 10.0


class NotSettledError(DynamoError):
    """A fleet did not reach the requested state in time."""

    exit_code = 9


class HopelessError(DynamoError):
    """A fleet cannot reach the requested state, however long one waits: a person must act."""

    exit_code = 8


@dataclass(frozen=True)
class Glance:
    """A fleet at one moment.

    Attributes
    ----------
    counts
        Living workers by group and state.
    target
        How many each group should have; None if only its site can tell.
    held
        What is held back, in sentences.
    by
        The process that manages it, if another one.
    hopeless
        As in `CycleReport`.
    """

    counts: Mapping[str, Mapping[str, int]]
    target: Mapping[str, int | None]
    held: tuple[str, ...]
    settled: bool
    ended: bool
    by: str | None = None
    hopeless: tuple[str, ...] = ()

    def ready(self, group: str) -> int:
        """Return how many workers of a group are ready."""
        return self.counts.get(group, {}).get("ready", 0)

    def missing(self) -> str:
        """Return in words what is not yet as requested."""
        parts = []
        for group in sorted({*self.counts, *self.target}):
            wanted = self.target.get(group, 0)
            others = [f"{n} {state}" for state, n in sorted(self.counts.get(group, {}).items()) if state != "ready"]
            if wanted != self.ready(group) or others:
                of = "" if wanted is None else f" of {wanted}"
                parts.append(f"{group}: {', '.join([f'{self.ready(group)}{of} ready', *others])}")
        return "; ".join([*parts, *self.held]) or "something is still in progress"


def attend(
    store: Store,
    name: str,
    done: Callable[[Glance], bool],
    *,
    timeout_s: float,
    tell: Callable[[str], None] = lambda _text: None,
    progress: Callable[[Glance], None] = lambda _glance: None,
) -> Glance:
    """Follow a fleet until ``done`` and return its state then.

    If no process manages the fleet, this one does for that time. Another one may start or stop managing it in the
    meantime.

    Raises
    ------
    NotSettledError
        If the time is up; it says what is missing and why.
    HopelessError
        As soon as nothing of what is missing can come without a person.
    DynamoError
        As `FleetLoop`.
    """
    deadline = time.monotonic() + timeout_s
    # A daemon picks up a new fleet within a second; if it does not, it cannot.
    until = time.monotonic() + _DAEMON_S
    while True:
        found = None
        if time.monotonic() > until or not daemon_for(store, name):
            with contextlib.suppress(BusyError), FleetLoop(store, name, tell) as loop:
                found = _look_after(loop, done, deadline, progress)
        if found is None:
            found = glance_of(fleet_status(store, name))
            progress(found)
            if not (done(found) or found.hopeless or time.monotonic() > deadline):
                time.sleep(BUSY_PACE_S)
                continue
        if done(found):
            return found
        if found.hopeless:
            raise HopelessError("; ".join(found.hopeless), where=name, hint=_way_out(store, name))
        raise NotSettledError(
            f"not settled after {timeout_s:.0f} s: {found.missing()}",
            where=name,
            hint=f"the order is stored: check `dynamo-provision status`, or {_next_step(store, name)}",
        )


def _next_step(store: Store, name: str) -> str:
    by = looked_after_by(store, name)
    return "continue with `dynamo-provision daemon`" if by is None else f"wait for process {by}, which manages it"


def _look_after(
    loop: FleetLoop, done: Callable[[Glance], bool], deadline: float, progress: Callable[[Glance], None]
) -> Glance:
    wait_s = _FIRST_LISTS_S
    while True:
        found = _glance(loop.cycle(wait_s=wait_s))
        wait_s = 0.0
        progress(found)
        if done(found) or found.ended or found.hopeless or time.monotonic() > deadline:
            return found
        time.sleep(_LEAST_PACE_S)
        loop.wait(BUSY_PACE_S)


def _glance(report: CycleReport) -> Glance:
    held = tuple(f"{about}: {why}" for about, why in report.held.items())
    counts = {
        group: {state: count for state, count in states.items() if state not in FINAL}
        for group, states in report.counts.items()
    }
    return Glance(counts, dict(report.target), held, report.settled, report.ended, hopeless=report.hopeless)


def _way_out(store: Store, name: str) -> str:
    if fleet_state(store, name) == ACTIVE:
        return "correct the spec or the access to the site, and apply again; `dynamo-provision plan` shows all problems"
    return "correct the access to the site; if it is gone for good, `dynamo-provision destroy --forget`"


def glance_of(status: FleetStatus) -> Glance:
    """Return a fleet's state from the store."""
    counts: dict[str, Counter[str]] = {}
    for worker in status.workers:
        if worker.state not in FINAL:
            counts.setdefault(worker.group, Counter())[worker.state] += 1
    errors = {site.site: lasting_error(SiteTrust(kind=site.kind, error=site.error)) for site in status.sites}
    short = [group for group in status.groups if group.wanted is None or group.states.get("ready", 0) < group.wanted]
    return Glance(
        counts=counts,
        target={group.group: group.wanted for group in status.groups},
        held=status.holds,
        settled=status.settled,
        ended=status.state == ENDED,
        by=status.looked_after_by or "none yet",
        hopeless=all_hopeless((group.group, errors[group.site]) for group in short) if status.state == ACTIVE else (),
    )


def job_environment(store: Store, name: str) -> dict[str, str]:
    """Return the environment variables that send jobs to a fleet's pool; none if its pool is simulated."""
    with store.reading() as session:
        fleet = ledger.fleet_named(session, name)
    spec = stored_spec(fleet)
    if spec.sites and all(site.driver == "simulated" for site in spec.sites.values()):
        return {}
    if spec.pool.condor_config is not None:
        return {"CONDOR_CONFIG": spec.pool.condor_config}
    return {"DYNAMO_POOL_DIR": str(pool_folder(spec, Path(fleet.base)))}
