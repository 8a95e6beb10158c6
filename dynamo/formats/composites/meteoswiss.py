"""MeteoSwiss AQC: 5-minute rain accumulation as an 8-bit GIF on the Swiss grid (CH1903 / LV03, 1 km).

The georeference and the scale are not in the file. They are those of the service's own importer in pysteps
(`pysteps.io.importers.import_mch_gif`, product AQC): cell edges from 255 to 965 km east and -160 to
480 km north; the value ``i`` means ``(10**((i - 71.5)/20) / 316)**(1/1.5)`` mm per interval; 0 and 1 no rain,
255 no data.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.extras import need
from dynamo.formats.composites.model import Composite, Reader
from dynamo.formats.composites.reprojection import ProjectedGrid, to_latlon
from dynamo.radar.zr import METEOSWISS

_GRID = ProjectedGrid(crs="EPSG:21781", x0=255_500.0, y0=479_500.0, dx=1000.0, dy=-1000.0, rows=640, columns=710)
_PRODUCT = re.compile(rb"PRDT=AQC(\d{9})\b")
_INTERVAL = re.compile(rb"ACCUm=(\d{1,6})\b")
_NO_DATA = 255
#: Last byte of every GIF.
_TRAILER = b";"
_EXPECTED = "a MeteoSwiss AQC accumulation (GIF, 710 x 640, with PRDT and ACCUm in its comment)"


def _levels() -> NDArray[np.float32]:
    """Return millimeters per interval for each of the 256 values."""
    index = np.arange(256)
    millimetres = (10.0 ** ((index - 71.5) / 20.0) / METEOSWISS.a) ** (1.0 / METEOSWISS.b)
    millimetres[(index < 2) | (index > 250)] = 0.0
    millimetres[_NO_DATA] = np.nan
    return millimetres.astype(np.float32)


def _open(path: Path) -> tuple[Any, datetime, float]:
    """Return the image, its valid time and the length of its interval in minutes."""
    pillow: Any = need("PIL.Image")
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read() != _TRAILER:
            raise InputError("truncated: no end mark", where=path, expected="a complete file")
    try:
        with warnings.catch_warnings():
            # A picture of another size is refused below.
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
            image = pillow.open(path, formats=["GIF"])
    except (OSError, ValueError, EOFError, SyntaxError, IndexError, pillow.DecompressionBombError) as error:
        raise InputError(f"not a readable GIF: {error}", where=path, expected=_EXPECTED) from error
    comment = image.info.get("comment", b"")
    comment = comment if isinstance(comment, bytes) else b""
    product, interval = _PRODUCT.search(comment), _INTERVAL.search(comment)
    if product is None or interval is None or image.size != (_GRID.columns, _GRID.rows):
        image.close()
        raise InputError("not the expected product", where=path, expected=_EXPECTED)
    minutes = float(interval[1])
    try:
        time = datetime.strptime(product[1].decode(), "%y%j%H%M").replace(tzinfo=UTC)
    except ValueError:
        minutes = 0.0
    if not minutes:
        image.close()
        raise InputError("invalid time or interval", where=path, expected=_EXPECTED)
    return image, time, minutes


def valid_time(path: Path) -> datetime:
    """Return the end of the interval."""
    image, time, _ = _open(path)
    image.close()
    return time


def read(path: Path) -> Composite:
    """Read one file; raises `InputError` if it is not a complete AQC product."""
    image, time, minutes = _open(path)
    try:
        with image:
            values = np.asarray(image, dtype=np.uint8)
    except (OSError, ValueError, EOFError, SyntaxError, IndexError, struct.error) as error:
        raise InputError(f"broken image: {error}", where=path, expected=_EXPECTED) from error
    rate = _levels()[values] * np.float32(60.0 / minutes)
    field, grid = to_latlon(rate, _GRID)
    return Composite(field, time, grid, METEOSWISS, READER.name)


READER = Reader(
    name="meteoswiss",
    description="MeteoSwiss AQC (GIF)",
    matches=lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    valid_time=valid_time,
    read=read,
)
