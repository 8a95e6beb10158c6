"""HSDA: sizes by layer, smoothing, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.hail.hsda import hsda_class

_Field = NDArray[np.float32]


def _fields(rays: int, *values: float) -> tuple[_Field, _Field, _Field]:
    dbz, zdr, rhohv = (np.full((rays, 20), value, dtype=np.float32) for value in values)
    return dbz, zdr, rhohv


def _of(fields: tuple[_Field, _Field, _Field], index: list[int], height_m: float = 500.0) -> list[int]:
    dbz, zdr, rhohv = fields
    found: list[int] = hsda_class(
        dbz, zdr, rhohv, np.array(index), np.full(20, height_m), melting_level_m=4000, minus25_level_m=7800
    ).tolist()
    return found


def _sizes(dbz: float, zdr: float, rhohv: float, height_m: float = 500.0) -> list[int]:
    return _of(_fields(3, dbz, zdr, rhohv), [25], height_m)


def test_sizes_near_the_ground() -> None:
    assert _sizes(52.0, 1.5, 0.95) == [1]
    assert _sizes(58.0, 0.4, 0.93) == [2]
    assert _sizes(65.0, -0.5, 0.85) == [3]


def test_high_zdr_means_small_hail() -> None:
    assert _sizes(68.0, 2.5, 0.9) == [1]


def test_sizes_above_minus_25() -> None:
    assert _sizes(50.0, 0.1, 0.98, height_m=9000.0) == [1]
    assert _sizes(70.0, 0.1, 0.98, height_m=9000.0) == [3]


def test_what_fits_no_size_is_small() -> None:
    assert _sizes(20.0, 5.0, 0.5) == [1]


def test_missing_values_have_no_size() -> None:
    fields = _fields(2, 65.0, -0.5, 0.85)
    fields[1][0, 10] = np.nan
    assert _of(fields, [10, 5]) == [0, 3]


def test_a_single_strong_gate_is_smoothed_away() -> None:
    fields = _fields(1, 50.0, 1.0, 0.95)
    fields[0][0, 10] = 75.0
    # Mean of five gates: 55 dBZ, not 75.
    assert _of(fields, [10]) == _sizes(55.0, 1.0, 0.95)


def test_gates_at_the_ends_keep_their_values() -> None:
    assert _of(_fields(1, 65.0, -0.5, 0.85), [0, 1, 18, 19]) == [3, 3, 3, 3]


def test_refusals() -> None:
    field = np.zeros((1, 10), dtype=np.float32)
    index = np.array([1])
    with pytest.raises(InputError, match="band 'C'"):
        hsda_class(field, field, field, index, field[0], melting_level_m=4000, minus25_level_m=7800, band="C")
    with pytest.raises(InputError, match="not above"):
        hsda_class(field, field, field, index, field[0], melting_level_m=4000, minus25_level_m=3000)
    nothing = np.zeros(0, dtype=np.int64)
    assert hsda_class(field, field, field, nothing, field[0], melting_level_m=4000, minus25_level_m=7800).size == 0
