"""How often a feed brings files, learned from those that came; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

#: A pause is a gap, not a part of the rhythm, beyond this many times what nine of ten intervals stay below.
_GAP = 5.0
#: A feed is silent when nothing came for this many of its longer intervals, and for this long at least.
SILENT_INTERVALS = 6.0
SILENT_LEAST_S = 180.0
#: Files come no faster than this, seconds.
_SHORTEST_S = 0.1
#: Fewer arrivals than this tell no rhythm.
_LEAST = 3


@dataclass(frozen=True)
class Cadence:
    """The rhythm of a feed, or of one radar in it.

    Attributes
    ----------
    interval_s
        Mean seconds between files, without gaps. Sweeps that come in bursts count as evenly spread.
    longest_s
        What nine of ten intervals stay below, seconds.
    last
        When the newest file came.
    """

    interval_s: float
    longest_s: float
    last: datetime

    @property
    def patience_s(self) -> float:
        """After how many seconds without a file it is silent."""
        return max(SILENT_LEAST_S, SILENT_INTERVALS * max(self.interval_s, self.longest_s))

    def silent(self, now: datetime) -> bool:
        """Whether nothing came for so long that nothing may be expected."""
        return (now - self.last).total_seconds() > self.patience_s

    def expected(self, now: datetime, horizon_s: float) -> list[datetime]:
        """Return when files are expected until the horizon; one that is late is expected now."""
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
    """Return the rhythm of a feed from the times at which its files came, in any order; None where they are too few.

    The times are those at which files were closed, not found: what a scan finds after a pause came when it came.
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
    # Files of one moment are no endless stream of them.
    return Cadence(max(interval, _SHORTEST_S), longest, max(times))
