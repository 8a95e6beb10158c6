"""A living worker during one cycle, and its state changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamo.provision.deciding.lifecycle import Sight, WorkerState


@dataclass(slots=True)
class Live:
    """A living worker: as stored, as seen, and its new state."""

    row: Any
    sight: Sight
    state: WorkerState


@dataclass(frozen=True)
class Move:
    """A state change to store, with its event."""

    live: Live
    to: WorkerState
    action: str
    reason: str
    values: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def move(
    live: Live,
    to: WorkerState,
    reason: str,
    values: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Move:
    """Move a worker to a state for the rest of the cycle; the caller must store the result."""
    live.state = to
    return Move(live, to, to.value, reason, values or {}, data or {})


def counts_by_state(lives: Iterable[Live]) -> dict[str, dict[str, int]]:
    """Return the number of workers by group and state."""
    counts: dict[str, dict[str, int]] = {}
    for live in lives:
        states = counts.setdefault(live.row.group, {})
        states[live.state.value] = states.get(live.state.value, 0) + 1
    return counts
