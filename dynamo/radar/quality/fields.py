"""Checks of a field on a grid: spikes in two dimensions, stripes, holes, and what changes between fields; pure.

The neighbors of a node are those in its own and in the next rows. (Tests for time series flatten a grid first, and
compare nodes at the end of one row with those at the start of the next.)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.quality.view import UNKNOWN, Mask, Measure

Field = NDArray[np.float32]

#: Blocks, both ways, of the coarse image that is compared with the next field.
BLOCKS = 12
#: A statement on echo needs this many nodes of it.
_ENOUGH = 50
#: Nodes examined; of a larger grid, bands of rows and every nth node are.
_MOST = 1_000_000
_BAND_ROWS = 64
#: Rows, at least, of the sketch that every lead of a nowcast is reduced to.
_SKETCH_ROWS = 96
#: Nodes in a row, all with echo, that nature does not repeat.
_ROW = 12
_OTHER_SEVEN = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Scale:
    """What counts as echo in a field's unit, as strong echo, and how far a single node may stand out.

    Parameters
    ----------
    unit
        dBZ or mm/h.
    wet, strong
        Lowest values of echo, and of strong echo.
    spike
        Least difference between a spike and the nodes around it.
    step
        Width of the bins in which values count as the same.
    """

    unit: str
    wet: float
    strong: float
    spike: float
    step: float


DBZ = Scale("dBZ", wet=10.0, strong=30.0, spike=20.0, step=0.5)
RAIN = Scale("mm/h", wet=0.2, strong=5.0, spike=40.0, step=0.1)


@dataclass(frozen=True, eq=False)
class FieldView:
    """One field: values on ``(rows, columns)``, NaN where there are no data."""

    values: Field
    scale: Scale
    label: str = ""

    @cached_property
    def thin(self) -> Field:
        """The field, or of a large one every nth row and column, for what needs no neighbors."""
        step = max(1, round((self.values.size / _MOST) ** 0.5))
        return self.values[::step, ::step]

    @cached_property
    def echo(self) -> Mask:
        """Where `thin` has echo."""
        with np.errstate(invalid="ignore"):
            return self.thin >= self.scale.wet

    @cached_property
    def wet(self) -> int:
        """Number of nodes of `thin` with echo."""
        return int(np.count_nonzero(self.echo))

    @cached_property
    def sketch(self) -> Field:
        """Every nth row of `thin`, for what is measured in each of many leads."""
        return np.ascontiguousarray(self.thin[:: max(1, self.thin.shape[0] // _SKETCH_ROWS)])

    @cached_property
    def sketch_echo(self) -> Mask:
        """Where `sketch` has echo."""
        with np.errstate(invalid="ignore"):
            return self.sketch >= self.scale.wet

    @cached_property
    def bands(self) -> list[FieldBand]:
        """Neighboring rows, cropped to their echo: one band, or several that are spread over a large field."""
        rows, columns = self.values.shape
        if self.values.size <= _MOST:
            return [band for band in [_band(self, 0, rows)] if band is not None]
        height = _BAND_ROWS
        starts = np.linspace(0, rows - height, max(1, _MOST // (height * columns))).astype(int)
        found = (_band(self, start, start + height) for start in np.unique(starts).tolist())
        return [band for band in found if band is not None]

    def at(self, text: str) -> str:
        """Return a place in this field."""
        return f"{self.label}: {text}" if self.label and text else text or self.label


@dataclass(frozen=True, eq=False)
class FieldBand:
    """A part of a field with echo in it: its values and echo, and where it begins."""

    values: Field
    echo: Mask
    row: int
    column: int


def _band(view: FieldView, first: int, last: int) -> FieldBand | None:
    part = view.values[first:last]
    with np.errstate(invalid="ignore"):
        echo = part >= view.scale.wet
    rows, columns = np.flatnonzero(echo.any(axis=1)), np.flatnonzero(echo.any(axis=0))
    if not rows.size:
        return None
    top, left = max(0, int(rows[0]) - 1), max(0, int(columns[0]) - 1)
    box = (slice(top, int(rows[-1]) + 2), slice(left, int(columns[-1]) + 2))
    return FieldBand(part[box], echo[box], first + top, left)


def known_share(view: FieldView) -> Measure:
    """Return the share of nodes with data."""
    return Measure(round(1.0 - float(np.count_nonzero(np.isnan(view.thin))) / view.thin.size, 5), view.label)


def wet_share(view: FieldView) -> Measure:
    """Return the share of nodes with echo."""
    return Measure(round(view.wet / view.thin.size, 6), view.label)


def field_spikes(view: FieldView) -> Measure:
    """Return the share of strong nodes that stand far above all eight around them."""
    strong, lonely, place = 0, 0, ""
    for band in view.bands:
        part = np.fmax(band.values, np.float32(0.0))
        inner = part[1:-1, 1:-1]
        is_strong = inner >= view.scale.strong
        strong += int(np.count_nonzero(is_strong))
        # One neighbor rules out nearly all nodes; only what is left is compared with the other seven.
        row, column = np.nonzero(is_strong & (inner - part[1:-1, :-2] > view.scale.spike))
        around = np.zeros(row.size, dtype=np.float32)
        for down, right in _OTHER_SEVEN:
            np.maximum(around, part[row + 1 + down, column + 1 + right], out=around)
        alone = np.flatnonzero(inner[row, column] - around > view.scale.spike)
        if alone.size and not place:
            first = int(alone[0])
            place = view.at(f"row {band.row + 1 + row[first]}, column {band.column + 1 + column[first]}")
        lonely += alone.size
    return Measure(round(lonely / strong, 5), place) if strong >= _ENOUGH // 2 else UNKNOWN


def stripes(view: FieldView) -> Measure:
    """Return how many rows or columns with echo are copies of the one before."""
    if view.wet < _ENOUGH:
        return UNKNOWN
    most, place = 0, ""
    for word, turned in (("row", False), ("column", True)):
        count, first = 0, ""
        for band in view.bands:
            values, echo = (band.values.T, band.echo.T) if turned else (band.values, band.echo)
            equal = (~echo[1:] & ~echo[:-1]) | (values[1:] == values[:-1])
            same = np.flatnonzero(equal.all(axis=1) & (np.count_nonzero(echo[1:], axis=1) >= _ROW))
            if same.size and not first:
                first = view.at(f"{word} {(band.column if turned else band.row) + int(same[0]) + 1}")
            count += same.size
        if count > most:
            most, place = count, first
    return Measure(float(most), place)


def edges(view: FieldView) -> Measure:
    """Return the largest share of a row's or column's strong echo that ends there, as where a tile was lost."""
    if view.wet < 4 * _ENOUGH:
        return UNKNOWN
    worst, place = 0.0, ""
    for word, turned in (("row", False), ("column", True)):
        for band in view.bands:
            values, echo = (band.values.T, band.echo.T) if turned else (band.values, band.echo)
            with np.errstate(invalid="ignore"):
                strong = values >= view.scale.strong
            cut = np.count_nonzero((strong[1:] & ~echo[:-1]) | (strong[:-1] & ~echo[1:]), axis=1)
            either = np.count_nonzero(strong[1:] | strong[:-1], axis=1)
            share = np.where(either >= 2 * _ROW, cut / np.maximum(either, 1), 0.0)
            if share.size and share.max() > worst:
                worst = float(share.max())
                place = view.at(f"{word} {(band.column if turned else band.row) + int(share.argmax())}")
    return Measure(round(worst, 4), place)


def flat_field(view: FieldView) -> Measure:
    """Return the share of the nodes with echo that have the most frequent value."""
    if view.wet < 4 * _ENOUGH:
        return UNKNOWN
    values = view.thin[view.echo]
    counts = np.bincount(np.clip(values / view.scale.step, 0, 20_000).astype(np.int32))
    return Measure(round(float(counts.max()) / values.size, 4), view.at(f"{counts.argmax() * view.scale.step:g}"))


def constant(view: FieldView) -> Measure:
    """Return 1 if a field has the same value everywhere, else 0: what a failed writer leaves.

    In clear air all values are the same, too: the one that stands for no echo, which is not above 0.
    """
    low, high = np.fmin.reduce(view.thin, axis=None), np.fmax.reduce(view.thin, axis=None)
    return Measure(float(bool(low == high and low > 0.0)), view.label)


def image(view: FieldView) -> list[float]:
    """Return the field in `BLOCKS` x `BLOCKS` blocks: the share of each that has echo, in hundredths.

    Small enough to store, it tells how much changed until the next field.
    """
    if min(view.sketch.shape) < BLOCKS:
        return []
    starts, columns, sizes = _blocks(*view.sketch.shape)
    counts = np.add.reduceat(view.sketch_echo.astype(np.float32) @ columns, starts, axis=0)
    shares: list[float] = np.round(100.0 * counts / sizes, 2).ravel().tolist()
    return shares


@lru_cache(maxsize=4)
def _blocks(rows: int, columns: int) -> tuple[NDArray[np.intp], Field, NDArray[np.float64]]:
    """Return the first row of each block, a matrix that adds up the columns of each, and the nodes in each."""
    down, right = (np.linspace(0, size, BLOCKS + 1).astype(np.intp) for size in (rows, columns))
    column = np.arange(columns)[:, np.newaxis]
    member = ((column >= right[:-1]) & (column < right[1:])).astype(np.float32)
    return down[:-1], member, np.outer(np.diff(down), np.diff(right)).astype(np.float64)


def digest(view: FieldView) -> float:
    """Return a number that only the very same field has; 0 with little echo."""
    if np.count_nonzero(view.sketch_echo) * view.thin.shape[0] < _ENOUGH * view.sketch.shape[0]:
        return 0.0
    return float(zlib.crc32(view.sketch.data))


def change_of_area(before: Sequence[float], after: Sequence[float]) -> Measure:
    """Return how many times the area of echo doubled or halved between two images; see `image`."""
    return _worst_step([before, after], _area_steps, "")


def change_of_place(before: Sequence[float], after: Sequence[float]) -> Measure:
    """Return 1 minus the correlation of two images: 0 if echo is where it was, about 1 if it is elsewhere."""
    return _worst_step([before, after], _place_steps, "")


def lead_jump(images: Sequence[Sequence[float]]) -> Measure:
    """Return the largest change of place from one lead of a nowcast to the next; leads follow by minutes."""
    return _worst_step(images, _place_steps, "lead {}")


def lead_growth(images: Sequence[Sequence[float]]) -> Measure:
    """Return the largest change of area from one lead to the next."""
    return _worst_step(images, _area_steps, "lead {}")


def _area_steps(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the doublings of the area from each image to the next, NaN where there is next to no echo."""
    areas = images.sum(axis=1)
    steps = np.abs(np.diff(np.log2(areas + 1.0)))
    return np.where(np.maximum(areas[1:], areas[:-1]) < 5.0, np.nan, steps.round(3))


def _place_steps(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 minus the correlation of each image with the next, NaN where one has too few blocks with echo."""
    one, two = images[:-1], images[1:]
    few = np.count_nonzero(images > 1.0, axis=1) < 4
    # Unlike with the correlation as it is taught, the mean stays: where most blocks are alike, it would count most.
    squares = (images * images).sum(axis=1)
    norm = np.sqrt(squares[:-1] * squares[1:])
    steps = 1.0 - (one * two).sum(axis=1) / np.where(norm > 0, norm, 1.0)
    return np.where(few[:-1] | few[1:], np.nan, steps.round(4))


def _worst_step(
    images: Sequence[Sequence[float]], steps: Callable[[NDArray[np.float64]], NDArray[np.float64]], place: str
) -> Measure:
    if len({len(image) for image in images}) != 1 or not images[0]:
        return UNKNOWN
    found = steps(np.asarray(images, dtype=np.float64))
    if np.isnan(found).all():
        return UNKNOWN
    worst = int(np.nanargmax(found))
    return Measure(float(found[worst]), place.format(worst + 1))
