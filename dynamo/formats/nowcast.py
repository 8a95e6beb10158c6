"""The CASA nowcast file `MERGE_DARTS_YYYYmmddHHMM.nc`: 31 reflectivity grids, one for each minute of lead.

Dimensions ``Steps``, ``Lat``, ``Lon``; the first variable is ``PredictedReflectivity(Steps, Lat, Lon)``, float32
dBZ, row 0 the southern one; global attributes ``Latitude`` (north edge), ``Longitude`` (west edge), ``Height``,
``Time`` (epoch seconds of the issue time), ``LatGridSpacing``, ``LonGridSpacing``, ``MissingData``; ours also have
``ImplausibleValues``, the number of values left out because no weather has them. Step ``k`` is valid ``k`` minutes
after the issue time.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.files import replacing
from dynamo.formats import origin
from dynamo.formats.netcdf3 import check_whole
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.limits import MOMENTS, within
from dynamo.times import PLAUSIBLE_YEARS, file_stamp, from_epoch, is_plausible

VARIABLE = "PredictedReflectivity"
MISSING_DBZ = -99900.0
#: Largest accepted file: 31 x 3500 x 7000 (CONUS) is 0.76 billion cells.
MAX_CELLS = 1_000_000_000
#: Largest accepted grid, four times that of CONUS: a reader holds a few copies of one grid.
MAX_GRID_CELLS = 100_000_000
MAX_LEADS = 181
#: Deflate cannot compress data by more than a factor of 1032, so a larger claim means a broken or hostile file.
_MAX_COMPRESSION = 1032
_HEADER_BYTES = 256 * 1024
#: Above this a classic NetCDF-3 file cannot hold the variable.
_CLASSIC_LIMIT_BYTES = 2_000_000_000


@dataclass(frozen=True)
class NowcastHeader:
    """The metadata of a nowcast, without its data.

    ``implausible`` counts the values left out on the way here because no weather has them (`dynamo.radar.limits`).
    """

    grid: LatLonGrid
    issue_time: datetime
    leads: int
    height_m: float = 0.0
    implausible: int = 0

    def valid_time(self, lead: int) -> datetime:
        """Return the valid time of the grid of ``lead`` minutes."""
        return self.issue_time + timedelta(minutes=lead)


class NowcastReader:
    """An open nowcast file; grids are read one lead at a time, so memory holds one grid.

    Use it as a context manager. ``implausible`` counts the values left out of the grids read so far.

    Raises
    ------
    InputError
        If the file is not a complete CASA nowcast; the message says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.implausible = 0
        self._dataset = open_dataset(path)
        try:
            with _blaming(path):
                self._variable = _check_variable(self._dataset, path)
                self.header = header_of(self._dataset, _three(self._variable.shape), path)
                self._missing = missing_values(self._dataset, self._variable)
        except BaseException:
            self._dataset.close()
            raise

    def read(self, lead: int) -> NDArray[np.float32]:
        """Return the grid of one lead.

        Parameters
        ----------
        lead
            Minutes after the issue time, 0 to ``header.leads - 1``.

        Returns
        -------
        numpy.ndarray
            dBZ, shape ``(nlat, nlon)``, row 0 the southern one, NaN where data is missing.
        """
        if not 0 <= lead < self.header.leads:
            raise InputError(f"no lead of {lead} min", where=self.path, expected=f"0 to {self.header.leads - 1} min")
        try:
            raw = self._variable[lead]
        except (OSError, RuntimeError, IndexError) as error:
            raise InputError(
                f"cannot read lead {lead} min: {error}", where=self.path, expected="a complete file"
            ) from error
        return self._clean(raw)

    def read_some(self, first: int, last: int) -> NDArray[np.float32]:
        """Return the grids of the leads from ``first`` up to, not including, ``last``; shape ``(leads, nlat, nlon)``.

        As `read` otherwise.
        """
        if not 0 <= first < last <= self.header.leads:
            raise InputError(
                f"no leads {first} to {last - 1} min", where=self.path, expected=f"0 to {self.header.leads - 1} min"
            )
        try:
            raw = self._variable[first:last]
        except (OSError, RuntimeError, IndexError) as error:
            raise InputError(
                f"cannot read leads {first} to {last - 1} min: {error}", where=self.path, expected="a complete file"
            ) from error
        return self._clean(raw)

    def read_counted(self, lead: int) -> tuple[NowcastHeader, NDArray[np.float32]]:
        """Return the grid of one lead, with the header that also counts the values left out of it."""
        before = self.implausible
        field = self.read(lead)
        return replace(self.header, implausible=self.header.implausible + self.implausible - before), field

    def _clean(self, raw: Any) -> NDArray[np.float32]:
        data, count = to_dbz(raw, self._missing, self.path)
        self.implausible += count
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dataset.close()


