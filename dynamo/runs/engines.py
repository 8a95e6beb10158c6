"""The engines of a run service, each created on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from dynamo.engines.base import Engine

EngineFactory = Callable[[str, Mapping[str, Any]], Engine]


class Engines:
    """Creates each engine once and keeps it.

    Parameters
    ----------
    make
        Creates an engine from its name and options.
    options
        Options of each engine, by name.
    """

    def __init__(self, make: EngineFactory, options: Mapping[str, Mapping[str, Any]]) -> None:
        self._make = make
        self._options = options
        self._made: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def named(self, name: str) -> Engine:
        """Return the engine ``name``, created on first call."""
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name, self._options.get(name, {}))
            return self._made[name]

    def close(self) -> None:
        """Close all created engines."""
        with self._lock:
            for engine in self._made.values():
                engine.close()
            self._made.clear()
