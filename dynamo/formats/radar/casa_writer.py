"""Write CASA sweeps `{radar}-{YYYYmmdd}-{HHMMSS}.netcdf.gz` as the radars of the test bed do; see `casa` for reading.

NetCDF-3 classic in gzip; ``Radial`` x ``Gate``, distances in millimeters, -99900 for no signal (-999 in the coherent
power), attributes ``Units`` capitalized.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.files import write_bytes
from dynamo.times import file_stamp

MISSING = -99900.0
MISSING_POWER = -999.0
#: Our moments: CASA's name, unit, and the step to which values are rounded, as a signal processor does.
_MOMENTS: Mapping[str, tuple[str, str, float]] = {
    "DBZH": ("Reflectivity", "dBz", 0.5),
    "VRADH": ("Velocity", "MetersPerSecond", 0.125),
    "WRADH": ("SpectralWidth", "MetersPerSecond", 0.125),
    "ZDR": ("DifferentialReflectivity", "dB", 0.0625),
    "PHIDP": ("DifferentialPhase", "Degrees", 0.5),
    "RHOHV": ("CrossPolCorrelation", "Unitless", 1 / 256),
    "SQIH": ("NormalizedCoherentPower", "Unitless", 1 / 256),
    "SNRH": ("SignalToNoiseRatio", "dB", 0.5),
}
_FREQUENCY_HZ = 9.5e9


@dataclass(frozen=True)
class CasaHeader:
    """The radar's description in a sweep file; angles in degrees, heights in meters."""

    radar: str
    call: str
    latitude_deg: float
    longitude_deg: float
    height_m: float
    gate_m: float = 31.25
    start_m: float = 0.0
    nyquist_m_s: float = 47.33564758


def casa_name(radar: str, time: datetime, *, packed: bool = True) -> str:
    """Return the file name of a sweep."""
    return f"{radar}-{file_stamp(time)}.netcdf" + (".gz" if packed else "")


def encode_casa(
    header: CasaHeader,
    azimuth_deg: NDArray[np.float64],
    elevation_deg: NDArray[np.float64],
    seconds: NDArray[np.float64],
    moments: Mapping[str, NDArray[Any]],
) -> bytes:
    """Return a sweep as NetCDF-3.

    Parameters
    ----------
    header
        The radar.
    azimuth_deg, elevation_deg, seconds
        One for each ray, in the order of measurement; times in epoch seconds.
    moments
        By CF/Radial name, shape ``(rays, gates)``, NaN where missing.

    Raises
    ------
    InputError
        If there is no reflectivity or shapes differ.
    """
    if "DBZH" not in moments:
        raise InputError("no reflectivity to write", where=header.radar, expected="the moment DBZH")
    rays, gates = moments["DBZH"].shape
    if any(data.shape != (rays, gates) for data in moments.values()) or azimuth_deg.shape != (rays,):
        raise InputError("moments and rays differ in shape", where=header.radar, expected=f"{(rays, gates)}")
    names = [name for name in _MOMENTS if name in moments]
    # Not more than is written: what is left of the memory would be in the file.
    dataset: Any = netCDF4.Dataset("sweep.nc", "w", format="NETCDF3_CLASSIC", memory=rays * gates * 4 * len(names))
    dataset.set_fill_off()
    dataset.setncatts(
        {
            "Conventions": "CASA",
            "Source": "EDGE",
            "RadarName": header.radar,
            "FccCall": header.call,
            "RadarType": np.int32(2),
            "Latitude": header.latitude_deg,
            "Longitude": header.longitude_deg,
            "Height": header.height_m,
            "MccId": np.int32(0),
            "ScanType": np.int32(2),
            "AntennaGain": 37.3,
            "AntennaBeamWidth": 1.8,
        }
    )
    dataset.createDimension("Radial", rays)
    dataset.createDimension("Gate", gates)
    per_ray = {
        "Azimuth": ("f8", "Degrees", azimuth_deg),
        "Elevation": ("f8", "Degrees", elevation_deg),
        "GateWidth": ("f8", "Millimeters", np.full(rays, header.gate_m * 1000)),
        "StartRange": ("f8", "Millimeters", np.full(rays, header.start_m * 1000)),
        "StartGate": ("i4", "Unitless", np.zeros(rays)),
        "Time": ("i4", "Seconds", np.floor(seconds)),
        "TxFrequency": ("f8", "Hertz", np.full(rays, _FREQUENCY_HZ)),
        "Nyquist": ("f8", "MetersPerSecond", np.full(rays, header.nyquist_m_s)),
    }
    for name, (kind, units, _) in per_ray.items():
        dataset.createVariable(name, kind, ("Radial",), fill_value=False).Units = units
    for name in names:
        theirs, units, _ = _MOMENTS[name]
        dataset.createVariable(theirs, "f4", ("Radial", "Gate"), fill_value=False).Units = units
    for name, (_, _, values) in per_ray.items():
        dataset.variables[name][:] = values
    for name in names:
        theirs, _, step = _MOMENTS[name]
        data = np.rint(moments[name] / np.float32(step)) * np.float32(step)
        data[np.isnan(data)] = MISSING_POWER if name == "SQIH" else MISSING
        dataset.variables[theirs][:] = data
    return bytes(dataset.close())


def write_casa(
    path: Path,
    header: CasaHeader,
    azimuth_deg: NDArray[np.float64],
    elevation_deg: NDArray[np.float64],
    seconds: NDArray[np.float64],
    moments: Mapping[str, NDArray[Any]],
) -> None:
    """Write a sweep atomically, gzipped if the name says so; see `encode_casa`."""
    data = encode_casa(header, azimuth_deg, elevation_deg, seconds, moments)
    # No time in the gzip header: the same sweep gives the same bytes.
    write_bytes(path, igzip.compress(data, compresslevel=1, mtime=0) if path.suffix == ".gz" else data)