def read_header(path: Path) -> NowcastHeader:
    """Return the header of a nowcast file; raises `InputError` if it is not one."""
    with NowcastReader(path) as reader:
        return reader.header


def read_nowcast(path: Path) -> tuple[NowcastHeader, NDArray[np.float32]]:
    """Return header and all grids, dBZ, shape ``(leads, nlat, nlon)``, NaN where data is missing."""
    with NowcastReader(path) as reader:
        header = reader.header
        stack = np.empty((header.leads, *header.grid.shape), dtype=np.float32)
        for lead in range(header.leads):
            stack[lead] = reader.read(lead)
    return header, stack


def nowcast_name(issue_time: datetime) -> str:
    """Return the file name of the nowcast issued at ``issue_time``.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> nowcast_name(datetime(2019, 6, 10, 0, 5, tzinfo=timezone.utc))
    'MERGE_DARTS_201906100005.nc'
    """
    return f"MERGE_DARTS_{file_stamp(issue_time).replace('-', '')[:12]}.nc"


def write_nowcast(
    path: Path,
    header: NowcastHeader,
    grids: Iterable[NDArray[np.floating[Any]]],
    *,
    compress: bool = False,
) -> None:
    """Write a nowcast file atomically.

    Parameters
    ----------
    path
        The file; see `nowcast_name`.
    header
        Grid, issue time and number of leads.
    grids
        One array of dBZ for each lead, shape ``(nlat, nlon)``, row 0 the southern one, NaN where data is missing.
        They are consumed one at a time.
    compress
        Write NetCDF-4 with deflate; otherwise NetCDF-3 classic, or plain NetCDF-4 if the data is too large for it.

    Raises
    ------
    InputError
        If the number or shape of the grids is not the header's.

    Examples
    --------
    Write two leads and read them back:

    >>> import tempfile
    >>> from datetime import datetime, timezone
    >>> import numpy as np
    >>> from dynamo.radar.grid import LatLonGrid
    >>> grid = LatLonGrid(north_deg=33.0, west_deg=-98.0, dlat_deg=0.01, dlon_deg=0.01, nlat=40, nlon=50)
    >>> header = NowcastHeader(grid, datetime(2019, 6, 10, tzinfo=timezone.utc), leads=2)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / nowcast_name(header.issue_time)
    >>> write_nowcast(path, header, [np.full((40, 50), 20.0), np.full((40, 50), 45.0)])
    >>> again, fields = read_nowcast(path)
    >>> path.name, again == header, fields.shape, float(fields[1].max())
    ('MERGE_DARTS_201906100000.nc', True, (2, 40, 50), 45.0)
    >>> folder.cleanup()
    """
    nbytes = header.leads * header.grid.nlat * header.grid.nlon * 4
    classic = nbytes < _CLASSIC_LIMIT_BYTES and not compress
    options: dict[str, Any] = {}
    if not classic:
        options = {
            "chunksizes": (1, *header.grid.shape),
            "zlib": compress,
            "complevel": 1,
            "shuffle": compress,
        }
    with (
        replacing(path) as partial,
        netCDF4.Dataset(partial, "w", format="NETCDF3_CLASSIC" if classic else "NETCDF4") as dataset,
    ):
        set_globals(dataset, header)
        dataset.createDimension("Steps", header.leads)
        dataset.createDimension("Lat", header.grid.nlat)
        dataset.createDimension("Lon", header.grid.nlon)
        variable = dataset.createVariable(VARIABLE, "f4", ("Steps", "Lat", "Lon"), fill_value=False, **options)
        variable.Units = "dBZ"
        variable.set_auto_maskandscale(False)
        count = 0
        for count, grid in enumerate(grids, start=1):
            if grid.shape != header.grid.shape or count > header.leads:
                raise InputError(
                    f"grid {count} has shape {grid.shape}",
                    where=path,
                    expected=f"{header.leads} grids of shape {header.grid.shape}",
                )
            variable[count - 1] = from_nan(grid)
        if count != header.leads:
            raise InputError(f"{count} grids", where=path, expected=f"{header.leads}")


