"""Wait out temporary failures: a store that is locked or down, a full, read-only or failing disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from dynamo.errors import RetryableError, passes
from dynamo.runs.events import RunEvents
from dynamo.store.engine import StoreGoneError

T = TypeVar("T")

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0

_log = logging.getLogger("dynamo.runs")


class Stopped(Exception):
    """Waiting was interrupted by a request to stop; the store says where to continue."""


def patiently(
    call: Callable[[], T],
    *,
    stop: threading.Event,
    events: RunEvents,
    subject: str,
    waits: Callable[[str], object] = lambda _reason: None,
) -> T:
    """Return ``call()``; retry with growing pauses while its failures are temporary.

    Parameters
    ----------
    call
        May be repeated.
    stop
        Ends the waiting.
    events, subject
        Who is notified, and of what.
    waits
        Called with each new reason to wait; must not fail.

    Raises
    ------
    Stopped
        If ``stop`` was set while waiting.
    """
    pause_s = FIRST_WAIT_S
    troubled = False
    told = ""
    while True:
        try:
            result = call()
        except (RetryableError, OSError) as error:
            if isinstance(error, StoreGoneError) or not passes(error):
                raise
            if not troubled or pause_s >= LONGEST_WAIT_S:
                _log.warning("waiting: %s", error, extra={"subject": subject, "retry_s": pause_s})
            events.emit("trouble", subject, reason=str(error), retry_s=pause_s)
            if str(error) != told:
                told = str(error)
                waits(told)
            troubled = True
            if stop.wait(pause_s):
                raise Stopped from error
            pause_s = min(2 * pause_s, LONGEST_WAIT_S)
            continue
        if troubled:
            _log.warning("recovered", extra={"subject": subject})
            events.emit("recovered", subject)
        return result
