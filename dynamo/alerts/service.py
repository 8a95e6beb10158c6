"""Alerts as a part of the daemon, or standalone: products in, messages out, in separate threads.

One thread judges products in order of arrival; each channel has a courier. Runs never wait for alerts, and nothing
waits for a hanging channel.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

import orjson
from sqlalchemy import select

from dynamo.alerts.book import AlertBook, Judged, waiting
from dynamo.alerts.channels.base import Channel
from dynamo.alerts.channels.registry import make_channels
from dynamo.alerts.courier import Courier
from dynamo.alerts.hazards import hazard_of, read_products
from dynamo.alerts.places import Places, read_places
from dynamo.alerts.turn import Turn
from dynamo.config.alerts import AlertsSection
from dynamo.errors import BusyError, DynamoError, InputError, RetryableError
from dynamo.files import expanded
from dynamo.places.opening import is_remote
from dynamo.runs.events import RunEvent
from dynamo.runs.ledger import decide
from dynamo.runs.publish import INDEX
from dynamo.store.engine import Store, StoreGoneError
from dynamo.store.lease import RENEW_S
from dynamo.store.models import Run, RunDecision
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.alerts")
_RETRY_S = 1.0
#: Longest time between two attempts to take over from another process.
_STANDBY_S = 5.0
_TIDY_S = 3600.0
_REMEMBERED = 10_000
#: What is stored of a run whose products need not be read again after a restart.
_JUDGED, _UNUSABLE = "alerts-judged", "no-alerts"


@dataclass(frozen=True)
class _Task:
    """Products to judge; ``run`` is the run that published them."""

    paths: tuple[Path, ...]
    stream: str = ""
    key: str = ""
    run: str = ""


class AlertService:
    """Judges products and sends messages.

    Use it as a context manager, or call `start` and `stop`. `on_event` is a listener for `Events.subscribe`.

    Parameters
    ----------
    store
        The store; the caller closes it.
    settings
        The section ``[alerts]``, with ``places``.
    base
        Folder that relative paths in the settings are resolved against.
    poll_s
        How often to check the store for runs published without an event, seconds.
    channels
        Used instead of the configured ones.
    standby
        While another process handles this store's alerts, wait, and take over when it stops.

    Raises
    ------
    InputError, NotFoundError, MissingPartError
        If no places are configured, or places or channels are invalid.
    BusyError
        If another process already handles this store's alerts, unless ``standby``.
    """

    def __init__(
        self,
        store: Store,
        settings: AlertsSection,
        *,
        base: Path,
        poll_s: float = 30.0,
        channels: Sequence[Channel] | None = None,
        standby: bool = False,
    ) -> None:
        if settings.places is None:
            raise InputError("no places configured", where="alerts.places", expected="a GeoJSON file")
        self.settings = settings
        self.places: Places = read_places(base / expanded(settings.places), settings)
        for warning in self.places.warnings:
            _log.warning("%s", warning, extra={"places": settings.places})
        self.channels = list(channels) if channels is not None else make_channels(settings.channels_for("places"), base)
        self.failure: DynamoError | None = None
        self._store = store
        self._poll_s = poll_s
        self._book = AlertBook(store, self.places, settings, [channel.name for channel in self.channels])
        self._couriers = self._make_couriers()
        self._tasks: deque[_Task] = deque()
        self._known: dict[str, None] = {}
        self._news = threading.Condition()
        self._busy = False
        self._stop = threading.Event()
        self._turn = Turn(store, standby=standby)
        #: Whether this process handles the alerts, and not another one.
        self._ours = self._turn.take()
        self._started = False
        self._judge = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Start: send leftover messages, and judge what was published meanwhile."""
        self._started = True
        if self._ours:
            self._begin()
        self._judge.start()

    def on_event(self, event: RunEvent) -> None:
        """Queue the products of a publication; return at once. Nobody is alerted to what a backfill finds."""
        if event.data.get("origin") == "backfill":
            return
        if event.kind == "published" and event.data.get("product_dir"):
            self._offer(_Task((Path(str(event.data["product_dir"])),), str(event.data["workflow"]), "", event.subject))

    def offer(self, paths: Iterable[Path], *, stream: str = "", key: str = "") -> None:
        """Queue files or product folders for judging; return at once."""
        self._offer(_Task(tuple(paths), stream, key))

    def judge(self, paths: Iterable[Path], *, stream: str = "", key: str = "", timely: bool = True) -> list[Judged]:
        """Judge files or product folders now, in this thread; do not combine with `start`.

        Raises
        ------
        InputError, NotFoundError, StoreUnavailableError
            If a file is not a product or the store is unavailable.
        """
        products = read_products(paths, stream=stream, key=key)
        judged = [self._book.judge(product, now=utc_now() if timely else None) for product in products]
        for courier in self._couriers:
            courier.wake()
        return judged

    def catch_up(self) -> None:
        """Judge what was published recently without an event, and what a restart interrupted."""
        since = utc_now() - timedelta(minutes=self.settings.late_min)
        done = select(RunDecision.id).where(RunDecision.subject == Run.id, RunDecision.action.in_((_JUDGED, _UNUSABLE)))
        query = (
            select(Run.id, Run.workflow, Run.key, Run.product_dir)
            .where(
                Run.state == "succeeded",
                Run.published_at >= since,
                Run.product_dir.is_not(None),
                Run.origin != "backfill",
                ~done.exists(),
            )
            .order_by(Run.valid_at)
        )
        with self._store.reading() as session:
            found = session.execute(query).all()
        for run, workflow, key, folder in found:
            # What is in a bucket already is too old to alert anybody to.
            if not is_remote(folder or ""):
                self._offer(_Task((Path(folder or ""),), workflow, key, run))

    def wait_idle(self, timeout_s: float, *, delivered: bool = True) -> bool:
        """Wait until all is judged and, if ``delivered``, sent or given up; return whether that happened in time.

        While another process handles the alerts there is nothing to wait for.
        """
        deadline = utc_now() + timedelta(seconds=timeout_s)
        while True:
            with self._news:
                idle = not self._tasks and not self._busy
            if not self._ours or (idle and not (delivered and waiting(self._store))):
                return True
            if utc_now() >= deadline or self._stop.wait(0.02):
                return False

    def stop(self, timeout_s: float = 3.0) -> None:
        """Stop; whatever is not yet judged or sent is resumed at the next start."""
        self._stop.set()
        with self._news:
            self._news.notify_all()
        if self._started:
            self._judge.join(timeout_s)
            for courier in self._couriers:
                courier.stop(timeout_s)
        self._turn.give_back()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_couriers(self) -> list[Courier]:
        return [Courier(self._store, channel) for channel in self.channels]

    def _begin(self) -> None:
        for courier in self._couriers:
            courier.start()
        names = ",".join(channel.name for channel in self.channels)
        _log.info("alerting", extra={"places": len(self.places), "channels": names})

    def _lose(self, error: BusyError) -> None:
        """Stop alerting: two processes on one store would send everything twice."""
        if not self._turn.standby:
            self._fail(error)
            return
        with self._news:
            self._ours = False
            self._tasks.clear()
            self._known.clear()
        for courier in self._couriers:
            courier.stop(_STANDBY_S)
        self._couriers = self._make_couriers()

    def _fail(self, error: DynamoError) -> None:
        _log.error("alerts stop", extra={"reason": str(error)})
        self.failure = error
        self._stop.set()

    def _offer(self, task: _Task) -> None:
        with self._news:
            if not self._ours:
                # The process that has the alerts finds it in the store.
                return
            if task.run:
                if task.run in self._known:
                    return
                self._known[task.run] = None
                while len(self._known) > _REMEMBERED:
                    self._known.pop(next(iter(self._known)))
            self._tasks.append(task)
            self._news.notify_all()

    def _run(self) -> None:
        looked = renewed = tidied = -math.inf
        while not self._stop.is_set():
            now = time.monotonic()
            try:
                if not self._ours:
                    if not self._turn.take():
                        self._stop.wait(min(self._poll_s, _STANDBY_S))
                        continue
                    self._ours, renewed, looked = True, now, -math.inf
                    self._begin()
                if now - renewed >= RENEW_S:
                    self._turn.renew()
                    renewed = now
                if now - looked >= self._poll_s:
                    looked = now
                    self.catch_up()
                if now - tidied >= _TIDY_S:
                    tidied = now
                    self._book.tidy(utc_now())
                self._next_task()
            except BusyError as error:
                self._lose(error)
            except StoreGoneError as error:
                self._fail(error)
            except RetryableError as error:
                _log.warning("waiting: %s", error)
                self._stop.wait(_RETRY_S)
            except Exception:  # a bug with one product must not stop alerts for the others
                _log.exception("unexpected error in alerts")

    def _next_task(self) -> None:
        with self._news:
            if not self._tasks:
                self._news.wait(min(self._poll_s, RENEW_S))
            if not self._tasks or self._stop.is_set():
                return
            task = self._tasks.popleft()
            self._busy = True
        try:
            self._judge_task(task)
        except RetryableError:
            with self._news:
                self._tasks.appendleft(task)
            raise
        finally:
            with self._news:
                self._busy = False

    def _judge_task(self, task: _Task) -> None:
        try:
            files, key = _alert_files(task)
            if not files:
                return
            begun = utc_now()
            products = read_products(files, stream=task.stream, key=key)
            judged = [self._book.judge(product, now=utc_now()) for product in products]
        except RetryableError:
            raise
        except DynamoError as error:
            subject = task.run or str(task.paths[0])
            _log.warning("product not usable for alerts", extra={"subject": subject, "reason": str(error)})
            with self._store.transaction() as session:
                decide(session, subject, _UNUSABLE, str(error))
            return
        if task.run:
            with self._store.transaction() as session:
                skipped = sorted({item.skipped for item in judged if item.skipped})
                decide(session, task.run, _JUDGED, "; ".join(skipped) or f"products judged: {len(judged)}")
        for courier in self._couriers:
            courier.wake()
        for item in judged:
            facts = {"stream": item.product.stream, "places": item.concerned, "messages": len(item.messages)}
            if item.skipped:
                _log.info("not judged", extra={**facts, "reason": item.skipped})
            else:
                seconds = round((utc_now() - begun).total_seconds(), 3)
                _log.info("judged", extra={**facts, "left_out": item.product.left_out, "seconds": seconds})


def _alert_files(task: _Task) -> tuple[list[Path], str]:
    """Return the alert products of a task, and the key of the publication."""
    files: list[Path] = []
    key = task.key
    for path in task.paths:
        index = path / INDEX
        if not index.is_file():
            files.append(path)
            continue
        try:
            data = orjson.loads(index.read_bytes())
            names = [str(item["name"]) for item in data["products"]]
            key = key or str(data["key"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"invalid index: {error}", where=index) from error
        files += [path / name for name in names if hazard_of(path / name) is not None]
    return files, key
