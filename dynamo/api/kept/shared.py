"""Answers that are the same for all who ask within a moment: made once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: Answers kept: few are asked for again within their time.
_MOST = 100


class Shared:
    """Makes each answer once for all who ask for it while it is fresh; who asks meanwhile waits for it.

    Whoever has just changed something calls `forget`, and sees the change.

    Parameters
    ----------
    fresh_s
        How long an answer may be given to others, in seconds from the beginning of its making.
    """

    def __init__(self, fresh_s: float) -> None:
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Making] = OrderedDict()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the answer to a question, made now or a moment ago.

        Parameters
        ----------
        key
            All that the answer depends on, but time and the store.
        make
            Makes the answer. If it fails, all who wait for it make their own.
        """
        making, mine = self._turn(key)
        if not mine:
            making.done.wait()
            return make() if making.answer is None else making.answer
        try:
            making.answer = make()
            return making.answer
        finally:
            making.done.set()

    def forget(self) -> None:
        """Have all that is asked for from now on made anew."""
        with self._lock:
            self._known.clear()

    def _turn(self, key: str) -> tuple[_Making, bool]:
        """Return how an answer is made, and whether it is for the caller to make."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and time.monotonic() - known.began < self._fresh_s:
                return known, False
            making = self._known[key] = _Making()
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
            return making, True


class _Making:
    """An answer that is being made, or was."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.done = threading.Event()
        self.answer: bytes | None = None
