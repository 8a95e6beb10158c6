"""The watch daemon as an object: start it, follow its events, stop it.

Threads: one for each feed's news, one intake (files to arrivals and runs), one for each run at a time, and one that
does what is due at times (rescan, schedules, lease, tidying up).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import select

from dynamo.config.file import Config, FeedSection
from dynamo.errors import BusyError, DynamoError, InputError, RetryableError
from dynamo.feeds.base import Feed
from dynamo.feeds.registry import create_feed
from dynamo.inspection import process as inspection
from dynamo.runs.dispatcher import RunDispatcher
from dynamo.runs.engines import EngineFactory
from dynamo.runs.events import RunEvents
from dynamo.runs.planning import Planner
from dynamo.runs.retention import clean_run_folders
from dynamo.runs.service import RunService
from dynamo.runs.setup import make_service
from dynamo.runs.shedding import Shedding
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.lease import RENEW_S, StoreLease
from dynamo.store.models import Arrival, Cursor
from dynamo.times import to_iso, utc_now
from dynamo.triggers.gather import GatherTrigger
from dynamo.triggers.rules import Rule, make_rules
from dynamo.triggers.schedule import ScheduleTrigger
from dynamo.watch.intake import FeedRules, Intake

if TYPE_CHECKING:
    from dynamo.alerts.service import AlertService

_log = logging.getLogger("dynamo.watch")
_TIDY_S = 60.0
_SCHEDULE_LOOK_S = 1.0
#: How long `run_once` waits for alerts to be delivered.
_DELIVERY_GRACE_S = 20.0


@dataclass
class _Chore:
    """Something that is due again and again."""

    name: str
    every_s: float
    call: Callable[[], None]
    due: float = 0.0


class Watcher:
    """The daemon.

    Use it as a context manager, or call `start` and `stop`. ``events.subscribe`` follows what it does.

    Parameters
    ----------
    config
        The configuration, with at least one feed.
    planner, engine_factory
        In place of the registered ones.
    paused
        Accept files and make runs, but start none until ``dispatcher.unpause``.
    shedding
        Makes what says which runs go without while there is more work than can be done, from the open store.

    Raises
    ------
    InputError, NotFoundError
        If a feed, workflow or parameter of the configuration is not right.
    BusyError
        If another daemon works on this store or watches one of these folders.
    """

    def __init__(
        self,
        config: Config,
        *,
        planner: Planner | None = None,
        engine_factory: EngineFactory | None = None,
        paused: bool = False,
        shedding: Callable[[Store], Shedding] | None = None,
    ) -> None:
        if not config.feeds:
            raise InputError("there is no feed to watch", expected="a [[feeds]] section", hint="dynamo config example")
        # It imports while this process does the rest.
        inspection.warm()
        self.config = config
        self.events = RunEvents()
        self.failure: DynamoError | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._feeds: list[Feed] = []
        self._service = make_service(config, planner=planner, engine_factory=engine_factory, events=self.events)
        self._lease = StoreLease(self._service.store)
        try:
            self._lease.take()
            try:
                for section in config.feeds:
                    self._feeds.append(_make_feed(section, config, self._service))
                self._rules = make_rules(config, self._service.planner)
            except BaseException:
                self._lease.give_back()
                raise
        except BaseException:
            for feed in self._feeds:
                feed.stop()
            self._service.store.close()
            raise
        guard = None if shedding is None else shedding(self._service.store)
        self.dispatcher = RunDispatcher(self._service, config.runs.max_runs, guard)
        self._paused = paused
        if paused:
            self.dispatcher.pause()
        rules = {
            # What was published stays: a bad product is recorded only.
            feed.name: FeedRules(feed.settle_s, None if feed.kind == "products" else config.quarantine_dir)
            for feed in config.feeds
        }
        self._intake = Intake(self._service, self.dispatcher, rules, self._rules)
        self._chores = self._make_chores()
        self._timer = threading.Thread(target=self._keep_time, name="timer", daemon=True)
        self._started = False
        self._alerts = self._make_alerts()

    @property
    def service(self) -> RunService:
        """What makes and executes the runs; its store can be read."""
        return self._service

    def start(self) -> None:
        """Begin to watch; returns when the feeds tell their news."""
        self._started = True
        _log.info(
            "starting",
            extra={"store": self._service.store.url, "feeds": ",".join(f.name for f in self._feeds)},
        )
        if self._alerts is not None:
            self.events.subscribe(self._alerts.on_event)
            self._alerts.start()
        self._intake.start()
        for feed in self._feeds:
            # First the news, then the scan: what comes in between is seen twice, and known the second time.
            self._start_feed(feed)
        self.dispatcher.start()
        for feed in self._feeds:
            self._scan(feed)
        for name in sorted({rule.engine for rule in self._rules}) if not self._paused else ():
            # Warm workers before the first file comes; a pool that is away now may be back by then.
            threading.Thread(target=self._warm, args=(name,), name=f"warm-{name}", daemon=True).start()
        self._timer.start()
        _log.info("watching", extra={"runs_at_once": self.config.runs.max_runs})

    def run(self, stop: threading.Event | None = None) -> None:
        """Start, and watch until `stop` is called or ``stop`` is set; then end cleanly.

        Raises
        ------
        BusyError
            If another daemon took over this store.
        """
        self.start()
        try:
            while not self._stop.is_set() and not (stop is not None and stop.is_set()):
                (stop or self._stop).wait(0.5)
        finally:
            self.stop()
        if self.failure is not None:
            raise self.failure

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Process what lies in the feeds now, to the end of its runs, then stop."""
        self.start()
        try:
            while not (self._idle() or self._stop.is_set() or (stop is not None and stop.is_set())):
                time.sleep(0.02)
            self._do(_Chore("tidy", _TIDY_S, self._tidy))
            if self._alerts is not None:
                # Nobody sends what is left before the next start.
                self._alerts.wait_idle(_DELIVERY_GRACE_S)
        finally:
            self.stop()
        if self.failure is not None:
            raise self.failure

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all files are decided on and all runs are over; tell whether that came."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._idle():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def rescan(self) -> None:
        """Look at once for files that nobody told of."""
        for feed in self._feeds:
            self._scan(feed)

    def stop(self) -> None:
        """End: no new files, runs get their grace and are resumed at the next start."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._stop.set()
        for feed in self._feeds:
            feed.stop()
        if self._started:
            self._intake.stop()
            self.dispatcher.stop(self.config.watch.stop_grace_s)
            self._timer.join(2.0)
        if self._alerts is not None:
            self._alerts.stop()
        inspection.close()
        self._service.close()
        try:
            self._lease.give_back()
        except RetryableError as error:
            _log.warning("the lease is left to run out", extra={"reason": str(error)})
        self._service.store.close()
        _log.info("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _idle(self) -> bool:
        told = self._alerts is None or self._alerts.wait_idle(0.0, delivered=False)
        return self._intake.wait_idle(0.0) and self.dispatcher.idle() and told

    def _make_alerts(self) -> AlertService | None:
        if not self.config.alerts.places:
            return None
        # Its geometry takes a third of a second to import: only where somebody is to be told.
        from dynamo.alerts.service import AlertService

        try:
            return AlertService(self._service.store, self.config.alerts, base=self.config.base)
        except BaseException:
            self._lease.give_back()
            for feed in self._feeds:
                feed.stop()
            self._service.store.close()
            raise

    # -- what is due at times

    def _make_chores(self) -> list[_Chore]:
        chores = [
            _Chore(f"rescan {section.name}", section.rescan_s, lambda feed=feed: self._rescan(feed))  # type: ignore[misc]
            for section, feed in zip(self.config.feeds, self._feeds, strict=True)
        ]
        chores.append(_Chore("lease", RENEW_S, self._lease.renew))
        chores.append(_Chore("resume", self.config.watch.resume_s, self._resume))
        chores.append(_Chore("tidy", _TIDY_S, self._tidy))
        chores += [
            _Chore(f"gather {rule.name}", _SCHEDULE_LOOK_S, lambda rule=rule: self._intake.gather(rule))  # type: ignore[misc]
            for rule in self._rules
            if isinstance(rule.trigger, GatherTrigger)
        ]
        chores += [
            _Chore(f"schedule {rule.name}", _SCHEDULE_LOOK_S, lambda rule=rule: self._schedule(rule))  # type: ignore[misc]
            for rule in self._rules
            if isinstance(rule.trigger, ScheduleTrigger)
        ]
        return chores

    def _keep_time(self) -> None:
        now = time.monotonic()
        for chore in self._chores:
            # A schedule begins at once; the rest was just done by `start`.
            chore.due = now if chore.name.startswith("schedule") else now + chore.every_s
        while not self._stop.wait(max(0.0, min(chore.due for chore in self._chores) - time.monotonic())):
            for chore in self._chores:
                if chore.due <= time.monotonic() and not self._stop.is_set():
                    self._do(chore)
                    chore.due = time.monotonic() + chore.every_s

    def _do(self, chore: _Chore) -> None:
        try:
            chore.call()
        except BusyError as error:
            # Two daemons on one store would publish the same things: the one that lost its lease must go.
            _log.error("ending", extra={"reason": str(error)})
            self.failure = error
            self._stop.set()
        except (DynamoError, OSError) as error:
            _log.warning("%s failed, tried again later", chore.name, extra={"reason": str(error)})
            self.events.emit("trouble", chore.name, reason=str(error), retry_s=chore.every_s)
        except Exception:  # a defect in one chore must not end the others
            _log.exception("a defect in %s", chore.name)

    def _start_feed(self, feed: Feed) -> None:
        try:
            feed.start(self._intake.offer)
        except OSError as error:
            # Out of inotify watches, or a file system without them: the rescan does it, slower.
            _log.warning("no news from the kernel, only rescans", extra={"feed": feed.name, "reason": str(error)})
            self.events.emit("trouble", feed.name, reason=str(error), retry_s=0.0)

    def _rescan(self, feed: Feed) -> None:
        if not feed.healthy():
            self._start_feed(feed)
        self._scan(feed)
        self._intake.forget_missing(feed.name)

    def _scan(self, feed: Feed) -> None:
        try:
            count = feed.scan(self._intake.offer)
        except OSError as error:
            _log.warning("the feed cannot be read", extra={"feed": feed.name, "reason": str(error)})
            self.events.emit("trouble", feed.name, reason=str(error), retry_s=0.0)
        else:
            _log.debug("scanned", extra={"feed": feed.name, "files": count})

    def _warm(self, engine: str) -> None:
        try:
            self._service.engine(engine)
        except (DynamoError, OSError, RuntimeError) as error:
            _log.warning("the engine is not ready", extra={"engine": engine, "reason": str(error)})

    def _resume(self) -> None:
        self.dispatcher.resume()

    def _tidy(self) -> None:
        removed = clean_run_folders(self._service.store, self._service.settings)
        if removed:
            _log.info("run folders removed", extra={"count": removed})
        self._service.refit()

    def _schedule(self, rule: Rule) -> None:
        trigger = rule.trigger
        if not isinstance(trigger, ScheduleTrigger):
            return
        now = utc_now()
        name = f"schedule {rule.name}"
        with self._service.store.transaction() as session:
            if insert_new(session, Cursor, name=name, data={}, updated_at=now):
                return
            cursor = session.scalars(select(Cursor).where(Cursor.name == name).with_for_update()).one()
            slot = trigger.due(cursor.updated_at, now)
            if slot is None:
                return
            newest = session.scalar(
                select(Arrival)
                .where(Arrival.feed == trigger.feed, Arrival.state == "accepted")
                .order_by(Arrival.valid_at.desc())
                .limit(1)
            )
        if newest is None:
            _log.warning("the schedule finds no arrival", extra={"trigger": rule.name, "slot": to_iso(slot)})
        else:
            self._intake.apply_rule(rule, newest, f"{name} {to_iso(slot)}")
        # The slot counts as done only now: a kill in between judges it again, and the run key makes it one run.
        with self._service.store.transaction() as session:
            session.get_one(Cursor, name).updated_at = slot


def _make_feed(section: FeedSection, config: Config, service: RunService) -> Feed:
    if section.kind == "products":
        return create_feed(
            section.kind,
            section.name,
            workflow=section.workflow,
            patterns=section.patterns,
            store=service.store,
            events=service.events,
        )
    options: dict[str, Any] = {"path": config.path(section.path)}
    if section.kind == "nexrad-chunks":
        spool = config.path(section.spool) if section.spool else config.state_dir / "spool" / section.name
        options |= {"spool": spool, "timeout_s": section.timeout_s, "early": section.early, "keep_h": section.keep_h}
    else:
        options |= {"patterns": section.patterns, "recursive": section.recursive}
    return create_feed(section.kind, section.name, **options)
