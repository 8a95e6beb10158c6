"""Simulated storms: the same for the same seed, moving, and as heavy as their regime says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dynamo.errors import UsageError
from dynamo.formats.nowcast import read_nowcast
from dynamo.inspection.look import inspect_input
from dynamo.simulate.nowcast import NowcastSimulator, parse_size
from dynamo.simulate.storms import RegimeName

START = datetime(2019, 6, 10, tzinfo=UTC)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    files = []
    for folder, count in (("a", 1), ("b", 20)):
        simulator = NowcastSimulator("cells", (40, 60), START, count, leads=5, seed=9)
        files.append(simulator.write(tmp_path / folder, 0).read_bytes())
    assert files[0] == files[1]
    other = NowcastSimulator("cells", (40, 60), START, leads=5, seed=10).write(tmp_path / "c", 0)
    assert other.read_bytes() != files[0]


def test_a_feed_is_continuous(tmp_path: Path) -> None:
    simulator = NowcastSimulator("wide", (50, 50), START, 3, leads=4, seed=2)
    (_, first), (header, second) = (read_nowcast(simulator.write(tmp_path, index)) for index in (0, 1))
    np.testing.assert_array_equal(first[1:], second[:-1])
    assert header.issue_time.minute == 1
    assert not np.array_equal(first[0], first[3])


def area(folder: Path, regime: RegimeName, level: float) -> float:
    path = NowcastSimulator(regime, (201, 201), START, leads=2).write(folder, 0)
    facts = inspect_input(path, [level])
    return facts.area_km2[level][0] / (facts.cells * 1.1)


def test_regimes_differ_as_weather_does(tmp_path: Path) -> None:
    clear, cells, wide = (area(tmp_path, regime, 35.0) for regime in ("clear", "cells", "wide"))
    assert clear == 0
    assert 0.005 < cells < 0.12
    assert 0.2 < wide < 0.6


def test_sizes() -> None:
    assert parse_size("201x301") == (201, 301)
    for bad in ("201", "0x5", "1x1", "axb", "5x5x5", "-3x5", "5.5x5"):
        with pytest.raises(UsageError, match="NLATxNLON"):
            parse_size(bad)


def test_facts_count_what_the_grids_hold(tmp_path: Path) -> None:
    path = NowcastSimulator("cells", (80, 90), START, leads=3).write(tmp_path, 0)
    _, stack = read_nowcast(path)
    facts = inspect_input(path, [30, 45])
    inside = stack >= 30
    expected = (inside[:, 1:] != inside[:, :-1]).sum((1, 2)) + (inside[..., 1:] != inside[..., :-1]).sum((1, 2))
    assert facts.crossings[30.0] == tuple(expected)
    assert facts.maximum_dbz == tuple(stack.max((1, 2)))
    assert facts.leads == (0, 1, 2)
    assert facts.shape == (80, 90)
