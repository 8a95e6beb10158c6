"""What is due again and again: one thread does it, and the failure of one chore holds up no other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynamo.errors import BusyError, DynamoError
from dynamo.runs.events import RunEvents

_log = logging.getLogger("dynamo.watch")


@dataclass
class Chore:
    """Something that is due again and again; at once too, where it is ``at_start``."""

    name: str
    every_s: float
    call: Callable[[], object]
    at_start: bool = False
    due: float = 0.0


class Timer:
    """A thread that does chores at their times.

    Parameters
    ----------
    chores
        At least one.
    events
        Is told of their trouble.
    stop
        Ends it after the chore in hand.
    on_busy
        Is called where another daemon has what is ours: two on one store would publish the same things.
    """

    def __init__(
        self, chores: Sequence[Chore], events: RunEvents, stop: threading.Event, on_busy: Callable[[BusyError], None]
    ) -> None:
        self._chores = chores
        self._events = events
        self._stop = stop
        self._on_busy = on_busy
        self._thread = threading.Thread(target=self._keep_time, name="timer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float = 2.0) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout_s)

    def do(self, chore: Chore) -> None:
        """Do a chore now, whatever comes of it."""
        try:
            chore.call()
        except BusyError as error:
            _log.error("ending", extra={"reason": str(error)})
            self._on_busy(error)
        except (DynamoError, OSError) as error:
            _log.warning("%s failed, tried again later", chore.name, extra={"reason": str(error)})
            self._events.emit("trouble", chore.name, reason=str(error), retry_s=chore.every_s)
        except Exception:  # a defect in one chore must not end the others
            _log.exception("a defect in %s", chore.name)

    def _keep_time(self) -> None:
        now = time.monotonic()
        for chore in self._chores:
            chore.due = now if chore.at_start else now + chore.every_s
        while not self._stop.wait(max(0.0, min(chore.due for chore in self._chores) - time.monotonic())):
            for chore in self._chores:
                if chore.due <= time.monotonic() and not self._stop.is_set():
                    self.do(chore)
                    chore.due = time.monotonic() + chore.every_s
