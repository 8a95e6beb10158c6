"""ODIM HDF5 (OPERA data information model): sweeps (SCAN) and volumes (PVOL), read by xradar."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.library import hdf5_facts, hdf5_look, open_tree, sweeps_of_tree, text
from dynamo.formats.radar.source import Source
from dynamo.formats.radar.stations import band_of

NAME = "odim"
_NAMES: Mapping[str, tuple[str, ...]] = {
    "DBZH": ("DBZH", "TH"),
    "ZDR": ("ZDR",),
    "RHOHV": ("RHOHV", "URHOHV"),
    "PHIDP": ("PHIDP", "UPHIDP"),
    "KDP": ("KDP",),
    "VRADH": ("VRADH", "VRAD"),
    "WRADH": ("WRADH", "WRAD"),
    "SNRH": ("SNRH", "SNR"),
    "SQIH": ("SQIH", "SQI"),
}
_OBJECTS = ("SCAN", "PVOL", "AZIM")


def matches(source: Source) -> bool:
    """Whether the file claims to be ODIM: by its convention, or by `what/object` and `dataset1`."""
    return hdf5_look(
        source,
        lambda file: (
            text(file.attrs.get("Conventions")).startswith("ODIM")
            or ("what" in file and "object" in file["what"].attrs and "dataset1" in file)
        ),
    )


def read(source: Source, moments: Collection[str] | None = None) -> list[xr.Dataset]:
    """Read all sweeps.

    Raises
    ------
    InputError
        If it is another kind of ODIM file (a composite, a profile), or damaged.
    """
    kind, source_name, band, nyquist_m_s = hdf5_facts(
        source,
        lambda file: (
            text(file["what"].attrs.get("object")),
            text(file["what"].attrs.get("source")),
            _band(file),
            _nyquist_m_s(file),
        ),
        expected="ODIM HDF5",
    )
    if kind not in _OBJECTS:
        raise InputError(
            f"an ODIM file of the kind {kind or 'unknown'}", where=source.path, expected="polar data: SCAN or PVOL"
        )
    return sweeps_of_tree(
        open_tree(source, "open_odim_datatree"),
        names=_NAMES,
        radar=radar_name(source_name),
        band=band,
        file_format=NAME,
        moments=moments,
        where=source.path,
        nyquist_m_s=nyquist_m_s,
    )


def radar_name(source: str) -> str:
    """Return the radar of ODIM's `what/source` (``WMO:06477,RAD:BE41,PLC:Wideumont,NOD:bewid``)."""
    pairs = dict(part.split(":", 1) for part in source.split(",") if ":" in part)
    return next((pairs[key] for key in ("NOD", "PLC", "RAD", "WIGOS", "WMO") if pairs.get(key, "").strip("0")), "")


def _nyquist_m_s(file: Any) -> list[float]:
    """Return `how/NI` of each dataset, or of the whole file; NaN where it is not given."""
    names = sorted((name for name in file if name[7:].isdecimal() and name.startswith("dataset")), key=_by_number)
    found = []
    for name in names:
        given = [group["how"].attrs.get("NI") for group in (file[name], file) if "how" in group]
        found.append(next((float(value) for value in given if value is not None), math.nan))
    return found


def _by_number(name: str) -> tuple[int, str]:
    """Return the sort key of numbered names: ``dataset2`` before ``dataset10``."""
    return len(name), name


def _band(file: Any) -> Any:
    for group in ("how", "dataset1/how"):
        attributes = file[group].attrs if group in file else {}
        for key, unit in (("wavelength", 0.01), ("frequency", None)):
            if key in attributes:
                value = float(attributes[key])
                band = band_of(wavelength_m=value * unit) if unit else band_of(frequency_hz=value)
                if band:
                    return band
    return None
