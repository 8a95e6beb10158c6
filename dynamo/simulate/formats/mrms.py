"""NOAA MRMS PrecipRate: one GRIB2 message, a regular latitude/longitude grid, values packed as a 16-bit PNG.

Written byte by byte, since the extras only have GRIB2 readers. Source: WMO Manual on Codes, FM 92 GRIB edition 2,
templates 3.0, 4.0, 5.41 and 7.41; constants are those of the real files.
"""

from __future__ import annotations

import struct
import zlib
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.grid import LatLonGrid

STEP_MM_H = 0.1
_NO_COVERAGE = -3.0
#: Packed number: value times ten, minus this.
_REFERENCE = -30
_MICRO = 1_000_000


def encode(rate_mm_h: NDArray[np.float32], grid: LatLonGrid, time: datetime) -> bytes:
    """Return a PrecipRate file.

    Parameters
    ----------
    rate_mm_h
        Rain rate on the nodes of ``grid``, row 0 southernmost; NaN outside coverage.
    grid, time
        Grid and valid time.
    """
    known = np.where(np.isnan(rate_mm_h), _NO_COVERAGE, rate_mm_h)
    packed = (np.rint(known[::-1] / STEP_MM_H) - _REFERENCE).astype(">u2")
    sections = [
        struct.pack(
            ">BHHBBBH5BBB", 1, 161, 0, 255, 1, 3,
            time.year, time.month, time.day, time.hour, time.minute, time.second, 2, 7,
        ),
        _grid(grid),
        struct.pack(">BHHBBBBBHBBIBBIBBI", 4, 0, 0, 6, 1, 8, 0, 97, 0, 0, 0, 0, 102, 0, 0, 255, 1, 0),
        struct.pack(">BIHfHHBB", 5, packed.size, 41, _REFERENCE, 0, 1, 16, 0),
        struct.pack(">BB", 6, 255),
        struct.pack(">B", 7) + _png(packed),
    ]  # fmt: skip
    body = b"".join(struct.pack(">I", len(section) + 4) + section for section in sections) + b"7777"
    return struct.pack(">4sHBBQ", b"GRIB", 0, 209, 2, len(body) + 16) + body


def _grid(grid: LatLonGrid) -> bytes:
    """Return section 3: rows from the north, longitudes from 0 to 360 degrees."""
    west = grid.west_deg % 360.0
    south, east = grid.north_deg - (grid.nlat - 1) * grid.dlat_deg, west + (grid.nlon - 1) * grid.dlon_deg
    first_lat, first_lon, last_lat, last_lon = (round(value * _MICRO) for value in (grid.north_deg, west, south, east))
    return struct.pack(
        ">BBIBBHBBIBIBIIIIIiIBiIIIB",
        3, 0, grid.nlat * grid.nlon, 0, 0, 0, 2, 1, 6_367_470, 1, 6_378_160, 1, 6_356_775,
        grid.nlon, grid.nlat, 0, _MICRO, first_lat, first_lon, 48, last_lat, last_lon,
        round(grid.dlon_deg * _MICRO), round(grid.dlat_deg * _MICRO), 0,
    )  # fmt: skip


def _png(values: NDArray[np.uint16]) -> bytes:
    """Return a 16-bit grayscale image."""
    rows, columns = values.shape
    # Each row starts with its filter type: none.
    lines = np.zeros((rows, 1 + 2 * columns), dtype=np.uint8)
    lines[:, 1:] = values.view(np.uint8).reshape(rows, 2 * columns)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
