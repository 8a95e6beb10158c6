"""How many workers the provisioner may remove at once on its own judgment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta


class Removals:
    """Limits removals to a share of the fleet within a span of time.

    Parameters
    ----------
    share
        From the fleet's policy.
    span_s
        The time, s: that of one cycle for most removals. Cycles run more often while something is in progress; what
        counts is the configured cycle time.
    earlier
        Removals before this process started, oldest first.
    """

    def __init__(self, share: float, span_s: float, earlier: Iterable[datetime] = ()) -> None:
        self._share = share
        self._span = timedelta(seconds=span_s)
        self._times: deque[datetime] = deque(earlier)

    def take(self, living: int, now: datetime) -> bool:
        """Use one of the removals ``living`` workers allow; return whether there was one left."""
        if not self.left(living, now):
            return False
        self._times.append(now)
        return True

    def left(self, living: int, now: datetime) -> bool:
        """Return whether there is a removal left, without using it."""
        while self._times and now - self._times[0] >= self._span:
            self._times.popleft()
        return len(self._times) < removal_allowance(max(1, living), self._share)


def removal_allowance(living: int, share: float) -> int:
    """Return how many workers one cycle may remove: the share of the living ones, at least one."""
    return max(1, int(living * share)) if living else 0
