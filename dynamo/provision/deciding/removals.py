"""How many workers may be taken away at once by the provisioner's own judgement."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta


class Removals:
    """Counts removals so that no cycle's time sees more than a share of the fleet go.

    Cycles follow each other faster while something is under way; what counts is the time that a cycle is given.

    Parameters
    ----------
    share, cycle_s
        Of the fleet's policy.
    """

    def __init__(self, share: float, cycle_s: float) -> None:
        self._share = share
        self._span = timedelta(seconds=cycle_s)
        self._times: deque[datetime] = deque()

    def take(self, living: int, now: datetime) -> bool:
        """Take one removal from what ``living`` workers allow; tell whether there was one left."""
        while self._times and now - self._times[0] >= self._span:
            self._times.popleft()
        if len(self._times) >= removal_allowance(max(1, living), self._share):
            return False
        self._times.append(now)
        return True


def removal_allowance(living: int, share: float) -> int:
    """Return how many workers one cycle may remove: the share of those that live, at least one."""
    return max(1, int(living * share)) if living else 0
