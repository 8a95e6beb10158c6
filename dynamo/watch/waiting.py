"""What waits for a person, whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dynamo.times import to_iso


@dataclass(frozen=True)
class Waiting:
    """One thing that waits for a person.

    Attributes
    ----------
    kind, id
        ``file`` and the arrival's number, or ``run`` and its id.
    source
        The feed, or the workflow.
    path
        Where it came from.
    at
        Where it is now; None if nowhere.
    reason
        Why it was refused or kept back.
    """

    kind: str
    id: str
    state: str
    source: str
    path: str
    at: Path | None
    bytes: int
    reason: str
    since: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "at": None if self.at is None else str(self.at), "since": to_iso(self.since)}
