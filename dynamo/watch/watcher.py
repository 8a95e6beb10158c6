"""The watch daemon as an object: start it, follow its events, stop it.

Threads: one per feed for its events, one per feed and two more for intake (files to arrivals and runs), one per
concurrent run, one per periodic chore (rescans of each feed, schedules, lease, freshness, cleanup), and one for the
pulse.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from sqlalchemy import select

from dynamo.archive.caretaker import Caretaker
from dynamo.archive.tiers import tier_problem
from dynamo.backfill.worker import BackfillWorker
from dynamo.config.file import Config
from dynamo.config.retention import RetentionSection
from dynamo.doors import FEEDS
from dynamo.errors import BusyError, DynamoError, InputError, RetryableError
from dynamo.feeds.base import FeedParts
from dynamo.inspection import process as inspection
from dynamo.openlineage.courier import LineageCourier
from dynamo.openlineage.targets import make_target
from dynamo.runs.dispatcher import LOOK_S, RunDispatcher
from dynamo.runs.engines import EngineFactory
from dynamo.runs.events import RunEvents
from dynamo.runs.planning import Planner
from dynamo.runs.retention import clean_run_folders
from dynamo.runs.service import RunService
from dynamo.runs.setup import make_service
from dynamo.runs.shedding import Shedding
from dynamo.store.access import prune_audit
from dynamo.store.engine import Store, StoreGoneError
from dynamo.store.lease import RENEW_S, StoreLease
from dynamo.store.standing import STATE_LOOK_S, Standing
from dynamo.store.stream import prune_stream
from dynamo.times import utc_now
from dynamo.triggers.rules import levels_of, make_rules
from dynamo.watch.chores import Chore, Timer
from dynamo.watch.deciding import Decider
from dynamo.watch.defects import Defects
from dynamo.watch.freshness import LOOK_S as FRESHNESS_LOOK_S
from dynamo.watch.freshness import FreshnessWatch
from dynamo.watch.intake import FeedRules, Intake
from dynamo.watch.sources import FeedSource

if TYPE_CHECKING:
    from dynamo.alerts.service import AlertService

_log = logging.getLogger("dynamo.watch")
T = TypeVar("T")
_TIDY_S = 60.0
#: How often to look for files that were released from quarantine, seconds.
_QUARANTINE_S = 2.0
#: Seconds between looks for steps of runs that others are to be told of.
_TELL_S = 2.0
#: Seconds between removals of old rows of the stream.
_STREAM_S = 600.0
_AUDIT_S = 3600.0
#: How long the start waits for the feeds' first scans, seconds; slow ones go on by themselves.
_FIRST_SCANS_S = 10.0
#: Seconds `run_once` waits for alerts to be delivered.
_DELIVERY_GRACE_S = 20.0
#: Seconds between looks for backfills, and that their runs get to be left when the daemon stops.
_BACKFILL_S, _BACKGROUND_GRACE_S = 2.0, 3.0


class Watcher:
    """The daemon.

    Use it as a context manager, or call `start` and `stop`; follow what it does with ``events.subscribe``.

    Parameters
    ----------
    config
        The configuration, with at least one feed.
    planner, engine_factory
        Replace the registered ones.
    paused
        Accept files and create runs, but start none until ``dispatcher.unpause``.
    shedding
        Builds, from the open store, what decides which runs to drop when there is more work than can be done.

    Raises
    ------
    InputError, NotFoundError, PluginError
        If a feed, workflow or parameter in the configuration is wrong, or one from another package fails.
    BusyError
        If another daemon is using this store or watching one of these folders.
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
            raise InputError("no feed to watch", expected="a [[feeds]] section", hint="dynamo config example")
        target = make_target(config.provenance, config.base)
        # It imports its libraries while this process does the rest.
        inspection.warm()
        self.config = config
        self.events = RunEvents()
        self.failure: DynamoError | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        #: Background work ends at once, whatever time live runs get to finish.
        self._background_stop = threading.Event()
        self._defects = Defects(self.events)
        self._sources: list[FeedSource] = []
        self._service = make_service(config, planner=planner, engine_factory=engine_factory, events=self.events)
        self._lease = StoreLease(self._service.store)
        try:
            self._lease.check()
            # The feeds' locks come first: a daemon that they refuse must not have touched a suspended one's lease.
            parts = FeedParts(config, self._service.store, self.events)
            for section in config.feeds:
                self._sources.append(FeedSource(section, parts, self._defects))
            self._rules = make_rules(config, self._service.planner)
            self._lease.take()
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
        self._backfills = BackfillWorker(
            self._service, config, may_start=self.dispatcher.calm, stop=self._background_stop
        )
        self._standing = Standing(self._service.store, config.state_dir)
        self._decider = Decider(self._service, self.dispatcher, self._rules, self._defects)
        self._intake = Intake(self._service, self._decider, self._feed_rules())
        self._service.courtesy.calm = lambda: self._intake.candidates.calm() and self.dispatcher.calm()
        told = config.provenance
        store = self._service.store
        self._lineage = (
            None
            if target is None
            else LineageCourier(store, target, namespace=told.namespace, keep_days=told.keep_days)
        )
        self._freshness = self._or_undone(lambda: FreshnessWatch(self._service.store, config, trouble=self._trouble))
        self._tidier = self._make_timer(Chore("tidy", _TIDY_S, self._tidy))
        self._first_timers = [self._make_timer(chore) for chore in self._first_chores()]
        self._timers = [self._tidier, *(self._make_timer(chore) for chore in self._chores())]
        self._started = False
        self._alerts = self._make_alerts()

    @property
    def service(self) -> RunService:
        """The service that creates and executes runs; its store can be read."""
        return self._service

    def start(self) -> None:
        """Start watching; return once the feeds report new files, or soon if one of them hangs."""
        self._started = True
        _log.info(
            "starting",
            extra={"store": self._service.store.url, "feeds": ",".join(source.name for source in self._sources)},
        )
        if self._alerts is not None:
            self.events.subscribe(self._alerts.on_event)
            self._alerts.start()
        self._freshness.start()
        self._intake.start()
        for timer in self._first_timers:
            timer.start()
        self.dispatcher.start()
        until = time.monotonic() + _FIRST_SCANS_S
        for source in self._sources:
            if not source.scanned.wait(max(0.0, until - time.monotonic())):
                _log.warning("the feed is slow, going on without it", extra={"feed": source.name})
        for name in sorted({rule.engine for rule in self._rules}) if not self._paused else ():
            # Warm up workers before the first file arrives; a pool that is down now may be back by then.
            threading.Thread(target=self._warm, args=(name,), name=f"warm-{name}", daemon=True).start()
        for timer in self._timers:
            timer.start()
        _log.info("watching", extra={"runs_at_once": self.config.runs.max_runs})

    def run(self, stop: threading.Event | None = None) -> None:
        """Start, and watch until `stop` is called or ``stop`` is set; then stop cleanly.

        Raises
        ------
        BusyError
            If another daemon took over this store.
        StoreGoneError
            If the store or the state folder was removed.
        """
        self.start()
        self._freshness.start_pulse()
        try:
            while not self._stop.is_set() and not (stop is not None and stop.is_set()):
                (stop or self._stop).wait(0.5)
        finally:
            self.stop()
        if self.failure is not None:
            raise self.failure

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Process the files in the feeds now, finish their runs, then stop."""
        self.start()
        try:
            while not (self._idle() or self._stop.is_set() or (stop is not None and stop.is_set())):
                time.sleep(0.02)
            self._tidier.do()
            if self._alerts is not None:
                # Nothing sends the rest before the next start.
                self._alerts.wait_idle(_DELIVERY_GRACE_S)
            if self._lineage is not None:
                self._lineage.deliver()
        finally:
            self.stop()
        if self.failure is not None:
            raise self.failure

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all files are decided on and all runs have finished; return whether that happened."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._idle():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Stop: take no new files; give runs their grace time; the next start resumes the rest."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._stop.set()
        self._background_stop.set()
        self._freshness.stop_pulse("" if self.failure is None else self.failure.what)
        for source in self._sources:
            source.stop()
        if self._started:
            self._intake.stop()
            with self._lease.kept():
                self.dispatcher.stop(self.config.watch.stop_grace_s)
                self._backfills.join(_BACKGROUND_GRACE_S)
            for timer in (*self._first_timers, *self._timers):
                timer.join()
        if self._alerts is not None:
            self._alerts.stop()
        self._freshness.stop()
        inspection.close()
        self._service.close()
        try:
            self._lease.give_back()
        except StoreGoneError:
            pass
        except RetryableError as error:
            _log.warning("lease left to expire", extra={"reason": str(error)})
        self._standing.close()
        self._service.store.close()
        _log.info("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _idle(self) -> bool:
        told = self._alerts is None or self._alerts.wait_idle(0.0, delivered=False)
        scanned = all(source.scanned.is_set() for source in self._sources)
        return scanned and self._intake.candidates.wait_idle(0.0) and self.dispatcher.idle() and told

    def _make_alerts(self) -> AlertService | None:
        if not self.config.alerts.places:
            return None
        # Its geometry takes a third of a second to import: only if there is someone to alert.
        from dynamo.alerts.service import AlertService

        return self._or_undone(
            lambda: AlertService(self._service.store, self.config.alerts, base=self.config.base, standby=True)
        )

    def _or_undone(self, make: Callable[[], T]) -> T:
        """Make a part; if that fails, leave everything to the next daemon."""
        try:
            return make()
        except BaseException:
            self._lease.give_back()
            for source in self._sources:
                source.stop()
            self._service.store.close()
            raise

    # -- periodic chores

    def _make_timer(self, chore: Chore) -> Timer:
        return Timer(chore, self.events, self._stop, self._end)

    def _chores(self) -> list[Chore]:
        return [
            Chore("resume", self.config.watch.resume_s, self.dispatcher.resume),
            Chore("slots", LOOK_S, self.dispatcher.look_at_slots),
            Chore("backfill", _BACKFILL_S, self._backfills.work),
            Chore("quarantine", _QUARANTINE_S, self._intake.take_back, at_start=True),
            *self._retention(),
            *([Chore("openlineage", _TELL_S, self._lineage.deliver)] if self._lineage is not None else ()),
            Chore("freshness", FRESHNESS_LOOK_S, self._freshness.look),
            Chore("stream", _STREAM_S, lambda: prune_stream(self._service.store, utc_now()), at_start=True),
            Chore("audit", _AUDIT_S, self._prune_audit, at_start=True),
            *(
                Chore(f"{rule.kind} {rule.name}", every_s, partial(self._decider.ask, rule), rule.trigger.ask_at_start)
                for rule in self._rules
                if (every_s := rule.trigger.ask_s) is not None
            ),
        ]

    def _prune_audit(self) -> None:
        prune_audit(self._service.store, utc_now(), self.config.serve.audit_days)

    def _retention(self) -> list[Chore]:
        """Return the chore that carries out `[retention]`, if anything is to be done."""
        section = self.config.retention
        if section == RetentionSection(every_h=section.every_h):
            return []
        caretaker = Caretaker(self._service.store, self.config, self._stop.is_set)

        def tend() -> None:
            # Said when the daemon starts, and not only once something is due.
            waits = caretaker.tend(utc_now()).waits or tier_problem(self.config)
            if waits:
                _log.warning("retention waits", extra={"reason": waits})
                self.events.emit("trouble", "retention", reason=waits, retry_s=section.every_h * 3600.0)

        return [Chore("retention", section.every_h * 3600.0, tend, at_start=True)]

    def _first_chores(self) -> list[Chore]:
        """Return the chores that begin before runs do."""
        candidates = self._intake.candidates
        return [
            Chore("lease", RENEW_S, self._lease.renew),
            Chore("state", STATE_LOOK_S, self._standing.check, at_start=True),
            *(
                Chore(f"rescan {source.name}", source.rescan_s, partial(source.rescan, candidates), at_start=True)
                for source in self._sources
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

    def _end(self, error: BusyError | StoreGoneError) -> None:
        self.failure = error
        self._stop.set()

    def _trouble(self) -> str:
        """Return why files do not become runs; empty if they do."""
        try:
            with self._service.store.reading() as session:
                session.execute(select(1))
        except RetryableError as error:
            # Its address may have a password, and whoever reads this need not know it.
            return error.what
        return self._intake.trouble() or self.dispatcher.trouble()

    def _warm(self, engine: str) -> None:
        try:
            self._service.engine(engine)
        except (DynamoError, OSError, RuntimeError) as error:
            _log.warning("engine not ready", extra={"engine": engine, "reason": str(error)})

    def _tidy(self) -> None:
        removed = clean_run_folders(self._service.store, self._service.settings)
        if removed:
            _log.info("removed run folders", extra={"count": removed})
        self._service.refit()
