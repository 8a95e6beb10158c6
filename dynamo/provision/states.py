"""The states of a fleet as a whole."""

from __future__ import annotations

ACTIVE = "active"
#: Its workers finish their jobs and are removed.
ENDING = "ending"
#: Its workers are removed at once.
ENDING_NOW = "ending-now"
ENDED = "ended"


def lease_name(fleet: str) -> str:
    """Return the name of the lease held by the process that manages a fleet."""
    return f"fleet:{fleet}"
