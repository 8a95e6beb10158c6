"""Workers on which jobs fail fast, and jobs that fail fast on every worker: pure functions on plain data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fate:
    """The outcome of one attempt of a job on a worker; ``kind`` is what it runs."""

    worker: str
    ok: bool
    wall_s: float
    kind: str = ""


@dataclass(frozen=True)
class FastFailures:
    """Who is to blame for jobs that fail fast.

    Attributes
    ----------
    holes
        Workers on which jobs fail that do well elsewhere, or that nobody else has run.
    faulty
        Kinds of jobs that fail wherever they run, each with those workers.
    """

    holes: tuple[str, ...] = ()
    faulty: dict[str, tuple[str, ...]] = field(default_factory=dict)


def blame(fates: Sequence[Fate], *, jobs: int, seconds: float, share: float, among: Collection[str]) -> FastFailures:
    """Return the workers, or else the jobs, that are at fault.

    Parameters
    ----------
    fates
        Recently ended attempts, oldest first, including those on workers that are gone.
    jobs
        How many of a worker's newest attempts to check; fewer prove nothing.
    seconds
        An attempt that fails within this time failed fast.
    share
        The share of them that must have failed fast.
    among
        The workers to check.

    Notes
    -----
    A suspect is compared with the other workers that ran the same kinds of jobs: since its failures began, or, if a
    worker has not run any since, before. If the kinds failed on more of them, the suspect included, than they did well
    on, the jobs are at fault. One failure elsewhere is enough for that as long as nothing contradicts it: replacing a
    healthy worker costs more than waiting for the next job.
    """
    by_worker: dict[str, list[tuple[int, Fate]]] = {}
    for place, fate in enumerate(fates):
        by_worker.setdefault(fate.worker, []).append((place, fate))

    def fails(attempts: Sequence[tuple[int, Fate]]) -> bool:
        fast = sum(1 for _, fate in attempts if not fate.ok and fate.wall_s <= seconds)
        return fast >= share * len(attempts)

    holes: list[str] = []
    faulty: dict[str, set[str]] = {}
    for name in sorted(set(among) & set(by_worker)):
        newest = by_worker[name][-jobs:]
        if len(newest) < jobs or not fails(newest):
            continue
        kinds = {fate.kind for _, fate in newest if not fate.ok}
        failing = {name}
        well = 0
        for other, attempts in by_worker.items():
            same = [(place, fate) for place, fate in attempts if fate.kind in kinds] if other != name else []
            found = [pair for pair in same if pair[0] >= newest[0][0]] or same[-jobs:]
            if found and fails(found):
                failing.add(other)
            elif found:
                well += 1
        if len(failing) > max(1, well):
            for kind in kinds:
                faulty.setdefault(kind, set()).update(failing)
        else:
            holes.append(name)
    return FastFailures(tuple(holes), {kind: tuple(sorted(names)) for kind, names in sorted(faulty.items())})
