"""The internal model of a sweep: an `xarray.Dataset` with CF/Radial names, meters, degrees and UTC.

Every reader returns exactly this, whatever the units and names of its format.

Dimensions ``azimuth`` (rays in ascending azimuth) and ``range`` (gates).

========================= ======================= ==================================================================
name                      dimensions              meaning
========================= ======================= ==================================================================
``azimuth``               azimuth                 degrees clockwise from north, center of the ray, 0 <= a < 360
``elevation``             azimuth                 degrees above the horizon
``range``                 range                   meters to the center of the gate, evenly spaced, ascending
``time``                  azimuth                 ``datetime64[ns]``, UTC
``DBZH``                  azimuth, range          equivalent reflectivity, horizontal, dBZ
``ZDR``                   azimuth, range          differential reflectivity, dB
``RHOHV``                 azimuth, range          co-polar correlation, 1
``PHIDP``                 azimuth, range          differential phase, degrees
``KDP``                   azimuth, range          specific differential phase, degrees km-1
``VRADH``                 azimuth, range          radial velocity away from the radar, m s-1
``WRADH``                 azimuth, range          spectrum width, m s-1
``SNRH``                  azimuth, range          signal-to-noise ratio, dB
``SQIH``                  azimuth, range          signal quality (normalized coherent power), 1
========================= ======================= ==================================================================

Moments are float32 with NaN for missing; ``DBZH`` is always there, the others where the format has them.
Attributes: ``radar`` (name), ``latitude_deg``, ``longitude_deg``, ``altitude_m`` (of the antenna above sea level),
``fixed_angle_deg``, ``sweep_number``, ``band`` (``S``, ``C`` or ``X``), ``nyquist_m_s`` (NaN where unknown),
``doppler_cut`` (whether the file has velocity but no polarimetry for it, whichever moments were read),
``volume_time`` and ``start_time`` (ISO 8601, UTC), ``format``, ``flags`` (list of remarks such as ``truncated``),
``implausible`` (number of values left out because they are physically impossible, see `dynamo.radar.limits`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.limits import GATE_M, moment_limits, within
from dynamo.radar.limits import MOMENTS as MOMENTS_LIMITS
from dynamo.times import PLAUSIBLE_YEARS, is_plausible, parse_time, to_iso

Band = Literal["S", "C", "X"]

#: CF/Radial name to (standard name, units) of each moment of the model.
MOMENTS: Mapping[str, tuple[str, str]] = {
    "DBZH": ("radar_equivalent_reflectivity_factor_h", "dBZ"),
    "ZDR": ("radar_differential_reflectivity_hv", "dB"),
    "RHOHV": ("radar_correlation_coefficient_hv", "1"),
    "PHIDP": ("radar_differential_phase_hv", "degrees"),
    "KDP": ("radar_specific_differential_phase_hv", "degrees km-1"),
    "VRADH": ("radial_velocity_of_scatterers_away_from_instrument_h", "m s-1"),
    "WRADH": ("radar_doppler_spectrum_width_h", "m s-1"),
    "SNRH": ("signal_noise_ratio_h", "dB"),
    "SQIH": ("normalized_coherent_power_h", "1"),
}
#: The moments that hail and hydrometeor classes need.
POLARIMETRIC = ("ZDR", "RHOHV")
#: Maximum numbers of rays and gates; a file that claims more is broken or hostile.
MAX_RAYS, MAX_GATES = 1500, 20_000
#: No weather radar sees further, meters.
LARGEST_RANGE_M = 1_000_000.0
#: A sweep whose fixed angle differs more from its rays' elevations has a wrong one.
_FIXED_ANGLE_OFF_DEG = 2.0


@dataclass(frozen=True)
class Site:
    """The position and band of a radar."""

    radar: str
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    band: Band

    def __post_init__(self) -> None:
        if not (
            -90 <= self.latitude_deg <= 90 and -180 <= self.longitude_deg <= 180 and -500 <= self.altitude_m <= 9000
        ):
            raise InputError(
                f"radar {self.radar} at {self.latitude_deg:g}, {self.longitude_deg:g}, {self.altitude_m:g} m",
                expected="a place on the Earth",
            )


@dataclass(frozen=True)
class Volume:
    """The sweeps of one volume in order of their start; a single sweep is a volume of one.

    ``flags`` list what is wrong with the volume as a whole (``incomplete``, ``clock in the future``, ...).
    """

    site: Site
    time: datetime
    sweeps: tuple[xr.Dataset, ...]
    flags: tuple[str, ...] = field(default=())

    def polarimetric(self) -> tuple[xr.Dataset, ...]:
        """Return the sweeps with ZDR and RHOHV."""
        return tuple(sweep for sweep in self.sweeps if is_polarimetric(sweep))


def make_sweep(
    *,
    site: Site,
    azimuth_deg: NDArray[Any],
    elevation_deg: NDArray[Any],
    range_m: NDArray[Any],
    time: NDArray[np.datetime64],
    moments: Mapping[str, NDArray[Any]],
    fixed_angle_deg: float,
    sweep_number: int,
    volume_time: datetime,
    file_format: str,
    nyquist_m_s: float = float("nan"),
    doppler_cut: bool = False,
    flags: Sequence[str] = (),
) -> xr.Dataset:
    """Build a sweep of the model from arrays; rays are sorted by azimuth.

    Parameters
    ----------
    site
        The radar.
    azimuth_deg, elevation_deg, time
        One value per ray.
    range_m
        Centers of the gates, meters.
    moments
        By CF/Radial name (see `MOMENTS`), shape ``(rays, gates)``, NaN where missing; ``DBZH`` must be there.
    fixed_angle_deg, sweep_number, volume_time, file_format, nyquist_m_s, doppler_cut, flags
        As in the table of this module.

    Raises
    ------
    InputError
        If shapes do not agree, a coordinate is unfit or impossible, a moment is unknown, or much of the reflectivity is
        impossible. Other moments of which much is impossible are left out and flagged.
    """
    rays, gates = azimuth_deg.size, range_m.size
    where = f"radar {site.radar}, sweep {sweep_number}"
    if not (1 <= rays <= MAX_RAYS and 2 <= gates <= MAX_GATES):
        raise InputError(
            f"{rays} rays of {gates} gates", where=where, expected=f"up to {MAX_RAYS} rays of {MAX_GATES} gates"
        )
    if "DBZH" not in moments:
        raise InputError("no reflectivity", where=where, expected="the moment DBZH")
    steps = np.diff(range_m)
    if not (np.isfinite(range_m).all() and (steps > 0).all() and np.allclose(steps, steps[0], rtol=1e-3)):
        raise InputError("the gates are not evenly spaced", where=where, expected="ascending ranges in meters")
    if max(-range_m[0], range_m[-1]) > LARGEST_RANGE_M or not GATE_M[0] <= steps[0] <= GATE_M[1]:
        raise InputError(
            f"gates from {range_m[0]:g} to {range_m[-1]:g} m",
            where=where,
            expected=f"ranges up to {LARGEST_RANGE_M:,.0f} m, gates of {GATE_M[0]:g} to {GATE_M[1]:,.0f} m",
        )
    # Comparisons with NaN are false.
    if not ((np.abs(azimuth_deg) <= 720).all() and (np.abs(np.asarray(elevation_deg) - 42.5) <= 52.5).all()):
        raise InputError(
            "a ray has no direction", where=where, expected="azimuths in degrees, elevations from -10 to 95 degrees"
        )
    instants = np.asarray(time)
    if not (is_plausible(_instant(instants.min())) and is_plausible(_instant(instants.max()))):
        raise InputError(
            f"rays from {instants.min()!s:.19} to {instants.max()!s:.19}", where=where, expected=PLAUSIBLE_YEARS
        )
    azimuth = np.asarray(azimuth_deg, dtype=np.float64) % 360.0
    usual_deg = float(np.median(elevation_deg))
    if not abs(fixed_angle_deg - usual_deg) <= _FIXED_ANGLE_OFF_DEG:
        flags = (*flags, f"fixed angle corrected: the file says {fixed_angle_deg:g}, its rays {usual_deg:.2f} degrees")
        fixed_angle_deg = round(usual_deg, 2)
    if not 1 <= nyquist_m_s <= MOMENTS_LIMITS["VRADH"][1]:
        nyquist_m_s = float("nan")
    order = np.argsort(azimuth, kind="stable")
    # Rays already in order save a copy of every moment.
    in_order = bool((order[1:] > order[:-1]).all())
    variables: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    for name, data in moments.items():
        if name not in MOMENTS:
            raise InputError(f"unknown moment {name!r}", where=where, expected=", ".join(MOMENTS))
        if data.shape != (rays, gates):
            raise InputError(f"{name} has shape {data.shape}", where=where, expected=f"{(rays, gates)}")
        standard_name, units = MOMENTS[name]
        values = np.ascontiguousarray(data if in_order else data[order], dtype=np.float32)
        try:
            values, count = within(values, moment_limits(name, nyquist_m_s), name=name, where=where)
        except InputError as error:
            if name == "DBZH":
                raise
            flags = (*flags, f"{name} left out: {error.what}")
            left_out[name] = int(np.count_nonzero(~np.isnan(values)))
            continue
        if count:
            flags = (*flags, f"implausible values of {name} left out: {count}")
            left_out[name] = count
        variables[name] = (("azimuth", "range"), values, {"standard_name": standard_name, "units": units})
    return xr.Dataset(
        variables,
        coords={
            "azimuth": ("azimuth", azimuth[order], {"units": "degrees"}),
            "range": ("range", np.asarray(range_m, dtype=np.float64), {"units": "metres"}),
            "elevation": ("azimuth", np.asarray(elevation_deg, dtype=np.float64)[order], {"units": "degrees"}),
            "time": ("azimuth", np.asarray(time).astype("datetime64[ns]")[order]),
        },
        attrs={
            "radar": site.radar,
            "latitude_deg": site.latitude_deg,
            "longitude_deg": site.longitude_deg,
            "altitude_m": site.altitude_m,
            "band": site.band,
            "fixed_angle_deg": float(fixed_angle_deg),
            "sweep_number": int(sweep_number),
            "nyquist_m_s": float(nyquist_m_s),
            "doppler_cut": bool(doppler_cut),
            "volume_time": to_iso(volume_time),
            "start_time": to_iso(_instant(np.asarray(time).min())),
            "format": file_format,
            "flags": list(flags),
            "implausible": sum(left_out.values()),
        },
    )


def site_of(sweep: xr.Dataset) -> Site:
    """Return the radar of a sweep."""
    attrs = sweep.attrs
    return Site(attrs["radar"], attrs["latitude_deg"], attrs["longitude_deg"], attrs["altitude_m"], attrs["band"])


def start_time(sweep: xr.Dataset) -> datetime:
    """Return the time of the first ray."""
    return parse_time(sweep.attrs["start_time"])


def is_polarimetric(sweep: xr.Dataset) -> bool:
    """Whether a sweep has the moments that hydrometeor classes need."""
    return all(name in sweep for name in POLARIMETRIC)


def _instant(time: np.datetime64) -> datetime:
    return parse_time(str(time.astype("datetime64[ms]")))
