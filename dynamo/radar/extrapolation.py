"""Advection of a frame along its motion: backward semi-Lagrangian (Germann and Zawadzki 2002, MWR 130,
2859-2873).

Trajectories are integrated on the motion field's nodes (midpoint rule, one-minute steps) and leads are computed one at
a time, so memory holds only a few grids regardless of the number of leads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.extras import need
from dynamo.radar.motion import MotionField

Interpolation = Literal["nearest", "linear", "cubic"]


def advect(
    frame: NDArray[np.float32],
    motion: MotionField,
    leads: int,
    *,
    floor: float,
    interpolation: Interpolation = "linear",
) -> Iterator[NDArray[np.float32]]:
    """Yield the frame, then its advection to 1, 2, ... ``leads`` minutes.

    Parameters
    ----------
    frame
        dBZ, shape ``(rows, columns)``; NaN where missing.
    motion
        The motion on the same grid; constant in time at each point.
    leads
        Minutes, 0 or more.
    floor
        Replaces missing data during interpolation, so that values next to a gap are not lost.
    interpolation
        How the frame is sampled at the start of a trajectory.

    Yields
    ------
    numpy.ndarray
        dBZ, float32, the shape of ``frame``. NaN where the air comes from outside the grid or from missing
        data.
    """
    yield frame
    if not leads:
        return
    cv2: Any = need("cv2")
    method = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}[interpolation]
    known = np.isfinite(frame)
    filled = frame if known.all() else np.where(known, frame, np.float32(floor))
    mask = None if known.all() else known.astype(np.float32)
    lower, upper = float(filled.min()), float(filled.max())
    displacement = np.zeros_like(motion.velocity)
    for _ in range(leads):
        displacement = _step_back(displacement, motion, cv2)
        columns, rows = _sources(displacement, motion.step, frame.shape, cv2)
        grid = cv2.remap(filled, columns, rows, method, borderMode=cv2.BORDER_REPLICATE)
        if interpolation == "cubic":
            np.clip(grid, lower, upper, out=grid)
        outside = (columns < 0) | (columns > frame.shape[1] - 1) | (rows < 0) | (rows > frame.shape[0] - 1)
        grid[outside] = np.nan
        if mask is not None:
            grid[cv2.remap(mask, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) < 0.5] = np.nan
        yield grid


def _step_back(displacement: NDArray[np.float32], motion: MotionField, cv2: Any) -> NDArray[np.float32]:
    """Return the trajectories extended by one minute; cells, shape ``(2, rows, columns)`` of nodes."""
    step = np.float32(motion.step)
    _, rows, columns = displacement.shape
    node_x, node_y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))

    def velocity_at(shift: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y = node_x + shift[0] / step, node_y + shift[1] / step
        parts = (cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in motion.velocity)
        return np.stack(list(parts)).astype(np.float32)

    middle = displacement - velocity_at(displacement) * np.float32(0.5)
    return displacement - velocity_at(middle)


def _sources(
    displacement: NDArray[np.float32], step: int, shape: tuple[int, ...], cv2: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the column and row of origin of each cell's air."""
    columns = np.arange(shape[1], dtype=np.float32)
    rows = np.arange(shape[0], dtype=np.float32)
    along_x = _fine(displacement[0], step, shape, cv2)
    along_x += columns
    along_y = _fine(displacement[1], step, shape, cv2)
    along_y += rows[:, None]
    return along_x, along_y


def _fine(nodes: NDArray[np.float32], step: int, shape: tuple[int, ...], cv2: Any) -> NDArray[np.float32]:
    """Interpolate node values to cells, linearly; node k is at cell ``k * step``."""
    matrix = np.array([[1 / step, 0, 0], [0, 1 / step, 0]], dtype=np.float64)
    fine: NDArray[np.float32] = cv2.warpAffine(
        nodes,
        matrix,
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return fine
