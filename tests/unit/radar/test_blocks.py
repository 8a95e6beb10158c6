"""Where the strong echo of a nowcast is, in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from dynamo.inspection.blocks import MOST_BLOCKS, Blocks
from dynamo.radar.area import node_areas_km2
from dynamo.radar.grid import LatLonGrid

GRID = LatLonGrid(34.0, -98.0, 0.01, 0.01, 201, 201)


def test_blocks_tell_where_and_how_much() -> None:
    strong = np.zeros(GRID.shape, dtype=bool)
    strong[10:20, 30:40] = True
    blocks = Blocks(GRID)
    blocks.add(0, strong)
    blocks.add(10, None)
    ((latitude, longitude, now, later),) = blocks.areas_km2()
    assert abs(latitude - 32.15) <= 0.125
    assert abs(longitude - -97.65) <= 0.125
    assert now == pytest.approx(float(node_areas_km2(GRID)[10:20].sum() * 10), abs=0.1)
    assert later == 0.0
    assert blocks.leads == [0, 10]
    assert blocks.bounds == (32.0, -98.0, 34.0, -96.0)


def test_sampled_rows_stand_for_their_neighbours() -> None:
    whole, sampled = Blocks(GRID), Blocks(GRID, 4)
    whole.add(0, np.ones(GRID.shape, dtype=bool))
    sampled.add(0, np.ones((len(range(2, 201, 4)), 201), dtype=bool))
    sums = [sum(block[2] for block in one.areas_km2()) for one in (whole, sampled)]
    assert sums[0] == pytest.approx(sums[1], rel=0.01)


def test_many_blocks_become_larger_ones_of_the_same_area() -> None:
    grid = LatLonGrid(50.0, -125.0, 0.05, 0.05, 500, 1100)
    blocks = Blocks(grid)
    blocks.add(0, np.ones(grid.shape, dtype=bool))
    found = blocks.areas_km2()
    assert 200 < len(found) <= MOST_BLOCKS
    assert sum(block[2] for block in found) == pytest.approx(float(node_areas_km2(grid).sum() * grid.nlon), rel=1e-3)
    assert all(24.0 <= block[0] <= 51.0 and -126.0 <= block[1] <= -69.0 for block in found)


def test_clear_weather_has_none() -> None:
    blocks = Blocks(GRID)
    assert blocks.areas_km2() == ()
    blocks.add(0, None)
    assert blocks.areas_km2() == ()
