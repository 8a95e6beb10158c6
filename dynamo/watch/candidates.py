"""The queue of candidate files: one feed after another, and in each the freshest file first, however it was found.

Each feed has one file examined at a time, in that order. While that one is slow, others of its feed are handed out too,
a few more in all than there are feeds. So a large file, or a file system that hangs, holds up nothing but itself.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter
from pathlib import Path

from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, look

#: A file is slow if it takes longer than this, seconds.
SLOW_S = 2.0
#: How many files may be examined beside slow ones of their feeds.
SPARE = 2

_Key = tuple[str, Path]


class Candidates:
    """Waiting candidates, some of them delayed; any thread may offer, several take.

    It remembers which files were decided on, so that they are not queued again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: By feed: heaps of freshness, order of arrival, and candidate.
        self._queues: dict[str, list[tuple[float, int, Candidate]]] = {}
        self._served: dict[str, int] = {}
        self._later: list[tuple[float, int, float, Candidate]] = []
        self._waiting: set[_Key] = set()
        #: Files that are being examined, and since when.
        self._active: dict[_Key, float] = {}
        #: What came while its file was being examined.
        self._next: dict[_Key, tuple[float, Candidate]] = {}
        #: Files that are tried again later, for which nobody waits.
        self._given_up: set[_Key] = set()
        self._known: dict[_Key, tuple[int, int]] = {}
        self._sequence = itertools.count()
        self._closed = False

    def offer(self, candidate: Candidate) -> None:
        """Queue a candidate, unless its file is gone or known, or it comes from a scan and is already waiting."""
        key = (candidate.feed, candidate.path)
        try:
            seen = look(candidate.path)
            if seen is None or self.knows(candidate, seen):
                return
        except OSError:
            # Whoever examines it says why, and tries again.
            seen = None
        with self._changed:
            if candidate.told or key not in self._waiting:
                self._waiting.add(key)
                self._push(candidate, _staleness(candidate, seen))

    def again(self, candidate: Candidate, delay_s: float, *, awaited: bool = True) -> None:
        """Queue a candidate again after a delay; `wait_idle` does not wait for one that is not ``awaited``."""
        try:
            staleness = _staleness(candidate, look(candidate.path))
        except OSError:
            staleness = _staleness(candidate, None)
        with self._changed:
            key = (candidate.feed, candidate.path)
            self._waiting.add(key)
            if not awaited:
                self._given_up.add(key)
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._sequence), staleness, candidate))
            self._changed.notify_all()

    def held_longer_than(self, seconds: float) -> int:
        """Return how many files have been examined for longer than this."""
        with self._changed:
            return sum(time.monotonic() - since > seconds for since in self._active.values())

    def take(self) -> Candidate | None:
        """Wait for the next candidate; None once the queue is closed. The taker is busy with it until `done`."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, _, staleness, candidate = heapq.heappop(self._later)
                    self._given_up.discard((candidate.feed, candidate.path))
                    self._push(candidate, staleness)
                feed = self._next_feed(now)
                if feed is None:
                    self._changed.wait(self._nap_s(now))
                    continue
                staleness, _, candidate = heapq.heappop(self._queues[feed])
                key = (feed, candidate.path)
                if key in self._active:
                    if candidate.told or key not in self._next:
                        self._next[key] = staleness, candidate
                    continue
                self._waiting.discard(key)
                self._active[key] = now
                self._served[feed] = next(self._sequence)
                return candidate
            return None

    def done(self, candidate: Candidate) -> None:
        """Note that the taker has finished with a candidate."""
        key = (candidate.feed, candidate.path)
        with self._changed:
            self._active.pop(key, None)
            if key in self._next:
                staleness, waiting = self._next.pop(key)
                self._push(waiting, staleness)
            self._changed.notify_all()

    def calm(self) -> bool:
        """Whether no file is being examined, or waits to be as soon as possible."""
        with self._changed:
            return not (self._active or any(self._queues.values()))

    def close(self) -> None:
        """Close the queue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until the queue is empty and the takers are done; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    self._closed
                    or not (len(self._later) > len(self._given_up) or self._active or any(self._queues.values()))
                ),
                timeout_s,
            )

    def _push(self, candidate: Candidate, staleness: float) -> None:
        queue = self._queues.setdefault(candidate.feed, [])
        heapq.heappush(queue, (staleness, next(self._sequence), candidate))
        self._changed.notify_all()

    def _next_feed(self, now: float) -> str | None:
        """Return the feed whose turn it is, of those with a file that may be examined now."""
        lanes = Counter(feed for feed, _ in self._active)
        spare = SPARE - sum(count - 1 for count in lanes.values())
        free = [
            feed
            for feed, queue in self._queues.items()
            if queue and (not lanes[feed] or (spare > 0 and self._slow_at(feed) <= now))
        ]
        return min(free, key=lambda feed: self._served.get(feed, -1), default=None)

    def _slow_at(self, feed: str) -> float:
        """Return when all files of a feed that are being examined will be slow."""
        return max(since for (name, _), since in self._active.items() if name == feed) + SLOW_S

    def _nap_s(self, now: float) -> float | None:
        """Return after which time something may have become free, if nobody says so before."""
        times = [self._slow_at(feed) for feed in {feed for feed, _ in self._active} if self._queues.get(feed)]
        times += [entry[0] for entry in self._later[:1]]
        ahead = [time_s - now for time_s in times if time_s > now]
        return min(ahead, default=None)

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


def _staleness(candidate: Candidate, seen: FileLook | None) -> float:
    """Return the sort key: the newest content first. A time after it was noticed is another machine's wrong clock."""
    noticed_s = candidate.seen_at.timestamp()
    return -noticed_s if seen is None else -min(seen.mtime_ns / 1e9, noticed_s)
