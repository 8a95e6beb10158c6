"""Events, for anyone who wants to follow them: a display, a metric, a test."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from dynamo.times import utc_now

Kind = Literal[
    "arrival",  # a file was accepted: feed, path, sha256, valid_at, detected_at, closed_at, facts
    "duplicate",  # same content as an earlier arrival: feed, path, reason
    "quarantined",  # a bad file: feed, path, reason, moved_to
    "decision",  # a trigger, the dispatcher or a user decided: action, reason and the numbers
    "run_created",  # run id in subject: workflow, trigger, key, detection_s if it came from a feed
    "run_state",  # run id in subject: state, reason
    "run_waits",  # run id in subject: reason why it does not get on, in the state that it has
    "job_progress",  # run id in subject: done, failed, total
    "published",  # run id in subject: product_dir, products, times, latencies in seconds
    "trouble",  # something outside fails (store, disk, feed): reason, retry_s
    "recovered",  # it works again
]

_log = logging.getLogger("dynamo.events")


@dataclass(frozen=True)
class RunEvent:
    """One event; ``subject`` is a run id or a path."""

    kind: Kind
    subject: str
    data: Mapping[str, Any] = field(default_factory=dict)
    time: datetime = field(default_factory=utc_now)


Listener = Callable[[RunEvent], None]


class RunEvents:
    """Passes each event to all listeners, in the thread where it happened."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; return a function that unsubscribes it."""
        with self._lock:
            self._listeners += (listener,)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def emit(self, kind: Kind, subject: str, **data: Any) -> None:
        """Notify all listeners; a failing one is logged and does not disturb the work."""
        event = RunEvent(kind, subject, data)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # a display must never stop the work it displays
                _log.exception("a listener failed on %s", kind)
