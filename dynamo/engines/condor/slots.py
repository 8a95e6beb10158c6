"""The slots of the pool, asked for now and then and shared by all runs that wait for one."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from dynamo.engines.condor.matching import emptied, why_none

_log = logging.getLogger("dynamo.engines.condor.slots")
#: Ask the collector again after this many seconds.
_FRESH_S = 30.0
#: The runtime's attribute that HTCondor's `container` universe requires of a slot.
RUNTIME = "HasContainer"


class Slots:
    """The ClassAds of the slots of the configured pool, as if none had a job; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ads: list[Any] | None = None
        self._asked = 0.0

    def why_none(self, job: Any) -> str:
        """Return why no slot could ever run a job; empty if one could, or if the collector does not respond."""
        ads = self._known()
        return "" if ads is None else why_none(job, ads)

    def lack_runtime(self, attribute: str = RUNTIME) -> bool:
        """Return whether there are slots and none has a container runtime, which HTCondor calls ``attribute``."""
        ads = self._known()
        return bool(ads) and not any(ad.get(attribute) for ad in ads or ())

    def _known(self) -> list[Any] | None:
        import htcondor2

        with self._lock:
            now = time.monotonic()
            if self._ads is not None and now - self._asked < _FRESH_S:
                return self._ads
            try:
                # Dynamic slots are parts of the partitionable ones, whose totals include them.
                found = htcondor2.Collector().query(htcondor2.AdType.Startd, 'SlotType =!= "Dynamic"')
            except (htcondor2.HTCondorException, OSError) as error:
                _log.warning("cannot ask which slots the pool has: %s", error)
                return self._ads
            self._ads, self._asked = [emptied(ad) for ad in found], now
            return self._ads
