"""GAMIC HDF5 (`.mvol`, MURAN and ENIGMA): sweeps and volumes, read by xradar."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.library import hdf5_facts, hdf5_look, open_tree, sweeps_of_tree, text
from dynamo.formats.radar.model import Band
from dynamo.formats.radar.source import Source
from dynamo.formats.radar.stations import band_of

NAME = "gamic"
_NAMES: Mapping[str, tuple[str, ...]] = {
    "DBZH": ("DBZH", "DBTH"),
    "ZDR": ("ZDR",),
    "RHOHV": ("RHOHV", "URHOHV"),
    "PHIDP": ("PHIDP", "UPHIDP"),
    "KDP": ("KDP",),
    "VRADH": ("VRADH", "VRADDH"),
    "WRADH": ("WRADH",),
    "SNRH": ("SNRH",),
    "SQIH": ("SQIH",),
}
#: What dual PRF (none, 3:2, 4:3, 5:4) multiplies the Nyquist velocity of the higher PRF by.
_UNFOLDING: Mapping[int, int] = {0: 1, 1: 2, 2: 3, 3: 4}


def matches(source: Source) -> bool:
    """Whether the file has GAMIC's groups."""
    return hdf5_look(source, lambda file: "scan0" in file and "ray_header" in file["scan0"] and "what" in file)


def read(source: Source, moments: Collection[str] | None = None) -> list[xr.Dataset]:
    """Read all sweeps; raises `InputError` if the file is damaged or not a sweep over azimuths."""
    kind, radar, band, nyquist_m_s = hdf5_facts(source, _facts, expected="GAMIC HDF5")
    if kind != "PPI":
        raise InputError(f"a GAMIC scan of the kind {kind}", where=source.path, expected="PPI")
    return sweeps_of_tree(
        open_tree(source, "open_gamic_datatree"),
        names=_NAMES,
        radar=radar,
        band=band,
        file_format=NAME,
        moments=moments,
        where=source.path,
        nyquist_m_s=nyquist_m_s,
    )


def _facts(file: Any) -> tuple[str, str, Band | None, list[float]]:
    wavelength_m = float(file["scan0/how"].attrs.get("radar_wave_length", float("nan")))
    kind = text(file["scan0/what"].attrs.get("scan_type")) if "scan0/what" in file else "PPI"
    radar = text(file["how"].attrs.get("site_name")) if "how" in file else ""
    return kind, radar, band_of(wavelength_m=wavelength_m), _nyquist_m_s(file)


def _nyquist_m_s(file: Any) -> list[float]:
    """Return the Nyquist velocity of each scan, extended by dual-PRF unfolding as its velocities are."""
    names = sorted(
        (name for name in file if name[4:].isdecimal() and name.startswith("scan")), key=lambda name: int(name[4:])
    )
    found = []
    for name in names:
        how = file[name]["how"].attrs if "how" in file[name] else {}
        factor = _UNFOLDING.get(int(how.get("unfolding", 0)), math.nan)
        wavelength_m, prf_hz = (float(how.get(key, math.nan)) for key in ("radar_wave_length", "PRF"))
        found.append(wavelength_m * prf_hz / 4 * factor)
    return found
