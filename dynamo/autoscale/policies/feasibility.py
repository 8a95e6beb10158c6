"""Check whether workers can finish work on time: the processor demand criterion on a time grid.

Earliest deadline first is optimal, and by it all work is done in time if and only if in every interval there is no
more work that becomes ready and is due within it than the workers can do in it (Baruah, Rosier, Howell 1990, as for
fluid, preemptible work). Work here is many small jobs, so that the fluid picture is a good one; what it leaves out is
in the utilization. A tail of intervals with far ends is coarser than the near ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.autoscale.policies.workload import Floats, Workload

#: Maximum number of grid lines; a longer look-ahead makes the near bins wider.
_LINES = 240
#: Work due later than this counts as due then, seconds.
_LATEST_S = 4 * 3600.0
#: The grid stays fine up to this long beyond the look-ahead, seconds.
_FINE_TAIL_S = 600.0
#: Growth factor of the steps in the coarse tail.
_GROWTH = 1.08
_NOTHING = 1e-6
#: Share of its work by which an interval may be short before workers are requested: the plan is no finer, and jobs that
#: barely do not fit are covered by the caution in the amounts.
GROWTH_TOLERANCE = 0.04
#: Share of its work by which an interval may be short after a release. Smaller than the other, or released workers
#: would be requested again at once.
KEEP_TOLERANCE = 0.02


@dataclass(frozen=True)
class Times:
    """The time grid: intervals start at ``begins`` and end at ``ends``, seconds from now."""

    begins: Floats
    ends: Floats
    bin_s: float

    @classmethod
    def of(cls, look_s: float, bin_s: float) -> Times:
        """Return the grid for work that becomes ready within ``look_s``."""
        step = float(max(bin_s, look_s / _LINES))
        rows = int(np.ceil(look_s / step)) + 1
        fine = np.arange(1, rows + int(np.ceil(_FINE_TAIL_S / step)) + 1) * step
        tail = [float(fine[-1])]
        while tail[-1] < _LATEST_S:
            tail.append(max(tail[-1] * _GROWTH, tail[-1] + step))
        begins = np.arange(rows, dtype=np.float64) * step
        return cls(begins, np.concatenate([fine, np.array(tail[1:], dtype=np.float64)]).astype(np.float64), float(step))


def amounts(times: Times, load: Workload) -> Floats:
    """Return the work by ready time and due time, core-seconds."""
    row = np.minimum((load.ready_s / times.bin_s).astype(np.int64), len(times.begins) - 1)
    # A window's length matters, not its phase: shift ready and due together.
    window = np.rint((np.minimum(load.due_s, _LATEST_S) - load.ready_s) / times.bin_s)
    window = np.maximum(window, np.ceil(np.minimum(load.shortest_s, _LATEST_S) / times.bin_s - 1e-9))
    end = times.begins[row] + np.maximum(window, 1.0) * times.bin_s
    column = np.minimum(np.searchsorted(times.ends, end - _NOTHING), len(times.ends) - 1)
    width = len(times.ends)
    flat = np.bincount(row * width + np.maximum(column, row), weights=load.core_s, minlength=len(times.begins) * width)
    return np.asarray(flat, dtype=np.float64).reshape(len(times.begins), width)


def within(amount: Floats) -> Floats:
    """Return the work that becomes ready and is due within each interval, from the work by ready and due time."""
    return np.cumsum(np.cumsum(amount[::-1], axis=0)[::-1], axis=1)


def flow(load: Workload, until_s: float, step_s: float, widest_s: float) -> Floats:
    """Return the cores that future work keeps busy in each time step, if each piece is spread over its window.

    The average rate of Yao, Demers and Shenker (1995). The demand criterion up to some time allows work to be put off
    into the time after it, which later work will need: under a steady flow of work the fleet must keep pace. Waiting
    work is left out because the criterion counts it. To leave no gap at ``widest_s``, no piece is spread over more
    than that.
    """
    coming = load.pick((load.ready_s > 0) & (load.ready_s < until_s))
    count = int(np.ceil(until_s / step_s)) + 1
    start = (coming.ready_s / step_s).astype(np.int64)
    window = np.maximum(np.minimum(coming.due_s - coming.ready_s, widest_s), coming.shortest_s)
    window = np.minimum(window, _LATEST_S)
    steps = np.maximum(np.rint(window / step_s), 1.0)
    rate = coming.core_s / (steps * step_s)
    begin = np.bincount(np.minimum(start, count), weights=rate, minlength=count + 1)
    end = np.bincount(np.minimum(start + steps.astype(np.int64), count), weights=rate, minlength=count + 1)
    return np.asarray(np.maximum(np.cumsum(begin - end)[:count], 0.0), dtype=np.float64)


def means(rates: Floats, length: int) -> Floats:
    """Return the means of all runs of ``length`` consecutive values; of all values, if there are fewer."""
    length = max(1, min(length, len(rates)))
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    return np.asarray((sums[length:] - sums[:-length]) / length, dtype=np.float64)


@dataclass(frozen=True)
class Supply:
    """Work that workers can finish by each grid line, core-seconds; each row has one more worker.

    Attributes
    ----------
    at_begins, at_ends
        By number of workers, 0 upwards, and line.
    """

    at_begins: Floats
    at_ends: Floats

    @classmethod
    def of(cls, times: Times, spans: Sequence[tuple[float, float, float]], utilisation: float) -> Supply:
        """Return the supply of workers, each given by start, end and number of processors."""
        table = np.array(spans, dtype=np.float64).reshape(-1, 3)
        return cls(_work(times.begins, table, utilisation), _work(times.ends, table, utilisation))

    def of_first(self, count: int) -> tuple[Floats, Floats]:
        """Return what the first ``count`` can finish by the starts and ends of the grid's intervals."""
        return self.at_begins[count], self.at_ends[count]


