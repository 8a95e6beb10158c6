"""The states of a fleet as a whole."""

from __future__ import annotations

ACTIVE = "active"
#: Its workers finish their jobs and go.
ENDING = "ending"
#: Its workers go at once.
ENDING_NOW = "ending-now"
ENDED = "ended"


def lease_name(fleet: str) -> str:
    """Return what the process that looks after a fleet holds."""
    return f"fleet:{fleet}"
