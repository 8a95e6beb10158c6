"""Notes about a fleet for the store: one per event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FleetNote:
    """One event to store: why something happened to a worker, a site, or the fleet (both empty)."""

    action: str
    reason: str
    site: str = ""
    worker: str = ""
    data: Mapping[str, Any] | None = None
