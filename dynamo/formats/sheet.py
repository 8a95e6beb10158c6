"""Pictures of all leads of a nowcast as one PNG for a map: tiles in Web Mercator, beside and below each other.

One file is smaller than one of each lead, and takes one request. Its source are the published images, which hold
reflectivity in half dBZ and say where they are.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.png import TRANSPARENT_BELOW_DBZ, colour_table, encode_indexed
from dynamo.radar.mercator import LIMIT_DEG, mercator_rows, thinned

Table = Literal["nws", "cividis"]
#: Longest side of a tile, in pixels; larger grids are thinned to their maxima.
MOST_PIXELS = 640
#: Larger images are not read.
_MOST_READ = 60_000_000
_STEPS_PER_DBZ = 2
#: Steps of color, dBZ: as on charts, or as fine as one sees. Fewer of them pack better.
_STEP_DBZ = {"nws": 5.0, "cividis": 2.5}
#: The perceptual table begins here: what is darker is not seen on a dark map.
_DARKEST = 0.2


@dataclass(frozen=True)
class Cells:
    """A published image, one value for each cell of its grid.

    Attributes
    ----------
    values
        Half dBZ, the northern row first; 0 where nothing is, or nothing is known.
    bounds
        West, south, east, north, degrees; beyond 180 near the date line.
    """

    values: NDArray[np.uint8]
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True)
class Sheet:
    """Tiles of equal size in reading order.

    Attributes
    ----------
    png
        The image.
    bounds
        West, south, east, north of each tile, degrees.
    columns, rows
        Tiles beside and below each other; the last ones may be empty.
    width, height
        Pixels of a tile.
    """

    png: bytes
    bounds: tuple[float, float, float, float]
    columns: int
    rows: int
    width: int
    height: int


def read_cells(content: bytes, where: object) -> Cells:
    """Read a published image of reflectivity.

    Parameters
    ----------
    content, where
        The file, and its name in errors.

    Raises
    ------
    InputError
        If it is none, or is too large.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > _MOST_READ:
                raise InputError(
                    f"too large to be shown: {image.width} x {image.height} pixels",
                    where=where,
                    expected=f"at most {_MOST_READ / 1e6:g} million",
                )
            bounds = tuple(float(part) for part in str(image.info.get("bounds", "")).split(","))
            known = image.mode == "P" and bytes(image.getpalette("RGB") or ()).startswith(_known_palette())
            values = np.asarray(image) if known else np.zeros((0, 0), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be shown: {error}", where=where, expected="a published PNG") from error
    if len(bounds) != 4 or not known or not _sound(bounds):
        raise InputError("cannot be shown: no image of reflectivity with its bounds", where=where)
    side = _cell(values)
    return Cells(values[side // 2 :: side, side // 2 :: side], (bounds[0], bounds[1], bounds[2], bounds[3]))


def make_sheet(leads: Sequence[Cells], table: Table) -> Sheet:
    """Draw leads, in order, into one image.

    Raises
    ------
    InputError
        If they are not of one grid.
    """
    first = leads[0]
    if any(lead.bounds != first.bounds for lead in leads):
        raise InputError("the leads are not of one grid")
    west, south, east, north = first.bounds
    shape = max((lead.values.shape for lead in leads), key=math.prod)
    factor = -(-max(shape) // MOST_PIXELS)
    rows = mercator_rows(north, south, -(-shape[0] // factor))
    lookup, palette = _colors(table)
    tiles = [lookup[thinned(_expanded(lead.values, shape), factor)[rows]] for lead in leads]
    columns = math.ceil(math.sqrt(len(tiles)))
    below = -(-len(tiles) // columns)
    height, width = tiles[0].shape
    sheet = np.zeros((below * height, columns * width), dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = tile
    bounds = (west, max(south, -LIMIT_DEG), east, min(north, LIMIT_DEG))
    return Sheet(encode_indexed(sheet, palette), bounds, columns, below, width, height)


def legend(table: Table) -> list[tuple[float, str]]:
    """Return the colors of a table: where each begins, dBZ, and its color as ``#rrggbb``."""
    _, palette = _colors(table)
    steps = TRANSPARENT_BELOW_DBZ + np.arange(len(palette) - 1) * _STEP_DBZ[table]
    return [(float(step), f"#{bytes(shade[:3]).hex()}") for step, shade in zip(steps, palette[1:], strict=True)]


def _expanded(values: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return values on as many cells as the others have: an image that is all one color tells nothing of its cells."""
    rows = np.arange(shape[0]) * values.shape[0] // shape[0]
    columns = np.arange(shape[1]) * values.shape[1] // shape[1]
    return values if values.shape == shape else values[np.ix_(rows, columns)]


def _cell(values: NDArray[np.uint8]) -> int:
    """Return the side of a cell in pixels: what divides all distances between changes."""
    rows = np.flatnonzero((values[1:] != values[:-1]).any(axis=1)) + 1
    columns = np.flatnonzero((values[:, 1:] != values[:, :-1]).any(axis=0)) + 1
    return int(np.gcd.reduce(np.concatenate([rows, columns, np.array(values.shape)])))


def _sound(bounds: tuple[float, ...]) -> bool:
    west, south, east, north = bounds
    return -540 <= west < east <= 540 and east - west <= 361 and -91 <= south < north <= 91 and south < LIMIT_DEG


@lru_cache(maxsize=1)
def _known_palette() -> bytes:
    return colour_table()[:, :3].tobytes()


@lru_cache(maxsize=2)
def _colors(table: Table) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the palette entry of each half dBZ, and the palette; entry 0 is transparent."""
    step = int(_STEP_DBZ[table] * _STEPS_PER_DBZ)
    first = int(TRANSPARENT_BELOW_DBZ * _STEPS_PER_DBZ)
    known = colour_table()
    half_dbz = np.arange(256)
    entries = np.where(half_dbz < first, 0, (np.minimum(half_dbz, len(known) - 1) - first) // step + 1)
    starts = np.arange(first, len(known), step)
    palette = np.zeros((starts.size + 1, 4), dtype=np.uint8)
    if table == "nws":
        palette[1:, :3] = known[starts, :3]
    else:
        from matplotlib import colormaps

        shades = colormaps["cividis"](np.linspace(_DARKEST, 1.0, starts.size))
        palette[1:, :3] = np.round(shades[:, :3] * 255)
    palette[1:, 3] = 255
    return entries.astype(np.uint8), palette
