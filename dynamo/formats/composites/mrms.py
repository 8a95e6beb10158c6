"""NOAA MRMS PrecipRate: rain rate as one GRIB2 message on a 0.01 degree grid, plain or gzipped.

Discipline 209, category 6, number 1 of the MRMS local tables; mm/h; -3 no coverage, -1 missing. The producer
caps the rate: at 53 dBZ in convective rain, which is 103.8 mm/h by ``Z = 300 R^1.4``, and near 150 mm/h in
other types.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.extras import need, quiet_descriptors
from dynamo.formats.composites.model import Composite, Reader
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.zr import WSR88D_CONVECTIVE

_EXPECTED = "an MRMS PrecipRate file (GRIB2, one message)"
_PRODUCT = (209, 6, 1)
_GZIP = b"\x1f\x8b"
_MAX_BYTES = 256 * 1024 * 1024
_MAX_CELLS = 200_000_000


def _message_bytes(path: Path) -> bytes:
    """Return the bytes of the file's first message, after checking that it is complete."""
    try:
        with path.open("rb") as stream:
            zipped = stream.read(2) == _GZIP
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            data = stream.read(_MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", where=path, expected=_EXPECTED) from error
    if len(data) < 16 or data[:4] != b"GRIB" or data[7] != 2:
        raise InputError("not GRIB edition 2", where=path, expected=_EXPECTED)
    (length,) = struct.unpack_from(">Q", data, 8)
    if length > len(data) or data[length - 4 : length] != b"7777":
        raise InputError(
            f"truncated: the message declares {length:,} bytes, the file holds {len(data):,}",
            where=path,
            expected="a complete file",
        )
    if data[length:].strip(b"\0"):
        # Other messages may be other times or products: nobody knows which one is meant.
        raise InputError(
            f"goes on after its first message ({len(data) - length:,} bytes)", where=path, expected=_EXPECTED
        )
    return data[:length]


def valid_time(path: Path) -> datetime:
    """Return the reference time of the message (section 1), which is the analysis' valid time."""
    data = _message_bytes(path)
    # Section 1 follows the 16 bytes of section 0; year, month, day, hour, minute, second stand from its octet
    # 13.
    try:
        year, month, day, hour, minute, second = struct.unpack_from(">H5B", data, 16 + 12)
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (ValueError, struct.error) as error:
        raise InputError(f"invalid time: {error}", where=path, expected=_EXPECTED) from error


def read(path: Path) -> Composite:
    """Read one file; raises `InputError` if it is not a complete PrecipRate message."""
    pygrib: Any = need("pygrib")
    time = valid_time(path)
    data = _message_bytes(path)
    try:
        # ecCodes writes its complaints directly to the file descriptor.
        with quiet_descriptors():
            message = pygrib.fromstring(data)
            grid, upward = _grid(message, path)
            values = message["values"]
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        raise InputError(f"cannot be decoded: {error}", where=path, expected=_EXPECTED) from error
    if values.shape != grid.shape:
        raise InputError(f"values{values.shape}", where=path, expected=f"the shape of its grid, {grid.shape}")
    rate: NDArray[np.float32] = np.ma.filled(values, np.nan).astype(np.float32)
    # Both codes mean unknown; no rain is 0.
    rate[rate < 0] = np.nan
    return Composite(rate if upward else rate[::-1], time, grid, WSR88D_CONVECTIVE, READER.name)


def _grid(message: Any, path: Path) -> tuple[LatLonGrid, bool]:
    """Return the grid, and whether row 0 of the message is the southern one."""
    product = tuple(int(message[key]) for key in ("discipline", "parameterCategory", "parameterNumber"))
    if product != _PRODUCT or message["gridType"] != "regular_ll" or message["iScansNegatively"]:
        raise InputError(
            f"product {product} on grid {message['gridType']}",
            where=path,
            expected=f"{_EXPECTED}, {_PRODUCT}",
        )
    nlat, nlon = int(message["Nj"]), int(message["Ni"])
    if nlat * nlon > _MAX_CELLS:
        raise InputError(f"{nlat} x {nlon} cells", where=path, expected=f"at most {_MAX_CELLS:,}")
    upward = bool(message["jScansPositively"])
    dlat, dlon = (
        float(message["jDirectionIncrementInDegrees"]),
        float(message["iDirectionIncrementInDegrees"]),
    )
    first = float(message["latitudeOfFirstGridPointInDegrees"])
    west = float(message["longitudeOfFirstGridPointInDegrees"])
    grid = LatLonGrid(
        north_deg=round(first + dlat * (nlat - 1), 6) if upward else first,
        west_deg=round(west - 360.0, 6) if west >= 180.0 else west,
        dlat_deg=dlat,
        dlon_deg=dlon,
        nlat=nlat,
        nlon=nlon,
    )
    return grid, upward


READER = Reader(
    name="mrms",
    description="MRMS PrecipRate (GRIB2, also gzipped)",
    matches=lambda head: head.startswith((b"GRIB", _GZIP)),
    valid_time=valid_time,
    read=read,
)
