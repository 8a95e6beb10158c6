"""Detect work that was not forecast, from the queue and the work done, and assume that it continues for a while.

Otherwise an incomplete forecast would be trusted over and over: each piece of unforeseen work would get workers only
once it is there, which is too late, and they would be gone before the next piece.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dynamo.autoscale.policies.workload import Workload

#: Time over which arriving work is compared with the forecast, seconds.
_COMPARED_S = 120.0
#: Time between calls, assumed until the second one, seconds.
_STEP_S = 30.0
#: Time to the deadline assumed for work without one, seconds.
_WINDOW_S = 120.0


def look(
    loads: Sequence[Workload],
    busy_cores: float,
    clock: float,
    memory: Mapping[str, float],
    forget_s: float,
) -> dict[str, float]:
    """Return the unforeseen work, as memory for the next call.

    Work that arrived since the last call is what waits now, less what waited then, plus what was done of that: at most
    what the cores busy then could do. Work that arrived and finished in between is missed, but caused no trouble.

    Parameters
    ----------
    loads, busy_cores, clock
        The work, the number of busy cores, and now, seconds since 1970.
    memory, forget_s
        The last call's result; the time over which a surprise is forgotten.

    Returns
    -------
    dict
        ``cores``, the cores that unforeseen work keeps busy, ``window_s``, the time to its deadlines, and the values
        to compare at the next call.
    """
    passed_s = clock - float(memory.get("at", clock))
    # Assume that the next call comes after the same time as this one.
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
            # The longest: part of the others' time has passed.
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
    """Return the work plus a steady flow, for the groups with most of the work; without work, for all ``groups``."""
    largest = max(loads, key=lambda load: float(load.core_s.sum()), default=None)
    ready_s = np.arange(1, max(2, math.ceil(until_s / step_s)), dtype=np.float64) * step_s
    ones = np.ones_like(ready_s)
    able = groups if largest is None else largest.groups
    flow = Workload(able, ready_s, ready_s + window_s, cores * step_s * ones, 0.0 * ones)
    if largest is None:
        return [flow]
    return [Workload.joined(load.groups, [load, flow]) if load is largest else load for load in loads]
