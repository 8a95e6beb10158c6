"""The daemon's look at freshness: problems are opened, closed and told; a pulse says that the daemon works."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dynamo.assets.problems import ProblemBook
from dynamo.assets.watched import Watched, enroll_jobs
from dynamo.config.file import Config
from dynamo.store.engine import Store
from dynamo.times import utc_now

if TYPE_CHECKING:
    from dynamo.assets.operators import Operators
    from dynamo.assets.pulse import Pulse

#: Seconds between looks.
LOOK_S = 10.0
_TIDY_S = 3600.0
#: A wall clock that moves so much more or less than time has passed was set, seconds.
_JUMP_S = 60.0


class FreshnessWatch:
    """Compares what comes with what should, and keeps the problems.

    Parameters
    ----------
    store, config
        The daemon's.
    trouble
        Returns why the daemon does not work; empty if it does.
    clock, steady
        Wall clock, and seconds that only go on.

    Raises
    ------
    InputError, NotFoundError, MissingPartError
        If an operators' channel or the address of the pulse is invalid.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        *,
        trouble: Callable[[], str] = lambda: "",
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._steady = steady
        self._watched = Watched(config, clock())
        self._operators = _operators(store, config)
        self._pulse = _pulse(config, trouble)
        self._book = ProblemBook(store, self._operators.names if self._operators else ())
        self._settles_at = steady() + config.freshness.settle_s
        self._seen = clock(), steady()
        self._tidied: float | None = None
        self._enrolled = False

    def start(self) -> None:
        """Start to send messages to the operators."""
        if self._operators is not None:
            self._operators.start()

    def start_pulse(self) -> None:
        """Start to report that the daemon works."""
        if self._pulse is not None:
            self._pulse.start()

    def stop_pulse(self, reason: str) -> None:
        """Report no more; with a reason, a failure first."""
        if self._pulse is not None:
            self._pulse.stop(reason)

    def stop(self) -> None:
        """Stop; what is not sent yet is sent after the next start."""
        if self._operators is not None:
            self._operators.stop()

    def look(self) -> int:
        """Judge everything once, and open and close problems; return how many changed.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable; the next look comes to the same result.
        """
        now = self._clock()
        self._notice_jumps(now)
        if not self._enrolled:
            with self._store.transaction() as session:
                enroll_jobs(session, self._config, now)
            self._enrolled = True
        with self._store.reading() as session:
            states = self._watched.judge(session, now)
        changed = self._book.settle(states, now, may_open=self._steady() >= self._settles_at)
        if changed and self._operators is not None:
            self._operators.wake()
        if self._tidied is None or self._steady() - self._tidied >= _TIDY_S:
            self._book.tidy(now - timedelta(days=self._config.freshness.keep_days))
            self._tidied = self._steady()
        return changed

    def _notice_jumps(self, now: datetime) -> None:
        """Wait again before opening problems if the clock was set, or the machine slept."""
        before, then = self._seen
        steady = self._steady()
        if abs((now - before).total_seconds() - (steady - then)) > _JUMP_S:
            self._settles_at = steady + self._config.freshness.settle_s
            self._enrolled = False
        self._seen = now, steady


def _operators(store: Store, config: Config) -> Operators | None:
    if not config.alerts.channels_for("operators"):
        return None
    # The channels' libraries take time to import: only if there is someone to tell.
    from dynamo.assets.operators import Operators

    return Operators(store, config.alerts, config.base)


def _pulse(config: Config, trouble: Callable[[], str]) -> Pulse | None:
    if not config.pulse.wanted:
        return None
    from dynamo.assets.pulse import Pulse

    return Pulse(config.pulse, config.base, trouble)
