"""MeteoSwiss AQC: rain of five minutes as an 8-bit GIF on the Swiss grid, 640 rows of 710 km; see the reader for both.

The value ``i`` means ``(10**((i - 71.5)/20) / 316)**(1/1.5)`` mm; 0 no rain, 255 no data.
"""

from __future__ import annotations

import io
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynamo.formats.composites.reprojection import ProjectedGrid
from dynamo.radar.zr import METEOSWISS

GRID = ProjectedGrid(crs="EPSG:21781", x0=255_500.0, y0=479_500.0, dx=1000.0, dy=-1000.0, rows=640, columns=710)
MINUTES = 5
#: Smallest and largest rain values in real files.
_LEAST, _MOST, _NO_DATA = 31, 250, 255


def encode(rate_mm_h: NDArray[np.float32], time: datetime) -> bytes:
    """Return an AQC file.

    Parameters
    ----------
    rate_mm_h
        Rain rate on `GRID`, row 0 northernmost; NaN outside coverage.
    time
        End of the five-minute interval.
    """
    millimetres = np.asarray(rate_mm_h, dtype=np.float64) * MINUTES / 60.0
    wet = millimetres > 0
    level = 20.0 * np.log10(METEOSWISS.a * np.where(wet, millimetres, 1.0) ** METEOSWISS.b) + 71.5
    values = np.where(wet & (level >= _LEAST), np.clip(np.rint(level), _LEAST, _MOST), 0)
    values[np.isnan(rate_mm_h)] = _NO_DATA
    image = Image.fromarray(values.astype(np.uint8))
    # From white to red, with black for no data.
    fading = np.arange(255, -1, -1)
    palette = np.column_stack([np.full(256, 255), fading, fading])
    palette[_NO_DATA] = 0
    image.putpalette(palette.astype(np.uint8).tobytes())
    memory = io.BytesIO()
    image.save(memory, "GIF", comment=_comment(time), optimize=False)
    return memory.getvalue()


def _comment(time: datetime) -> bytes:
    return (
        "simulated in the form of MeteoSwiss\nVERSION=ACQUIRE-V4.4.0_May2012\n"
        f"PRDT=AQC{time:%y%j%H%M} SCALE=mmh2LASSEN8bitmm_mn COLOR=reddish"
        f" ACCUm={MINUTES:06d} DeltaT={MINUTES:06d} TOTn=000001 \nCFG_INFO=none\n"
        "ALB=000001 DOE=000001 MLE=000001 PPM=000001 WEI=000001 AF=none"
    ).encode()
