"""Assemble sweeps of one radar into a volume."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.model import Volume, site_of, start_time
from dynamo.formats.radar.rays import clock_flags, merge_flags
from dynamo.times import to_iso

_ONE_VOLUME = timedelta(minutes=20)


_SAME_ANGLE_DEG = 0.3


def make_volume(
    sweeps: Sequence[xr.Dataset],
    *,
    flags: Sequence[str] = (),
    pair: bool = True,
    now: datetime | None = None,
    max_age: timedelta | None = None,
    where: object = None,
) -> Volume:
    """Assemble sweeps of one radar; see `read_volume`.

    Raises
    ------
    InputError
        If there are none, or they are from different radars or times.
    """
    if not sweeps:
        raise InputError("no usable sweep", where=where, expected="at least one sweep with reflectivity")
    ordered = sorted(sweeps, key=lambda sweep: (sweep.attrs["start_time"], sweep.attrs["fixed_angle_deg"]))
    site, time = site_of(ordered[0]), start_time(ordered[0])
    others = {site_of(sweep).radar for sweep in ordered} - {site.radar}
    if others:
        raise InputError(f"sweeps of {site.radar} and {', '.join(sorted(others))}", where=where, expected="one radar")
    if start_time(ordered[-1]) - time > _ONE_VOLUME:
        raise InputError(
            f"sweeps from {to_iso(time)} to {ordered[-1].attrs['start_time']}",
            where=where,
            expected="sweeps of one volume, within 20 min",
        )
    unique: list[xr.Dataset] = []
    seen: set[tuple[str, float]] = set()
    for sweep in ordered:
        key = (sweep.attrs["start_time"], round(sweep.attrs["fixed_angle_deg"], 2))
        if key in seen and sweep.attrs["doppler_cut"] == unique[-1].attrs["doppler_cut"]:
            flags = (*flags, "a sweep was given twice")
            continue
        seen.add(key)
        unique.append(sweep)
    if pair and len(unique) > 1:
        unique, paired = pair_doppler_cuts(unique)
        flags = (*flags, *paired)
    clocks = clock_flags(time, now, max_age)
    for number, sweep in enumerate(unique):
        empty = () if np.isfinite(sweep["DBZH"].values).any() else ("no valid reflectivity",)
        sweep.attrs["volume_time"] = to_iso(time)
        sweep.attrs["sweep_number"] = number
        sweep.attrs["flags"] = list(merge_flags(sweep.attrs["flags"], empty, clocks))
    return Volume(site, time, tuple(unique), merge_flags(flags, clocks, *(sweep.attrs["flags"] for sweep in unique)))


def pair_doppler_cuts(sweeps: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], tuple[str, ...]]:
    """Join Doppler cuts without polarimetry to the polarimetric cut of the same elevation just before them.

    Velocity and spectrum width go to the nearest ray (within a ray's width) and the same gate; a Doppler cut without a
    partner is dropped if any other sweep has its elevation, and kept otherwise.

    Returns
    -------
    list of xarray.Dataset
        The remaining sweeps, in order.
    tuple of str
        Flags that count what was dropped.
    """
    kept: list[xr.Dataset] = []
    dropped = 0
    for sweep in sweeps:
        if not sweep.attrs["doppler_cut"]:
            kept.append(sweep)
            continue
        partners = [other for other in sweeps if not other.attrs["doppler_cut"] and _same_angle(other, sweep)]
        partner = next((other for other in reversed(kept) if any(other is one for one in partners)), None)
        if partner is not None and not _measures(partner, "VRADH"):
            _join(partner, sweep)
        elif partners:
            dropped += 1
        else:
            kept.append(sweep)
    return kept, (f"Doppler cuts without a partner dropped: {dropped}",) if dropped else ()


def _measures(sweep: xr.Dataset, name: str) -> bool:
    """Whether a moment has at least one value."""
    return name in sweep and bool(np.isfinite(sweep[name].values).any())


def _same_angle(one: xr.Dataset, other: xr.Dataset) -> bool:
    return bool(abs(one.attrs["fixed_angle_deg"] - other.attrs["fixed_angle_deg"]) <= _SAME_ANGLE_DEG)


def _join(partner: xr.Dataset, doppler: xr.Dataset) -> None:
    azimuth, theirs = partner["azimuth"].values, doppler["azimuth"].values
    padded = np.concatenate([theirs[-1:] - 360.0, theirs, theirs[:1] + 360.0])
    right = np.clip(np.searchsorted(padded, azimuth), 1, padded.size - 1)
    nearest = np.where(azimuth - padded[right - 1] <= padded[right] - azimuth, right - 1, right)
    close = np.abs(padded[nearest] - azimuth) <= 360.0 / max(azimuth.size, 180)
    rows = (nearest - 1) % theirs.size
    ours_m, theirs_m = partner["range"].values, doppler["range"].values
    step = ours_m[1] - ours_m[0]
    offset = round((theirs_m[0] - ours_m[0]) / step)
    fits = abs(theirs_m[1] - theirs_m[0] - step) < 1.0 and abs(theirs_m[0] - ours_m[0] - offset * step) < 1.0
    if not fits:
        return
    low, high = max(offset, 0), min(offset + theirs_m.size, ours_m.size)
    for name in ("VRADH", "WRADH"):
        if name in doppler and high > low:
            values = np.full((azimuth.size, ours_m.size), np.nan, dtype=np.float32)
            values[:, low:high] = doppler[name].values[rows, low - offset : high - offset]
            values[~close] = np.nan
            partner[name] = (("azimuth", "range"), values, doppler[name].attrs)
    partner.attrs["nyquist_m_s"] = doppler.attrs["nyquist_m_s"]


def replace_where(error: InputError, path: Path) -> InputError:
    """Return the error with the file it concerns."""
    where = str(path) if error.where is None or error.where == str(path) else f"{path}: {error.where}"
    return InputError(error.what, where=where, expected=error.expected, hint=error.hint)
