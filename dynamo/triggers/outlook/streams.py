"""The files of one radar, or of none, past and future; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from dynamo.triggers.outlook.cadence import Cadence


@dataclass(frozen=True)
class Arrived:
    """One arrival: when its file was closed and valid, and its radar (empty for none)."""

    id: int
    name: PurePath
    time: datetime
    valid_at: datetime
    radar: str


@dataclass(frozen=True)
class Stream:
    """The files of one radar, or of none, as they arrive.

    Attributes
    ----------
    newest
        The newest file.
    cadence
        None if there are too few files to tell.
    pace
        How fast valid times advance against the clock: 1 live, more in a replay.
    """

    radar: str
    newest: Arrived
    cadence: Cadence | None
    pace: float = 1.0

    def expected(self, now: datetime, horizon_s: float) -> list[datetime]:
        """Return when files are expected until the horizon; empty if there are too few to tell."""
        return [] if self.cadence is None else self.cadence.expected(now, horizon_s)

    def data_time(self, time: datetime) -> datetime:
        """Return the valid time of a file closed at a time."""
        return self.newest.valid_at + (time - self.newest.time) * self.pace

    def minutes_to(self, time: datetime) -> float:
        """Return how many minutes of data time a file closed at a time is later than the newest one."""
        return (self.data_time(time) - self.newest.valid_at).total_seconds() / 60.0
