"""NEXRAD Level II: from rays to sweeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.radar.model import MAX_GATES, MAX_RAYS, Site, make_sweep
from dynamo.formats.radar.nexrad_rays import ENDS, STARTS, VOLUME_END, VOLUME_START, Ray, RayMoment, rays_of
from dynamo.formats.radar.nexrad_records import unpack_records
from dynamo.formats.radar.rays import order_rays
from dynamo.formats.radar.stations import settle_site
from dynamo.times import from_epoch

NAME = "nexrad"


_MOMENTS: Mapping[str, str] = {
    "DBZH": "REF",
    "ZDR": "ZDR",
    "RHOHV": "RHO",
    "PHIDP": "PHI",
    "VRADH": "VEL",
    "WRADH": "SW",
}


_MOST_SWEEPS = 64


def decode(data: bytes) -> tuple[list[Ray], str, tuple[str, ...]]:
    """Return the rays of a volume or chunk, the station in its header, and the flags."""
    records = unpack_records(data)
    rays: list[Ray] = []
    bad = 0
    for block in records.blocks:
        found, unread = rays_of(block)
        rays += found
        bad += unread
    flags = records.flags + ((f"unreadable messages left out: {bad}",) if bad else ())
    return rays, records.station, flags


def completeness(rays: Iterable[Ray]) -> tuple[str, ...]:
    """Return a flag if the rays lack the start or the end of the volume."""
    statuses = {ray.status for ray in rays}
    missing = [word for word, status in (("start", VOLUME_START), ("end", VOLUME_END)) if status not in statuses]
    return (f"incomplete: no {' and no '.join(missing)} of the volume",) if missing else ()


def group(rays: Iterable[Ray]) -> dict[int, list[Ray]]:
    """Return the rays by elevation number, each once (the first of equal ray numbers and times)."""
    cuts: dict[int, dict[tuple[int, int], Ray]] = {}
    for ray in rays:
        cuts.setdefault(ray.elevation_number, {}).setdefault((ray.number, ray.time_ms), ray)
    return {number: list(cuts[number].values()) for number in sorted(cuts)[:_MOST_SWEEPS]}


def is_whole(rays: Sequence[Ray]) -> bool:
    """Whether the rays of a cut include its first and last."""
    statuses = {ray.status for ray in rays}
    return bool(statuses & STARTS) and bool(statuses & ENDS)


def sweeps_of(
    rays: Iterable[Ray], station: str, moments: Collection[str] | None = None, *, where: object = None
) -> tuple[list[xr.Dataset], tuple[str, ...]]:
    """Build a sweep from each cut with reflectivity and at least two rays; flags report the others.

    Raises
    ------
    InputError
        If all cuts are damaged.
    """
    cuts = group(rays)
    site, flags = _site(cuts, station, where)
    start_ms = min(ray.time_ms for cut in cuts.values() for ray in cut)
    sweeps: list[xr.Dataset] = []
    left_out = 0
    refused: list[InputError] = []
    for number, cut in cuts.items():
        with_echo = [ray for ray in cut if "REF" in ray.moments][:MAX_RAYS]
        if len(with_echo) < 2:
            left_out += 1
            continue
        try:
            sweeps.append(_sweep(with_echo, number, site, start_ms, moments))
        except InputError as error:
            refused.append(error)
    if refused and not sweeps:
        raise refused[0]
    if refused:
        flags = (*flags, f"cuts left out: {len(refused)} ({refused[0].what:.80})")
    if left_out:
        flags = (*flags, f"cuts without reflectivity left out: {left_out}")
    return sweeps, flags


def _site(cuts: Mapping[int, Sequence[Ray]], station: str, where: object) -> tuple[Site, tuple[str, ...]]:
    places = [ray.site for cut in cuts.values() for ray in cut if ray.site is not None]
    latitude, longitude, altitude = places[0] if places else (float("nan"),) * 3
    first = next(iter(cuts.values()))[0]
    return settle_site(first.station or station, latitude, longitude, altitude, "S", where=where)


def _sweep(rays: Sequence[Ray], number: int, site: Site, start_ms: int, moments: Collection[str] | None) -> xr.Dataset:
    azimuth = np.array([ray.azimuth_deg for ray in rays], dtype=np.float64)
    elevation = np.array([ray.elevation_deg for ray in rays], dtype=np.float64)
    time = np.array([ray.time_ms for ray in rays], dtype=np.int64).astype("datetime64[ms]")
    keep, flags = order_rays(azimuth, time)
    if not is_whole(rays):
        flags = (*flags, "partial sweep")
    chosen = [rays[index] for index in keep.tolist()]
    shape = max((ray.moments["REF"] for ray in chosen), key=lambda moment: moment.gates)
    if shape.gate_m <= 0 or not 2 <= shape.gates <= MAX_GATES:
        raise InputError(f"{shape.gates} gates of {shape.gate_m} m", where=f"cut {number}", expected="gates")
    data: dict[str, NDArray[np.float32]] = {}
    for name, theirs in _MOMENTS.items():
        if (moments is None or name == "DBZH" or name in moments) and any(theirs in ray.moments for ray in chosen):
            data[name] = _values(chosen, theirs, shape)
    nyquist = [ray.nyquist_m_s for ray in chosen if ray.nyquist_m_s > 0]
    return make_sweep(
        site=site,
        azimuth_deg=azimuth[keep],
        elevation_deg=elevation[keep],
        range_m=shape.first_gate_m + np.arange(shape.gates) * float(shape.gate_m),
        time=time[keep],
        moments=data,
        fixed_angle_deg=round(float(np.median(elevation)), 2),
        sweep_number=number - 1,
        volume_time=from_epoch(0) + timedelta(milliseconds=start_ms),
        file_format=NAME,
        nyquist_m_s=float(np.median(nyquist)) if nyquist and "VRADH" in data else float("nan"),
        doppler_cut=any("VEL" in ray.moments for ray in chosen)
        and not all(any(name in ray.moments for ray in chosen) for name in ("ZDR", "RHO")),
        flags=flags,
    )


def _values(rays: Sequence[Ray], name: str, shape: RayMoment) -> NDArray[np.float32]:
    """Return the moment on the gates of ``shape``: rays of one layout are unpacked together."""
    values = np.full((len(rays), shape.gates), np.nan, dtype=np.float32)
    layouts: dict[tuple[int, int, int, int, float, float], list[int]] = {}
    for row, ray in enumerate(rays):
        moment = ray.moments.get(name)
        if moment is not None and moment.gate_m == shape.gate_m and moment.gates:
            key = (
                moment.gates,
                moment.first_gate_m,
                moment.gate_m,
                moment.word_bytes,
                moment.scale,
                moment.offset,
            )
            layouts.setdefault(key, []).append(row)
    for (gates, first_m, gate_m, word_bytes, scale, offset), rows in layouts.items():
        shift = round((first_m - shape.first_gate_m) / gate_m)
        low, high = max(shift, 0), min(shift + gates, shape.gates)
        if high <= low:
            continue
        dtype = np.dtype(np.uint8 if word_bytes == 1 else ">u2")
        raw = np.empty((len(rows), gates), dtype=dtype)
        for index, row in enumerate(rows):
            raw[index] = np.frombuffer(rays[row].block, dtype, gates, rays[row].moments[name].begin)
        # 0 is below the threshold, 1 is folded in range: neither is a value.
        table = ((np.arange(256 if word_bytes == 1 else 65536) - offset) / scale).astype(np.float32)
        table[:2] = np.nan
        chosen = table[raw[:, low - shift : high - shift]]
        if len(rows) == len(rays):
            values[:, low:high] = chosen
        else:
            values[rows, low:high] = chosen
    return values
