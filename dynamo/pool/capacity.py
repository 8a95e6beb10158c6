"""How many processors the pool has: for the physical plan of a run."""

from __future__ import annotations

import threading

from dynamo.errors import DynamoError

#: A pool that others use too will not give one run more than this at once; clusters of next to nothing only cost.
_MOST = 64


class PoolCapacity:
    """Asks the pool once in the life of a process; a pool that was away is asked again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cpus: int | None = None

    def cpus(self) -> int | None:
        """Return the number of processors that the pool's machines offer, at most 64; None if it does not answer."""
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
        # What a partitionable slot has given to jobs is in its total; its dynamic slots would count twice.
        ads = htcondor2.Collector().query(
            htcondor2.AdType.Startd,
            constraint='SlotType =!= "Dynamic"',
            projection=["SlotType", "TotalSlotCpus", "Cpus"],
        )
        found = sum(int(ad.get("TotalSlotCpus") or ad.get("Cpus") or 0) for ad in ads)
    except (htcondor2.HTCondorException, OSError, ValueError):
        return None
    return min(found, _MOST) or None
