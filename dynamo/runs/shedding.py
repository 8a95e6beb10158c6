"""What the dispatcher asks while there is more work than can be done: who answers is not its business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dynamo.store.models import Run

#: By so much the jobs of runs that are never left out are more urgent than declared: more than lies between the lowest
#: and the highest priority that can be declared.
AHEAD = 2001


@dataclass(frozen=True)
class Shed:
    """That a run goes without, why, and with which numbers."""

    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Shedding(Protocol):
    """Decides which runs go without."""

    def spared(self, run: Run) -> bool:
        """Tell whether a run is never left out."""
        ...

    def reserved(self, threads: int, now: datetime) -> int:
        """Return how many of ``threads`` runs at once are kept for those that are never left out, less than all."""
        ...

    def judge(self, run: Run, now: datetime) -> Shed | None:
        """Return why a run that has not started goes without; None if it does not."""
        ...
