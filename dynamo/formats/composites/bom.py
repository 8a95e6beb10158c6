"""Australian Bureau of Meteorology, Rainfields: rain accumulation as NetCDF on an Albers equal-area grid."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dynamo.errors import InputError
from dynamo.extras import need
from dynamo.formats.composites.model import Composite, Reader
from dynamo.formats.composites.reprojection import ProjectedGrid, to_latlon
from dynamo.formats.nowcast import check_size, opened
from dynamo.formats.time_units import time_units
from dynamo.radar.zr import WSR88D_CONVECTIVE
from dynamo.times import from_epoch

_EXPECTED = "a BoM Rainfields accumulation: precipitation(y, x), x, y, proj, start_time, valid_time"
_VARIABLES = ("precipitation", "x", "y", "proj", "start_time", "valid_time")
_MAX_CELLS = 50_000_000
_LONGEST_S = 86_400


def _times(dataset: Any, path: Path) -> tuple[datetime, float]:
    """Return the end of the interval and its length in hours."""
    missing = [name for name in _VARIABLES if name not in dataset.variables]
    if missing:
        raise InputError(f"no variable {', '.join(missing)}", where=path, expected=_EXPECTED)
    try:
        start, end = (float(dataset.variables[name][...]) for name in ("start_time", "valid_time"))
        units = {str(getattr(dataset.variables[name], "units", "")) for name in ("start_time", "valid_time")}
        epochs = {time_units(unit) for unit in units}
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"invalid times: {error}", where=path, expected=_EXPECTED) from error
    except InputError as error:
        raise InputError(error.what, where=path, expected=error.expected) from error
    if epochs != {("seconds", from_epoch(0))} or not 0 < end - start <= _LONGEST_S or not end < 2**40:
        raise InputError(
            f"accumulation from {start:.0f} to {end:.0f} in {', '.join(sorted(units))!r}",
            where=path,
            expected="a start and an end up to a day later, in seconds since 1970-01-01",
        )
    return from_epoch(end), (end - start) / 3600.0


def valid_time(path: Path) -> datetime:
    """Return the end of the interval."""
    with opened(path) as dataset:
        return _times(dataset, path)[0]


def read(path: Path) -> Composite:
    """Read one file; raises `InputError` if it is not a complete accumulation."""
    with opened(path) as dataset:
        time, hours = _times(dataset, path)
        variable = dataset.variables["precipitation"]
        units = str(getattr(variable, "units", ""))
        if variable.ndim != 2 or variable.size > _MAX_CELLS or units not in ("kg m-2", "mm"):
            raise InputError(
                f"precipitation{variable.shape} in {units!r}", where=path, expected="a field in kg m-2 (mm)"
            )
        check_size(path, variable.size * variable.dtype.itemsize, compressed=True)
        try:
            packed = np.asarray(variable[...])
            x, y = (np.asarray(dataset.variables[name][...], dtype=np.float64) for name in ("x", "y"))
        except (OSError, RuntimeError) as error:
            raise InputError(f"cannot be read: {error}", where=path, expected="a complete file") from error
        scale = np.float32(getattr(variable, "scale_factor", 1.0))
        offset = np.float32(getattr(variable, "add_offset", 0.0))
        millimetres = packed.astype(np.float32) * scale + offset
        if "_FillValue" in variable.ncattrs():
            millimetres[packed == variable.getncattr("_FillValue")] = np.nan
        source = _projected(dataset, x, y, path)
    millimetres[millimetres < 0] = np.nan
    if millimetres.shape != (source.rows, source.columns):
        raise InputError(f"precipitation{millimetres.shape}", where=path, expected="dimensions (y, x)")
    field, grid = to_latlon(millimetres / np.float32(hours), source)
    return Composite(field, time, grid, WSR88D_CONVECTIVE, READER.name)


@lru_cache(maxsize=4)
def _wkt(mapping: tuple[tuple[str, Any], ...]) -> str:
    """Return the projection of a CF grid mapping; pyproj takes two seconds to find its datum."""
    pyproj: Any = need("pyproj")
    cf = {name: list(value) if isinstance(value, tuple) else value for name, value in mapping}
    return str(pyproj.CRS.from_cf(cf).to_wkt())


def _plain(value: Any) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def _projected(dataset: Any, x: Any, y: Any, path: Path) -> ProjectedGrid:
    pyproj: Any = need("pyproj")
    mapping = dataset.variables["proj"]
    try:
        crs = _wkt(tuple((name, _plain(mapping.getncattr(name))) for name in mapping.ncattrs()))
    except (pyproj.exceptions.CRSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"invalid projection: {error}", where=path, expected="CF grid mapping") from error
    metres = []
    for name, values in (("x", x), ("y", y)):
        unit = str(getattr(dataset.variables[name], "units", ""))
        if values.ndim != 1 or values.size < 2 or unit not in ("km", "m"):
            raise InputError(f"axis {name}{values.shape} in {unit!r}", where=path, expected="km or m")
        factor = 1000.0 if unit == "km" else 1.0
        steps = np.diff(values)
        if not (np.isfinite(values).all() and steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-3)):
            raise InputError(f"axis {name} is not evenly spaced", where=path, expected="a regular grid")
        metres.append((float(values[0]) * factor, float(values[-1] - values[0]) * factor / (values.size - 1)))
    (x0, dx), (y0, dy) = metres
    return ProjectedGrid(crs=crs, x0=x0, y0=y0, dx=dx, dy=dy, rows=y.size, columns=x.size)


READER = Reader(
    name="bom",
    description="BoM Rainfields accumulation (NetCDF)",
    matches=lambda head: head.startswith((b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02")),
    valid_time=valid_time,
    read=read,
)
