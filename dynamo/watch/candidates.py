"""The queue of candidate files: reported ones first, then what a scan found, newest first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from pathlib import Path

from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, look

_Key = tuple[str, Path]


class Candidates:
    """Waiting candidates, some of them delayed; any thread may offer, one takes.

    It remembers which files were decided on, so that a scan does not queue them again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: list[tuple[tuple[int, float], int, Candidate]] = []
        self._later: list[tuple[float, int, Candidate]] = []
        self._waiting: set[_Key] = set()
        self._known: dict[_Key, tuple[int, int]] = {}
        self._sequence = itertools.count()
        self._busy = False
        self._closed = False

    def offer(self, candidate: Candidate) -> None:
        """Queue a candidate, unless it comes from a scan and is known or already waiting."""
        key = (candidate.feed, candidate.path)
        if candidate.told:
            rank = (0, 0.0)
        else:
            seen = look(candidate.path)
            if seen is None or self.knows(candidate, seen):
                return
            rank = (1, -seen.mtime_ns / 1e9)
        with self._changed:
            if not candidate.told and key in self._waiting:
                return
            self._waiting.add(key)
            heapq.heappush(self._queue, (rank, next(self._sequence), candidate))
            self._changed.notify_all()

    def again(self, candidate: Candidate, delay_s: float) -> None:
        """Queue a candidate again after a delay."""
        with self._changed:
            self._waiting.add((candidate.feed, candidate.path))
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._sequence), candidate))

    def take(self) -> Candidate | None:
        """Wait for the next candidate; None once the queue is closed. The taker is busy until `done`."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, number, candidate = heapq.heappop(self._later)
                    heapq.heappush(self._queue, ((0, 0.0), number, candidate))
                if self._queue:
                    candidate = heapq.heappop(self._queue)[2]
                    self._waiting.discard((candidate.feed, candidate.path))
                    self._busy = True
                    return candidate
                self._changed.wait(self._later[0][0] - now if self._later else None)
            return None

    def done(self) -> None:
        """Note that the taker has finished with its candidate."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def close(self) -> None:
        """Close the queue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until the queue is empty and the taker is done; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or not (self._queue or self._later or self._busy), timeout_s
            )

    # -- files decided on

    def knows(self, candidate: Candidate, seen: FileLook) -> bool:
        """Whether this state of the file was decided on."""
        return self._known.get((candidate.feed, candidate.path)) == (seen.size, seen.mtime_ns)

    def remember(self, candidate: Candidate, size: int, mtime_ns: int) -> None:
        """Note that this state of the file was decided on."""
        self._known[candidate.feed, candidate.path] = (size, mtime_ns)

    def forget(self, candidate: Candidate) -> None:
        """Note that the file is gone."""
        self._known.pop((candidate.feed, candidate.path), None)

    def forget_missing(self, feed: str) -> None:
        """Forget files that are no longer in the feed; the store still knows them."""
        for key in [key for key in tuple(self._known) if key[0] == feed and not key[1].exists()]:
            self._known.pop(key, None)
