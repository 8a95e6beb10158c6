"""Areas of strong echo by height, from heights that files claim."""

from __future__ import annotations

import numpy as np

from dynamo.radar.hail.precursor import areas_aloft_km2


def test_heights_that_no_echo_has_take_no_memory() -> None:
    aloft = areas_aloft_km2(np.array([1.0, 2.0, 4.0, 8.0]), np.array([-5e9, np.nan, 1e15, np.inf]), 500.0)
    assert aloft.shape == (61,)
    assert aloft[0] == 15
    assert aloft[60] == 12
