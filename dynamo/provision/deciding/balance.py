"""How many workers each group should have now, and which ones to remove: pure functions on plain data."""

from __future__ import annotations

import math
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
    cpus, ram_mb
        What one of its workers has; 0 MB if unknown.
    asked_mb
        Memory that its spec asks for in each worker.
    """

    group: str
    site: str
    wanted: int
    most: int
    serving: int
    ready: int
    open: bool = True
    weight: float = 1.0
    cpus: int = 1
    ram_mb: int = 0
    asked_mb: int = 0


@dataclass
class _Lack:
    """Processors and memory that some groups lack and others may provide."""

    cpus: int
    ram_mb: int

    @classmethod
    def of(cls, lacking: Iterable[tuple[GroupNeed, int]]) -> _Lack:
        pairs = [(need, max(0, count)) for need, count in lacking]
        return cls(sum(n * need.cpus for need, n in pairs), sum(n * need.asked_mb for need, n in pairs))

    def __bool__(self) -> bool:
        return self.cpus > 0 or self.ram_mb > 0

    def workers(self, need: GroupNeed) -> int:
        """Return how many workers of a group make up for it."""
        return max(math.ceil(self.cpus / need.cpus), math.ceil(self.ram_mb / need.ram_mb) if need.ram_mb else 0)

    def take(self, need: GroupNeed, count: int) -> None:
        """Let workers of a group make up for a part of it."""
        self.cpus = max(0, self.cpus - count * need.cpus)
        # A size that is not known is taken as enough.
        self.ram_mb = max(0, self.ram_mb - count * need.ram_mb) if need.ram_mb or not count else 0


def targets(needs: Sequence[GroupNeed]) -> dict[str, int]:
    """Return how many workers each group should have: its request, plus a share of what closed sites cannot provide.

    What is missing is counted in processors and memory: one machine with 24 of them stands in for many small ones.

    A group gives back what it took over only when the missing workers are ready: a site that has just come back
    is not yet a reason to remove other workers.
    """
    result = {need.group: min(need.wanted, need.most) for need in needs}
    missing = _Lack.of((need, result[need.group] - need.serving) for need in needs if not need.open)
    coming = _Lack.of((need, result[need.group] - need.ready) for need in needs if need.open)
    for need in needs:
        # Substitutes stay until the others are ready.
        kept = min(coming.workers(need), max(0, min(need.serving, need.most) - result[need.group]))
        coming.take(need, kept)
        missing.take(need, kept)
        result[need.group] += kept
    helpers = [need for need in needs if need.open and need.most > result[need.group]]
    while missing and helpers:
        helpers.sort(key=lambda need: (result[need.group] - need.wanted + 1) * need.cpus / max(need.weight, 1e-6))
        first = helpers[0]
        result[first.group] += 1
        missing.take(first, 1)
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
