"""The interface the dispatcher asks what to skip when there is more work than can be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dynamo.store.models import Run

#: Added to the priority of jobs of runs that are never skipped: more than the difference between the lowest and the
#: highest priority that can be declared.
AHEAD = 2001


def pool_priority(run: Run, spared: Collection[str]) -> int:
    """Return the priority of a run's jobs: those of ``spared`` triggers go first, those of a backfill never."""
    return run.priority + (AHEAD if run.trigger in spared and run.origin != "backfill" else 0)


@dataclass(frozen=True)
class Shed:
    """The decision to skip a run, with its reason and the numbers behind it."""

    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Shedding(Protocol):
    """Decides which runs to skip."""

    def spared(self, run: Run) -> bool:
        """Return whether a run is never skipped."""
        ...

    def reserved(self, threads: int, now: datetime) -> int:
        """Return how many of ``threads`` concurrent runs are reserved for those never skipped; fewer than all."""
        ...

    def judge(self, run: Run, now: datetime) -> Shed | None:
        """Return why to skip a run that has not started; None to keep it."""
        ...
