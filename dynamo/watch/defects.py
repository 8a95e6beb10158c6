"""Bugs in feeds and triggers: reported once, with the package they come from, until the part works again."""

from __future__ import annotations

import logging
import threading

from dynamo.runs.events import RunEvents

_log = logging.getLogger("dynamo.watch")


class Defects:
    """The bugs of parts that may come from other packages.

    Parameters
    ----------
    events
        Where each is also announced.
    """

    def __init__(self, events: RunEvents) -> None:
        self._events = events
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()

    def tell(self, who: str, error: Exception, *, retry_s: float = 0.0) -> None:
        """Report a defect, unless it is the last one reported for that part."""
        reason = f"{type(error).__name__}: {error}"
        with self._lock:
            if self._told.get(who) == reason:
                return
            self._told[who] = reason
        _log.error("bug", extra={"part": who, "reason": reason}, exc_info=error)
        self._events.emit("trouble", who, reason=reason, retry_s=retry_s)

    def well(self, who: str) -> None:
        """Note that a part works: its next defect is reported again."""
        with self._lock:
            self._told.pop(who, None)
