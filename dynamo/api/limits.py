"""Rate limits: a token bucket per caller, and a cap on concurrent slow calls."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from dynamo.errors import RetryableError


class RateLimit:
    """Allows each caller ``burst`` requests at once and ``per_s`` requests per second in the long run.

    Parameters
    ----------
    callers
        Number of callers to remember; those silent the longest are forgotten.
    """

    def __init__(
        self, per_s: float, burst: float, *, callers: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._callers = callers
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """Count one request; return 0, or the seconds until the next one is allowed."""
        with self._lock:
            left = self._now_left(caller)
            allowed = left >= 1
            self._left[caller] = (left - 1 if allowed else left, self._clock())
            self._left.move_to_end(caller)
            if len(self._left) > self._callers:
                self._left.popitem(last=False)
            return 0.0 if allowed else (1 - left) / self._per_s

    def _now_left(self, caller: str) -> float:
        now = self._clock()
        left, then = self._left.get(caller, (self._burst, now))
        return min(self._burst, left + (now - then) * self._per_s)


class SlowCalls:
    """Limits the concurrent calls that wait for clouds, so that other requests are still answered."""

    def __init__(self, at_once: int = 2) -> None:
        self._places = threading.BoundedSemaphore(at_once)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Take a slot for the block.

        Raises
        ------
        RetryableError
            If none is free.
        """
        if not self._places.acquire(blocking=False):
            raise RetryableError("too many site requests in progress", hint="retry in a few seconds")
        try:
            yield
        finally:
            self._places.release()
