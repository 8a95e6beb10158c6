"""How feeds and products come, judged once for all who ask within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from sqlalchemy.orm import Session

from dynamo.assets.freshness import Freshness, State
from dynamo.assets.watched import States, Watched
from dynamo.config.file import Config
from dynamo.overview import Overview, overview
from dynamo.times import utc_now

_FRESH_S = 1.0
#: The worst first.
_ORDER = (State.FAILED, State.SILENT, State.LATE, State.FRESH, State.NOT_EXPECTED)


class Judge:
    """Judges what a configuration watches; many viewers cost one look.

    Parameters
    ----------
    config
        The configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._watched = Watched(config, utc_now())
        self._lock = threading.Lock()
        self._last: tuple[float, States] | None = None
        self._seen: tuple[float, Overview] | None = None

    def states(self, session: Session) -> States:
        """Return the state of each feed and radar, each workflow's products, and each job."""
        with self._lock:
            stamp = time.monotonic()
            if self._last is None or stamp - self._last[0] >= _FRESH_S:
                self._last = (stamp, self._watched.judge(session, utc_now()))
            return self._last[1]

    def overview(self, session: Session) -> Overview:
        """Return the state of everything."""
        with self._lock:
            stamp = time.monotonic()
            if self._seen is None or stamp - self._seen[0] >= _FRESH_S:
                self._seen = (stamp, overview(self._config, session, utc_now(), watched=self._watched))
            return self._seen[1]


def worst(states: Iterable[Freshness]) -> str:
    """Return the worst of several states; empty if there are none."""
    found = {item.state for item in states}
    return next((str(state) for state in _ORDER if state in found), "")