def set_globals(dataset: netCDF4.Dataset, header: NowcastHeader) -> None:
    """Set the global attributes shared by nowcast and split files, in a dataset that is still empty."""
    # Before any variable exists: NetCDF-3 would fill it with 100 MB of fill values at the next definition.
    dataset.set_fill_off()
    grid = header.grid
    dataset.Latitude = np.float64(grid.north_deg)
    dataset.Longitude = np.float64(grid.west_deg)
    dataset.Height = np.float64(header.height_m)
    dataset.Time = np.int32(round(header.issue_time.timestamp()))
    dataset.LatGridSpacing = np.float64(grid.dlat_deg)
    dataset.LonGridSpacing = np.float64(grid.dlon_deg)
    dataset.MissingData = np.float32(MISSING_DBZ)
    dataset.ImplausibleValues = np.int32(header.implausible)
    dataset.setncatts(origin.attributes())


#: What damaged names, types and numbers in a file lead to.
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        what = f"cannot be read: {type(error).__name__}: {error!s:.120}"
        raise InputError(what, where=path, expected="an undamaged file") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[netCDF4.Dataset]:
    """Open a NetCDF file for reading and close it after use; see `open_dataset`.

    What the library, or the use of an attribute of another type, raises meanwhile becomes an `InputError`.
    """
    dataset = open_dataset(path)
    try:
        with _blaming(path):
            yield dataset
    finally:
        dataset.close()


def open_dataset(path: Path) -> netCDF4.Dataset:
    """Open a NetCDF file without the library's masking.

    Raises
    ------
    InputError
        If ``path`` is not a readable NetCDF file, or is truncated.
    """
    if not path.is_file():
        raise InputError("is a directory" if path.is_dir() else "no such file", where=path, expected="a NetCDF file")
    if path.stat().st_size == 0:
        raise InputError("is empty", where=path, expected="a NetCDF file")
    try:
        # Before the library sees it, which loops for minutes over some damaged headers.
        _check_whole(path)
        dataset = netCDF4.Dataset(path, "r")
    except InputError as error:
        raise InputError(error.what, where=path, expected="a complete file") from error
    except (OSError, *_DAMAGE) as error:
        raise InputError(f"not a readable NetCDF file: {error}", where=path, expected="NetCDF") from error
    dataset.set_auto_maskandscale(False)
    return dataset


def _check_whole(path: Path) -> None:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_whole(data)


def missing_values(dataset: netCDF4.Dataset, variable: netCDF4.Variable[Any]) -> tuple[float, ...]:
    """Return the values that mean "no data" in ``variable``."""
    values = {float(getattr(dataset, "MissingData", MISSING_DBZ))}
    for name in ("_FillValue", "missing_value"):
        if name in variable.ncattrs():
            values.update(np.atleast_1d(np.asarray(variable.getncattr(name), dtype=np.float64)).tolist())
    return tuple(sorted(values))


def to_nan(raw: Any, missing: tuple[float, ...]) -> NDArray[np.float32]:
    """Return float32 in native order with NaN for the missing values and infinities."""
    data = np.array(raw, dtype=np.float32)
    for value in missing:
        data[data == np.float32(value)] = np.nan
    data[np.isinf(data)] = np.nan
    return data


def to_dbz(raw: Any, missing: tuple[float, ...], where: Path) -> tuple[NDArray[np.float32], int]:
    """Return reflectivities as `to_nan` does, NaN also for impossible ones, and how many those are.

    Raises
    ------
    InputError
        If much of it is impossible.
    """
    return within(to_nan(raw, missing), MOMENTS["DBZH"], name="reflectivity", where=where)


