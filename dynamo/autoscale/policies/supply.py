"""Workers as time spans in which they serve, seconds from now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from dynamo.autoscale.model import Capacity, GroupOption

#: Longer than any plan.
ENDLESS_S = 10.0**7
#: Extra time assumed for a worker that should be ready by now, seconds.
_OVERDUE_S = 30.0

Span = tuple[float, float, float]


def spans_of(option: GroupOption, workers: Sequence[Capacity], now: datetime) -> list[Span]:
    """Return start, end and processors of each worker's service, earliest start first.

    Booting workers are reduced by the share expected to fail.
    """
    spans = []
    coming = sum(1 for worker in workers if worker.coming)
    for worker in workers[: len(workers) - coming + thinned(coming, option.failure_rate)]:
        begin_s = 0.0
        if worker.coming:
            begin_s = max((worker.ready_at - now).total_seconds(), _OVERDUE_S)
        end_s = ENDLESS_S if worker.lease_end is None else max(0.0, (worker.lease_end - now).total_seconds())
        spans.append((begin_s, end_s, float(worker.cpus)))
    return spans


def thinned(count: int, rate: float) -> int:
    """Return how many of ``count`` booting workers will become ready, given the failure rate."""
    return count - min(count, math.floor(count * rate + 0.5))


def to_order(useful: float, coming: int, rate: float, *, alone: bool) -> int:
    """Return how many new workers to request for ``useful`` ready ones, in addition to those already booting.

    A shortage of a fiftieth of a worker is accepted, since the plan is no finer, unless it would mean no worker at all.
    """
    goal = thinned(coming, rate) + math.ceil(useful - (0.0 if alone else 0.02))
    # Even at high failure rates, request no more than twenty for each useful one.
    count = goal - thinned(coming, rate)
    most = 20 * max(count, 0)
    while count < most and thinned(coming + count, rate) < goal:
        count += 1
    return max(0, count)


def overlap(begin: float, end: float, first: float, last: float) -> float:
    """Return the length of the overlap of two intervals."""
    return max(0.0, min(end, last) - max(begin, first))
