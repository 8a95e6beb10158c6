"""CfRadial 1.3 in NetCDF-4 with Py-ART's names, as MeteoSwiss radars use it: one sweep or one volume per file.

Source: CfRadial data file format, version 1.3 (NCAR), sections 4 and 5. All sweeps of a file have the same gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import netCDF4
import numpy as np

from dynamo.formats.radar.model import Site
from dynamo.simulate.formats.bands import SPEED_OF_LIGHT_M_S, WAVELENGTH_M
from dynamo.simulate.formats.scan import Scan

_MISSING = np.float32(-9999.0)
_STRING = 32
#: By name in the file: our moment, its unit, standard name and long name.
_FIELDS: Mapping[str, tuple[str, str, str, str]] = {
    "reflectivity": ("DBZH", "dBZ", "equivalent_reflectivity_factor", "Reflectivity"),
    "signal_to_noise_ratio": ("SNRH", "dB", "signal_to_noise_ratio", "Signal to noise ratio"),
    "differential_reflectivity": ("ZDR", "dB", "log_differential_reflectivity_hv", "Differential reflectivity"),
    "uncorrected_cross_correlation_ratio": (
        "RHOHV",
        "-",
        "uncorrected_cross_correlation_ratio_hv",
        "Cross correlation ratio",
    ),
    "uncorrected_differential_phase": ("PHIDP", "degrees", "differential_phase_hv", "Differential propagation phase"),
    "velocity": (
        "VRADH",
        "meters_per_second",
        "radial_velocity_of_scatterers_away_from_instrument",
        "Mean Doppler velocity",
    ),
    "spectrum_width": ("WRADH", "meters_per_second", "doppler_spectrum_width", "Doppler spectrum width"),
}


def encode(site: Site, scans: Sequence[Scan]) -> bytes:
    """Return a CfRadial file of one or more sweeps, rays in the order of measurement."""
    first, start = scans[0], scans[0].start.replace(microsecond=0)
    fields = {name: facts for name, facts in _FIELDS.items() if facts[0] in first.moments}
    file: Any = netCDF4.Dataset("volume.nc", "w", format="NETCDF4", memory=1024)
    file.setncatts(
        {
            "Conventions": "CF/Radial instrument_parameters",
            "version": "1.3",
            **dict.fromkeys(("title", "institution", "references", "source", "comment", "history"), ""),
            "instrument_name": site.radar,
            "field_names": ", ".join(fields),
        }
    )
    file.createDimension("time", None)
    for name, length in (("range", first.gates), ("sweep", len(scans)), ("string_length", _STRING), ("frequency", 1)):
        file.createDimension(name, length)
    _add_rays(file, scans, start)
    _add_sweeps(file, scans)
    _add_radar(file, site, scans, start)
    for name, (ours, units, standard_name, long_name) in fields.items():
        values = np.concatenate([scan.moments[ours] for scan in scans])
        variable = file.createVariable(name, "f4", ("time", "range"), compression="zlib", fill_value=_MISSING)
        variable.setncatts(
            {
                "long_name": long_name,
                "units": units,
                "standard_name": standard_name,
                "coordinates": "elevation azimuth range",
            }
        )
        variable[:] = np.where(np.isnan(values), _MISSING, values)
    return bytes(file.close())


def _add(file: Any, name: str, kind: str, dimensions: tuple[str, ...], values: Any, **attributes: str) -> None:
    variable = file.createVariable(name, kind, dimensions)
    variable.setncatts(attributes)
    if kind == "S1":
        values = netCDF4.stringtochar(np.array(values, dtype=f"S{_STRING}"))
    variable[...] = values


def _add_rays(file: Any, scans: Sequence[Scan], start: datetime) -> None:
    rays = ("time",)
    seconds = np.concatenate([scan.seconds for scan in scans]) - start.timestamp()
    azimuth = np.concatenate([scan.azimuth_deg for scan in scans])
    elevation = np.concatenate([np.full(scan.rays, scan.elevation_deg) for scan in scans])
    nyquist = np.concatenate([np.full(scan.rays, scan.nyquist_m_s) for scan in scans])
    _add(
        file, "time", "f4", rays, seconds,
        long_name="time_in_seconds_since_volume_start", standard_name="time", calendar="gregorian",
        units=f"seconds since {start:%Y-%m-%dT%H:%M:%SZ}",
    )  # fmt: skip
    _add(
        file, "range", "f4", ("range",), scans[0].range_m,
        long_name="range_to_measurement_volume", standard_name="projection_range_coordinate", units="meters",
        axis="radial_range_coordinate", spacing_is_constant="true",
    )  # fmt: skip
    _add(
        file, "azimuth", "f4", rays, azimuth,
        long_name="azimuth_angle_from_true_north", standard_name="beam_azimuth_angle", units="degrees",
        axis="radial_azimuth_coordinate",
    )  # fmt: skip
    _add(
        file, "elevation", "f4", rays, elevation,
        long_name="elevation_angle_from_horizontal_plane", standard_name="beam_elevation_angle", units="degrees",
        axis="radial_elevation_coordinate",
    )  # fmt: skip
    _add(
        file, "nyquist_velocity", "f4", rays, nyquist,
        long_name="Nyquist velocity", units="meters_per_second", meta_group="instrument_parameters",
    )  # fmt: skip
    _add(
        file, "pulse_width", "f4", rays, np.full(seconds.size, 5e-7),
        long_name="Pulse width", units="seconds", meta_group="instrument_parameters",
    )  # fmt: skip


def _add_sweeps(file: Any, scans: Sequence[Scan]) -> None:
    ends = np.cumsum([scan.rays for scan in scans])
    sweeps = ("sweep",)
    _add(file, "sweep_number", "i8", sweeps, np.arange(len(scans)), long_name="Sweep number", units="count")
    angles = [scan.elevation_deg for scan in scans]
    _add(
        file, "fixed_angle", "f4", sweeps, angles,
        long_name="Target angle for sweep", standard_name="target_fixed_angle", units="degrees",
    )  # fmt: skip
    starts = ends - [scan.rays for scan in scans]
    _add(file, "sweep_start_ray_index", "i4", sweeps, starts, long_name="Index of first ray in sweep", units="count")
    _add(file, "sweep_end_ray_index", "i4", sweeps, ends - 1, long_name="Index of last ray in sweep", units="count")
    text = ("sweep", "string_length")
    modes = ["azimuth_surveillance"] * len(scans)
    _add(file, "sweep_mode", "S1", text, modes, long_name="Sweep mode", standard_name="sweep_mode", units="unitless")
    _add(file, "rays_are_indexed", "S1", text, ["true"] * len(scans), long_name="Flag for indexed rays")
    steps = [scan.step_deg for scan in scans]
    _add(file, "ray_angle_res", "f4", sweeps, steps, long_name="Angular resolution between rays", units="degrees")


def _add_radar(file: Any, site: Site, scans: Sequence[Scan], start: datetime) -> None:
    hertz = SPEED_OF_LIGHT_M_S / WAVELENGTH_M[site.band]
    parameters = {"meta_group": "instrument_parameters"}
    _add(file, "frequency", "f4", ("frequency",), [hertz], long_name="Radiation frequency", units="s-1", **parameters)
    for name in ("radar_beam_width_h", "radar_beam_width_v"):
        _add(file, name, "f4", (), 1.0, units="degrees", meta_group="radar_parameters")
    _add(file, "latitude", "f4", (), site.latitude_deg, long_name="Latitude", units="degrees_north")
    _add(file, "longitude", "f4", (), site.longitude_deg, long_name="Longitude", units="degrees_east")
    _add(file, "altitude", "f4", (), site.altitude_m, long_name="Altitude", units="meters", positive="up")
    for name, time in (("time_coverage_start", start), ("time_coverage_end", scans[-1].end)):
        _add(file, name, "S1", ("string_length",), f"{time:%Y-%m-%dT%H:%M:%SZ}", units="unitless")
    _add(file, "volume_number", "i4", (), 0, long_name="Volume number", units="unitless")
