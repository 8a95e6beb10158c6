"""Contingency tables and their scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.radar.skill import Contingency, contingency

FORECAST = np.array([[40.0, 40.0, 10.0], [40.0, 10.0, np.nan]])
OBSERVED = np.array([[45.0, 10.0, 41.0], [np.nan, 10.0, 50.0]])


def test_counts_without_the_missing_cells() -> None:
    assert contingency(FORECAST, OBSERVED, 40.0) == Contingency(1, 1, 1, 1)


def test_threshold_itself_is_an_event() -> None:
    table = contingency(np.array([40.0]), np.array([40.0]), 40.0)
    assert table == Contingency(1, 0, 0, 0)


def test_scores() -> None:
    table = Contingency(hits=30, misses=10, false_alarms=20, correct_negatives=940)
    assert table.csi == pytest.approx(0.5)
    assert table.pod == pytest.approx(0.75)
    assert table.far == pytest.approx(0.4)
    assert table.bias == pytest.approx(1.25)


def test_pooling_adds_counts() -> None:
    assert Contingency(1, 2, 3, 4) + Contingency(10, 20, 30, 40) == Contingency(11, 22, 33, 44)


def test_no_events_gives_no_score() -> None:
    table = contingency(np.zeros((2, 2)), np.zeros((2, 2)), 30.0)
    assert all(math.isnan(score) for score in (table.csi, table.pod, table.far, table.bias))


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="shape"):
        contingency(np.zeros((2, 2)), np.zeros((2, 3)), 30.0)
