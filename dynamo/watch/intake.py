"""Turn candidate files into arrivals and runs: examined in several threads, accepted one at a time, each in one
transaction.

An arrival and the runs it starts are stored together or not at all, so a kill at any moment leaves either a file that
the next scan finds again, or an arrival whose runs exist.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dynamo.errors import RetryableError
from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, look, shown
from dynamo.inspection.facts import InputFacts, facts_to_json
from dynamo.runs.patience import Stopped, patiently
from dynamo.runs.series import count_arrival
from dynamo.runs.service import RunService
from dynamo.store.models import Arrival
from dynamo.times import to_iso, utc_now
from dynamo.watch.arrivals import arrival_of, first_with, record
from dynamo.watch.bad_files import BadFiles
from dynamo.watch.candidates import SPARE, Candidates
from dynamo.watch.deciding import Decided, Decider
from dynamo.watch.examining import Bad, Good, Later, examine
from dynamo.watch.quarantined import AGAIN, RELEASED, finish, unfinished

_log = logging.getLogger("dynamo.intake")
_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
#: After so many tries nobody waits for a file that cannot be examined.
_AWAITED_TRIES = 5
#: With more feeds than threads they take turns.
_MOST_THREADS = 16

#: If everything that is examined takes longer than this, something hangs, seconds.
_STUCK_S = 300.0

T = TypeVar("T")


@dataclass(frozen=True)
class FeedRules:
    """What the intake needs to know about a feed."""

    settle_s: float
    #: Where bad files go; None if they stay in place, as published products must.
    quarantine_dir: Path | None
    #: Reflectivities, dBZ, at which areas in its files are measured.
    levels: tuple[float, ...] = ()


class Intake:
    """Takes candidates, decides whether each is complete and good, and turns them into arrivals and runs.

    Parameters
    ----------
    service
        Holds the store, and notifies followers.
    decider
        Asks the triggers.
    feeds
        By name.
    """

    def __init__(self, service: RunService, decider: Decider, feeds: Mapping[str, FeedRules]) -> None:
        self.candidates = Candidates()
        self._service = service
        self._decider = decider
        self._feeds = feeds
        self._stop = threading.Event()
        self._bad_files = BadFiles(service, self.candidates, self._patiently)
        self._accepting = threading.Lock()
        #: How often each file could not be examined.
        self._failures: Counter[tuple[str, Path]] = Counter()
        count = min(len(feeds) + SPARE, _MOST_THREADS)
        self._threads = [
            threading.Thread(target=self._work, name=f"intake-{index}", daemon=True) for index in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop the threads after the current candidates; the next scan finds the queued ones again."""
        self._stop.set()
        self.candidates.close()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def trouble(self) -> str:
        """Return why no files are taken; empty if they are."""
        if not all(thread.is_alive() for thread in self._threads):
            return "a thread of the intake has ended"
        if self.candidates.held_longer_than(_STUCK_S) >= len(self._threads):
            return f"the intake has been stuck for {_STUCK_S:g} s"
        return ""

    def _work(self) -> None:
        while (candidate := self.candidates.take()) is not None:
            try:
                with self._service.courtesy.live():
                    self._process(candidate)
                self._failures.pop((candidate.feed, candidate.path), None)
            except Stopped:
                break
            except (OSError, RetryableError) as error:
                self._try_later(candidate, error)
            except Exception:  # one file must never end the daemon
                _log.exception("bug in processing a file", extra={"path": shown(candidate.path)})
            finally:
                self.candidates.done(candidate)

    def _try_later(self, candidate: Candidate, error: OSError | RetryableError) -> None:
        key = (candidate.feed, candidate.path)
        pause_s = min(_RETRY_S * 2.0 ** min(self._failures[key], 10), _LONGEST_RETRY_S)
        self._failures[key] += 1
        path = shown(candidate.path)
        _log.warning("cannot be examined, will retry", extra={"path": path, "reason": str(error), "retry_s": pause_s})
        self._service.events.emit("trouble", path, reason=str(error), retry_s=pause_s)
        # `watch --once` leaves it to the next time then.
        self.candidates.again(candidate, pause_s, awaited=self._failures[key] < _AWAITED_TRIES)

    def _process(self, candidate: Candidate) -> None:
        feed = self._feeds[candidate.feed]
        seen = look(candidate.path)
        if seen is None or self._is_known(candidate, seen):
            return
        found = examine(candidate, seen, feed.levels, feed.settle_s)
        if self._stop.is_set():
            # It may have taken long: the store may already be another daemon's.
            raise Stopped
        match found:
            case Later(wait_s):
                self.candidates.again(candidate, wait_s)
            case Bad(reason):
                self._bad_files.refuse(candidate, seen, reason, self._feeds[candidate.feed].quarantine_dir)
            case Good(facts, digest):
                self._patiently(lambda: self._accept(candidate, seen, facts, digest), candidate)

    def _is_known(self, candidate: Candidate, seen: FileLook) -> bool:
        if self.candidates.knows(candidate, seen):
            return True

        def stored() -> Arrival | None:
            with self._service.store.reading() as session:
                return arrival_of(session, candidate, seen)

        arrival = self._patiently(stored, candidate)
        # A bad file found here was moved back (it may be good now), or could not be moved before a restart.
        if arrival is None or arrival.state in AGAIN:
            return False
        self.candidates.remember(candidate, seen.size, seen.mtime_ns)
        return True

    def take_back(self) -> None:
        """Finish what was ordered of files in quarantine, and examine those that were released once more.

        Raises
        ------
        OSError
            If a file cannot be moved or deleted now.
        """
        with self._service.store.reading() as session:
            ordered = unfinished(session, list(self._feeds))
        stuck: OSError | None = None
        for arrival in ordered:
            try:
                finish(self._service.store, arrival)
            except OSError as error:
                # It holds up none of the others.
                stuck = stuck or error
                continue
            if arrival.state == RELEASED:
                candidate = Candidate(arrival.feed, Path(arrival.path), "scan", utc_now())
                # One that stayed in place is known as decided on.
                self.candidates.forget(candidate)
                self.candidates.offer(candidate)
        if stuck is not None:
            raise stuck

    def _accept(self, candidate: Candidate, seen: FileLook, facts: InputFacts, digest: str) -> None:
        with self._accepting:
            self._accept_next(candidate, seen, facts, digest)

    def _accept_next(self, candidate: Candidate, seen: FileLook, facts: InputFacts, digest: str) -> None:
        decided: list[Decided] = []
        with self._service.store.transaction() as session:
            earlier = first_with(session, candidate.feed, digest)
            arrival = record(
                session,
                candidate,
                seen,
                state="accepted" if earlier is None else "duplicate",
                reason="" if earlier is None else f"same content as {Path(earlier.path).name}",
                sha256=digest,
                valid_at=facts.issue_time,
                radar=facts.radar,
                facts=facts_to_json(facts),
            )
            if arrival is not None and earlier is None:
                count_arrival(session, arrival)
                decided = self._decider.judge(session, arrival, facts)
        self.candidates.remember(candidate, seen.size, seen.mtime_ns)
        if arrival is None:
            return
        self._decider.put(decided)
        self._tell_arrival(arrival, facts)
        self._decider.tell(decided)
        self._decider.follow(candidate.feed, candidate.path)

    def _tell_arrival(self, arrival: Arrival, facts: InputFacts) -> None:
        if arrival.state == "duplicate":
            _log.info("duplicate", extra={"path": arrival.path, "reason": arrival.reason})
            self._service.events.emit("duplicate", arrival.path, feed=arrival.feed, reason=arrival.reason)
            return
        _log.info("arrival", extra={"path": arrival.path, "valid_at": to_iso(facts.issue_time)})
        self._service.events.emit(
            "arrival",
            arrival.path,
            feed=arrival.feed,
            path=Path(arrival.path),
            sha256=arrival.sha256,
            valid_at=arrival.valid_at,
            closed_at=arrival.closed_at,
            detected_at=arrival.detected_at,
            facts=facts,
        )

    def _patiently(self, call: Callable[[], T], candidate: Candidate) -> T:
        return patiently(call, stop=self._stop, events=self._service.events, subject=shown(candidate.path))
