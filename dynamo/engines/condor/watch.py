"""Following one attempt of a run through its job event log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from dynamo.engines.base import EngineError
from dynamo.engines.condor.track import JobEvent, RunTrack, event_from
from dynamo.errors import passes

#: Longest single wait on the log, in seconds; bounds how fast a wait can be interrupted.
_SLICE_S = 1
_POLL_S = 0.05


class RunWatch:
    """The state of a run, kept up to date from its event log; thread-safe.

    Waiting costs nothing: HTCondor's reader sleeps until the log changes (inotify).

    Parameters
    ----------
    log
        The event log.
    on_start_over
        Called at once with the node (empty for a lone job) and the time when a job starts over, and will overwrite what
        it wrote.
    """

    def __init__(self, log: Path, on_start_over: Callable[[str, datetime], None] | None = None) -> None:
        self._path = log
        self._on_start_over = on_start_over
        self._reader: Any = None
        self._lock = threading.Lock()
        self.track = RunTrack()
        self.events: list[JobEvent] = []
        #: Monotonic time of the last event.
        self.heard = time.monotonic()
        self.checked = 0.0
        #: When it was last asked whether any slot could run the run's waiting jobs, and why none could.
        self.matched = float("-inf")
        self.vain = ""

    def read(self, timeout_s: float = 0.0) -> bool:
        """Process new events, waiting about ``timeout_s`` for the first; return whether there were any.

        Raises
        ------
        EngineError
            If the log cannot be read.
        """
        # The lock's holder processes events as they arrive, so the state is already current.
        if not (self._lock.acquire(timeout=timeout_s) if timeout_s > 0 else self._lock.acquire(blocking=False)):
            return False
        try:
            return self._read(timeout_s)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the log."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _read(self, timeout_s: float) -> bool:
        import htcondor2

        try:
            if self._reader is None:
                self._reader = htcondor2.JobEventLog(str(self._path))
                self.track, self.events = RunTrack(), []
            new = self._take(0)
            deadline = time.monotonic() + timeout_s
            while not new and not self.track.ended and (left := deadline - time.monotonic()) > 0:
                if left < _SLICE_S:
                    # The reader waits in whole seconds.
                    time.sleep(min(left, _POLL_S))
                    new = self._take(0)
                else:
                    new = self._take(_SLICE_S)
        except (htcondor2.HTCondorException, OSError) as error:
            if passes(error):
                raise
            raise EngineError(f"cannot read the event log: {error}", where=self._path) from error
        if new:
            self.heard = time.monotonic()
        return new

    def _take(self, wait_s: int) -> bool:
        new = False
        for seen in self._reader.events(stop_after=wait_s):
            event = event_from(seen.cluster, seen.proc, dict(seen))
            self.events.append(event)
            if self._on_start_over is not None and (node := self.track.starts_over(event)) is not None:
                self._on_start_over(node, event.time)
            self.track.note(event)
            new = True
            if wait_s:
                # Take events that came with it without waiting for more.
                self._take(0)
                break
        return new
