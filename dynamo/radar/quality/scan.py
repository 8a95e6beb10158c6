"""Checks of how a sweep was scanned: rays against the circle, elevation, clock, Nyquist velocity; pure."""

from __future__ import annotations

import numpy as np

from dynamo.radar.quality.view import UNKNOWN, Measure, SweepView, middle

#: Rays closer to the usual spacing than this many spacings leave no gap.
_GAP_SPACINGS = 2.5


def azimuth_gap(view: SweepView) -> Measure:
    """Return the degrees of the circle without rays."""
    if view.azimuth_deg.size < 3:
        return Measure(360.0, view.label)
    steps = view.steps_deg
    wide = np.flatnonzero(steps > _GAP_SPACINGS * view.spacing_deg)
    lost = float(steps[wide].sum() - view.spacing_deg * wide.size)
    if not wide.size:
        return Measure(0.0)
    widest = int(steps.argmax())
    return Measure(round(lost, 2), view.rays_at(np.array([widest, (widest + 1) % steps.size])))


def elevation_spread(view: SweepView) -> Measure:
    """Return how far, in degrees, rays leave the usual elevation; one in fifty may while the antenna settles."""
    off = np.abs(view.elevation_deg - middle(view.elevation_deg))
    spread = float(np.partition(off, off.size - 1 - off.size // 50)[off.size - 1 - off.size // 50])
    return Measure(round(spread, 3), view.rays_at(np.array([off.argmax()])))


def time_disorder(view: SweepView) -> Measure:
    """Return the share of rays that are out of the order in which the antenna turns.

    Along the azimuth, time runs one way, except once, where the sweep began.
    """
    steps = view.steps_s
    if steps.size < 10 or not steps.any():
        return UNKNOWN
    onward, back = steps > 0, steps < 0
    against = back if np.count_nonzero(onward) >= np.count_nonzero(back) else onward
    count = max(0, int(np.count_nonzero(against)) - 1)
    return Measure(round(count / steps.size, 4), view.rays_at(np.flatnonzero(against)[:1]) if count else "")


def time_jump(view: SweepView) -> Measure:
    """Return the longest pause, in seconds, between neighboring rays, apart from where the sweep began."""
    steps = np.abs(view.steps_s)
    if steps.size < 10 or not steps.any():
        return UNKNOWN
    second = int(np.argpartition(steps, -2)[-2])
    return Measure(round(float(steps[second]), 3), view.rays_at(np.array([second])))


def sweep_duration(view: SweepView) -> Measure:
    """Return the seconds from the first to the last ray; unknown if the file has one time for all."""
    span = float(np.ptp(view.time_s))
    return Measure(round(span, 3), view.label) if span > 0 else UNKNOWN


def beyond_nyquist(view: SweepView) -> Measure:
    """Return the share of the radial velocities of echo beyond the Nyquist velocity."""
    if "VRADH" not in view.moments or not view.nyquist_m_s > 0:
        return UNKNOWN
    speed = view.echo("VRADH")
    known = speed.size - int(np.count_nonzero(np.isnan(speed)))
    # Half a step of the coarsest encodings is allowed.
    over = int(np.count_nonzero(np.abs(speed) > view.nyquist_m_s * 1.02 + 0.5))
    return Measure(round(over / known, 5), view.label) if known >= 100 else UNKNOWN
