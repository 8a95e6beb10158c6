"""How many workers each group should have now, and which ones to remove: pure functions on plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dynamo.provision.deciding.lifecycle import WorkerState


@dataclass(frozen=True)
class GroupNeed:
    """One group of workers: its requested size and its limits.

    Attributes
    ----------
    wanted
        As requested by the spec, an operator or the autoscaler.
    most
        Its maximum; it takes over from other groups up to this.
    serving
        Workers that are ready or starting.
    open
        Whether new workers may be requested from its site.
    weight
        Its share of what other groups cannot provide.
    ready
        The serving workers that are ready.
    """

    group: str
    site: str
    wanted: int
    most: int
    serving: int
    ready: int
    open: bool = True
    weight: float = 1.0


def targets(needs: Sequence[GroupNeed]) -> dict[str, int]:
    """Return how many workers each group should have: its request, plus a share of what closed sites cannot provide.

    A group gives back what it took over only when the missing workers are ready: a site that has just come back
    is not yet a reason to remove other workers.
    """
    result = {need.group: min(need.wanted, need.most) for need in needs}
    missing = sum(max(0, result[need.group] - need.serving) for need in needs if not need.open)
    coming = sum(max(0, result[need.group] - need.ready) for need in needs if need.open)
    for need in needs:
        # Substitutes stay until the others are ready.
        kept = min(coming, max(0, min(need.serving, need.most) - result[need.group]))
        coming -= kept
        took_over = min(kept, missing)
        missing -= took_over
        result[need.group] += kept
    helpers = [need for need in needs if need.open and need.most > result[need.group]]
    while missing > 0 and helpers:
        helpers.sort(key=lambda need: (result[need.group] - need.wanted + 1) / max(need.weight, 1e-6))
        first = helpers[0]
        result[first.group] += 1
        missing -= 1
        if result[first.group] >= first.most:
            helpers.pop(0)
    return result


@dataclass(frozen=True)
class RemovalCandidate:
    """A worker that could be removed."""

    name: str
    state: WorkerState
    busy_cpus: int
    requested_at: datetime
    lease_end: datetime | None = None


#: Cheapest to give up first.
_ORDER = {WorkerState.REQUESTED: 0, WorkerState.BOOTING: 1, WorkerState.JOINING: 2, WorkerState.READY: 3}


def victims(candidates: Iterable[RemovalCandidate], count: int) -> list[RemovalCandidate]:
    """Return the ``count`` workers to remove: those not ready yet, then idle ones, then the least busy.

    Ties: first those whose prepaid lease ends soonest, then the newest.
    """
    ranked = sorted(
        candidates,
        key=lambda worker: (
            _ORDER[worker.state],
            worker.busy_cpus,
            worker.lease_end.timestamp() if worker.lease_end else 0.0,
            -worker.requested_at.timestamp(),
        ),
    )
    return ranked[: max(0, count)]
