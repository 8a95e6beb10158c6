from pathlib import Path

import numpy as np
import orjson
import pytest
from mypkg.cells import find_cells
from mypkg.module import MODULE

from dynamo.formats.nowcast import NowcastHeader, write_nowcast
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.radar.grid import LatLonGrid
from dynamo.times import parse_time

GRID = LatLonGrid(33.0, -98.0, 0.01, 0.01, 60, 80)


def field() -> np.ndarray:
    """Two cells: 10 x 20 nodes of 50 dBZ with one of 61, and 2 nodes that touch at a corner."""
    values = np.full(GRID.shape, 12.0, dtype=np.float32)
    values[10:20, 30:50] = 50.0
    values[15, 40] = 61.0
    values[40, 5] = values[41, 6] = 47.0
    values[55:, :] = np.nan
    return values


def test_cells_have_place_area_and_maximum() -> None:
    large, small = find_cells(field(), GRID, 45.0)
    assert large.longitude_deg == pytest.approx(-98.0 + 0.01 * 39.5)
    assert large.latitude_deg == pytest.approx(GRID.latitudes[10:20].mean(), abs=1e-4)
    # 0.01 degrees are 1.109 km of latitude here, and 0.939 km of longitude.
    assert large.area_km2 == pytest.approx(200 * 1.109 * 0.939, rel=0.005)
    assert large.max_dbz == 61.0
    assert small.area_km2 == pytest.approx(2 * 1.109 * 0.937, rel=0.005)


def test_small_and_weak_cells_are_left_out() -> None:
    assert len(find_cells(field(), GRID, 45.0, min_area_km2=10.0)) == 1
    assert len(find_cells(field(), GRID, 55.0)) == 1
    assert find_cells(field(), GRID, 70.0) == []


def test_the_module_is_found_and_keeps_its_contract(tmp_path: Path) -> None:
    assert find_module("mypkg_cells") is MODULE
    nowcast, cells = tmp_path / "nowcast.nc", tmp_path / "cells.geojson"
    header = NowcastHeader(GRID, parse_time("2019-06-10T00:00:00Z"), leads=2)
    write_nowcast(nowcast, header, [field(), np.full(GRID.shape, 12.0, dtype=np.float32)])
    outcome = execute(MODULE, {"nowcast": [nowcast]}, {"cells": [cells]}, {"min_area": 10.0})
    (feature,) = orjson.loads(cells.read_bytes())["features"]
    assert feature["geometry"]["coordinates"][0] == pytest.approx(-97.605)
    assert feature["properties"]["lead_min"] == 0
    assert feature["properties"]["max_dbz"] == 61.0
    assert outcome.metrics["cells"] == 1.0
