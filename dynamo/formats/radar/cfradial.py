"""CfRadial 1 (NetCDF-3 or NetCDF-4): sweeps and volumes, read by xradar."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.library import LIBRARY_ERRORS, hdf5_look, open_tree, sweeps_of_tree
from dynamo.formats.radar.source import NETCDF3_MAGIC, Source
from dynamo.formats.radar.stations import band_of

NAME = "cfradial"
#: CfRadial leaves names to the writer: those of ODIM, Py-ART, NCAR and MeteoSwiss.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "DBZH": ("DBZH", "reflectivity", "corrected_reflectivity", "DBZ", "DZ", "REF", "reflectivity_horizontal"),
    "ZDR": ("ZDR", "differential_reflectivity", "corrected_differential_reflectivity", "DR"),
    "RHOHV": (
        "RHOHV",
        "cross_correlation_ratio",
        "uncorrected_cross_correlation_ratio",
        "copol_correlation_coeff",
        "RH",
        "RHO",
    ),
    "PHIDP": ("PHIDP", "differential_phase", "uncorrected_differential_phase", "PH", "PHI"),
    "KDP": ("KDP", "specific_differential_phase", "KD"),
    "VRADH": ("VRADH", "velocity", "mean_doppler_velocity", "VEL", "VR", "VT"),
    "WRADH": ("WRADH", "spectrum_width", "WIDTH", "SW"),
    "SNRH": ("SNRH", "signal_to_noise_ratio", "SNR"),
    "SQIH": ("SQIH", "normalized_coherent_power", "NCP"),
}


def matches(source: Source) -> bool:
    """Whether the file has the variables that every CfRadial file has."""
    if source.data.startswith(NETCDF3_MAGIC):
        head = source.data[:65536]
        return b"sweep_start_ray_index" in head and b"azimuth" in head
    return hdf5_look(source, lambda file: "sweep_start_ray_index" in file and "azimuth" in file and "range" in file)


def read(source: Source, moments: Collection[str] | None = None) -> list[xr.Dataset]:
    """Read all sweeps; raises `InputError` if the file is damaged or scans over elevations."""
    tree = open_tree(source, "open_cfradial1_datatree")
    try:
        root = tree.to_dataset()
        frequency = next(
            (
                float(np.asarray(data["frequency"].values).reshape(-1)[0])
                for data in (root, *(node.to_dataset() for node in tree.children.values()))
                if "frequency" in data and data["frequency"].size
            ),
            float("nan"),
        )
        modes = {
            str(node["sweep_mode"].values) for name, node in tree.children.items() if "sweep_mode" in node.to_dataset()
        }
    except LIBRARY_ERRORS as error:
        raise InputError(f"cannot be read: {error!s:.120}", where=source.path, expected="CfRadial") from error
    if any("rhi" in mode or "elevation" in mode for mode in modes):
        raise InputError(f"scans {', '.join(sorted(modes))}", where=source.path, expected="sweeps in azimuth")
    return sweeps_of_tree(
        tree,
        names=_NAMES,
        radar=str(root.attrs.get("instrument_name") or root.attrs.get("site_name") or ""),
        band=band_of(frequency_hz=frequency),
        file_format=NAME,
        moments=moments,
        where=source.path,
    )
