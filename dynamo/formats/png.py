"""Reflectivity images that look like the original ones: 0-75 dBZ, transparent below 5 dBZ, alpha 235, north up.

An indexed PNG is assembled from hand-made scan lines: one palette entry is half a dBZ, a cell is a block of pixels, and
all rows of a cell but the first repeat the row above (filter type 2, "Up"), which deflates to almost nothing. The
compressor is Intel's ISA-L. PNG: W3C Recommendation, third edition, sections 7.3 (scan lines), 9.2 (filters), 11.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from dynamo.radar.smooth import smooth

TOP_DBZ = 75.0
TRANSPARENT_BELOW_DBZ = 5.0
ALPHA = 235
_STEPS_PER_DBZ = 2
#: Reflectivity colors of the US National Weather Service, at the lower end of each 5 dBZ step.
COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (0, (100, 100, 100)),
    (5, (4, 233, 231)),
    (10, (1, 159, 244)),
    (15, (3, 0, 244)),
    (20, (2, 253, 2)),
    (25, (1, 197, 1)),
    (30, (0, 142, 0)),
    (35, (253, 248, 2)),
    (40, (229, 188, 0)),
    (45, (253, 149, 0)),
    (50, (253, 0, 0)),
    (55, (212, 0, 0)),
    (60, (188, 0, 0)),
    (65, (248, 0, 253)),
    (70, (152, 84, 198)),
    (75, (253, 253, 253)),
)
#: ISA-L's fastest level that still searches for matches.
_LEVEL = 1
_BAND_CELLS = 1 << 17


def colour_table() -> NDArray[np.uint8]:
    """Return the palette: RGBA for each half dBZ from 0 to 75; shape ``(151, 4)``."""
    values = np.arange(int(TOP_DBZ) * _STEPS_PER_DBZ + 1) / _STEPS_PER_DBZ
    anchors = np.array([value for value, _ in COLOURS])
    table = np.empty((values.size, 4), dtype=np.uint8)
    for channel in range(3):
        shades = np.array([colour[channel] for _, colour in COLOURS], dtype=np.float64)
        # Steps of 5 dBZ, as on the charts that forecasters know; blending would hide the levels.
        table[:, channel] = shades[np.searchsorted(anchors, values, side="right") - 1]
    table[:, 3] = np.where(values < TRANSPARENT_BELOW_DBZ, 0, ALPHA)
    return table


def encode_reflectivity(
    field: NDArray[np.floating[Any]],
    *,
    pixels_per_cell: int = 5,
    smoothing_passes: int = 3,
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """Return the image of one reflectivity grid.

    Parameters
    ----------
    field
        dBZ, shape ``(nlat, nlon)``, row 0 the southern one; NaN (missing) becomes transparent.
    pixels_per_cell
        Side of a cell in pixels.
    smoothing_passes
        Passes of `dynamo.radar.smooth.smooth`.
    texts
        Keyword and text of ``tEXt`` chunks (Latin-1), such as the valid time and the bounds.

    Returns
    -------
    bytes
        A PNG of ``nlat * pixels_per_cell`` rows; the same input gives the same bytes.
    """
    index = _palette_index(field, smoothing_passes)[::-1]
    return encode_indexed(index, _reflectivity_table(), pixels_per_cell=pixels_per_cell, texts=texts)


def encode_indexed(
    index: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    *,
    pixels_per_cell: int = 1,
    texts: Mapping[str, str] | None = None,
    strip: NDArray[np.uint8] | None = None,
) -> bytes:
    """Return an indexed image of cells.

    Parameters
    ----------
    index
        Palette entry of each cell, the northern row first.
    palette
        RGBA of the entries, shape ``(n, 4)``, at most 256.
    pixels_per_cell
        Side of a cell in pixels.
    texts
        See `encode_reflectivity`.
    strip
        Palette entries of pixels to append below, such as a legend; as wide as the image.
    """
    rows, columns = index.shape
    height = rows * pixels_per_cell + (0 if strip is None else strip.shape[0])
    header = struct.pack(">IIBBBBB", columns * pixels_per_cell, height, 8, 3, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), *_palette(palette.tobytes())]
    chunks += [_chunk(b"tEXt", f"{key}\0{text}".encode("latin-1", "replace")) for key, text in (texts or {}).items()]
    blank = strip is None and not index.any()
    data = _blank(rows, columns, pixels_per_cell) if blank else _scan_lines(index, pixels_per_cell, strip)
    return b"".join([b"\x89PNG\r\n\x1a\n", *chunks, _chunk(b"IDAT", data), _chunk(b"IEND", b"")])


def _palette_index(field: NDArray[np.floating[Any]], passes: int) -> NDArray[np.uint8]:
    """Return the palette entry of each cell; processed in bands of rows that stay in the CPU cache."""
    rows, columns = field.shape
    index = np.zeros(field.shape, dtype=np.uint8)
    band = max(2 * passes, _BAND_CELLS // columns, 1)
    for top in range(0, rows, band):
        bottom = min(top + band, rows)
        # Each smoothing pass reaches one row further, so the band needs that many extra rows.
        first, last = max(top - passes, 0), min(bottom + passes, rows)
        part = field[first:last]
        if not (part >= TRANSPARENT_BELOW_DBZ).any():
            continue
        # "No echo" may be -32 or -99 dBZ: without the clip, it would erode the edges of storms.
        values = smooth(np.clip(part, 0.0, TOP_DBZ), passes)[top - first : bottom - first]
        values *= _STEPS_PER_DBZ
        np.nan_to_num(values, copy=False, nan=0.0)
        index[top:bottom] = values
    return index


def _scan_lines(index: NDArray[np.uint8], pixels: int, strip: NDArray[np.uint8] | None = None) -> bytes:
    rows, columns = index.shape
    width = columns * pixels
    extra = 0 if strip is None else strip.shape[0]
    every = np.zeros((rows * pixels + extra, width + 1), dtype=np.uint8)
    lines = every[: rows * pixels].reshape(rows, pixels, width + 1)
    lines[:, 1:, 0] = 2
    lines[:, 0, 1:].reshape(rows, columns, pixels)[:] = index[:, :, np.newaxis]
    if strip is not None:
        every[rows * pixels :, 1:] = strip
    compressed: bytes = isal_zlib.compress(every, _LEVEL)
    return compressed


@functools.lru_cache(maxsize=8)
def _blank(rows: int, columns: int, pixels: int) -> bytes:
    # On a quiet day every image is this one.
    return _scan_lines(np.zeros((rows, columns), dtype=np.uint8), pixels)


@functools.lru_cache(maxsize=1)
def _reflectivity_table() -> NDArray[np.uint8]:
    return colour_table()


@functools.lru_cache(maxsize=16)
def _palette(table: bytes) -> tuple[bytes, bytes]:
    colours = np.frombuffer(table, dtype=np.uint8).reshape(-1, 4)
    return _chunk(b"PLTE", colours[:, :3].tobytes()), _chunk(b"tRNS", colours[:, 3].tobytes())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
