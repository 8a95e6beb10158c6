"""Limits: a token bucket per caller, connections that wait, and concurrent slow calls."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from dynamo.errors import RetryableError

Held = TypeVar("Held", bound=Hashable)


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


class WaitingRoom(Generic[Held]):
    """Connections without a whole request, by client, the oldest first.

    A client that opens too many loses its own oldest ones, so it cannot keep others out. All clients behind a proxy
    are one: the newest connections, which are about to send their request, stay.

    Parameters
    ----------
    per_client, total
        How many may wait.
    """

    def __init__(self, per_client: int, total: int) -> None:
        self._per_client = per_client
        self._total = total
        self._held: dict[str, OrderedDict[Held, None]] = {}
        self._count = 0

    def enter(self, client: str, connection: Held) -> Held | None:
        """Take in a connection; return the one that must go for it, if any."""
        held = self._held.setdefault(client, OrderedDict())
        if connection in held:
            return None
        held[connection] = None
        self._count += 1
        if len(held) > self._per_client:
            return self._oldest(client)
        if self._count > self._total:
            return self._oldest(max(self._held, key=lambda name: len(self._held[name])))
        return None

    def leave(self, client: str, connection: Held) -> None:
        """Let a connection go: it has sent its request, or is closed; one that is not there is not an error."""
        held = self._held.get(client)
        if held is None or connection not in held:
            return
        del held[connection]
        self._count -= 1
        if not held:
            del self._held[client]

    def __len__(self) -> int:
        """Return how many connections wait."""
        return self._count

    def _oldest(self, client: str) -> Held:
        oldest = next(iter(self._held[client]))
        self.leave(client, oldest)
        return oldest


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
            raise RetryableError("too many slow requests in progress", hint="retry in a few seconds")
        try:
            yield
        finally:
            self._places.release()
