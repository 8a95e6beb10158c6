"""Draw a file for whoever reviews it: reflectivity of the lowest sweep, or the first field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

#: Sides of the picture, pixels.
_SIZE = 480


def picture_of(path: Path) -> bytes:
    """Return a PNG of what is in a radar file, a composite, or a nowcast.

    A sweep is drawn as seen from above, north up, from its own data alone.

    Raises
    ------
    InputError
        If the file holds nothing that can be drawn.
    """
    from dynamo.formats.png import encode_reflectivity

    field = _field(path)
    step = max(1, -(-max(field.shape) // (2 * _SIZE)))
    return encode_reflectivity(
        field[::step, ::step],
        pixels_per_cell=max(1, _SIZE // max(field.shape)),
        smoothing_passes=0,
        texts={"Title": path.name},
    )


def _field(path: Path) -> NDArray[np.float32]:
    """Return dBZ, row 0 the southern one."""
    from dynamo.formats.radar.formats import find_format
    from dynamo.formats.radar.read import read_volume
    from dynamo.formats.radar.source import load

    if find_format(load(path)) is not None:
        volume = read_volume(path, moments=())
        return _from_above(min(volume.sweeps, key=lambda sweep: float(sweep.attrs["fixed_angle_deg"])))
    with path.open("rb") as stream:
        head = stream.read(8)
    if head.lstrip().startswith(b"{"):
        raise InputError("is text", where=path, expected="a radar file or a grid to draw")
    try:
        from dynamo.formats.split import read_grids

        return next(iter(read_grids(path))).field
    except (InputError, StopIteration):
        from dynamo.formats.composites import read_composite

        composite = read_composite(path)
        with np.errstate(divide="ignore", invalid="ignore"):
            dbz = 10.0 * np.log10(composite.relation.a * composite.rain_rate**composite.relation.b)
        return np.asarray(dbz, dtype=np.float32)


def _from_above(sweep: Any) -> NDArray[np.float32]:
    azimuth, range_m = sweep["azimuth"].values, sweep["range"].values
    offset = (np.arange(_SIZE) + 0.5) / _SIZE * 2.0 - 1.0
    # Far beyond the last echo there is nothing to see.
    used = np.flatnonzero(np.isfinite(sweep["DBZH"].values).any(axis=0))
    reach_m = float(range_m[used[-1]] if used.size else range_m[-1])
    east, north = np.meshgrid(offset * reach_m, offset * reach_m)
    distance, direction = np.hypot(east, north), np.rad2deg(np.arctan2(east, north)) % 360.0
    gate = np.rint((distance - range_m[0]) / (range_m[1] - range_m[0])).astype(np.int64)
    ray = np.searchsorted(azimuth, direction) % azimuth.size
    before = (ray - 1) % azimuth.size
    away = np.abs((azimuth[ray] - direction + 180.0) % 360.0 - 180.0)
    closer = np.abs((azimuth[before] - direction + 180.0) % 360.0 - 180.0)
    ray, away = np.where(closer < away, before, ray), np.minimum(closer, away)
    inside = (gate >= 0) & (gate < range_m.size) & (away < 3.0 * 360.0 / max(azimuth.size, 360))
    field = np.full(east.shape, np.nan, dtype=np.float32)
    field[inside] = sweep["DBZH"].values[ray[inside], gate[inside]]
    return field
