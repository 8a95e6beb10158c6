"""How many workers each group should have now, and which ones go: pure functions on plain data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dynamo.provision.deciding.lifecycle import WorkerState


@dataclass(frozen=True)
class GroupNeed:
    """One group of workers: what is wanted of it and what it may be.

    Attributes
    ----------
    wanted
        As the spec, a person or the autoscaler wishes.
    most
        The most that it may have; it takes over what other groups cannot give up to this.
    serving
        Workers that are ready or coming.
    open
        Whether its site may be asked for new workers.
    weight
        Its share of what others cannot give.
    ready
        Of those serving, the ones that are ready.
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
    """Return how many workers each group should have: its wish, and a part of what closed sites cannot give.

    What was taken over is given back only when the workers that were missing are ready: a site that has just come
    back is not yet a reason to let others go.
    """
    result = {need.group: min(need.wanted, need.most) for need in needs}
    missing = sum(max(0, result[need.group] - need.serving) for need in needs if not need.open)
    coming = sum(max(0, result[need.group] - need.ready) for need in needs if need.open)
    for need in needs:
        # Those who stand in stay until the others are there.
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
    """A worker that could go."""

    name: str
    state: WorkerState
    busy_cpus: int
    requested_at: datetime
    lease_end: datetime | None = None


#: What costs least to give up goes first.
_ORDER = {WorkerState.REQUESTED: 0, WorkerState.BOOTING: 1, WorkerState.JOINING: 2, WorkerState.READY: 3}


def victims(candidates: Iterable[RemovalCandidate], count: int) -> list[RemovalCandidate]:
    """Return the ``count`` workers to let go: those not yet there, then the idle, then the least busy.

    Of equal ones those go first whose lease, paid ahead, ends soonest; then the newest.
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


@dataclass(frozen=True)
class Fate:
    """How one job fared on a worker."""

    worker: str
    ok: bool
    wall_s: float


def black_holes(fates: Sequence[Fate], *, jobs: int, seconds: float, share: float, among: Collection[str]) -> list[str]:
    """Return the workers on which jobs fail fast, though others do well.

    Parameters
    ----------
    fates
        Jobs that ended lately, oldest first.
    jobs
        So many of a worker's newest jobs are looked at; fewer prove nothing.
    seconds
        A failure within this time is a fast one.
    share
        This share of them must have failed fast.
    among
        The workers that are asked about.

    Notes
    -----
    Where jobs fail as fast everywhere, it is the jobs: if more than half of the workers with enough jobs look like
    this, and there are several, none is named.
    """
    by_worker: dict[str, list[Fate]] = {}
    for fate in fates:
        by_worker.setdefault(fate.worker, []).append(fate)
    judged = {name: list_[-jobs:] for name, list_ in by_worker.items() if name in among and len(list_) >= jobs}
    bad = sorted(
        name
        for name, list_ in judged.items()
        if sum(1 for fate in list_ if not fate.ok and fate.wall_s <= seconds) >= share * len(list_)
    )
    return [] if len(judged) > 1 and len(bad) * 2 > len(judged) else bad
