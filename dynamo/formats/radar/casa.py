"""CASA sweeps `{radar}-{YYYYmmdd}-{HHMMSS}.netcdf[.gz]`: NetCDF-3, one sweep a file, distances in millimeters.

Dimensions ``Radial`` (often the record dimension) and ``Gate``. Missing values are -99900, and -999 in some moments; no
moment has magnitudes of 900 or more, so these, NaN and infinities are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.netcdf3 import Classic, parse
from dynamo.formats.radar.model import MAX_GATES, MAX_RAYS, make_sweep
from dynamo.formats.radar.rays import merge_flags, order_rays
from dynamo.formats.radar.source import NETCDF3_MAGIC, Source
from dynamo.formats.radar.stations import band_of, settle_site
from dynamo.times import from_epoch

NAME = "casa-sweep"
_MOMENTS: Mapping[str, str] = {
    "DBZH": "Reflectivity",
    "ZDR": "DifferentialReflectivity",
    "RHOHV": "CrossPolCorrelation",
    "PHIDP": "DifferentialPhase",
    "VRADH": "Velocity",
    "WRADH": "SpectralWidth",
    "SNRH": "SignalToNoiseRatio",
    "SQIH": "NormalizedCoherentPower",
}
_LARGEST_VALUE = np.float32(900.0)
_NAN = np.float32(np.nan)
_CACHED_VALUES = 65_536


def matches(source: Source) -> bool:
    """Whether the file is NetCDF-3 with CASA's dimensions in its header."""
    head = source.data[:4096]
    return head.startswith(NETCDF3_MAGIC) and b"\x06Radial\0" in head and b"\x04Gate" in head


def read(source: Source, moments: Collection[str] | None = None) -> list[xr.Dataset]:
    """Read the single sweep of a file.

    Parameters
    ----------
    source
        The file.
    moments
        The moments to read; all by default. ``DBZH`` is always read.

    Raises
    ------
    InputError
        If it is truncated, or not a CASA sweep.
    """
    file = parse(source.data)
    rays, gates = file.dimensions.get("Radial", 0), file.dimensions.get("Gate", 0)
    if not (1 <= rays <= MAX_RAYS and 2 <= gates <= MAX_GATES):
        raise InputError(f"{rays} rays of {gates} gates", expected=f"up to {MAX_RAYS} x {MAX_GATES}")
    if not any(name in file.variables for name in _MOMENTS.values()):
        raise InputError("no moment of a CASA sweep", expected=", ".join(_MOMENTS.values()))
    azimuth, elevation, seconds = (_per_ray(file, name, rays) for name in ("Azimuth", "Elevation", "Time"))
    width_m, start_m = _uniform(file, "GateWidth", rays) / 1000.0, _uniform(file, "StartRange", rays) / 1000.0
    if not (0.1 <= width_m <= 10_000 and 0 <= start_m <= 1_000_000):
        raise InputError(
            f"gates of {width_m:g} m from {start_m:g} m", expected="millimeters in GateWidth and StartRange"
        )
    if not (np.isfinite(azimuth).all() and np.isfinite(elevation).all()):
        raise InputError("a ray has no direction", expected="finite azimuths and elevations")
    if not (np.abs(seconds) < 2**40).all():
        raise InputError(f"the time of a ray is {seconds.min():g} s", expected="epoch seconds")
    time = (seconds * 1e3).astype("datetime64[ms]")
    keep, flags = order_rays(azimuth, time)
    attributes = file.attributes
    site, site_flags = settle_site(
        str(attributes.get("RadarName") or attributes.get("FccCall") or ""),
        _number(attributes.get("Latitude")),
        _number(attributes.get("Longitude")),
        _number(attributes.get("Height")),
        band_of(frequency_hz=_optional(file, "TxFrequency", rays)),
        where=source.path,
    )
    data = {
        name: _moment(file, theirs, (rays, gates), keep)
        for name, theirs in _MOMENTS.items()
        if theirs in file.variables and (moments is None or name == "DBZH" or name in moments)
    }
    return [
        make_sweep(
            site=site,
            azimuth_deg=azimuth[keep],
            elevation_deg=elevation[keep],
            range_m=start_m + (np.arange(gates) + 0.5) * width_m,
            time=time[keep],
            moments=data,
            fixed_angle_deg=round(float(np.median(elevation)), 2),
            sweep_number=0,
            volume_time=from_epoch(float(seconds.min())),
            file_format=NAME,
            nyquist_m_s=_optional(file, "Nyquist", rays),
            flags=merge_flags(flags, site_flags),
        )
    ]


def _moment(file: Classic, name: str, shape: tuple[int, int], keep: NDArray[np.intp]) -> NDArray[np.float32]:
    raw = file.read(name)
    if raw.shape != shape or raw.dtype.kind not in "fi":
        raise InputError(f"{name} has shape {raw.shape} of {raw.dtype}", expected=f"numbers of shape {shape}")
    values = np.empty((keep.size, shape[1]), dtype=np.float32)
    # A few rows at a time, so that they are still in the CPU cache when searched for missing values.
    step = max(1, _CACHED_VALUES // shape[1])
    scratch = np.empty((step, shape[1]), dtype=np.float32)
    for start in range(0, keep.size, step):
        rows = keep[start : start + step]
        block, size = values[start : start + rows.size], scratch[: rows.size]
        # A sweep starts at any azimuth, so its rays in ascending azimuth are mostly runs of those in the file.
        if rows[-1] - rows[0] == rows.size - 1 and (np.diff(rows) == 1).all():
            block[...] = raw[rows[0] : rows[-1] + 1]
        else:
            block[...] = raw[rows]
        # Comparisons with NaN are false, so NaN and infinities are caught too.
        np.copyto(block, _NAN, where=~(np.abs(block, out=size) < _LARGEST_VALUE))
    return values


def _per_ray(file: Classic, name: str, rays: int) -> NDArray[np.float64]:
    values = file.read(name)
    if values.shape != (rays,) or values.dtype.kind not in "fi":
        raise InputError(f"{name} has shape {values.shape} of {values.dtype}", expected=f"{rays} numbers")
    return values.astype(np.float64)


def _uniform(file: Classic, name: str, rays: int) -> float:
    values = _per_ray(file, name, rays)
    if not np.isfinite(values).all() or np.ptp(values) > 1.0:
        raise InputError(f"{name} changes from ray to ray", expected="one value for the sweep")
    return float(values[0])


def _optional(file: Classic, name: str, rays: int) -> float:
    return float(np.median(_per_ray(file, name, rays))) if name in file.variables else float("nan")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
