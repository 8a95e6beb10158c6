"""Wrap the readers of xradar: quiet, from memory, with their errors turned into `InputError`."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from dynamo.errors import InputError, MissingPartError
from dynamo.extras import need, quiet
from dynamo.formats.netcdf3 import check_whole
from dynamo.formats.radar.model import MAX_GATES, MAX_RAYS, POLARIMETRIC, make_sweep
from dynamo.formats.radar.rays import merge_flags, order_rays
from dynamo.formats.radar.source import HDF5_MAGIC, Source
from dynamo.formats.radar.stations import settle_site
from dynamo.formats.time_units import plain_units
from dynamo.times import from_epoch

#: What HDF5, NetCDF, xarray and xradar raise over broken or foreign files. They have no common base.
LIBRARY_ERRORS = (
    AssertionError,
    AttributeError,
    ArithmeticError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_MAX_SWEEPS = 64
_MOST_GROUPS = 2 * _MAX_SWEEPS
_T = TypeVar("_T")
_PLACE = ("latitude", "longitude", "altitude")


def is_hdf5(source: Source) -> bool:
    """Whether the content is HDF5 (also NetCDF-4)."""
    return source.data.startswith(HDF5_MAGIC)


def hdf5_look(source: Source, look: Callable[[Any], bool]) -> bool:
    """Return ``look(file)`` on the open HDF5 file; False if it is not one, or too damaged to open."""
    if not is_hdf5(source):
        return False
    h5py = need("h5py", extra="hail")
    try:
        with quiet(), h5py.File(io.BytesIO(source.data), "r") as file:
            return bool(look(file))
    except LIBRARY_ERRORS:
        return False


def hdf5_facts(source: Source, facts: Callable[[Any], _T], *, expected: str) -> _T:
    """Return ``facts(file)`` on the open HDF5 file, after checking the sizes that it declares.

    Raises
    ------
    InputError
        If the file is damaged, or declares more data than any volume has.
    """
    h5py = need("h5py", extra="hail")

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size is not None and item.size > MAX_RAYS * MAX_GATES:
            raise ValueError(f"{name} declares {item.shape} values")

    try:
        with quiet(), h5py.File(io.BytesIO(source.data), "r") as file:
            if len(file) > _MOST_GROUPS:
                # Links cost nothing: a small file can hold the same sweep 20,000 times.
                raise ValueError(f"{len(file)} groups")
            file.visititems(check)
            return facts(file)
    except LIBRARY_ERRORS as error:
        raise InputError(f"cannot be read: {_reason(error)}", where=source.path, expected=expected) from error


def text(value: Any) -> str:
    """Return an HDF5 attribute as text; empty if it is none."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return str(value).strip("\0 ") if isinstance(value, str) else ""


def open_tree(source: Source, reader: str) -> Any:
    """Open a file with the named xradar reader, and load it.

    From memory: xarray keeps files open by their path, and would give a later version of the file its old content.

    Raises
    ------
    InputError
        If the library cannot read it.
    """
    xradar = need("xradar", extra="hail")
    try:
        with quiet(), contextlib.ExitStack() as stack:
            options: dict[str, Any] = {}
            file: Any = io.BytesIO(source.data)
            if reader == "open_cfradial1_datatree":
                import netCDF4

                check_whole(source.data)
                dataset = netCDF4.Dataset(source.path.name, memory=source.data)
                # Some versions of the libraries close it with the tree, and it cannot be closed twice.
                stack.callback(lambda: dataset.isopen() and dataset.close())
                _check_sizes({name: len(length) for name, length in dataset.dimensions.items()})
                file, options = _store(dataset), {"engine": "store"}
            tree = getattr(xradar.io, reader)(file, **options)
            stack.callback(tree.close)
            for node in tree.children.values():
                _check_sizes({str(name): length for name, length in node.to_dataset().sizes.items()})
            return tree.load()
    except LIBRARY_ERRORS as error:
        raise InputError(f"cannot be read: {_reason(error)}", expected="a complete file") from error


def _store(dataset: Any) -> Any:
    """Return the dataset for xarray, with units of time in the one form that it reads right.

    xarray takes ``seconds since 2022-06-28 07:19:28 0:00``, as ARM writes it, for midnight, and says nothing.
    """
    base: Any = xr.backends.NetCDF4DataStore

    class Store(base):  # type: ignore[misc]
        def open_store_variable(self, name: str, var: Any) -> Any:
            variable = super().open_store_variable(name, var)
            if " since " in str(variable.attrs.get("units", "")):
                variable.attrs["units"] = plain_units(str(variable.attrs["units"]))
            return variable

    return Store(dataset)


def _check_sizes(sizes: Mapping[str, int]) -> None:
    """Reject dimensions that no volume has, before anything is allocated for them."""
    if sizes.get("range", 0) > MAX_GATES or any(size > MAX_RAYS * _MAX_SWEEPS for size in sizes.values()):
        raise ValueError(f"dimensions {dict(sizes)}")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.120}"


