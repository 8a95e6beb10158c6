"""Motion and advection on fields whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.extrapolation import advect
from dynamo.radar.motion import (
    MotionField,
    SparseVectors,
    estimate_motion,
    interpolate,
    one_a_block,
    pairs,
    track,
    without_outliers,
)
from tests.needs import peer

SHAPE = (120, 160)
FLOOR = -10.0


def storms(east: float, north: float, shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    """Return storms of several sizes, all shifted by the same number of cells."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    field = np.full(shape, FLOOR)
    centres = np.random.default_rng(5).uniform((15, 15), (shape[0] - 15, shape[1] - 15), size=(14, 2))
    for number, (row, column) in enumerate(centres):
        squared = (rows - row - north) ** 2 + (columns - column - east) ** 2
        field = np.maximum(field, (35.0 + number) * np.exp(-squared / (2 * (2.5 + number / 4) ** 2)))
    return field.astype(np.float32)


def uniform(east: float, north: float) -> MotionField:
    field = MotionField.still(SHAPE)
    field.velocity[0], field.velocity[1] = east, north
    return field


def test_the_motion_of_moving_storms_is_found() -> None:
    minutes = [0.0, 2.0, 4.0, 6.0]
    frames = [storms(0.7 * minute, -0.4 * minute) for minute in minutes]
    motion = estimate_motion(frames, minutes)
    assert motion.vectors > 5
    assert np.median(motion.velocity[0]) == pytest.approx(0.7, abs=0.03)
    assert np.median(motion.velocity[1]) == pytest.approx(-0.4, abs=0.03)


def test_the_interval_between_frames_does_not_matter() -> None:
    for interval in (1.0, 5.0):
        frames = [storms(0.5 * interval * index, 0.0) for index in range(3)]
        motion = estimate_motion(frames, [interval * index for index in range(3)])
        assert np.median(motion.velocity[0]) == pytest.approx(0.5, abs=0.03)


def test_nothing_to_track_stands_still() -> None:
    dry = np.full(SHAPE, FLOOR, dtype=np.float32)
    missing = np.full(SHAPE, np.nan, dtype=np.float32)
    for frames in ([dry, dry], [missing, missing], [missing, storms(0, 0)]):
        motion = estimate_motion(frames, [0.0, 5.0])
        assert motion.vectors == 0
        assert not motion.velocity.any()


def test_sequences_that_are_none() -> None:
    frame = storms(0, 0)
    with pytest.raises(InputError, match="1 frames"):
        estimate_motion([frame], [0.0])
    with pytest.raises(InputError, match="ascend"):
        estimate_motion([frame, frame], [5.0, 5.0])
    with pytest.raises(InputError, match="shape"):
        estimate_motion([frame, frame[:-1]], [0.0, 5.0])


def test_pairs_span_half_the_sequence() -> None:
    assert pairs(2) == [(0, 1)]
    assert pairs(3) == [(0, 2)]
    assert pairs(4) == [(0, 2), (1, 3)]
    assert pairs(6) == [(0, 3), (1, 4), (2, 5)]


def test_lead_zero_is_the_observation_itself() -> None:
    frame = storms(0, 0)
    leads = list(advect(frame, uniform(1.0, 1.0), 3, floor=FLOOR))
    assert len(leads) == 4
    assert leads[0] is frame


def test_uniform_motion_moves_every_value() -> None:
    frame = storms(0, 0)
    *_, moved = advect(frame, uniform(2.0, -1.0), 5, floor=FLOOR)
    np.testing.assert_allclose(moved[:-5, 10:], frame[5:, :-10], atol=1e-3)
    # What comes from beyond the western and northern edges is not known.
    assert np.isnan(moved[:, :10]).all()
    assert np.isnan(moved[-5:]).all()


def test_missing_moves_as_missing_and_spoils_nothing_else() -> None:
    frame = storms(0, 0)
    frame[40:60, 50:70] = np.nan
    *_, moved = advect(frame, uniform(2.0, 0.0), 5, floor=FLOOR)
    assert np.array_equal(np.isnan(moved)[:, 10:], np.isnan(frame)[:, :-10])


