"""Images of hail grids, `hca_{...}.png`: hydrometeor classes, hail by size on top of them, and a legend below.

An indexed PNG as in `dynamo.formats.png`. The legend is drawn once per width and cached; only the line with radar and
time is drawn for each image, in the font that comes with Pillow.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dynamo.formats.hail_grid import NOT_OBSERVED, HailGrid
from dynamo.formats.png import encode_indexed
from dynamo.radar.hail.hydroclass_tables import CLASSES, HAIL
from dynamo.times import to_iso

ALPHA = 235
#: Colors of the hydrometeor classes, in the order of `CLASSES`; hail itself is drawn by size.
CLASS_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "drizzle": (170, 214, 255),
    "rain": (52, 137, 225),
    "ice_crystals": (214, 214, 236),
    "aggregates": (160, 160, 200),
    "wet_snow": (120, 200, 200),
    "vertical_ice": (110, 110, 150),
    "low_density_graupel": (150, 215, 120),
    "high_density_graupel": (60, 160, 60),
    "hail": (255, 205, 60),
    "big_drops": (20, 60, 150),
}
#: Hail by its largest known size: label, minimum size in mm, color.
SIZE_COLOURS: tuple[tuple[str, float, tuple[int, int, int]], ...] = (
    ("hail, size not told", 0.0, (255, 120, 0)),
    ("hail below 25 mm", 5.0, (255, 60, 60)),
    ("hail 25-50 mm", 25.0, (200, 0, 40)),
    ("hail above 50 mm", 50.0, (160, 0, 200)),
)
_FIRST_SIZE = len(CLASSES) + 1
_NOT_COVERED, _PAPER, _INK, _MARK = 252, 253, 254, 255
_LINE, _MARGIN, _SWATCH = 18, 8, 12
_COLUMN = 150


@functools.lru_cache(maxsize=1)
def palette() -> NDArray[np.uint8]:
    """Return the palette: RGBA, shape ``(256, 4)``; entry 0, nothing, is transparent."""
    table = np.zeros((256, 4), dtype=np.uint8)
    for number, name in enumerate(CLASSES, start=1):
        table[number] = (*CLASS_COLOURS[name], ALPHA)
    for number, (_, _, colour) in enumerate(SIZE_COLOURS):
        table[_FIRST_SIZE + number] = (*colour, ALPHA)
    table[_NOT_COVERED] = (128, 128, 128, 60)
    table[_PAPER] = (255, 255, 255, 255)
    table[_INK] = (20, 20, 20, 255)
    table[_MARK] = (0, 0, 0, ALPHA)
    return table


def encode_hail_image(hail: HailGrid, *, pixels_per_cell: int = 3, legend: bool = True) -> bytes:
    """Return the image of a hail grid, north up.

    Nodes covered by no radar are gray, nodes without a class transparent; a cross marks each radar.

    Parameters
    ----------
    hail
        The grid.
    pixels_per_cell
        Width and height of a cell, pixels.
    legend
        Add the legend below; without it, the image fits the bounds in its text chunks, for use on a map.
    """
    index = _entries(hail)
    for view in hail.radars:
        row = round((view.latitude_deg - float(hail.grid.latitudes[0])) / hail.grid.dlat_deg)
        column = round((view.longitude_deg - hail.grid.west_deg) / hail.grid.dlon_deg)
        if 1 <= row < hail.grid.nlat - 1 and 1 <= column < hail.grid.nlon - 1:
            index[row - 1 : row + 2, column] = _MARK
            index[row, column - 1 : column + 2] = _MARK
    grid = hail.grid
    west, south = grid.longitudes[0] - grid.dlon_deg / 2, grid.latitudes[0] - grid.dlat_deg / 2
    east, north = grid.longitudes[-1] + grid.dlon_deg / 2, grid.latitudes[-1] + grid.dlat_deg / 2
    texts = {
        "Title": _title(hail),
        "valid_time": to_iso(hail.time),
        "bounds": f"{west:.6f},{south:.6f},{east:.6f},{north:.6f}",
        "map_rows": str(grid.nlat * pixels_per_cell),
    }
    strip = _legend(grid.nlon * pixels_per_cell, _title(hail), _note(hail)) if legend else None
    return encode_indexed(index[::-1], palette(), pixels_per_cell=pixels_per_cell, texts=texts, strip=strip)


def _entries(hail: HailGrid) -> NDArray[np.uint8]:
    classes = hail.fields["hydrometeor_class"]
    is_hail = hail.fields["hail_class"] > 0
    index = np.where(classes > 0, classes, 0).astype(np.uint8)
    index[hail.fields["hail_class"] == NOT_OBSERVED] = _NOT_COVERED
    where = np.flatnonzero(is_hail.ravel())
    size = hail.get("hail_size")
    if size is None:
        index.ravel()[where] = _FIRST_SIZE
    elif where.size:
        edges = np.array([least for _, least, _ in SIZE_COLOURS[1:]])
        index.ravel()[where] = _FIRST_SIZE + np.searchsorted(edges, size.ravel()[where], side="right")
    return index


def _title(hail: HailGrid) -> str:
    names = ", ".join(view.name for view in hail.radars)
    return f"Hydrometeors and hail, {names}, {hail.time:%Y-%m-%d %H:%M:%S} UTC"


def _note(hail: HailGrid) -> str:
    notes = []
    floor = hail.sources.get("floor_dbz", hail.sources.get("min_dbz"))
    if isinstance(floor, int | float):
        notes.append(f"classified from {floor:g} dBZ on")
    if hail.missing:
        notes.append(f"missing: {', '.join(hail.missing)}")
    if "mesh_method" in hail.sources and "mesh" in hail.fields:
        notes.append(f"MESH: {hail.sources['mesh_method']}")
    return "; ".join(notes)


@functools.lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12)


@functools.lru_cache(maxsize=16)
def _key(width: int) -> NDArray[np.uint8]:
    """Return the part of the legend shared by all images of one width."""
    entries = [(name.replace("_", " "), number) for number, name in enumerate(CLASSES, start=1) if number != HAIL]
    entries.append(("hail by class alone", HAIL))
    entries += [(label, _FIRST_SIZE + number) for number, (label, _, _) in enumerate(SIZE_COLOURS)]
    entries.append(("not covered", _NOT_COVERED))
    across = max(1, (width - 2 * _MARGIN) // _COLUMN)
    lines = -(-len(entries) // across)
    image = Image.new("L", (width, lines * _LINE + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    for number, (label, entry) in enumerate(entries):
        x, y = _MARGIN + number % across * _COLUMN, number // across * _LINE
        draw.rectangle((x, y + 1, x + _SWATCH, y + 1 + _SWATCH), fill=entry, outline=_INK)
        draw.text((x + _SWATCH + 5, y), label, fill=_INK, font=_font())
    return np.asarray(image)


def _legend(width: int, title: str, note: str) -> NDArray[np.uint8]:
    lines = [title, note] if note else [title]
    image = Image.new("L", (width, _MARGIN + len(lines) * _LINE), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN // 2 + number * _LINE), line, fill=_INK, font=_font())
    return np.concatenate((np.asarray(image), _key(width)))