def _work(lines: Floats, table: Floats, utilisation: float) -> Floats:
    begin, end, cpus = table[:, 0:1], table[:, 1:2], table[:, 2:3]
    done = np.clip(lines[np.newaxis, :], begin, np.maximum(begin, end)) - begin
    total = np.zeros((len(table) + 1, len(lines)))
    np.cumsum(done * cpus * utilisation, axis=0, out=total[1:])
    return total


def shortage(inside: Floats, at_begins: Floats, at_ends: Floats) -> Floats:
    """Return for each interval the excess of its work over what can be done in it; 0 if it has no work."""
    lack = inside - (at_ends[np.newaxis, :] - at_begins[:, np.newaxis])
    lack[inside <= _NOTHING] = 0.0
    return np.maximum(lack, 0.0)


@dataclass(frozen=True)
class Requirement:
    """Number of cores missing from some time on, and the interval that determines it.

    Attributes
    ----------
    cores
        0 if none are missing.
    core_s
        The work in the interval.
    due_s
        When the interval ends, seconds from now.
    """

    cores: float
    core_s: float = 0.0
    due_s: float = 0.0


def missing_cores(times: Times, inside: Floats, lack: Floats, from_s: float, utilisation: float) -> Requirement:
    """Return how many cores, available from ``from_s`` on, would cover the shortage.

    Parameters
    ----------
    times, inside, lack
        The grid, the work in its intervals, and the `shortage`.
    from_s
        Seconds from now.
    utilisation
        Share of their time that jobs can fill.
    """
    start = np.floor(from_s / times.bin_s) * times.bin_s
    span = times.ends[np.newaxis, :] - np.maximum(times.begins, start)[:, np.newaxis]
    helped: NDArray[np.bool_] = (span > _NOTHING) & (lack > _NOTHING)
    cores = np.divide(lack, span * utilisation, out=np.zeros_like(lack), where=helped)
    where = int(cores.argmax())
    row, column = divmod(where, cores.shape[1])
    if cores[row, column] <= 0:
        return Requirement(0.0)
    return Requirement(float(cores[row, column]), float(inside[row, column]), float(times.ends[column]))
