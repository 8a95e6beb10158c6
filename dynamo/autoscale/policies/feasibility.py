"""Whether workers can do work in time: the processor demand criterion, on a grid of times.

Earliest deadline first is optimal, and by it all work is done in time if and only if in every interval there is no
more work that becomes ready and is due within it than the workers can do in it (Baruah, Rosier, Howell 1990, as for
fluid, preemptible work). Work here is many small jobs, so that the fluid picture is a good one; what it leaves out is
in the utilisation. A tail of intervals with far ends is coarser than the near ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.autoscale.policies.workload import Floats, Workload

#: Lines of the grid at most; the near bins become wider where the look is longer.
_LINES = 240
#: Work that is due still later counts as due then, seconds.
_LATEST_S = 4 * 3600.0
#: So far behind the look the grid is as fine as before it, seconds.
_FINE_TAIL_S = 600.0
#: Steps of the coarse tail grow by this.
_GROWTH = 1.08
_NOTHING = 1e-6
#: An interval may be short by so much of its work before anybody is asked for: the plan is no finer, and jobs that just
#: do not fit are within the caution of the amounts.
GROWTH_TOLERANCE = 0.04
#: Who is there may go only if an interval then is short by no more than this of its work. Less than the other, or what
#: is released is asked for again at once.
KEEP_TOLERANCE = 0.02


@dataclass(frozen=True)
class Times:
    """The grid: intervals begin at ``begins`` and end at ``ends``, seconds from now."""

    begins: Floats
    ends: Floats
    bin_s: float

    @classmethod
    def of(cls, look_s: float, bin_s: float) -> Times:
        """Return a grid for work that becomes ready within ``look_s``."""
        step = float(max(bin_s, look_s / _LINES))
        rows = int(np.ceil(look_s / step)) + 1
        fine = np.arange(1, rows + int(np.ceil(_FINE_TAIL_S / step)) + 1) * step
        tail = [float(fine[-1])]
        while tail[-1] < _LATEST_S:
            tail.append(max(tail[-1] * _GROWTH, tail[-1] + step))
        begins = np.arange(rows, dtype=np.float64) * step
        return cls(begins, np.concatenate([fine, np.array(tail[1:], dtype=np.float64)]).astype(np.float64), float(step))


def amounts(times: Times, load: Workload) -> Floats:
    """Return the work by when it becomes ready and by when it is due, core-seconds."""
    row = np.minimum((load.ready_s / times.bin_s).astype(np.int64), len(times.begins) - 1)
    # The length of a window matters, not its phase: ready and due are moved together.
    window = np.rint((np.minimum(load.due_s, _LATEST_S) - load.ready_s) / times.bin_s)
    window = np.maximum(window, np.ceil(np.minimum(load.shortest_s, _LATEST_S) / times.bin_s - 1e-9))
    end = times.begins[row] + np.maximum(window, 1.0) * times.bin_s
    column = np.minimum(np.searchsorted(times.ends, end - _NOTHING), len(times.ends) - 1)
    width = len(times.ends)
    flat = np.bincount(row * width + np.maximum(column, row), weights=load.core_s, minlength=len(times.begins) * width)
    return np.asarray(flat, dtype=np.float64).reshape(len(times.begins), width)


def within(amount: Floats) -> Floats:
    """Return the work that becomes ready and is due within each interval, from what becomes ready and is due when."""
    return np.cumsum(np.cumsum(amount[::-1], axis=0)[::-1], axis=1)


def flow(load: Workload, until_s: float, step_s: float, widest_s: float) -> Floats:
    """Return how many cores the work to come keeps busy in each step of time, if each piece is spread over its window.

    The average rate of Yao, Demers and Shenker (1995). The demand criterion up to some time allows to put off work
    into the time after it, which later work will need: where work keeps coming, the fleet must keep pace. What waits
    already is left out, the criterion counts it; so that this leaves no gap at ``widest_s``, no piece is spread over
    more than that.
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
    """Return the means of all ``length`` consecutive values; of all, if there are fewer."""
    length = max(1, min(length, len(rates)))
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    return np.asarray((sums[length:] - sums[:-length]) / length, dtype=np.float64)


@dataclass(frozen=True)
class Supply:
    """What workers can have done by the lines of the grid, core-seconds; one worker more in each row.

    Attributes
    ----------
    at_begins, at_ends
        By number of workers, 0 upwards, and line.
    """

    at_begins: Floats
    at_ends: Floats

    @classmethod
    def of(cls, times: Times, spans: Sequence[tuple[float, float, float]], utilisation: float) -> Supply:
        """Return the supply of workers given by when they serve from and until, and how many processors they have."""
        table = np.array(spans, dtype=np.float64).reshape(-1, 3)
        return cls(_work(times.begins, table, utilisation), _work(times.ends, table, utilisation))

    def of_first(self, count: int) -> tuple[Floats, Floats]:
        """Return what the first ``count`` can have done by the grid's begins and ends."""
        return self.at_begins[count], self.at_ends[count]


def _work(lines: Floats, table: Floats, utilisation: float) -> Floats:
    begin, end, cpus = table[:, 0:1], table[:, 1:2], table[:, 2:3]
    done = np.clip(lines[np.newaxis, :], begin, np.maximum(begin, end)) - begin
    total = np.zeros((len(table) + 1, len(lines)))
    np.cumsum(done * cpus * utilisation, axis=0, out=total[1:])
    return total


def shortage(inside: Floats, at_begins: Floats, at_ends: Floats) -> Floats:
    """Return by interval how much more work falls into it than can be done in it; 0 where none falls into it."""
    lack = inside - (at_ends[np.newaxis, :] - at_begins[:, np.newaxis])
    lack[inside <= _NOTHING] = 0.0
    return np.maximum(lack, 0.0)


@dataclass(frozen=True)
class Requirement:
    """How many cores are missing from some time on, and the interval that says so.

    Attributes
    ----------
    cores
        0 if none is.
    core_s
        The work that falls into the interval.
    due_s
        When the interval ends, seconds from now.
    """

    cores: float
    core_s: float = 0.0
    due_s: float = 0.0


def missing_cores(times: Times, inside: Floats, lack: Floats, from_s: float, utilisation: float) -> Requirement:
    """Return how many cores that serve from ``from_s`` on would make up for the shortage.

    Parameters
    ----------
    times, inside, lack
        The grid, what falls into its intervals, and the `shortage`.
    from_s
        Seconds from now.
    utilisation
        The share of their time that jobs fill.
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
