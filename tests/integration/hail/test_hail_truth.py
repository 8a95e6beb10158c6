"""The real cases: hail where it was, none where there was none, the same from chunks as from the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hail_truth_cases import TruthRow, hail_truth
from dynamo.errors import NotFoundError


@pytest.fixture(scope="module")
def rows(data_dir: Path) -> dict[str, TruthRow]:
    return {row.case: row for row in hail_truth(data_dir)}


def test_every_case_agrees(rows: dict[str, TruthRow]) -> None:
    wrong = [f"{row.case}: {row.hail_gates} gates, expected {row.expected}" for row in rows.values() if not row.agrees]
    assert not wrong
    assert len(rows) == 23


def test_the_texas_storms(rows: dict[str, TruthRow]) -> None:
    row = rows["KFWS, Texas hailstorms"]
    assert row.covered > 0.95
    assert 200 < row.area_km2 < 1500
    assert row.size_mm == 50.0
    assert row.latitude_deg == pytest.approx(31.25, abs=0.2)
    assert row.longitude_deg == pytest.approx(-97.9, abs=0.2)
    assert row.mesh_mm is None


def test_heavy_rain_has_small_columns_and_no_severe_hail(rows: dict[str, TruthRow]) -> None:
    row = rows["KLBB, heavy rain"]
    assert row.posh_percent == 0
    assert row.mesh_mm is not None
    assert row.mesh_mm < 15


def test_the_alpine_storm_has_large_hail(rows: dict[str, TruthRow]) -> None:
    row = rows["Monte Lema, Alpine storm"]
    assert row.mesh_mm is not None
    assert 40 < row.mesh_mm < 80
    # C band: no HSDA.
    assert row.size_mm is None


def test_the_precursor_fires_on_hail_and_not_in_clear_air(rows: dict[str, TruthRow]) -> None:
    assert rows["KFWS, Texas hailstorms"].trigger is True
    assert rows["KTLX, clear air"].trigger is False
    # What the clutter filter took away is asked of the hail, not of the trigger.
    assert rows["Monte Lema, clutter not filtered"].trigger is None


def test_without_the_cases(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no radar cases"):
        hail_truth(tmp_path)
