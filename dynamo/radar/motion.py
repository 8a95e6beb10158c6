"""Motion of echoes by optical flow.

Sparse vectors come from Lucas-Kanade tracking (Bouguet 2001) through pysteps. The vectors of several pairs of
frames are pooled, freed of outliers against their neighbours, reduced to one for each block of cells, and
interpolated by inverse distance on coarse nodes. Nodes, not cells: motion is smooth, and CONUS has 24 million
cells. The settings are the outcome of measurements; docs/howto/nowcast.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.extras import need

#: Node spacing of the motion field, cells.
NODE_STEP = 8
#: Lower clip limit of frames, for tracking only: the edge of drizzle is noise.
TRACKING_FLOOR_DBZ = 10.0
#: Minimum distance of tracked features, and size of the blocks whose vectors are merged, cells.
_FEATURE_DISTANCE = 5
_BLOCK = 10


@dataclass(frozen=True)
class MotionField:
    """Velocities on nodes every `step` cells, from cell (0, 0) to past the last cell.

    Parameters
    ----------
    velocity
        Cells per minute; shape ``(2, rows, columns)``: along columns (east), along rows (north).
    step
        Node spacing, cells.
    vectors
        Number of sparse vectors behind the field; 0 if nothing could be tracked and the field is still.
    """

    velocity: NDArray[np.float32]
    step: int
    vectors: int

    @classmethod
    def still(cls, shape: tuple[int, int], step: int = NODE_STEP) -> MotionField:
        """Return a field without motion (persistence)."""
        rows, columns = node_counts(shape, step)
        return cls(np.zeros((2, rows, columns), dtype=np.float32), step, 0)


def node_counts(shape: tuple[int, int], step: int) -> tuple[int, int]:
    """Return the number of nodes that cover a grid of ``shape`` cells, in each direction."""
    return -(-(shape[0] - 1) // step) + 1, -(-(shape[1] - 1) // step) + 1


@dataclass(frozen=True)
class SparseVectors:
    """Tracked features: ``points`` (n, 2), column and row; ``velocities`` (n, 2), cells per minute."""

    points: NDArray[np.float64]
    velocities: NDArray[np.float64]


def pairs(count: int) -> list[tuple[int, int]]:
    """Return which of ``count`` frames to track to which: each to the one half the sequence later.

    A displacement is more accurate over a long time than over a short one, in which echoes move about a cell; over
    the whole time, too few features survive.
    """
    half = max(1, -(-count // 2))
    return [(index, index + half) for index in range(count - half)]


def estimate_motion(
    frames: Sequence[NDArray[np.float32]],
    minutes: Sequence[float],
    *,
    done: Callable[[int, int], None] | None = None,
) -> MotionField:
    """Estimate the motion over a sequence.

    Parameters
    ----------
    frames
        dBZ, all of one shape ``(rows, columns)``, oldest first; NaN where missing. At least two.
    minutes
        Their times, ascending; the origin does not matter.
    done
        Called with the pairs tracked so far and their number.

    Raises
    ------
    InputError
        If there are fewer than two frames, they differ in shape, or the times do not ascend.
    MissingPartError
        If OpenCV is not installed.
    """
    if len(frames) < 2 or len(frames) != len(minutes):
        raise InputError(f"{len(frames)} frames at {len(minutes)} times", expected="two or more, a time each")
    if len({frame.shape for frame in frames}) > 1:
        raise InputError("the frames differ in shape", expected="one grid")
    if any(later <= earlier for earlier, later in pairwise(minutes)):
        raise InputError("the times of the frames do not ascend", expected="oldest first, no two alike")
    chosen = pairs(len(frames))
    parts = []
    for number, (first, second) in enumerate(chosen, start=1):
        parts.append(track(frames[first], frames[second], minutes[second] - minutes[first]))
        if done:
            done(number, len(chosen))
    vectors = one_a_block(without_outliers(pool(parts)), _BLOCK)
    return interpolate(vectors, (frames[0].shape[0], frames[0].shape[1]))


def track(earlier: NDArray[np.float32], later: NDArray[np.float32], minutes: float) -> SparseVectors:
    """Track features from one frame to another ``minutes`` later.

    Parameters
    ----------
    earlier, later
        dBZ, the same shape; NaN where missing.
    minutes
        Time between them, positive.

    Returns
    -------
    SparseVectors
        Empty if there is nothing to track.

    Raises
    ------
    MissingPartError
        If OpenCV is not installed.
    """
    cv2: Any = need("cv2")
    floor = np.float32(TRACKING_FLOOR_DBZ)
    frames = [np.maximum(frame, floor) for frame in (earlier, later)]
    nothing = SparseVectors(np.empty((0, 2)), np.empty((0, 2)))
    if any(not (frame > floor).any() for frame in frames):
        return nothing
    before, after = (_as_bytes(cv2, frame) for frame in frames)
    features = cv2.goodFeaturesToTrack(
        before,
        maxCorners=0,  # all of them
        qualityLevel=0.01,
        minDistance=_FEATURE_DISTANCE,
        blockSize=5,
        mask=np.isfinite(frames[0]).view(np.uint8),
    )
    if features is None:
        return nothing
    tracked, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, features, None, winSize=(50, 50), maxLevel=3, criteria=(3, 10, 0), minEigThreshold=1e-4
    )
    found = status[:, 0] == 1
    points, moved = features[found, 0], tracked[found, 0]
    return SparseVectors(points.astype(np.float64), (moved - points).astype(np.float64) / minutes)


def _as_bytes(cv2: Any, frame: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale a frame to 0..255 for OpenCV, without echoes of a cell or two; NaN becomes 0."""
    low = np.nanmin(frame)
    image = np.where(np.isnan(frame), low, frame)
    echo = (image > low).astype(np.uint8)
    # Opening: erosion, then dilation.
    kept = cv2.morphologyEx(echo, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    image[echo > kept] = low
    above = image - low
    return (above / (above.max() or np.float32(1)) * 255).astype(np.uint8)


def pool(parts: Sequence[SparseVectors]) -> SparseVectors:
    """Return the vectors of several pairs of frames as one set."""
    return SparseVectors(
        np.concatenate([part.points for part in parts]), np.concatenate([part.velocities for part in parts])
    )


def without_outliers(
    vectors: SparseVectors, *, neighbours: int = 30, limit: float = 3.0, least: float = 0.1
) -> SparseVectors:
    """Drop vectors far from the median of their neighbors.

    Parameters
    ----------
    vectors
        Any number.
    neighbours
        Number of nearest vectors in the neighborhood.
    limit
        Largest accepted distance from their median, in median absolute distances.
    least
        Cells per minute; smaller distances are never outliers.
    """
    count = len(vectors.points)
    if count < 4:
        return vectors
    spatial: Any = need("scipy.spatial")
    nearest = spatial.cKDTree(vectors.points).query(vectors.points, k=min(neighbours + 1, count))[1]
    around = vectors.velocities[nearest]
    middle = np.median(around, axis=1)
    spread = np.median(np.linalg.norm(around - middle[:, None], axis=2), axis=1)
    far = np.linalg.norm(vectors.velocities - middle, axis=1) > np.maximum(limit * spread, least)
    return SparseVectors(vectors.points[~far], vectors.velocities[~far])


def one_a_block(vectors: SparseVectors, size: int) -> SparseVectors:
    """Replace the vectors of each block of ``size`` x ``size`` cells by their median."""
    if not len(vectors.points):
        return vectors
    blocks = np.floor(vectors.points / size).astype(np.int64)
    _, group = np.unique(blocks, axis=0, return_inverse=True)
    group = group.ravel()
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    members = np.split(order, starts[1:])
    return SparseVectors(
        np.array([np.median(vectors.points[member], axis=0) for member in members]),
        np.array([np.median(vectors.velocities[member], axis=0) for member in members]),
    )


def interpolate(
    vectors: SparseVectors,
    shape: tuple[int, int],
    *,
    step: int = NODE_STEP,
    neighbours: int = 20,
    power: float = 2.0,
) -> MotionField:
    """Spread sparse vectors over a grid by inverse distance.

    Parameters
    ----------
    vectors
        Any number; none gives a still field.
    shape
        Rows and columns of the grid, cells.
    step
        Node spacing, cells.
    neighbours, power
        Number of nearest vectors to use, and the weight ``distance**-power``.
    """
    count = len(vectors.points)
    if not count:
        return MotionField.still(shape, step)
    spatial: Any = need("scipy.spatial")
    rows, columns = node_counts(shape, step)
    node_x, node_y = np.meshgrid(np.arange(columns) * float(step), np.arange(rows) * float(step))
    nodes = np.column_stack([node_x.ravel(), node_y.ravel()])
    distance, nearest = spatial.cKDTree(vectors.points).query(nodes, k=min(neighbours, count))
    if count == 1:
        distance, nearest = distance[:, None], nearest[:, None]
    weight = (distance + 1.0) ** -power
    weight /= weight.sum(axis=1, keepdims=True)
    velocity = np.einsum("nk,nkc->cn", weight, vectors.velocities[nearest])
    return MotionField(velocity.reshape(2, rows, columns).astype(np.float32), step, count)
