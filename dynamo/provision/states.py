"""The states of a fleet as a whole."""

from __future__ import annotations

ACTIVE = "active"
#: Its workers finish their jobs and are removed.
ENDING = "ending"
#: Its workers are removed at once.
ENDING_NOW = "ending-now"
#: As `ENDING_NOW`, and sites that cannot be asked any more are given up.
FORGETTING = "forgetting"
ENDED = "ended"
#: States on the way to the end.
ON_THE_WAY_OUT = frozenset({ENDING, ENDING_NOW, FORGETTING})


def lease_name(fleet: str) -> str:
    """Return the name of the lease held by the process that manages a fleet."""
    return f"fleet:{fleet}"
