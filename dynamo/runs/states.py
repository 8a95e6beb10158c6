"""The states of a run and the transitions between them."""

from __future__ import annotations

from typing import Literal

RunState = Literal[
    "created",
    "planned",
    "submitted",
    "running",
    "held",
    "publishing",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
]

EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]
#: The states that others are told of when a run gets there, in OpenLineage's words.
TOLD: dict[RunState, EventType] = {
    "submitted": "START",
    "succeeded": "COMPLETE",
    "failed": "FAIL",
    "cancelled": "ABORT",
    "skipped": "ABORT",
}

#: States that may follow each state. A manual retry is the only way out of failed, cancelled and skipped, and out of
#: succeeded, for a run whose products are gone or were changed.
TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    "created": frozenset({"planned", "failed", "cancelled", "skipped"}),
    "planned": frozenset({"submitted", "failed", "cancelled", "skipped"}),
    "submitted": frozenset({"running", "held", "publishing", "failed", "cancelled"}),
    "running": frozenset({"submitted", "held", "publishing", "failed", "cancelled"}),
    "held": frozenset({"submitted", "running", "publishing", "failed", "cancelled"}),
    "publishing": frozenset({"succeeded", "failed"}),
    "succeeded": frozenset({"created"}),
    "failed": frozenset({"created"}),
    "cancelled": frozenset({"created"}),
    "skipped": frozenset({"created"}),
}

#: Nothing more happens on its own.
FINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "skipped"})
#: Ended without products.
RETRIED: frozenset[str] = FINAL - {"succeeded"}
#: Nothing has been submitted to an engine yet.
WAITING: frozenset[str] = frozenset({"created", "planned"})
#: An engine has it.
ENGAGED: frozenset[str] = frozenset({"submitted", "running", "held"})
UNFINISHED: frozenset[str] = frozenset(TRANSITIONS) - FINAL


def sources(target: RunState) -> frozenset[RunState]:
    """Return the states from which a run may move to ``target``."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)
