"""Quality control: each reason removes what it is for, counts it once, and leaves storms alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.quality.screening import REASONS, QualityLimits, limits_for, screen, texture_db

_SHAPE = (36, 50)


def _moments(**changes: float) -> dict[str, NDArray[np.float32]]:
    """A smooth storm moving at 10 m/s."""
    values = {"DBZH": 50.0, "ZDR": 1.0, "RHOHV": 0.98, "VRADH": 10.0, "SNRH": 30.0, "SQIH": 0.8, **changes}
    return {name: np.full(_SHAPE, value, dtype=np.float32) for name, value in values.items()}


def _all() -> NDArray[np.int64]:
    return np.arange(_SHAPE[0] * _SHAPE[1])


def _only(counts: dict[str, int], reason: str) -> bool:
    return counts[reason] > 0 and all(count == 0 for name, count in counts.items() if name != reason)


def test_a_storm_is_kept() -> None:
    keep, counts = screen(_moments(), _all(), QualityLimits())
    assert keep.all()
    assert counts == dict.fromkeys(REASONS, 0)


def test_a_still_storm_is_kept() -> None:
    keep, _ = screen(_moments(VRADH=0.2, RHOHV=0.93), _all(), QualityLimits())
    assert keep.all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ZDR": np.nan}, "not_polarimetric"),
        ({"RHOHV": np.nan}, "not_polarimetric"),
        ({"SNRH": 1.0}, "noise"),
        ({"SQIH": 0.1, "RHOHV": 0.85}, "noise"),
        ({"RHOHV": 0.5}, "low_correlation"),
        ({"VRADH": 0.0, "RHOHV": 0.75}, "clutter"),
    ],
)
def test_each_reason(changes: dict[str, float], reason: str) -> None:
    keep, counts = screen(_moments(**changes), _all(), QualityLimits())
    assert not keep.any()
    assert _only(counts, reason)
    assert counts[reason] == _SHAPE[0] * _SHAPE[1]


def test_low_quality_index_alone_is_no_reason() -> None:
    keep, _ = screen(_moments(SQIH=0.1), _all(), QualityLimits())
    assert keep.all()


def test_rough_still_echo_is_clutter() -> None:
    moments = _moments(VRADH=0.3)
    moments["DBZH"] += np.random.default_rng(0).normal(0, 15, _SHAPE).astype(np.float32)
    keep, counts = screen(moments, _all(), QualityLimits())
    assert _only(counts, "clutter")
    assert keep.mean() < 0.3


def test_rough_echo_without_velocity_needs_low_correlation_too() -> None:
    moments = _moments()
    del moments["VRADH"], moments["SNRH"], moments["SQIH"]
    moments["DBZH"] += np.random.default_rng(0).normal(0, 20, _SHAPE).astype(np.float32)
    keep, _ = screen(moments, _all(), QualityLimits())
    assert keep.all()
    moments["RHOHV"][:] = 0.85
    keep, counts = screen(moments, _all(), QualityLimits())
    assert _only(counts, "rough")
    assert keep.mean() < 0.3


def test_only_the_asked_gates_are_looked_at() -> None:
    moments = _moments(RHOHV=0.3)
    keep, counts = screen(moments, np.array([5, 7]), QualityLimits())
    assert keep.size == 2
    assert sum(counts.values()) == 2
    keep, counts = screen(moments, np.zeros(0, dtype=np.int64), QualityLimits())
    assert keep.size == 0
    assert sum(counts.values()) == 0


def test_texture_is_the_standard_deviation_around() -> None:
    field = np.random.default_rng(1).normal(40, 8, _SHAPE).astype(np.float32)
    field[3, 20] = np.nan
    found = texture_db(field, np.array([3 * 50 + 19, 0, 35 * 50 + 49]))
    assert found[0] == pytest.approx(np.nanstd(field[2:5, 17:22]), rel=1e-3)
    # Rays go round the north, gates end.
    assert found[1] == pytest.approx(np.std(field[[-1, 0, 1], :3]), rel=1e-3)
    assert found[2] == pytest.approx(np.std(field[[34, 35, 0], 47:]), rel=1e-3)


def test_limits_of_bands_and_unfit_limits() -> None:
    assert limits_for("X").min_rhohv < limits_for("S").min_rhohv
    with pytest.raises(InputError, match="band"):
        limits_for("K")
    with pytest.raises(InputError, match="correlation"):
        QualityLimits(min_rhohv=70)
    with pytest.raises(InputError, match="negative"):
        QualityLimits(still_m_s=-1)
