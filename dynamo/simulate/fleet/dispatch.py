"""Simulated dispatcher: freshest runs first, superseded late ones skipped.

Follows the rules of `dynamo.runs.dispatcher`, on numbers instead of a store.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from dynamo.simulate.fleet.trace import FileArrival

Fate = Literal["waiting", "running", "done", "skipped"]


@dataclass(slots=True, eq=False)
class SimulatedRun:
    """One run.

    Attributes
    ----------
    ended_s
        Time it ended or was skipped, seconds of the day.
    left
        Unfinished jobs.
    """

    number: int
    arrival: FileArrival
    fate: Fate = "waiting"
    ended_s: float = 0.0
    left: int = 0

    @property
    def due_s(self) -> float:
        """Time its products are due."""
        return self.arrival.at_s + self.arrival.deadline_s

    @property
    def late(self) -> bool:
        """Whether its products missed their deadline or never came."""
        return self.fate != "done" or self.ended_s > self.due_s + 1e-6


class SimulatedDispatcher:
    """Decides which run starts next.

    Parameters
    ----------
    submit
        Adds a run's jobs to the pool's queue.
    max_runs
        Maximum number of runs in the pool at once.
    handling_s
        Constant added to each run's latency, besides its own handling.
    """

    def __init__(self, submit: Callable[[SimulatedRun], None], max_runs: int, handling_s: float = 0.0) -> None:
        self._handling_s = handling_s
        self.runs: list[SimulatedRun] = []
        self._submit = submit
        self._max_runs = max_runs
        self._queue: list[tuple[float, float, int]] = []
        self._open: dict[int, SimulatedRun] = {}
        self._active = 0
        self._newest: dict[str, float] = {}

    @property
    def busy(self) -> bool:
        """Whether any run is waiting or running."""
        return bool(self._open)

    def put(self, arrival: FileArrival) -> SimulatedRun:
        """Create and queue an arrival's run."""
        run = SimulatedRun(len(self.runs), arrival, left=arrival.tasks)
        self.runs.append(run)
        self._open[run.number] = run
        self._newest[arrival.kind] = max(self._newest.get(arrival.kind, arrival.at_s), arrival.at_s)
        # Freshest first; first come first served among equals.
        heapq.heappush(self._queue, (-arrival.priority, -arrival.at_s, run.number))
        return run

    def dispatch(self, now_s: float) -> None:
        """Start all runs that can start now."""
        while self._queue and self._active < self._max_runs:
            run = self.runs[heapq.heappop(self._queue)[2]]
            arrival = run.arrival
            if now_s > run.due_s and self._newest[arrival.kind] > arrival.at_s + arrival.scan_s:
                self._end(run, "skipped", now_s)
                continue
            run.fate = "running"
            self._active += 1
            self._submit(run)

    def job_ended(self, number: int, now_s: float) -> None:
        """Record that one job of a run ended."""
        run = self.runs[number]
        run.left -= 1
        if not run.left:
            self._active -= 1
            self._end(run, "done", now_s + self._handling_s + run.arrival.handling_s)

    def open_runs(self) -> Iterator[SimulatedRun]:
        """Yield the waiting and running runs."""
        return iter(self._open.values())

    def _end(self, run: SimulatedRun, fate: Fate, now_s: float) -> None:
        run.fate, run.ended_s = fate, now_s
        del self._open[run.number]
