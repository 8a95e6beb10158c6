"""From candidate files to arrivals and runs: one thread, one transaction for each arrival.

An arrival and the runs that it starts are stored together or not at all, so a kill at any moment leaves either a file
that the next scan finds again, or an arrival whose runs exist.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dynamo.errors import InputError, RetryableError
from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import Look, is_being_written, is_settled, look, name_problem, shown
from dynamo.feeds.quarantine import move_aside
from dynamo.files import sha256_file
from dynamo.inspection.facts import InputFacts, facts_from_json, facts_to_json
from dynamo.inspection.process import inspect
from dynamo.runs.dispatcher import RunDispatcher
from dynamo.runs.ledger import create_run, decide
from dynamo.runs.patience import Stopped, passes, patiently
from dynamo.runs.service import RunService
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Run
from dynamo.times import from_epoch, to_iso, utc_now
from dynamo.triggers.arrival import ArrivalTrigger
from dynamo.triggers.condition import Verdict
from dynamo.triggers.gather import GatherTrigger
from dynamo.triggers.gathering import due_gatherings
from dynamo.triggers.precursor import PrecursorTrigger
from dynamo.triggers.rules import Rule, levels_of
from dynamo.triggers.spells import judge_precursor

_log = logging.getLogger("dynamo.intake")
#: A file that changes while it is read is looked at again after this time, at least.
_SOON_S = 0.05
_RETRY_S = 1.0


@dataclass(frozen=True)
class FeedRules:
    """What the intake must know of a feed."""

    settle_s: float
    #: Where bad files go; None where they stay where they are, as published products must.
    quarantine_dir: Path | None


class Intake:
    """Takes candidates, decides whether each is complete and good, and makes arrivals and runs of them.

    Parameters
    ----------
    service, dispatcher
        Where runs are made and queued.
    feeds
        By name.
    rules
        The triggers.
    """

    def __init__(
        self,
        service: RunService,
        dispatcher: RunDispatcher,
        feeds: Mapping[str, FeedRules],
        rules: tuple[Rule, ...],
    ) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._feeds = feeds
        self._rules = rules
        self._levels = {name: levels_of(rules, name) for name in feeds}
        self._changed = threading.Condition()
        self._queue: list[tuple[tuple[int, float], int, Candidate]] = []
        self._later: list[tuple[float, int, Candidate]] = []
        self._waiting: set[tuple[str, Path]] = set()
        self._known: dict[tuple[str, Path], tuple[int, int]] = {}
        self._sequence = itertools.count()
        self._busy = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread after the candidate in hand; what is queued is found again by the next scan."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def offer(self, candidate: Candidate) -> None:
        """Queue a candidate: first what was told of, then what a scan found, the newest first."""
        key = (candidate.feed, candidate.path)
        if candidate.told:
            rank = (0, 0.0)
        else:
            seen = look(candidate.path)
            if seen is None or self._known.get(key) == (seen.size, seen.mtime_ns):
                return
            rank = (1, -seen.mtime_ns / 1e9)
        with self._changed:
            if not candidate.told and key in self._waiting:
                return
            self._waiting.add(key)
            heapq.heappush(self._queue, (rank, next(self._sequence), candidate))
            self._changed.notify_all()

    def forget_missing(self, feed: str) -> None:
        """Drop from memory what no longer lies in the feed; the store still knows it."""
        for key in [key for key in tuple(self._known) if key[0] == feed and not key[1].exists()]:
            self._known.pop(key, None)

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until every candidate is decided on; tell whether that came."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stop.is_set() or not (self._queue or self._later or self._busy), timeout_s
            )

    # -- the thread

    def _work(self) -> None:
        while (candidate := self._next()) is not None:
            try:
                self._process(candidate)
            except Stopped:
                break
            except (OSError, RetryableError) as error:
                _log.warning("looked at again", extra={"path": shown(candidate.path), "reason": str(error)})
                self._service.events.emit("trouble", shown(candidate.path), reason=str(error), retry_s=_RETRY_S)
                self._again(candidate, _RETRY_S)
            except Exception:  # one file must never end the daemon
                _log.exception("a defect with a file", extra={"path": shown(candidate.path)})
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _next(self) -> Candidate | None:
        with self._changed:
            while not self._stop.is_set():
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

    def _again(self, candidate: Candidate, delay_s: float) -> None:
        with self._changed:
            self._waiting.add((candidate.feed, candidate.path))
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._sequence), candidate))

    def _process(self, candidate: Candidate) -> None:
        path, feed = candidate.path, self._feeds[candidate.feed]
        seen = look(path)
        if seen is None:
            return
        if self._is_known(candidate, seen):
            return
        settled = is_settled(seen, time.time(), feed.settle_s)
        if problem := seen.problem or name_problem(path):
            self._refuse(candidate, seen, problem, settled)
            return
        if (not candidate.told and not settled) or is_being_written(path):
            self._again(candidate, _wait_s(seen, feed.settle_s))
            return
        try:
            facts = inspect(path, self._levels[candidate.feed])
            digest = sha256_file(path)
        except InputError as error:
            self._refuse(candidate, seen, _without(str(error), path), settled)
            return
        except (OSError, RetryableError) as error:
            if passes(error) or look(path) is None:
                raise
            why = error.strerror if isinstance(error, OSError) else error
            self._refuse(candidate, seen, f"cannot be read: {why}", settled)
            return
        except Exception as error:  # broken files make the NetCDF libraries fail in every way
            self._refuse(candidate, seen, f"cannot be read: {type(error).__name__}: {error}", settled)
            return
        after = look(path)
        if after is None or (after.size, after.mtime_ns) != (seen.size, seen.mtime_ns):
            self._again(candidate, max(_SOON_S, min(feed.settle_s, 0.5)))
            return
        self._patiently(lambda: self._accept(candidate, seen, facts, digest), candidate)

    def _is_known(self, candidate: Candidate, seen: Look) -> bool:
        key = (candidate.feed, candidate.path)
        if self._known.get(key) == (seen.size, seen.mtime_ns):
            return True
        arrival = self._patiently(lambda: self._stored(candidate, seen), candidate)
        # A bad file that lies here was moved back (perhaps it is well now), or could not be moved before a restart.
        if arrival is None or arrival.state == "quarantined":
            return False
        self._known[key] = (seen.size, seen.mtime_ns)
        return True

    def _stored(self, candidate: Candidate, seen: Look) -> Arrival | None:
        with self._service.store.reading() as session:
            return session.scalar(
                select(Arrival).where(
                    Arrival.feed == candidate.feed,
                    Arrival.path == shown(candidate.path),
                    Arrival.size == seen.size,
                    Arrival.mtime_ns == seen.mtime_ns,
                )
            )

    def _accept(self, candidate: Candidate, seen: Look, facts: InputFacts, digest: str) -> None:
        decisions: list[tuple[str, str, str, dict[str, Any]]] = []
        runs: list[Run] = []
        with self._service.store.transaction() as session:
            earlier = session.scalar(
                select(Arrival).where(
                    Arrival.feed == candidate.feed, Arrival.sha256 == digest, Arrival.state == "accepted"
                )
            )
            reason = "" if earlier is None else f"the same content as {Path(earlier.path).name}"
            arrival = self._record(
                session,
                candidate,
                seen,
                state="accepted" if earlier is None else "duplicate",
                reason=reason,
                sha256=digest,
                valid_at=facts.issue_time,
                facts=facts_to_json(facts),
            )
            if arrival is not None and earlier is None:
                for rule in self._rules:
                    if isinstance(rule.trigger, ArrivalTrigger | PrecursorTrigger) and rule.trigger.concerns(
                        candidate.feed, candidate.path
                    ):
                        runs += self._apply(session, rule, arrival, facts, decisions)
        self._known[candidate.feed, candidate.path] = (seen.size, seen.mtime_ns)
        if arrival is None:
            return
        for run in runs:
            self._dispatcher.put(run)
        self._tell_arrival(arrival, facts)
        for rule in self._rules:
            if isinstance(rule.trigger, GatherTrigger) and rule.trigger.follows(candidate.feed, candidate.path):
                self.gather(rule)
        for subject, action, why, data in decisions:
            _log.info("trigger: %s", action, extra={"subject": subject, "reason": why})
            self._service.events.emit("decision", subject, action=action, reason=why, **data)
        for run in runs:
            self._service.announce(run)

    def apply_rule(self, rule: Rule, arrival: Arrival, subject: str) -> Run | None:
        """Let a schedule start its workflow with an arrival; the decision is stored either way."""
        facts = None if arrival.facts is None else facts_from_json(arrival.facts)
        decisions: list[tuple[str, str, str, dict[str, Any]]] = []
        with self._service.store.transaction() as session:
            runs = self._apply(session, rule, arrival, facts, decisions, subject=subject)
        for run in runs:
            self._dispatcher.put(run)
            self._service.announce(run)
        for where, action, why, data in decisions:
            _log.info("trigger: %s", action, extra={"subject": where, "reason": why})
            self._service.events.emit("decision", where, action=action, reason=why, **data)
        return runs[0] if runs else None

    def gather(self, rule: Rule) -> None:
        """Start what a gathering trigger has together; the decisions are stored either way."""
        with self._service.store.transaction() as session:
            found = due_gatherings(session, rule, utc_now())
            runs = []
            for due in found:
                if due.request is not None:
                    run, new = create_run(session, due.request, runs_dir=self._service.settings.runs_dir)
                    due.data["run"] = run.id
                    if new:
                        runs.append(run)
                decide(session, due.subject, due.action, due.reason, **due.data)
        for run in runs:
            self._dispatcher.put(run)
            self._service.announce(run)
        for due in found:
            _log.info("trigger: %s", due.action, extra={"subject": due.subject, "reason": due.reason})
            self._service.events.emit("decision", due.subject, action=due.action, reason=due.reason, **due.data)

    def _apply(
        self,
        session: Session,
        rule: Rule,
        arrival: Arrival,
        facts: InputFacts | None,
        decisions: list[tuple[str, str, str, dict[str, Any]]],
        *,
        subject: str = "",
    ) -> Sequence[Run]:
        """Judge an arrival by one rule inside the transaction; return the run if it made a new one."""
        try:
            verdict, action = _judge(session, rule, facts)
            start, reason, data = verdict.start, verdict.reason, verdict.data
            request = rule.request([arrival], utc_now()) if start else None
        except InputError as error:
            request, action, reason, data = None, "refuse", f"cannot be judged: {error}", {"unusable": True}
        if request is not None and (left_out := rule.left_out(request)):
            reason = f"{reason}; not there: {', '.join(left_out)}"
            data = {**data, "left_out": left_out}
        data = {"trigger": rule.name, "feed": arrival.feed, "path": arrival.path, **data}
        runs: list[Run] = []
        if request is not None:
            run, new = create_run(session, request, runs_dir=self._service.settings.runs_dir)
            data["run"] = run.id
            if new:
                runs.append(run)
            else:
                action, reason = "have", f"the run {run.id} has done this already or will"
        where = subject or arrival.path
        decide(session, where, action, reason, **data)
        decisions.append((where, action, reason, data))
        return runs

    def _refuse(self, candidate: Candidate, seen: Look, reason: str, settled: bool) -> None:
        """Put a bad file into quarantine once it has not changed for a while: its writer may not be done."""
        settle_s = self._feeds[candidate.feed].settle_s
        # The look into it may have taken longer than that.
        settled = settled or (look(candidate.path) == seen and is_settled(seen, time.time(), settle_s))
        if not settled or (not seen.problem and is_being_written(candidate.path)):
            self._again(candidate, _wait_s(seen, settle_s))
            return

        def record() -> Arrival | None:
            with self._service.store.transaction() as session:
                arrival = self._record(session, candidate, seen, state="quarantined", reason=reason)
                if arrival is not None:
                    decide(session, shown(candidate.path), "quarantine", reason, feed=candidate.feed)
                return arrival

        arrival = self._patiently(record, candidate)
        if arrival is not None:
            self._move_aside(candidate, arrival)

    def _move_aside(self, candidate: Candidate, arrival: Arrival) -> None:
        folder = self._feeds[candidate.feed].quarantine_dir
        try:
            moved = None if folder is None else move_aside(candidate.path, folder, arrival.reason)
        except OSError as error:
            # A quarantine that is full or away must not hold up the good files; the next start tries again.
            _log.warning("cannot be moved", extra={"path": shown(candidate.path), "reason": str(error)})
            moved = None
        if moved is None:
            self._known[candidate.feed, candidate.path] = (arrival.size, arrival.mtime_ns)
        else:
            self._known.pop((candidate.feed, candidate.path), None)

            def note() -> None:
                with self._service.store.transaction() as session:
                    session.execute(update(Arrival).where(Arrival.id == arrival.id).values(moved_to=str(moved)))

            self._patiently(note, candidate)
        _log.warning(
            "quarantined",
            extra={"path": shown(candidate.path), "reason": arrival.reason, "moved_to": str(moved or "")},
        )
        self._service.events.emit(
            "quarantined",
            shown(candidate.path),
            feed=candidate.feed,
            reason=arrival.reason,
            moved_to=None if moved is None else str(moved),
        )

    def _record(
        self, session: Session, candidate: Candidate, seen: Look, *, state: str, reason: str, **values: Any
    ) -> Arrival | None:
        values |= {
            "state": state,
            "reason": reason,
            "closed_at": _closed_at(candidate, seen),
            "detected_at": candidate.seen_at,
            "recorded_at": utc_now(),
        }
        new = insert_new(
            session,
            Arrival,
            feed=candidate.feed,
            path=shown(candidate.path),
            size=seen.size,
            mtime_ns=seen.mtime_ns,
            **values,
        )
        arrival = session.scalars(
            select(Arrival).where(
                Arrival.feed == candidate.feed,
                Arrival.path == shown(candidate.path),
                Arrival.size == seen.size,
                Arrival.mtime_ns == seen.mtime_ns,
            )
        ).one()
        if not new:
            if arrival.state != "quarantined":
                return None
            for name, value in {**values, "moved_to": None}.items():
                setattr(arrival, name, value)
            session.flush()
        return arrival

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

    def _patiently(self, call: Any, candidate: Candidate) -> Any:
        return patiently(call, stop=self._stop, events=self._service.events, subject=shown(candidate.path))


def _wait_s(seen: Look, settle_s: float) -> float:
    remaining = seen.changed_s + settle_s - time.time()
    return max(_SOON_S, min(remaining, settle_s)) if remaining > 0 else max(_SOON_S, min(settle_s, 1.0))


def _closed_at(candidate: Candidate, seen: Look) -> datetime:
    """The file's last change of content or name, which for a file that was moved in is the moving."""
    return min(from_epoch(seen.changed_s), candidate.seen_at)


def _without(text: str, path: Path) -> str:
    return text.removeprefix(f"{path}: ")


def _judge(session: Session, rule: Rule, facts: InputFacts | None) -> tuple[Verdict, str]:
    trigger = rule.trigger
    if isinstance(trigger, PrecursorTrigger):
        return judge_precursor(session, rule, trigger, facts, utc_now())
    if isinstance(trigger, GatherTrigger):
        raise InputError("several files belong together", where=f"trigger {rule.name}", expected="Intake.gather")
    verdict = trigger.judge(facts)
    return verdict, "start" if verdict.start else "refuse"
