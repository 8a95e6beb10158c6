"""Concurrent runs: freshest first, a limited number at a time, each in its own thread.

A run that has not started by its deadline is skipped if a newer one of its kind exists; the newest always runs, because
late products are better than none. When there is more work than can be done, `Shedding` decides what else to skip.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from datetime import datetime

from dynamo.errors import DynamoError
from dynamo.runs import ledger
from dynamo.runs.execution.disk import DiskError
from dynamo.runs.patience import Stopped, patiently
from dynamo.runs.service import RunService
from dynamo.runs.shedding import Shedding
from dynamo.runs.slots import RunSlots, store_stalled
from dynamo.runs.states import FINAL, WAITING
from dynamo.store.models import Run
from dynamo.times import ahead_of, to_iso, utc_now

_log = logging.getLogger("dynamo.runs")
_DISK_LOOK_S = 1.0
#: Seconds between looks at what the run slots wait for.
LOOK_S = 15.0


class RunDispatcher:
    """Executes queued runs until it is stopped.

    Parameters
    ----------
    service
        Executes one run.
    max_runs
        Maximum concurrent runs, at least 1.
    shedding
        Decides which runs to skip when there is more work than can be done.
    """

    def __init__(self, service: RunService, max_runs: int, shedding: Shedding | None = None) -> None:
        self._service = service
        self._max_runs = max_runs
        self._shedding = shedding
        self._spared: set[str] = set()
        self._changed = threading.Condition()
        self._queue: list[tuple[tuple[float, float, float], int, str]] = []
        self._known: set[str] = set()
        self._urgencies: dict[str, tuple[float, float, float]] = {}
        self._active: set[str] = set()
        self.slots = RunSlots(max_runs, service.events)
        self._stalled = False
        self._sequence = itertools.count()
        self._paused = False
        self._full = False
        self.stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"run-{index}", daemon=True) for index in range(max_runs)
        ]

    def start(self) -> None:
        """Start the threads and queue runs that an earlier process left unfinished."""
        self.resume()
        for thread in self._threads:
            thread.start()

    def put(self, run: Run) -> None:
        """Queue a run, unless it is already queued or active."""
        with self._changed:
            urgency = _urgency(run, utc_now())
            if run.id in self._known:
                self._reorder(run.id, urgency)
                return
            self._known.add(run.id)
            self._urgencies[run.id] = urgency
            if self._shedding is not None and self._shedding.spared(run):
                self._spared.add(run.id)
            heapq.heappush(self._queue, (urgency, next(self._sequence), run.id))
            self._changed.notify()

    def _reorder(self, run_id: str, urgency: tuple[float, float, float]) -> None:
        """Move a queued run whose priority has changed, or whose data are no longer ahead of the clock, or now are."""
        if run_id in self._active or self._urgencies.get(run_id) == urgency:
            return
        self._urgencies[run_id] = urgency
        self._queue = [(urgency if name == run_id else before, number, name) for before, number, name in self._queue]
        heapq.heapify(self._queue)

    def resume(self) -> int:
        """Queue every unfinished run in the store that no live process is working on; return how many."""
        with self._service.store.reading() as session:
            runs = ledger.unfinished(session)
        for run in runs:
            self.put(run)
        return len(runs)

    def pause(self) -> None:
        """Start no more runs until `unpause`; active ones continue."""
        with self._changed:
            self._paused = True

    def unpause(self) -> None:
        """Start runs again."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def idle(self) -> bool:
        """Whether nothing is queued or active."""
        with self._changed:
            return not self._known

    def calm(self) -> bool:
        """Whether runs are started and none waits for it, so that work in the background may start."""
        with self._changed:
            return not (self._queue or self._paused or self.stopping.is_set())

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is queued or active; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._known or self.stopping.is_set(), timeout_s)

    def counts(self) -> tuple[int, int]:
        """Return the numbers of queued and of active runs."""
        with self._changed:
            return len(self._queue), len(self._active)

    def trouble(self) -> str:
        """Return why no runs are started; empty if they are, or somebody paused them."""
        if not all(thread.is_alive() for thread in self._threads):
            return "a thread that runs workflows has ended"
        return "the disk is full or fails" if self._full else ""

    def look_at_slots(self) -> None:
        """Tell whether all run slots wait, so that no run progresses, and store what metrics show of it."""
        report = self.slots.report()
        queued, _ = self.counts()
        if report.stalled:
            facts = {"slots": report.total, "queued": queued, "waited_s": round(report.waited_s)}
            if not self._stalled:
                _log.error("all run slots wait: no run progresses", extra={**facts, "reason": report.reason})
            self._service.events.emit("trouble", "slots", reason=report.reason, retry_s=LOOK_S)
        elif self._stalled:
            _log.warning("runs progress again")
            self._service.events.emit("recovered", "slots")
        self._stalled = report.stalled
        with self._service.store.transaction() as session:
            store_stalled(session, report.stalled, utc_now(), 4 * LOOK_S)

    def stop(self, grace_s: float) -> None:
        """Start nothing more, give active runs ``grace_s`` to finish, then leave them to be resumed."""
        with self._changed:
            self._queue.clear()
            self._known &= self._active
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._active, grace_s)
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2.0 + self._service.settings.tick_s)

    def _work(self) -> None:
        while (run_id := self._next()) is not None:
            try:
                self._run(run_id)
            except Stopped:
                pass
            except (DynamoError, OSError) as error:
                _log.error("run postponed", extra={"run": run_id, "reason": str(error)})
            except Exception:  # one run must never stop the thread that others are waiting for
                _log.exception("bug in the dispatcher", extra={"run": run_id})
            finally:
                self.slots.free(run_id)
                with self._changed:
                    self._active.discard(run_id)
                    self._known.discard(run_id)
                    self._urgencies.pop(run_id, None)
                    self._spared.discard(run_id)
                    self._changed.notify_all()

    def _next(self) -> str | None:
        with self._changed:
            while not self.stopping.is_set():
                waits = bool(self._queue)
                if waits and not self._paused and self._has_room() and (run_id := self._take()) is not None:
                    self._active.add(run_id)
                    return run_id
                # Reserved slots become free when an overload ends, which nothing announces.
                looks = self._full or (waits and not self._paused)
                self._changed.wait(_DISK_LOOK_S if looks else None)
            return None

    def _take(self) -> str | None:
        """Take the most urgent run from the queue; while slots are reserved for spared runs, one entitled to a slot."""
        kept = 0 if self._shedding is None else self._shedding.reserved(self._max_runs, utc_now())
        others = len(self._active - self._spared)
        if not kept or others < self._max_runs - kept:
            return heapq.heappop(self._queue)[2]
        spared = [entry for entry in self._queue if entry[2] in self._spared]
        if not spared:
            return None
        entry = min(spared)
        self._queue.remove(entry)
        heapq.heapify(self._queue)
        return entry[2]

    def _run(self, run_id: str) -> None:
        service, stop = self._service, self.stopping
        run = patiently(lambda: service.get(run_id), stop=stop, events=service.events, subject=run_id)
        if run.state in FINAL:
            return
        self.slots.take(run_id, run.state)
        if run.state in WAITING and patiently(
            lambda: self._skip_if_stale(run) or self._shed(run), stop=stop, events=service.events, subject=run_id
        ):
            return
        ended = service.execute(run_id, stop)
        if ended is None:
            return
        if ended.state == "failed" and (trouble := self._disk_trouble()):
            # A failure on a disk that is full or fails says nothing about the run.
            service.retry(run_id, f"failed while its disk did: {trouble}")
            with self._changed:
                self._known.discard(run_id)
            self.put(service.get(run_id))

    def _skip_if_stale(self, run: Run) -> bool:
        now = utc_now()
        if run.deadline_at is None or now <= run.deadline_at:
            return False
        with self._service.store.reading() as session:
            newer = ledger.superseded_by(session, run)
        if newer is None or newer.valid_at is None:
            return False
        late_s = round((now - run.deadline_at).total_seconds(), 3)
        reason = f"{late_s:g} s past its deadline and superseded by {newer.id}, valid {to_iso(newer.valid_at)}"
        return self._service.skip(run, reason, late_s=late_s, superseded_by=newer.id)

    def _shed(self, run: Run) -> bool:
        verdict = None if self._shedding is None else self._shedding.judge(run, utc_now())
        return verdict is not None and self._service.skip(run, verdict.reason, **verdict.data)

    def _has_room(self) -> bool:
        trouble = self._disk_trouble()
        if bool(trouble) != self._full:
            self._full = bool(trouble)
            if trouble:
                _log.error("starting no runs: %s", trouble)
                self._service.events.emit("trouble", "disk", reason=trouble, retry_s=_DISK_LOOK_S)
            else:
                _log.warning("the disk is well again")
                self._service.events.emit("recovered", "disk")
        return not trouble

    def _disk_trouble(self) -> str:
        try:
            self._service.check_disk()
        except DiskError as error:
            return str(error)
        return ""


def _urgency(run: Run, now: datetime) -> tuple[float, float, float]:
    """Return the sort key, smaller first: already started, then priority, newest valid time, oldest creation.

    Data from a clock that is ahead (or whose time was right until ours went back) are not the newest but the last:
    else they would go before all real data for as long as the clocks disagree.
    """
    started = 0.0 if run.state in WAITING else -1.0
    fresh = 0.0 if run.valid_at is None or ahead_of(run.valid_at, now) else run.valid_at.timestamp()
    return (1e6 * started - run.priority, -fresh, run.created_at.timestamp())
