"""Draw what can be read of a file, for somebody who must judge it; only ever in the inspection process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import DynamoError, InputError
from dynamo.formats.png import encode_indexed, encode_reflectivity
from dynamo.radar.geometry import ground_range_m

if TYPE_CHECKING:
    import netCDF4
    import xarray as xr

#: Most pixels of a side; larger grids are thinned.
_MOST_PIXELS = 900
#: Most values read of a variable of a file that is no known product.
_MOST_VALUES = 50_000_000
_GREYS = 255
#: Directions further than this from any ray were not scanned.
_WIDEST_RAY_DEG = 2.0


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows."""

    png: bytes
    shows: str


def draw(path: Path) -> Picture:
    """Draw the lowest sweep, the first lead or the grid of a file; of an unfit file whatever numbers it has.

    Raises
    ------
    InputError
        If nothing in it can be drawn.
    """
    from dynamo.formats.radar.sniff import is_radar_file

    try:
        if is_radar_file(path):
            return _sweep(path)
        return _hail_grid(path) or _nowcast(path)
    except DynamoError as error:
        raw = _numbers(path, str(error).removeprefix(f"{path}: "))
        if raw is None:
            raise
        return raw


def _sweep(path: Path) -> Picture:
    from dynamo.formats.radar.read import read_sweeps

    sweeps = read_sweeps(path, moments=["DBZH"])
    sweep = min(sweeps, key=lambda item: float(item.attrs["fixed_angle_deg"]))
    shows = f"reflectivity of {sweep.attrs['radar']} at {sweep.attrs['fixed_angle_deg']:.1f} degrees"
    return Picture(encode_reflectivity(_from_above(sweep), pixels_per_cell=1, smoothing_passes=0), shows)


def _from_above(sweep: xr.Dataset) -> NDArray[np.float32]:
    """Return the nearest gate of each pixel, row 0 the southern one, NaN beyond the last gate."""
    azimuth, gates = sweep["azimuth"].values, sweep["range"].values
    reach = float(gates[-1])
    offset = (np.arange(_MOST_PIXELS) + 0.5) / _MOST_PIXELS * 2.0 - 1.0
    east, north = np.meshgrid(offset * reach, offset * reach)
    elevation = float(np.median(sweep["elevation"].values))
    ground = ground_range_m(gates, elevation)
    gate = np.searchsorted(ground, np.hypot(east, north)).clip(max=gates.size - 1)
    direction = np.degrees(np.arctan2(east, north)) % 360.0
    after = np.searchsorted(azimuth, direction) % azimuth.size
    before = (after - 1) % azimuth.size
    ray = np.where(_apart(azimuth[after], direction) < _apart(azimuth[before], direction), after, before)
    values: NDArray[np.float32] = sweep["DBZH"].values[ray, gate].astype(np.float32)
    values[(np.hypot(east, north) > ground[-1]) | (_apart(azimuth[ray], direction) > _WIDEST_RAY_DEG)] = np.nan
    return values


def _apart(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return how far directions are apart, degrees."""
    apart: NDArray[np.float64] = np.abs((one - other + 180.0) % 360.0 - 180.0)
    return apart


def _hail_grid(path: Path) -> Picture | None:
    from dynamo.formats.hail_grid import FORMAT, read_hail_grid
    from dynamo.formats.hail_png import encode_hail_image
    from dynamo.formats.nowcast import opened
    from dynamo.inspection.size import check_size

    with opened(path) as dataset:
        check_size(dataset, path)
        if getattr(dataset, "product", None) != FORMAT:
            return None
    hail = read_hail_grid(path)
    return Picture(encode_hail_image(hail, pixels_per_cell=1), f"hail and hydrometeor classes at {hail.time:%H:%M} UTC")


def _nowcast(path: Path) -> Picture:
    from dynamo.formats.nowcast import NowcastReader

    with NowcastReader(path) as reader:
        field = _thinned(reader.read(0))
        issue = reader.header.issue_time
    pixels = max(1, _MOST_PIXELS // max(field.shape) // 2)
    png = encode_reflectivity(field, pixels_per_cell=pixels, smoothing_passes=0)
    return Picture(png, f"reflectivity of the nowcast of {issue:%Y-%m-%d %H:%M} UTC, lead 0 min")


def _numbers(path: Path, problem: str) -> Picture | None:
    """Draw the largest array of numbers in a NetCDF or HDF5 file in greys, whatever it means; None without any."""
    from dynamo.formats.nowcast import opened
    from dynamo.inspection.size import check_size

    try:
        with opened(path) as dataset:
            check_size(dataset, path)
            name, field = _largest(dataset)
    except (DynamoError, OSError, RuntimeError, ValueError, IndexError):
        return None
    finite = np.isfinite(field)
    if not finite.any():
        return None
    low, high = (float(value) for value in np.percentile(field[finite], (1, 99)))
    span = high - low if high > low else 1.0
    index = np.zeros(field.shape, np.uint8)
    index[finite] = 1 + (np.clip((field[finite] - low) / span, 0.0, 1.0) * (_GREYS - 1)).astype(np.uint8)
    shades = np.arange(_GREYS, dtype=np.uint8)
    table = np.zeros((_GREYS + 1, 4), np.uint8)
    table[1:] = np.stack([shades, shades, shades, np.full(_GREYS, 255, np.uint8)], axis=1)
    shows = f"{name} from {low:g} (black) to {high:g} (white) as it is in the file, which cannot be used: {problem}"
    return Picture(encode_indexed(index[::-1], table), shows)


def _largest(dataset: netCDF4.Dataset) -> tuple[str, NDArray[np.float64]]:
    found = [item for item in dataset.variables.values() if item.ndim >= 2 and np.dtype(item.dtype).kind in "iuf"]
    variable = max(found, key=lambda item: int(np.prod(item.shape)), default=None)
    if variable is None or not all(variable.shape) or int(np.prod(variable.shape[-2:])) > _MOST_VALUES:
        raise InputError("no grid of numbers")
    raw = variable[(*(0 for _ in variable.shape[:-2]), ...)]
    return str(variable.name), _thinned(np.ma.filled(raw.astype(np.float64), np.nan))


def _thinned(field: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(field.shape) // _MOST_PIXELS)
    return field[::step, ::step]
