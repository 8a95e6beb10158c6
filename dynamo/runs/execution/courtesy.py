"""Background runs let live ones go first, in the process that executes both.

Its threads take turns at the interpreter, and its runs at the store and the disk: planning or publishing a run slows
down all others meanwhile. So each such step of a background run waits until no live work is in flight. Engines that
share the processors are told when there is some.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from dynamo.engines.base import BACKGROUND
from dynamo.runs.patience import Stopped
from dynamo.store.models import Run

#: The longest that a step waits for a moment without live work, seconds: what never pauses must not end the others.
LONGEST_S = 2.0
#: Seconds between looks for such a moment.
_LOOK_S = 0.02


class Courtesy:
    """Who is at work, and whose turn it is.

    Parameters
    ----------
    longest_s
        The longest that a background step waits for live work, in seconds.
    """

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        #: Whether no live work is on its way to becoming a run, or waits for its start.
        self.calm: Callable[[], bool] = lambda: True
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._live = 0
        self._followers: list[Callable[[bool], None]] = []
        self._turn = threading.Lock()

    def follow(self, give_way: Callable[[bool], None]) -> None:
        """Call ``give_way`` with whether live work is in flight, each time that changes."""
        with self._lock:
            self._followers.append(give_way)
            if self._live > 0:
                give_way(True)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Count live work as in flight that is no run yet."""
        with self._counted(1):
            yield

    @contextlib.contextmanager
    def at_work(self, run: Run) -> Iterator[None]:
        """Count a live run as in flight; a background run is not."""
        with self._counted(1) if _is_live(run) else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def elsewhere(self, run: Run) -> Iterator[None]:
        """Do not count a live run that is at work while only other machines, or nobody, work on it."""
        with self._counted(-1) if _is_live(run) else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def step(self, run: Run, stop: threading.Event) -> Iterator[None]:
        """Let a live run do a step at once, and a background run when it is its turn.

        Raises
        ------
        Stopped
            If ``stop`` is set before the turn comes.
        """
        with contextlib.nullcontext() if _is_live(run) else self.turn(stop):
            yield

    @contextlib.contextmanager
    def turn(self, stop: threading.Event) -> Iterator[None]:
        """Do a step of background work: one at a time, once no live work is in flight or after the longest wait.

        Raises
        ------
        Stopped
            If ``stop`` is set before the turn comes.
        """
        while not self._turn.acquire(timeout=_LOOK_S):
            if stop.is_set():
                raise Stopped
        try:
            until = time.monotonic() + self._longest_s
            while not self._quiet() and time.monotonic() < until:
                if stop.wait(_LOOK_S):
                    raise Stopped
            yield
        finally:
            self._turn.release()

    def _quiet(self) -> bool:
        return self._live <= 0 and self.calm()

    @contextlib.contextmanager
    def _counted(self, change: int) -> Iterator[None]:
        self._count(change)
        try:
            yield
        finally:
            self._count(-change)

    def _count(self, change: int) -> None:
        with self._lock:
            before, self._live = self._live > 0, self._live + change
            if (self._live > 0) != before:
                for give_way in self._followers:
                    give_way(not before)


def _is_live(run: Run) -> bool:
    return run.priority > BACKGROUND
