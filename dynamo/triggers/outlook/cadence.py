"""How often a feed delivers files, learned from past arrivals; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

#: A pause longer than this many times the 90th percentile of intervals is a gap, not part of the rhythm.
_GAP = 5.0
#: A feed is silent after this many of its longer intervals without a file, and at least this many seconds.
SILENT_INTERVALS = 6.0
SILENT_LEAST_S = 180.0
#: Shortest interval between files, seconds.
_SHORTEST_S = 0.1
#: Fewest arrivals that show a rhythm.
_LEAST = 3


@dataclass(frozen=True)
class Cadence:
    """The rhythm of a feed, or of one radar in it.

    Attributes
    ----------
    interval_s
        Mean seconds between files, without gaps. Sweeps that arrive in bursts count as evenly spread.
    longest_s
        90th percentile of the intervals, seconds.
    last
        When the newest file arrived.
    """

    interval_s: float
    longest_s: float
    last: datetime

    @property
    def patience_s(self) -> float:
        """Seconds without a file after which it is silent."""
        return max(SILENT_LEAST_S, SILENT_INTERVALS * max(self.interval_s, self.longest_s))

    def silent(self, now: datetime) -> bool:
        """Whether nothing has arrived for so long that nothing can be expected."""
        return (now - self.last).total_seconds() > self.patience_s

    def expected(self, now: datetime, horizon_s: float) -> list[datetime]:
        """Return when files are expected until the horizon; a late one is expected now."""
        if self.silent(now):
            return []
        interval = timedelta(seconds=self.interval_s)
        end = now + timedelta(seconds=horizon_s)
        time = max(now, self.last + interval)
        found = []
        while time <= end:
            found.append(time)
            time += interval
        return found


def learn_cadence(times: Sequence[datetime]) -> Cadence | None:
    """Return the rhythm of a feed from the arrival times of its files, in any order; None if there are too few.

    Use the times files were closed, not found: a file found by a scan after a pause arrived earlier.
    """
    if len(times) < _LEAST:
        return None
    seconds = np.sort(np.array([time.timestamp() for time in times]))
    intervals = np.diff(seconds)
    longest = float(np.quantile(intervals, 0.9, method="lower"))
    usual = intervals[intervals <= max(_GAP * longest, 1e-3)]
    interval = float(usual.mean())
    if interval <= 0:
        return None
    # Files that arrive at the same moment are not an endless stream.
    return Cadence(max(interval, _SHORTEST_S), longest, max(times))
