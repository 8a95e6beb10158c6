"""Periodic chores, each in a thread of its own: one that fails or hangs does not hold up the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dynamo.errors import BusyError, DynamoError
from dynamo.runs.events import RunEvents
from dynamo.store.engine import StoreGoneError

_log = logging.getLogger("dynamo.watch")


@dataclass(frozen=True)
class Chore:
    """A periodic task; with ``at_start`` also due at once."""

    name: str
    every_s: float
    call: Callable[[], object]
    at_start: bool = False


class Timer:
    """A thread that runs a chore when it is due.

    Parameters
    ----------
    chore
        What to do, and how often.
    events
        Receives its trouble.
    stop
        Stops the thread after the current call.
    on_end
        Called if the daemon must end: another one holds what is ours (two on one store would publish the same
        products), or the store is gone.
    """

    def __init__(
        self,
        chore: Chore,
        events: RunEvents,
        stop: threading.Event,
        on_end: Callable[[BusyError | StoreGoneError], None],
    ) -> None:
        self._chore = chore
        self._events = events
        self._stop = stop
        self._on_end = on_end
        self._thread = threading.Thread(target=self._keep_time, name=chore.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float = 2.0) -> None:
        """Wait for the thread to stop."""
        self._thread.join(timeout_s)

    def do(self) -> None:
        """Run the chore now; log any failure."""
        chore = self._chore
        try:
            chore.call()
        except (BusyError, StoreGoneError) as error:
            if not self._stop.is_set():
                _log.error("stopping", extra={"reason": str(error)})
                self._on_end(error)
        except (DynamoError, OSError) as error:
            _log.warning("%s failed, will retry", chore.name, extra={"reason": str(error)})
            self._events.emit("trouble", chore.name, reason=str(error), retry_s=chore.every_s)
        except Exception:  # a defect in one chore must not stop the others
            _log.exception("bug in %s", chore.name)

    def _keep_time(self) -> None:
        if not self._chore.at_start:
            self._stop.wait(self._chore.every_s)
        while not self._stop.is_set():
            self.do()
            self._stop.wait(self._chore.every_s)