def test_tracks_the_vectors_of_pysteps() -> None:
    earlier, later = storms(0, 0), storms(3, -2)
    earlier[20:40, 30:60] = np.nan
    later[5, 5] = 50.0
    clipped = np.maximum(np.stack([earlier, later]), 10.0).astype(np.float32)
    points, displacements = peer("pysteps.motion.lucaskanade").dense_lucaskanade(
        clipped,
        dense=False,
        nr_std_outlier=np.inf,
        k_outlier=None,
        fd_kwargs={"max_corners": 0, "min_distance": 5, "buffer_mask": 0},
    )
    ours = track(earlier, later, 2.0)
    assert len(points) > 10
    np.testing.assert_array_equal(ours.points, points)
    np.testing.assert_array_equal(ours.velocities, displacements / 2.0)


def test_moves_as_pysteps() -> None:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    # A vortex: solid rotation about the middle, half a radian in 20 minutes.
    velocity = 0.025 * np.stack([-(rows - SHAPE[0] / 2), columns - SHAPE[1] / 2])
    extrapolate = peer("pysteps.extrapolation.semilagrangian").extrapolate
    frame = storms(0, 0)
    expected = extrapolate(frame, velocity, 20)[-1]
    motion = MotionField(velocity.astype(np.float32), 1, 1)
    *_, ours = advect(frame, motion, 20, floor=FLOOR)
    both = np.isfinite(expected) & np.isfinite(ours)
    assert both.mean() > 0.7
    assert np.abs(expected - ours)[both].max() < 1.0
    assert np.abs(expected - ours)[both].mean() < 0.05


def test_coarse_nodes_make_the_same_leads_as_cells() -> None:
    def vortex(step: int) -> MotionField:
        nodes = np.stack(np.meshgrid(*(np.arange(0, size + step - 1, step) for size in SHAPE[::-1])))
        columns, rows = nodes.astype(np.float32)
        return MotionField(np.float32(0.02) * np.stack([60 - rows, columns - 80]), step, 1)

    frame = storms(0, 0)
    assert vortex(8).velocity.shape == MotionField.still(SHAPE, 8).velocity.shape
    coarse, fine = (advect(frame, vortex(step), 15, floor=FLOOR) for step in (8, 1))
    for ours, other in zip(coarse, fine, strict=True):
        np.testing.assert_allclose(ours[25:-25, 25:-25], other[25:-25, 25:-25], atol=0.5)


def test_cubic_sampling_stays_in_range() -> None:
    frame = storms(0, 0)
    *_, moved = advect(frame, uniform(0.3, 0.3), 5, floor=FLOOR, interpolation="cubic")
    assert np.nanmin(moved) >= frame.min()
    assert np.nanmax(moved) <= frame.max()


def test_an_outlier_is_dropped() -> None:
    points = np.random.default_rng(1).uniform(0, 100, size=(40, 2))
    velocities = np.full((40, 2), 0.5) + np.random.default_rng(2).normal(0, 0.02, size=(40, 2))
    velocities[7] = (-3.0, 4.0)
    kept = without_outliers(SparseVectors(points, velocities))
    assert len(kept.points) == 39
    assert np.abs(kept.velocities - 0.5).max() < 0.2


def test_one_vector_a_block() -> None:
    vectors = SparseVectors(
        np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [25.0, 1.0]]),
        np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [4.0, 4.0]]),
    )
    blocks = one_a_block(vectors, 10)
    assert sorted(blocks.velocities.tolist()) == [[2.0, 0.0], [4.0, 4.0]]


def test_one_vector_rules_everywhere() -> None:
    motion = interpolate(SparseVectors(np.array([[10.0, 20.0]]), np.array([[0.5, -0.25]])), SHAPE)
    assert np.all(motion.velocity[0] == np.float32(0.5))
    assert np.all(motion.velocity[1] == np.float32(-0.25))