def sweeps_of_tree(
    tree: Any,
    *,
    names: Mapping[str, tuple[str, ...]],
    radar: str,
    band: Any,
    file_format: str,
    moments: Collection[str] | None,
    where: object,
    nyquist_m_s: Sequence[float] = (),
) -> list[xr.Dataset]:
    """Turn xradar's tree into sweeps of the model.

    Parameters
    ----------
    tree
        The result of `open_tree`.
    names
        For each moment of the model, the variables that may hold it, best first.
    radar, band
        From the file, or an empty name and None.
    file_format, moments, where
        For the sweeps, which moments, and the file.
    nyquist_m_s
        Of the sweeps, in order, for formats of which xradar does not read it; NaN where unknown.

    Raises
    ------
    InputError
        If no sweep is usable.
    """
    try:
        root = tree.to_dataset()
        place = [float(root[name].values) if name in root else float("nan") for name in _PLACE]
        nodes = [node.to_dataset() for name, node in tree.children.items() if name.startswith("sweep")][:_MAX_SWEEPS]
        site, site_flags = settle_site(radar, place[0], place[1], place[2], band, where=where)
        sweeps: list[xr.Dataset] = []
        refused: list[InputError] = []
        for number, node in enumerate(nodes):
            try:
                nyquist = nyquist_m_s[number] if number < len(nyquist_m_s) else float("nan")
                sweeps.append(_sweep(node, number, site, site_flags, names, file_format, moments, nyquist))
            except InputError as error:
                refused.append(error)
        if refused and not sweeps:
            raise refused[0]
        for sweep in sweeps:
            if refused:
                sweep.attrs["flags"] += [f"sweeps left out: {len(refused)} ({refused[0].what:.80})"]
        return sweeps
    except MissingPartError:
        raise
    except LIBRARY_ERRORS as error:
        raise InputError(f"not a complete sweep: {_reason(error)}", where=where, expected="a complete file") from error


def _sweep(
    node: xr.Dataset,
    number: int,
    site: Any,
    site_flags: tuple[str, ...],
    names: Mapping[str, tuple[str, ...]],
    file_format: str,
    moments: Collection[str] | None,
    nyquist_m_s: float,
) -> xr.Dataset:
    azimuth, elevation = (np.asarray(node[name].values, dtype=np.float64) for name in ("azimuth", "elevation"))
    time = np.asarray(node["time"].values).astype("datetime64[ns]")
    if time.shape != azimuth.shape or np.isnat(time).any() or not np.isfinite(azimuth).all():
        raise InputError("a ray has no time or direction", expected="times and azimuths of all rays")
    keep, flags = order_rays(azimuth, time)
    data = {}
    for name, candidates in names.items():
        theirs = next((candidate for candidate in candidates if candidate in node), None)
        if theirs is None or not (moments is None or name == "DBZH" or name in moments):
            continue
        if _is_unscaled(node[theirs]):
            flags = (*flags, f"{name} left out: whole numbers without a scale")
            continue
        data[name] = _without_undetect(node[theirs])[keep]
    fixed = node["sweep_fixed_angle"].values if "sweep_fixed_angle" in node else np.median(elevation)
    # xradar gives NaN where it found none.
    given = _median(node["nyquist_velocity"].values) if "nyquist_velocity" in node else math.nan
    seconds = (time.min() - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    return make_sweep(
        site=site,
        azimuth_deg=azimuth[keep],
        elevation_deg=elevation[keep],
        range_m=np.asarray(node["range"].values, dtype=np.float64),
        time=time[keep],
        moments=data,
        fixed_angle_deg=round(float(fixed), 2),
        sweep_number=number,
        volume_time=from_epoch(float(seconds)),
        file_format=file_format,
        nyquist_m_s=given if math.isfinite(given) else nyquist_m_s,
        doppler_cut=_measures(node, names["VRADH"]) and not all(_measures(node, names[key]) for key in POLARIMETRIC),
        flags=merge_flags(flags, site_flags),
    )


def _is_unscaled(variable: xr.DataArray) -> bool:
    """Whether a moment is stored as raw counts and the file does not say what they mean."""
    kind = np.dtype(variable.encoding.get("dtype", variable.dtype)).kind
    scale = variable.encoding.get("scale_factor")
    return kind in "iu" and not (scale is not None and np.isfinite(scale) and scale != 0)


def _without_undetect(variable: xr.DataArray) -> Any:
    """Return float32 values; ODIM's undetect (no echo) is missing, as everywhere in the model."""
    values = np.asarray(variable.values, dtype=np.float32)
    undetect = variable.attrs.get("_Undetect")
    if undetect is not None:
        scale = variable.encoding.get("scale_factor", 1.0)
        level = np.float32(float(undetect) * float(scale) + float(variable.encoding.get("add_offset", 0.0)))
        values = np.where(np.abs(values - level) <= abs(float(scale)) * 1e-3, np.float32(np.nan), values)
    values[np.isinf(values)] = np.nan
    return values


def _measures(node: xr.Dataset, candidates: tuple[str, ...]) -> bool:
    """Whether a moment has at least one value: some writers put every moment into every sweep."""
    return any(name in node and bool(np.isfinite(node[name].values).any()) for name in candidates)


def _median(values: Any) -> float:
    if values is None or np.asarray(values).dtype.kind not in "fiu":
        return float("nan")
    return float(np.median(np.asarray(values, dtype=np.float64)))
