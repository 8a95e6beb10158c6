"""Clocks for simulated sites and pools: one moved explicitly, and the real one with the same interface."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dynamo.errors import UsageError
from dynamo.times import to_iso, utc_now


class Clock(Protocol):
    """Anything that returns the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        """Return the current time."""
        return utc_now()


class SimulatedClock:
    """A clock that only moves when advanced.

    Parameters
    ----------
    start
        The initial time, aware.
    """

    def __init__(self, start: datetime = datetime(2019, 6, 10, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise UsageError("the clock needs a time zone", expected="an aware datetime")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the clock's current time."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Advance by ``seconds`` and return the new time.

        Raises
        ------
        UsageError
            If the number is negative.
        """
        if seconds < 0:
            raise UsageError(f"a clock cannot go back by {-seconds:g} s")
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return self._now

    def advance_to(self, instant: datetime) -> datetime:
        """Advance to ``instant`` and return it.

        Raises
        ------
        UsageError
            If it has passed.
        """
        with self._lock:
            if instant < self._now:
                raise UsageError(f"a clock cannot go back to {to_iso(instant)}", where=to_iso(self._now))
            self._now = instant.astimezone(UTC)
            return self._now