def from_nan(field: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return float32 with `MISSING_DBZ` for NaN; ``field`` itself if it has no NaN."""
    data = field.astype(np.float32, copy=False)
    missing = np.isnan(data)
    if not missing.any():
        return data
    return np.where(missing, np.float32(MISSING_DBZ), data)


def _wrapped(longitude_deg: float) -> float:
    """Return a longitude from -180 to 180, as GeoJSON requires; values already in range are unchanged."""
    return longitude_deg if -180 <= longitude_deg < 180 else (longitude_deg + 180) % 360 - 180


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    leads, nlat, nlon = shape
    return leads, nlat, nlon


def _check_variable(dataset: netCDF4.Dataset, path: Path) -> netCDF4.Variable[Any]:
    if VARIABLE not in dataset.variables:
        raise InputError(
            f"no variable {VARIABLE}", where=path, expected=f"a CASA nowcast with {VARIABLE}(Steps, Lat, Lon)"
        )
    variable = dataset.variables[VARIABLE]
    if variable.ndim != 3 or variable.dtype.kind not in "fi":
        raise InputError(
            f"{VARIABLE} has dimensions {variable.dimensions} of type {variable.dtype}",
            where=path,
            expected="numbers over (Steps, Lat, Lon)",
        )
    if {"scale_factor", "add_offset"} & set(variable.ncattrs()):
        raise InputError(f"{VARIABLE} is packed", where=path, expected="plain numbers in dBZ")
    leads, nlat, nlon = variable.shape
    cells = leads * nlat * nlon
    if not 1 <= leads <= MAX_LEADS or cells > MAX_CELLS:
        raise InputError(
            f"{leads} x {nlat} x {nlon} values",
            where=path,
            expected=f"1 to {MAX_LEADS} leads and at most {MAX_CELLS:,} values",
        )
    if nlat * nlon > MAX_GRID_CELLS:
        raise InputError(
            f"grids of {nlat} x {nlon} values", where=path, expected=f"at most {MAX_GRID_CELLS:,} values in one grid"
        )
    check_size(path, cells * variable.dtype.itemsize, compressed=dataset.data_model.startswith("NETCDF4"))
    return variable


def check_size(path: Path, declared_bytes: int, *, compressed: bool) -> None:
    """Reject a file that declares more data than it can hold (truncated, or made to exhaust memory)."""
    size = path.stat().st_size
    holds = size * _MAX_COMPRESSION + _HEADER_BYTES if compressed else size
    if declared_bytes > holds:
        raise InputError(
            f"declares {declared_bytes:,} bytes of data in a file of {size:,} bytes",
            where=path,
            expected="a complete file",
        )


def header_of(dataset: netCDF4.Dataset, shape: tuple[int, int, int], path: Path) -> NowcastHeader:
    """Read the global attributes; ``shape`` is leads, rows, columns. Raises `InputError` if one is invalid."""

    def number(name: str, default: float | None = None) -> float:
        value: Any = getattr(dataset, name, default)
        try:
            result = float(value)
        except (TypeError, ValueError):
            result = float("nan")
        if not np.isfinite(result):
            raise InputError(f"global attribute {name} is {value!r}", where=path, expected="a finite number")
        return result

    leads, nlat, nlon = shape
    try:
        grid = LatLonGrid(
            north_deg=number("Latitude"),
            west_deg=_wrapped(number("Longitude")),
            dlat_deg=number("LatGridSpacing"),
            dlon_deg=number("LonGridSpacing"),
            nlat=nlat,
            nlon=nlon,
        )
        if grid.longitudes[-1] > 180:
            raise InputError("the grid crosses 180 degrees of longitude", expected="a grid on one side of it")
        issued = from_epoch(number("Time"))
        if not is_plausible(issued):
            raise InputError(f"issued {issued:%Y-%m-%d}", expected=PLAUSIBLE_YEARS)
        implausible = max(0, int(number("ImplausibleValues", 0.0)))
        return NowcastHeader(grid, issued, leads, number("Height", 0.0), implausible)
    except InputError as error:
        raise InputError(error.what, where=path, expected=error.expected) from error
    except (OverflowError, OSError, ValueError) as error:
        raise InputError(f"invalid time: {error}", where=path, expected="epoch seconds") from error
