"""Checks of the reflectivity of a sweep: blank, flat, stuck, clipped, coarse, or full of spikes; pure."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.quality.view import UNKNOWN, Mask, Measure, SweepView, count_true, middle, worst

#: A statement on a distribution needs this many values.
_ENOUGH = 300
#: Width of a bin of the histogram, dB; no encoding is coarser but damaged ones.
_BIN_DB = 0.5
_LOWEST_DB = -100.0
#: Closer to the radar, m, no moment lacks the echo of rays because it is that of the pulse before.
_UNFOLDED_M = 100_000.0
#: As many values of a moment are not missing by chance from rays that follow each other.
_MISSED = 30
#: Echo this strong does not stand alone, dBZ.
_STRONG_DBZ = 30.0
#: Single gates stand out by more, dB.
_SPIKE_DB = 18.0


def valid_share(view: SweepView) -> Measure:
    """Return the share of gates with reflectivity."""
    return Measure(round(float(view.per_ray.sum()) / view.valid.size, 5), view.label)


def blank_rays(view: SweepView) -> Measure:
    """Return the share of rays that lack the echo which the rays beside them have.

    A blocked sector fades at its sides and has clutter near the radar; lost rays have nothing at all.
    """
    found = [_lost_rays(view, view.per_ray + view.per_ray_near)]
    found += [_lost_rays(view, count_true(known)) for known in view.dense.values()]
    ray, gate = view.spots
    near = np.flatnonzero(gate < np.searchsorted(view.sample_range_m, _UNFOLDED_M))
    found += [
        _rays_without(view, ray[near], ~np.isnan(view.echo(name)[near]))
        for name in ("ZDR", "RHOHV", "PHIDP", "VRADH")
        if name in view.moments
    ]
    return worst(found)


def _rays_without(view: SweepView, ray: NDArray[np.intp], known: Mask) -> Measure:
    """Return the share of the rays whose echo lacks a moment that other rays have."""
    if known.all():
        return Measure(0.0)
    size = view.azimuth_deg.size
    echo, counts = np.bincount(ray, minlength=size), np.bincount(ray[known], minlength=size)
    gone = counts == 0
    run = np.cumsum(~gone)
    expected = np.bincount(run, weights=echo * gone) * (counts.sum() / max(1, ray.size))
    lost = np.flatnonzero(gone & (expected[run] >= _MISSED))
    return Measure(round(lost.size / size, 4), view.rays_at(lost))


def _lost_rays(view: SweepView, counts: NDArray[np.int64]) -> Measure:
    usual = middle(counts)
    # Where most rays have next to nothing, one without anything is nothing special.
    if counts.size < 10 or usual < 10:
        return UNKNOWN
    lost = np.flatnonzero(_runs_between(counts == 0, counts > 0.3 * usual))
    return Measure(round(lost.size / counts.size, 4), view.rays_at(lost))


def blank_ring(view: SweepView) -> Measure:
    """Return the share of gates, all around, that lack the echo which the gates before and behind them have."""
    found = [_lost_gates(view, known, count_true(known.T)) for known in view.dense.values()]
    if view.per_gate.size >= 10 and view.per_gate.sum() >= _ENOUGH:
        found.append(_lost_gates(view, view.valid, view.per_gate))
    return worst(found)


def _lost_gates(view: SweepView, known: Mask, counts: NDArray[np.int64]) -> Measure:
    # A tenth of the neighboring gates' echo is more than chance leaves out.
    lost = np.flatnonzero(_runs_between(counts == 0, counts > max(4.0, 0.04 * known.shape[0]), around=False))
    if not lost.size:
        return Measure(0.0)
    ranges_km = view.range_m[:: max(1, round(view.range_m.size / counts.size))] / 1000.0
    near, far = (ranges_km[min(int(lost[end]), ranges_km.size - 1)] for end in (0, -1))
    return Measure(round(lost.size / counts.size, 4), view.at(f"{near:.0f} to {far:.0f} km"))


def cut_short(view: SweepView) -> Measure:
    """Return the share of the rays whose echo ends at one and the same gate, well before the last one.

    Where gates were lost, storms are cut along a circle.
    """
    counts = view.per_gate
    used = np.flatnonzero(counts)
    if used.size < 10 or counts.sum() < _ENOUGH:
        return UNKNOWN
    last = int(used[-1])
    if last > 0.97 * counts.size:
        return Measure(0.0)
    share = counts[last] / view.azimuth_deg.size
    return Measure(round(float(share), 4), view.at(f"beyond {view.sample_range_m[last] / 1000:.0f} km"))


def flat(view: SweepView) -> Measure:
    """Return the share of values that are the most frequent one, of the worst moment."""
    highest, place = -1.0, ""
    for name, step in (("DBZH", _BIN_DB), ("ZDR", 0.0625), ("RHOHV", 0.003), ("VRADH", 0.5), ("PHIDP", 0.5)):
        if name not in view.moments:
            continue
        # Correlation and velocity where there is no echo may be anything.
        values = view.echo(name)
        values = values[~np.isnan(values)]
        if values.size < _ENOUGH:
            continue
        bins = ((values - values.min()) * np.float32(1.0 / step)).astype(np.int32)
        share = float(np.bincount(bins).max()) / values.size
        if name == "RHOHV":
            # In rain it is close to 1, and many encodings end there.
            share = max(0.0, 2.0 * share - 1.0)
        if share > highest:
            highest, place = share, name
    return Measure(round(highest, 4), view.at(place)) if highest >= 0 else UNKNOWN


def stuck_rays(view: SweepView) -> Measure:
    """Return the largest number of neighboring rays that are copies of each other."""
    if view.azimuth_deg.size < 10 or view.per_ray.sum() < _ENOUGH:
        return UNKNOWN
    echo = view.per_ray + view.per_ray_near
    alike = (view.per_ray[1:] == view.per_ray[:-1]) & (view.per_ray_near[1:] == view.per_ray_near[:-1])
    same = alike & (echo[1:] >= 8)
    # Few rays have as many gates with echo as the one before; the values of only those are compared.
    for part in (view.dbz, view.near):
        rays = np.flatnonzero(same)
        one, two = part[rays], part[rays + 1]
        same[rays] = ((one == two) | (np.isnan(one) & np.isnan(two))).all(axis=1)
    length = best = end = 0
    for index in np.flatnonzero(same).tolist():
        length = length + 1 if index and same[index - 1] else 1
        if length > best:
            best, end = length, index
    return Measure(float(best), view.rays_at(np.arange(end - best + 1, end + 2)) if best else "")


def clipped(view: SweepView) -> Measure:
    """Return how many times more values are at the maximum than just below it.

    Storms thin out toward their maximum; a value that was cut off piles up there.
    """
    counts = _histogram(view)
    used = np.flatnonzero(counts)
    if counts.sum() < _ENOUGH or used.size < 6:
        return UNKNOWN
    top = int(used[-1])
    below = counts[max(0, top - 10) : top]
    usual = float(below[below > 0].mean()) if below.any() else 0.0
    if counts[top] + counts[top - 1] < 20:
        return Measure(0.0)
    return Measure(round(float(counts[top]) / max(usual, 1.0), 2), view.at(f"{_LOWEST_DB + top * _BIN_DB:g} dBZ"))


def coarse(view: SweepView) -> Measure:
    """Return the number of different values for each 10 dB of reflectivity."""
    counts = _histogram(view)
    used = np.flatnonzero(counts)
    if counts.sum() < 2 * _ENOUGH or used[-1] - used[0] < 40:
        return UNKNOWN
    # Single values at the ends of the scale would only stretch it.
    inner = np.flatnonzero(counts > 1)
    span_db = (inner[-1] - inner[0] + 1) * _BIN_DB if inner.size > 1 else 0.0
    return Measure(round(10.0 * inner.size / span_db, 2), view.label) if span_db >= 20 else UNKNOWN


def spikes(view: SweepView) -> Measure:
    """Return the share of strong gates that stand alone: far stronger than the rays and the gate beside them."""
    ray, gate, dbz = view.all_spots
    strong = np.flatnonzero(dbz >= _STRONG_DBZ)
    ray, gate, dbz = ray[strong], gate[strong], dbz[strong]
    if ray.size < 30:
        return UNKNOWN
    around = np.fmax(view.take("DBZH", ray, gate, 1), np.float32(-40.0))
    for step in (-1, 1):
        np.fmax(around, view.dbz[(ray + step) % view.azimuth_deg.size, gate], out=around)
    alone = np.flatnonzero(dbz - around > _SPIKE_DB)
    return Measure(round(alone.size / ray.size, 4), view.rays_at(ray[alone[:1]]) if alone.size else "")


def holes(view: SweepView) -> Measure:
    """Return the share of gates missing in the middle of strong echo."""
    with np.errstate(invalid="ignore"):
        strong = view.dbz >= 20.0
    beside = strong[2:] & strong[:-2]
    count = int(np.count_nonzero(beside))
    if count < 2 * _ENOUGH:
        return UNKNOWN
    return Measure(round(float(np.count_nonzero(beside & ~view.valid[1:-1])) / count, 4), view.label)


def digest(view: SweepView) -> float:
    """Return a number that only the very same reflectivity has; 0 without echo."""
    if view.per_ray.sum() < _ENOUGH:
        return 0.0
    return float(zlib.crc32(view.all_spots[2].data, zlib.crc32(view.per_ray.data)))


def _histogram(view: SweepView) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if "histogram" not in view._cache:
        values = view.echo("DBZH")
        bins = np.rint((np.clip(values, _LOWEST_DB, 100.0) - _LOWEST_DB) / _BIN_DB).astype(np.int32)
        view._cache["histogram"] = np.bincount(bins, minlength=1)
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = view._cache["histogram"]
    return found


def _runs_between(gone: Mask, rich: Mask, *, around: bool = True) -> Mask:
    """Return the runs of ``gone`` that have ``rich`` elements directly on both sides."""
    marked = np.zeros_like(gone)
    if not gone.any():
        return marked
    size = gone.size
    starts = np.flatnonzero(gone & ~np.roll(gone, 1))
    for start in starts.tolist():
        end = start
        while end - start < size and gone[end % size]:
            end += 1
        if not around and (start == 0 or end >= size):
            continue
        if rich[start - 1] and rich[end % size]:
            marked[np.arange(start, end) % size] = True
    return marked
