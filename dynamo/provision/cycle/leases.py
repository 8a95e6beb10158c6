"""Leases that end: prolonged while their worker is wanted, and emptied in time where they cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dynamo.provision.deciding.lifecycle import SERVING, WorkerState

#: A refused extension is asked for again after this long; others may have given back what they leased.
RETRY = timedelta(minutes=5)
#: A worker whose lease ends is emptied from so long before, at least.
LEAST_DRAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class LeaseCare:
    """What is to be done about one lease."""

    action: Literal["extend", "drain"]
    until: datetime
    reason: str


def care(
    state: WorkerState,
    lease_end: datetime | None,
    *,
    now: datetime,
    extend_before_s: float,
    drain_deadline_s: float,
    group_end: datetime | None,
    wanted: bool,
    refused_at: datetime | None,
) -> LeaseCare | None:
    """Return what is to be done about the lease of a worker; None if nothing is yet.

    Parameters
    ----------
    state, lease_end
        Of the worker.
    extend_before_s
        So long before its end a lease is prolonged, by as much again as lies before; 0 never.
    drain_deadline_s
        How long jobs may take to end: so long before the end the worker is drained if it was not prolonged.
    group_end
        When the spec wants the group's workers to end; no lease is prolonged beyond.
    wanted
        Whether the group still wants the worker.
    refused_at
        When the site last refused to prolong it.
    """
    if lease_end is None or state not in SERVING:
        return None
    before = timedelta(seconds=extend_before_s)
    drain_from = lease_end - max(LEAST_DRAIN, min(timedelta(seconds=drain_deadline_s), before / 2))
    until = lease_end + 2 * before
    if group_end is not None:
        until = min(until, group_end)
    # One that has not begun cannot be prolonged yet.
    begun = state in (WorkerState.JOINING, WorkerState.READY)
    may = begun and wanted and extend_before_s > 0 and until > lease_end
    due = now >= lease_end - before and (refused_at is None or now - refused_at >= RETRY)
    if may and due:
        return LeaseCare("extend", until, f"its lease ends at {lease_end:%Y-%m-%d %H:%M} UTC")
    if state is WorkerState.READY and now >= drain_from:
        return LeaseCare("drain", lease_end, f"its lease ends at {lease_end:%Y-%m-%d %H:%M} UTC")
    return None
