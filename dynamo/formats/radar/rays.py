"""Order the rays of a sweep: gaps and overlaps in azimuth, and implausible clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.formats.radar.model import MAX_RAYS
from dynamo.times import CLOCK_TOLERANCE, in_words

#: Rays closer than this share of the usual spacing overlap.
_OVERLAP_SHARE = 0.5
#: Neighbors further apart than this many spacings leave a gap.
_GAP_SPACINGS = 2.5
_LEAST_STEP_DEG = 360.0 / MAX_RAYS
_LONG_SWEEP = np.timedelta64(15, "m")


def order_rays(azimuth_deg: NDArray[Any], time: NDArray[np.datetime64]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the rays to keep, in ascending azimuth, and the flags of the sweep.

    Of overlapping rays (closer than half the usual spacing) the latest is kept; for equal times, the last in the file.
    So the result does not depend on the order of azimuths.

    Parameters
    ----------
    azimuth_deg
        One finite value per ray.
    time
        One ``datetime64`` per ray.

    Returns
    -------
    numpy.ndarray
        Indices into the given rays.
    tuple of str
        Flags: ``azimuth overlap``, ``azimuth gap``, ``ray times disagree``.
    """
    azimuth = np.asarray(azimuth_deg, dtype=np.float64) % 360.0
    order = np.argsort(azimuth, kind="stable").astype(np.intp)
    flags: list[str] = []
    if azimuth.size > 2:
        steps = _steps(azimuth[order])
        spacing = _rotation_step(azimuth, time)
        close = steps < _OVERLAP_SHARE * spacing
        if close.any():
            kept = _resolve(azimuth, time, order, _OVERLAP_SHARE * spacing)
            flags.append(f"azimuth overlap: {order.size - kept.size} rays dropped")
            order = kept
        if order.size > 2:
            steps = _steps(azimuth[order])
            wide = steps > _GAP_SPACINGS * spacing
            if wide.any():
                flags.append(f"azimuth gap: {float(steps[wide].sum() - spacing * wide.sum()):.1f} deg without rays")
    if time.size and time.max() - time.min() > _LONG_SWEEP:
        flags.append("ray times disagree: the sweep spans more than 15 min")
    return order, tuple(flags)


def clock_flags(time: datetime, now: datetime | None, max_age: timedelta | None = None) -> tuple[str, ...]:
    """Return flags for a time compared with the caller's clock: over `CLOCK_TOLERANCE` ahead, or past ``max_age``."""
    if now is None:
        return ()
    if time > now + CLOCK_TOLERANCE:
        return (f"clock in the future by {in_words(time - now)}",)
    if max_age is not None and now - time > max_age:
        return (f"old by {in_words(now - time)}",)
    return ()


def merge_flags(*groups: Sequence[str]) -> tuple[str, ...]:
    """Return all flags once, in order of appearance."""
    return tuple(dict.fromkeys(flag for group in groups for flag in group))


def _rotation_step(azimuth: NDArray[np.float64], time: NDArray[np.datetime64]) -> float:
    """Return how far the antenna turns from ray to ray; a second turn over the same azimuths does not halve it."""
    turned = np.abs((np.diff(azimuth[np.argsort(time, kind="stable")]) + 180.0) % 360.0 - 180.0)
    return max(float(np.median(turned)), _LEAST_STEP_DEG)


def _steps(ordered_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diff(ordered_deg, append=ordered_deg[0] + 360.0)


def _resolve(
    azimuth: NDArray[np.float64], time: NDArray[np.datetime64], order: NDArray[np.intp], least_deg: float
) -> NDArray[np.intp]:
    # Latest first: a ray is kept if no later one is closer than `least_deg`.
    by_age = np.lexsort((np.arange(azimuth.size), time))[::-1]
    position = np.empty(azimuth.size, dtype=np.intp)
    position[order] = np.arange(order.size)
    kept = np.zeros(azimuth.size, dtype=bool)
    for ray in by_age.tolist():
        if not any(_near_kept(azimuth, order, kept, int(position[ray]), step, least_deg) for step in (-1, 1)):
            kept[ray] = True
    return order[kept[order]]


def _near_kept(
    azimuth: NDArray[np.float64], order: NDArray[np.intp], kept: NDArray[np.bool_], start: int, step: int, least: float
) -> bool:
    here = azimuth[order[start]]
    for count in range(1, order.size):
        other = order[(start + step * count) % order.size]
        if (step * (azimuth[other] - here)) % 360.0 >= least:
            return False
        if kept[other]:
            return True
    return False
