"""The slots of the dispatcher, one per concurrent run: which wait, and since when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from dynamo.runs.events import RunEvent, RunEvents
from dynamo.store.models import Cursor
from dynamo.times import parse_time, to_iso

#: All slots must have waited this long, in seconds, to be called stalled: submitting takes its time.
STALLED_S = 60.0
_CURSOR = "slots"
#: The states in which a run waits, and what is said of it without a reason.
_WAITS = {"submitted": "the engine has not started its work", "held": "held"}


@dataclass(frozen=True)
class SlotsReport:
    """How many slots there are, how many wait, and what for; ``waited_s`` is the shortest of their waits."""

    total: int
    waiting: int
    waited_s: float
    reason: str

    @property
    def stalled(self) -> bool:
        """Whether nothing progresses until something outside changes."""
        return self.waiting == self.total and self.waited_s >= STALLED_S


class RunSlots:
    """Follows the runs that hold a slot through their events.

    A slot waits while its run was submitted but does not run, is held, or cannot go on (the pool or the store does not
    respond, a disk is full).

    Parameters
    ----------
    total
        The number of slots.
    events
        Where the runs' events come from.
    clock
        Monotonic seconds.
    """

    def __init__(self, total: int, events: RunEvents, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._lock = threading.Lock()
        self._state: dict[str, tuple[str, str]] = {}
        self._trouble: dict[str, str] = {}
        self._since: dict[str, float] = {}
        events.subscribe(self._note)

    def take(self, run_id: str, state: str) -> None:
        """Give a run a slot."""
        with self._lock:
            self._state[run_id] = (state, "")
            self._settle(run_id)

    def free(self, run_id: str) -> None:
        """Take the slot back."""
        with self._lock:
            for known in (self._state, self._trouble, self._since):
                known.pop(run_id, None)

    def report(self) -> SlotsReport:
        """Return what the slots wait for now."""
        with self._lock:
            waits = sorted(self._since.items(), key=lambda item: item[1])
            waited_s = self._clock() - waits[-1][1] if waits else 0.0
            return SlotsReport(self._total, len(waits), waited_s, self._reason(waits[0][0]) if waits else "")

    def _note(self, event: RunEvent) -> None:
        run_id = event.subject
        with self._lock:
            if run_id not in self._state:
                return
            if event.kind == "run_state":
                self._state[run_id] = (event.data["state"], event.data["reason"])
            elif event.kind == "trouble":
                self._trouble[run_id] = event.data["reason"]
            elif event.kind == "recovered":
                self._trouble.pop(run_id, None)
            self._settle(run_id)

    def _settle(self, run_id: str) -> None:
        if run_id in self._trouble or self._state[run_id][0] in _WAITS:
            self._since.setdefault(run_id, self._clock())
        else:
            self._since.pop(run_id, None)

    def _reason(self, run_id: str) -> str:
        state, reason = self._state[run_id]
        return f"run {run_id}: {self._trouble.get(run_id) or reason or _WAITS.get(state, state)}"


def store_stalled(session: Session, stalled: bool, now: datetime, valid_s: float) -> None:
    """Store for metrics whether the daemon's slots are stalled; expires after ``valid_s`` in case it stops."""
    data = {"stalled": stalled, "until": to_iso(now + timedelta(seconds=valid_s))}
    session.merge(Cursor(name=_CURSOR, data=data, updated_at=now))


def read_stalled(session: Session, now: datetime) -> bool | None:
    """Return whether the daemon's slots are stalled; None if no daemon said so lately."""
    row = session.get(Cursor, _CURSOR)
    return None if row is None or parse_time(row.data["until"]) < now else bool(row.data["stalled"])
