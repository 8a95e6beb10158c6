"""The watch daemon as an object: start it, follow its events, stop it.

Threads: one for each feed's news, one intake (files to arrivals and runs), one for each run at a time, and one that
does what is due at times (rescan, schedules, lease, tidying up).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self

from dynamo.config.file import Config
from dynamo.doors import FEEDS
from dynamo.errors import BusyError, DynamoError, InputError, RetryableError
from dynamo.feeds.base import FeedParts
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
from dynamo.store.lease import RENEW_S, StoreLease
from dynamo.triggers.rules import levels_of, make_rules
from dynamo.watch.chores import Chore, Timer
from dynamo.watch.deciding import Decider
from dynamo.watch.defects import Defects
from dynamo.watch.intake import FeedRules, Intake
from dynamo.watch.sources import FeedSource

if TYPE_CHECKING:
    from dynamo.alerts.service import AlertService

_log = logging.getLogger("dynamo.watch")
_TIDY_S = 60.0
#: How long `run_once` waits for alerts to be delivered.
_DELIVERY_GRACE_S = 20.0


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
    InputError, NotFoundError, PluginError
        If a feed, workflow or parameter of the configuration is not right, or one of another package fails.
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
        self._defects = Defects(self.events)
        self._sources: list[FeedSource] = []
        self._service = make_service(config, planner=planner, engine_factory=engine_factory, events=self.events)
        self._lease = StoreLease(self._service.store)
        try:
            self._lease.take()
            try:
                parts = FeedParts(config, self._service.store, self.events)
                for section in config.feeds:
                    self._sources.append(FeedSource(section, parts, self._defects))
                self._rules = make_rules(config, self._service.planner)
            except BaseException:
                self._lease.give_back()
                raise
        except BaseException:
            for source in self._sources:
                source.stop()
            self._service.store.close()
            raise
        guard = None if shedding is None else shedding(self._service.store)
        self.dispatcher = RunDispatcher(self._service, config.runs.max_runs, guard)
        self._paused = paused
        if paused:
            self.dispatcher.pause()
        self._decider = Decider(self._service, self.dispatcher, self._rules, self._defects)
        self._intake = Intake(self._service, self._decider, self._feed_rules())
        self._timer = Timer(self._chores(), self.events, self._stop, self._end)
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
            extra={"store": self._service.store.url, "feeds": ",".join(source.name for source in self._sources)},
        )
        if self._alerts is not None:
            self.events.subscribe(self._alerts.on_event)
            self._alerts.start()
        self._intake.start()
        for source in self._sources:
            # First the news, then the scan: what comes in between is seen twice, and known the second time.
            source.start(self._intake.candidates)
        self.dispatcher.start()
        self.rescan()
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
            self._timer.do(Chore("tidy", _TIDY_S, self._tidy))
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
        for source in self._sources:
            source.scan(self._intake.candidates)

    def stop(self) -> None:
        """End: no new files, runs get their grace and are resumed at the next start."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._stop.set()
        for source in self._sources:
            source.stop()
        if self._started:
            self._intake.stop()
            self.dispatcher.stop(self.config.watch.stop_grace_s)
            self._timer.join()
        if self._alerts is not None:
            self._alerts.stop()
        inspection.close()
        self._service.close()
        try:
            self._lease.give_back()
        except RetryableError as error:
            _log.warning("lease not released; it will expire", extra={"reason": str(error)})
        self._service.store.close()
        _log.info("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _idle(self) -> bool:
        told = self._alerts is None or self._alerts.wait_idle(0.0, delivered=False)
        return self._intake.candidates.wait_idle(0.0) and self.dispatcher.idle() and told

    def _make_alerts(self) -> AlertService | None:
        if not self.config.alerts.places:
            return None
        # Its geometry takes a third of a second to import: only where somebody is to be told.
        from dynamo.alerts.service import AlertService

        try:
            return AlertService(self._service.store, self.config.alerts, base=self.config.base)
        except BaseException:
            self._lease.give_back()
            for source in self._sources:
                source.stop()
            self._service.store.close()
            raise

    # -- what is due at times

    def _chores(self) -> list[Chore]:
        candidates = self._intake.candidates
        return [
            *(
                Chore(f"rescan {source.name}", source.rescan_s, partial(source.rescan, candidates))
                for source in self._sources
            ),
            Chore("lease", RENEW_S, self._lease.renew),
            Chore("resume", self.config.watch.resume_s, self.dispatcher.resume),
            Chore("tidy", _TIDY_S, self._tidy),
            *(
                Chore(f"{rule.kind} {rule.name}", every_s, partial(self._decider.ask, rule), rule.trigger.ask_at_start)
                for rule in self._rules
                if (every_s := rule.trigger.ask_s) is not None
            ),
        ]

    def _feed_rules(self) -> dict[str, FeedRules]:
        return {
            feed.name: FeedRules(
                feed.settle_s,
                self.config.quarantine_dir if FEEDS.load(feed.kind).movable else None,
                levels_of(self._rules, feed.name),
            )
            for feed in self.config.feeds
        }

    def _end(self, error: BusyError) -> None:
        self.failure = error
        self._stop.set()

    def _warm(self, engine: str) -> None:
        try:
            self._service.engine(engine)
        except (DynamoError, OSError, RuntimeError) as error:
            _log.warning("the engine is not ready", extra={"engine": engine, "reason": str(error)})

    def _tidy(self) -> None:
        removed = clean_run_folders(self._service.store, self._service.settings)
        if removed:
            _log.info("run folders removed", extra={"count": removed})
        self._service.refit()
