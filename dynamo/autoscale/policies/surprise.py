"""Work that comes though nobody said so: seen by what waits and what is done, and taken to go on for a while.

A forecast that knows too little would else be believed again and again: each piece of unforeseen work would be answered
when it is there, which is too late, and the workers that came for it would go before the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dynamo.autoscale.policies.workload import Workload

#: Over about this time what comes is compared with what was foretold, seconds.
_COMPARED_S = 120.0
#: Until there is a second call, the time between two is taken to be this, seconds.
_STEP_S = 30.0
#: Work without a window of its own is taken to be due in this time, seconds.
_WINDOW_S = 120.0


def look(
    loads: Sequence[Workload],
    busy_cores: float,
    clock: float,
    memory: Mapping[str, float],
    forget_s: float,
) -> dict[str, float]:
    """Return what comes beyond what was foretold, as the next call is to be told.

    What has come since the last call is what waits now, less what waited then, and what was done of that: no more than
    the cores could that were busy then. What came and was done in between is missed; it was no trouble either.

    Parameters
    ----------
    loads, busy_cores, clock
        The work, how many cores are at it, and now, seconds since 1970.
    memory, forget_s
        What the last call returned; over what time a surprise is forgotten.

    Returns
    -------
    dict
        ``cores``, the cores that unforeseen work keeps busy, ``window_s``, the time that such work has, and what is
        to be compared at the next call.
    """
    passed_s = clock - float(memory.get("at", clock))
    # The next call is taken to come after as long as this one did.
    step_s = passed_s or float(memory.get("step_s", _STEP_S))
    waiting = foretold = 0.0
    window_s = float(memory.get("window_s", _WINDOW_S))
    for load in loads:
        dated = np.isfinite(load.due_s)
        here = load.ready_s <= 0
        waiting += float(load.core_s[here & dated].sum())
        soon = dated & ~here & (load.ready_s <= step_s)
        foretold += float(load.core_s[soon].sum())
        fresh = here & dated & (load.due_s > 0)
        if fresh.any():
            # The longest: of the others a part of their time has passed.
            window_s = float(load.due_s[fresh].max())
    mean = float(memory.get("mean", 0.0))
    cores = float(memory.get("cores", 0.0))
    if passed_s > 0:
        before = float(memory.get("waiting", 0.0))
        done = min(float(memory.get("busy", 0.0)) * passed_s, before)
        came = waiting - before + done
        said = float(memory.get("foretold", 0.0)) * passed_s / float(memory.get("step_s", passed_s))
        unforeseen = (came - said) / passed_s
        kept = math.exp(-passed_s / _COMPARED_S)
        mean = mean * kept + unforeseen * (1 - kept)
        cores = max(mean, cores * math.exp(-passed_s / forget_s), 0.0)
    return {
        "at": clock,
        "waiting": round(waiting, 3),
        "busy": float(busy_cores),
        "foretold": round(foretold, 3),
        "step_s": round(step_s, 3),
        "mean": round(mean, 4),
        "cores": round(cores, 4),
        "window_s": round(window_s, 1),
    }


def with_flow(
    loads: Sequence[Workload], groups: frozenset[str], cores: float, window_s: float, until_s: float, step_s: float
) -> list[Workload]:
    """Return the work with a steady flow more: for the groups that have most of the work, else for all ``groups``."""
    largest = max(loads, key=lambda load: float(load.core_s.sum()), default=None)
    ready_s = np.arange(1, max(2, math.ceil(until_s / step_s)), dtype=np.float64) * step_s
    ones = np.ones_like(ready_s)
    able = groups if largest is None else largest.groups
    flow = Workload(able, ready_s, ready_s + window_s, cores * step_s * ones, 0.0 * ones)
    if largest is None:
        return [flow]
    return [Workload.joined(load.groups, [load, flow]) if load is largest else load for load in loads]
