"""Expiring leases: extend them while their worker is needed, else drain the worker in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dynamo.provision.deciding.lifecycle import SERVING, WorkerState

#: A refused extension is requested again after this time; others may have released what they leased.
RETRY = timedelta(minutes=5)
#: Drain a worker at least this long before its lease ends.
LEAST_DRAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class LeaseCare:
    """What to do about one lease."""

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
    """Return what to do about a worker's lease; None for nothing yet.

    Parameters
    ----------
    state, lease_end
        Of the worker.
    extend_before_s
        Extend a lease this long before its end, by twice this time; 0: never.
    drain_deadline_s
        Time jobs have to finish: a worker whose lease was not extended is drained this long before the end.
    group_end
        When the spec ends the group's lease; no lease is extended beyond.
    wanted
        Whether the group still needs the worker.
    refused_at
        When the site last refused to extend it.
    """
    if lease_end is None or state not in SERVING:
        return None
    before = timedelta(seconds=extend_before_s)
    drain_from = lease_end - max(LEAST_DRAIN, min(timedelta(seconds=drain_deadline_s), before / 2))
    until = lease_end + 2 * before
    if group_end is not None:
        until = min(until, group_end)
    # A lease that has not started cannot be extended yet.
    begun = state in (WorkerState.JOINING, WorkerState.READY)
    may = begun and wanted and extend_before_s > 0 and until > lease_end
    due = now >= lease_end - before and (refused_at is None or now - refused_at >= RETRY)
    if may and due:
        return LeaseCare("extend", until, f"its lease ends at {lease_end:%Y-%m-%d %H:%M} UTC")
    if state is WorkerState.READY and now >= drain_from:
        return LeaseCare("drain", lease_end, f"its lease ends at {lease_end:%Y-%m-%d %H:%M} UTC")
    return None
