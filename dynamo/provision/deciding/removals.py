"""How many workers the provisioner may remove at once on its own judgment."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta


class Removals:
    """Limits removals to a share of the fleet within the time of one cycle.

    Cycles run more often while something is in progress; what counts is the configured cycle time.

    Parameters
    ----------
    share, cycle_s
        From the fleet's policy.
    """

    def __init__(self, share: float, cycle_s: float) -> None:
        self._share = share
        self._span = timedelta(seconds=cycle_s)
        self._times: deque[datetime] = deque()

    def take(self, living: int, now: datetime) -> bool:
        """Use one of the removals ``living`` workers allow; return whether there was one left."""
        while self._times and now - self._times[0] >= self._span:
            self._times.popleft()
        if len(self._times) >= removal_allowance(max(1, living), self._share):
            return False
        self._times.append(now)
        return True


def removal_allowance(living: int, share: float) -> int:
    """Return how many workers one cycle may remove: the share of the living ones, at least one."""
    return max(1, int(living * share)) if living else 0
