"""What the store is told about a fleet: one note for each event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FleetNote:
    """One event to be stored: why a thing happened to a worker, a site, or the fleet (both empty)."""

    action: str
    reason: str
    site: str = ""
    worker: str = ""
    data: Mapping[str, Any] | None = None
