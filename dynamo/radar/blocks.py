"""Find the parts of a grid where anything reaches a level, so that the rest is checked only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Side of a block in nodes. Small enough to follow storms, large enough that 24 million nodes are 24,000 blocks.
BLOCK = 32
#: Grids up to this many nodes are one window: splitting them costs more than it saves.
SMALL = 512 * 512


@dataclass(frozen=True)
class Window:
    """A rectangle of nodes, and the blocks in it that belong to other windows."""

    row: int
    column: int
    rows: int
    columns: int
    foreign: NDArray[np.bool_] | None = None

    def extract(self, field: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return the window's values; nodes that belong to other windows are set very low."""
        part = field[self.row : self.row + self.rows, self.column : self.column + self.columns]
        if self.foreign is None:
            return part
        part = part.copy()
        mask = np.repeat(np.repeat(self.foreign, BLOCK, axis=0), BLOCK, axis=1)
        # Blocks start at multiples of BLOCK in the whole field; the window starts one node before its first block.
        top, left = self.row % BLOCK, self.column % BLOCK
        part[mask[top : top + self.rows, left : left + self.columns]] = -1000.0
        return part


def active_windows(field: NDArray[np.floating[Any]], level: float) -> list[Window]:
    """Return windows that together contain every node at or above ``level`` and all its neighbors.

    A contour of ``level`` lies in exactly one window: windows are the connected groups of active blocks.

    Parameters
    ----------
    field
        Values, shape ``(nlat, nlon)``; NaN is missing.
    level
        The level, in the unit of the field.

    Returns
    -------
    list of Window
        In order of their first row; empty if nothing reaches the level.
    """
    active = field >= level
    if field.size <= SMALL:
        rows = np.flatnonzero(active.any(axis=1))
        if not rows.size:
            return []
        columns = np.flatnonzero(active[rows[0] : rows[-1] + 1].any(axis=0))
        return [_window(field.shape, rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)]
    # Only large grids need it: its import would cost a small job as much as its work.
    from scipy import ndimage

    blocks = _any_in_block(active)
    labels, count = ndimage.label(blocks, structure=np.ones((3, 3)))
    windows = []
    for index, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        window = _window(field.shape, down.start * BLOCK, down.stop * BLOCK, across.start * BLOCK, across.stop * BLOCK)
        if count > 1:
            top, left = window.row // BLOCK, window.column // BLOCK
            bottom = -(-(window.row + window.rows) // BLOCK)
            right = -(-(window.column + window.columns) // BLOCK)
            around = labels[top:bottom, left:right]
            foreign = (around != 0) & (around != index)
            if foreign.any():
                window = Window(window.row, window.column, window.rows, window.columns, foreign)
        windows.append(window)
    return windows


def _window(shape: tuple[int, ...], top: int, bottom: int, left: int, right: int) -> Window:
    """Return the window of the given nodes with a margin of one, clipped to the domain."""
    top, left = max(int(top) - 1, 0), max(int(left) - 1, 0)
    bottom, right = min(int(bottom) + 1, shape[0]), min(int(right) + 1, shape[1])
    return Window(top, left, bottom - top, right - left)


def _any_in_block(active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = active.shape
    down = np.logical_or.reduceat(active, np.arange(0, rows, BLOCK), axis=0)
    blocks: NDArray[np.bool_] = np.logical_or.reduceat(down, np.arange(0, columns, BLOCK), axis=1)
    return blocks
