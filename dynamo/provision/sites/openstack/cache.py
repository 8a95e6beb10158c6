"""Answers cached for some minutes, each requested once even if many threads want it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class TimedCache:
    """A cache by key; errors are not cached.

    Parameters
    ----------
    keep_s
        How long an answer is kept, in seconds.
    clock
        Monotonic seconds.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._values: dict[Hashable, tuple[float, object]] = {}

    def get(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return the cached answer, or ``ask`` for it; other threads with the same key wait for that one call."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._values.get(key)
            if kept is not None and self._clock() - kept[0] < self._keep_s:
                return cast(T, kept[1])
            value = ask()
            self._values[key] = (self._clock(), value)
            return value

    def forget(self, key: Hashable) -> None:
        """Drop one answer."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Drop all answers."""
        with self._lock:
            self._values.clear()
            self._locks = {key: lock for key, lock in self._locks.items() if lock.locked()}
