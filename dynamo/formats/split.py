"""Split files `PredictedReflectivity_{lead}min_{YYYYmmdd}-{HHMM}00.nc`: one lead of a nowcast each.

NetCDF-3 classic, variable ``PredictedReflectivity_{lead}min(Lat, Lon)`` with ``Units = "dBZ"``, the nowcast's global
attributes (``Time`` is the issue time) plus ``TypeName``, ``DataType = "LatLonGrid"`` and ``FractionalTime``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.files import replacing
from dynamo.formats import nowcast
from dynamo.formats.nowcast import NowcastHeader
from dynamo.times import file_stamp

_NAME = re.compile(r"PredictedReflectivity_(\d{1,3})min")


@dataclass(frozen=True)
class LeadGrid:
    """One grid of a nowcast: dBZ, shape ``(nlat, nlon)``, row 0 the southern one, NaN where data is missing.

    ``header.implausible`` counts the values left out of this grid, and of the file before it was written.
    """

    header: NowcastHeader
    lead: int
    field: NDArray[np.float32]

    @property
    def valid_time(self) -> datetime:
        """The valid time of the grid."""
        return self.header.valid_time(self.lead)


def product_stem(lead: int, issue_time: datetime) -> str:
    """Return the common stem of split files and images."""
    return f"PredictedReflectivity_{lead}min_{file_stamp(issue_time)[:13]}00"


def write_split(path: Path, header: NowcastHeader, lead: int, field: NDArray[np.floating[Any]]) -> None:
    """Write one lead atomically.

    Parameters
    ----------
    path
        The file; see `product_stem`.
    header
        The header of the whole nowcast.
    lead
        Minutes after the issue time.
    field
        dBZ, shape ``(nlat, nlon)``, row 0 the southern one, NaN where data is missing.
    """
    name = f"PredictedReflectivity_{lead}min"
    with replacing(path) as partial, netCDF4.Dataset(partial, "w", format="NETCDF3_CLASSIC") as dataset:
        nowcast.set_globals(dataset, header)
        dataset.TypeName = name
        dataset.DataType = "LatLonGrid"
        dataset.FractionalTime = np.float64(header.issue_time.timestamp() % 1.0)
        dataset.createDimension("Lat", header.grid.nlat)
        dataset.createDimension("Lon", header.grid.nlon)
        variable = dataset.createVariable(name, "f4", ("Lat", "Lon"), fill_value=False)
        variable.Units = "dBZ"
        variable.set_auto_maskandscale(False)
        variable[:] = nowcast.from_nan(field)


def read_grids(path: Path) -> Iterator[LeadGrid]:
    """Read a split file (one grid) or a nowcast file (all its grids, one at a time).

    Raises
    ------
    InputError
        If the file is neither, or incomplete.
    """
    with nowcast.opened(path) as dataset:
        names = [name for name in dataset.variables if _NAME.fullmatch(name)]
        if names:
            yield _read_split(dataset, names[0], path)
            return
    with nowcast.NowcastReader(path) as reader:
        for lead in range(reader.header.leads):
            header, field = reader.read_counted(lead)
            yield LeadGrid(header, lead, field)


def _read_split(dataset: netCDF4.Dataset, name: str, path: Path) -> LeadGrid:
    variable = dataset.variables[name]
    if variable.ndim != 2 or variable.dtype.kind not in "fi":
        raise InputError(f"{name} has dimensions {variable.dimensions}", where=path, expected="numbers over (Lat, Lon)")
    nlat, nlon = variable.shape
    if nlat * nlon > nowcast.MAX_CELLS:
        raise InputError(f"{nlat} x {nlon} values", where=path, expected=f"at most {nowcast.MAX_CELLS:,}")
    compressed = dataset.data_model.startswith("NETCDF4")
    nowcast.check_size(path, nlat * nlon * variable.dtype.itemsize, compressed=compressed)
    match = _NAME.fullmatch(name)
    lead = int(match.group(1)) if match else 0
    header = nowcast.header_of(dataset, (lead + 1, nlat, nlon), path)
    try:
        field, count = nowcast.to_dbz(variable[:], nowcast.missing_values(dataset, variable), path)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot read {name}: {error}", where=path, expected="a complete file") from error
    return LeadGrid(replace(header, implausible=header.implausible + count), lead, field)
