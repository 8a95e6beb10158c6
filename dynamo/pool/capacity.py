"""The number of CPUs in the pool, for the physical plan of a run."""

from __future__ import annotations

import threading

from dynamo.errors import DynamoError

#: A shared pool will not give one run more than this at once, and tiny clusters only add overhead.
_MOST = 64


class PoolCapacity:
    """Queries the pool once per process, and again only if it was unavailable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cpus: int | None = None

    def cpus(self) -> int | None:
        """Return the number of CPUs the pool's machines offer, at most 64; None if the pool does not respond."""
        with self._lock:
            if self._cpus is None:
                self._cpus = _ask()
            return self._cpus


def _ask() -> int | None:
    from dynamo.pool.environment import use_pool

    try:
        use_pool()
    except DynamoError:
        return None
    import htcondor2

    try:
        # A partitionable slot's total includes CPUs given to jobs; counting dynamic slots would count them twice.
        ads = htcondor2.Collector().query(
            htcondor2.AdType.Startd,
            constraint='SlotType =!= "Dynamic"',
            projection=["SlotType", "TotalSlotCpus", "Cpus"],
        )
        found = sum(int(ad.get("TotalSlotCpus") or ad.get("Cpus") or 0) for ad in ads)
    except (htcondor2.HTCondorException, OSError, ValueError):
        return None
    return min(found, _MOST) or None
